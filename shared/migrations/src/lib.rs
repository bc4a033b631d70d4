//! The schema. *Tables* change by numbered migrations, each applied once, by the first process, and never edited
//! afterwards: recorded checksums verify this. *Functions* belong to a build and live in its own schema: two builds
//! serve side by side, and a rollback finds its functions unchanged.

mod config;
mod conversion;
mod fields;
mod functions;
mod history;
mod index;
pub mod requirements;
mod roles;
mod statistics;
mod uninstall;

use std::fmt;

use database::{Database, DatabaseError, Statement, Transaction};
use embedder::Manifest;
use schema::FUNCTIONS_SQL;
use serde::Serialize;

pub use schema::FUNCTIONS;

use self::history::History;
pub use self::{
    config::{IndexConfig, Memory},
    conversion::withdraw_conversion,
    fields::{FieldIndex, field_indexes, index_field, unindex_field},
    index::{
        INDEX, Index, IndexState, build_index, drop_index, index_state, is_outdated,
        measure_recall, rebuild_index,
    },
    roles::{grant, role},
    statistics::tidy_statistics,
    uninstall::{Installed, UninstallError, installed, uninstall},
};

/// The result of [`migrate`].
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Names of the migrations applied now.
    pub applied: Vec<&'static str>,
    /// The schema's version: the number of its last migration.
    pub version: i32,
    /// Names of migrations of a newer program, which were left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<String>,
    /// The schema of this build's functions.
    pub functions: &'static str,
    /// The old recipe of the database, if it was converted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converted_from: Option<String>,
}

/// The state of a database's schema compared with this program's needs.
#[derive(Debug)]
pub struct Status {
    /// The number of the last applied migration; 0 before the first.
    pub version: i32,
    /// Names of pending migrations.
    pub pending: Vec<&'static str>,
    /// Names of migrations of a newer program. They only added to what this one knows.
    pub newer: Vec<String>,
    /// Whether the functions of this build are installed.
    pub functions: bool,
}

impl Status {
    /// Whether this program can work with it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.pending.is_empty() && self.functions
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, .. } = self;
        if *version == 0 {
            return f.write_str("the database has no Rappel schema");
        }
        write!(f, "the schema has version {version}")?;
        if !self.newer.is_empty() {
            let expected = schema::version();
            write!(
                f,
                ", newer than this program's {expected}: {}",
                self.newer.join(", ")
            )?;
        }
        if !self.pending.is_empty() {
            write!(f, ", it lacks {}", self.pending.join(", "))?;
        }
        if !self.functions {
            write!(
                f,
                ", the functions of this build ({FUNCTIONS}) are not installed"
            )?;
        }
        Ok(())
    }
}

/// The key of the advisory lock that serializes migrations: "rappel" in ASCII.
const LOCK: i64 = 0x7261_7070_656c;

/// Updates the schema, and converts a database of an older recipe. Safe to repeat and to run concurrently.
/// [`build_index`] builds the index separately.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] if another model embedded the database, [`DatabaseError::Migration`] if the server
/// or the role prevents it or an applied migration differs from this program's, or any error of the database. The
/// schema is then unchanged.
pub async fn migrate(
    database: &Database,
    manifest: &Manifest,
) -> Result<MigrationReport, DatabaseError> {
    let report = apply(database, manifest).await?;
    let converted_from = conversion::convert(database, manifest).await?;
    Ok(MigrationReport {
        converted_from,
        ..report
    })
}

/// Applies what is missing in one transaction, so that a failure changes nothing. The lock ends with the transaction,
/// so that it also works through a pooler.
async fn apply(database: &Database, manifest: &Manifest) -> Result<MigrationReport, DatabaseError> {
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
    transaction.run_script(&lock).await?;
    let mut history = History::read(&mut transaction).await?;
    let pending = history.pending()?;
    let installed = functions::are_installed(&mut transaction).await?;
    if !pending.is_empty() || !installed {
        // Waiting for a table's lock also blocks all later requests: behind a transaction left open, a migration must
        // give up before searches do.
        transaction
            .run_script("SET LOCAL lock_timeout = '5s'")
            .await?;
        requirements::meet(&mut transaction).await?;
        history.apply(&mut transaction, &pending, manifest).await?;
    }
    if !installed {
        functions::install(&mut transaction).await?;
    }
    functions::keep_newest(&mut transaction).await?;
    store_model(&mut transaction, manifest).await?;
    transaction.commit().await?;
    Ok(MigrationReport {
        applied: pending.iter().map(|migration| migration.name).collect(),
        version: history.version(),
        newer: history.newer(),
        functions: FUNCTIONS,
        converted_from: None,
    })
}

/// Compares the schema with this program's needs, without changes.
///
/// # Errors
/// [`DatabaseError::Migration`] if an applied migration differs from this program's, or any error of the database.
pub async fn status(database: &Database) -> Result<Status, DatabaseError> {
    let mut transaction = database.begin().await?;
    let history = History::read(&mut transaction).await?;
    let functions = functions::are_installed(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Status {
        version: history.version(),
        pending: history
            .pending()?
            .iter()
            .map(|migration| migration.name)
            .collect(),
        newer: history.newer(),
        functions,
    })
}

/// Fails unless this program can read the database.
///
/// # Errors
/// [`DatabaseError::NotMigrated`], which names what is missing, or any error of the database.
pub async fn require(database: &Database) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await?;
    let installed = functions::are_installed(&mut transaction).await?;
    transaction.commit().await?;
    if installed {
        return Ok(());
    }
    Err(DatabaseError::NotMigrated(
        status(database).await?.to_string(),
    ))
}

/// Checks that the database has this build's recipe for the model.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] with both recipes, [`DatabaseError::NotMigrated`] without the schema, or any error
/// of the database.
pub async fn require_model(database: &Database, manifest: &Manifest) -> Result<(), DatabaseError> {
    let statement = Statement::read("SELECT name, dimensions FROM rappel.model");
    let stored: Option<(String, i32)> = database.fetch_optional(statement).await?;
    stored.map_or(Ok(()), |stored| {
        compare_dimensions(&stored, manifest)?;
        compare(&stored.0, manifest)
    })
}

/// Stores the recipe at the first migration. Later the dimensions must match; [`conversion`] handles other differences.
async fn store_model(
    transaction: &mut Transaction,
    manifest: &Manifest,
) -> Result<(), DatabaseError> {
    let select = "SELECT name, dimensions FROM rappel.model";
    let stored: Vec<(String, i32)> = transaction.fetch_all(Statement::read(select)).await?;
    if let Some(stored) = stored.first() {
        return compare_dimensions(stored, manifest);
    }
    let insert = Statement::write(
        "INSERT INTO rappel.model (name, dimensions) VALUES ($1, $2) RETURNING dimensions",
    )
    .bind(manifest.recipe().to_owned())
    .bind(dimensions(manifest));
    transaction.fetch_all::<(i32,)>(insert).await.map(drop)
}

fn compare_dimensions(stored: &(String, i32), manifest: &Manifest) -> Result<(), DatabaseError> {
    let (name, stored_dimensions) = stored;
    if *stored_dimensions == dimensions(manifest) {
        return Ok(());
    }
    Err(DatabaseError::ModelMismatch(format!(
        "the database holds embeddings of the model {name} ({stored_dimensions} dimensions), but the configured \
         model is {} ({} dimensions): set MODEL_DIR to the first, or use another database",
        manifest.name, manifest.dimensions
    )))
}

fn compare(stored: &str, manifest: &Manifest) -> Result<(), DatabaseError> {
    if stored == manifest.recipe() {
        return Ok(());
    }
    Err(DatabaseError::ModelMismatch(format!(
        "the database was made with the recipe {stored}, but the configured one is {}: run `rappel migrate` or the \
         migrate function, which converts it or reports why it cannot",
        manifest.recipe()
    )))
}

fn dimensions(manifest: &Manifest) -> i32 {
    i32::try_from(manifest.dimensions).unwrap_or(i32::MAX)
}
