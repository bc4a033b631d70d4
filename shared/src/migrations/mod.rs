//! The schema. *Tables* change by numbered migrations, each applied once, by whoever comes first, and never edited
//! afterwards: what a database has applied is compared with its recorded checksum. *Functions* belong to a build, which
//! has a schema of its own for them: two builds serve side by side, and a rollback finds its functions where it left them.

mod functions;
mod history;
mod index;
pub(crate) mod requirements;

use serde::Serialize;

use self::history::History;
pub use self::index::{INDEX, build_index, drop_index};
use crate::{
    database::{Database, DatabaseError, Statement, Transaction},
    embedder::Manifest,
};

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// What [`migrate`] did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Names of the migrations that were applied now.
    pub applied: Vec<&'static str>,
    /// The schema's version: the number of its last migration.
    pub version: i32,
    /// The schema of the functions that this build calls.
    pub functions: &'static str,
}

/// A step in the history of the tables.
struct Migration {
    version: i32,
    /// Its file's name: `0007_baseline`.
    name: &'static str,
    sql: &'static str,
    /// SHA-256 of its file, in hexadecimal.
    checksum: &'static str,
}

/// The key of the advisory lock that lets one migration run at a time: "rappel" in ASCII.
const LOCK: i64 = 0x7261_7070_656c;

/// The version that this program expects: the number of the last migration.
#[must_use]
pub fn version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Brings the schema up to date, and builds the index if it is missing. Safe to run twice and by several
/// at a time.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] when the database was embedded by another model,
/// [`DatabaseError::Migration`] when the server or the role stand in the way or an applied migration is not the one
/// that this program has, or whatever the database says.
pub async fn migrate(database: &Database, manifest: &Manifest) -> Result<Report, DatabaseError> {
    let report = apply(database, manifest).await?;
    build_index(database).await?;
    Ok(report)
}

/// Asks the database whether it was embedded by this model.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] with both names, [`DatabaseError::NotMigrated`] when the schema
/// is not there, or whatever the database says.
pub async fn require_model(database: &Database, manifest: &Manifest) -> Result<(), DatabaseError> {
    let statement = Statement::read("SELECT name, dimensions FROM rappel.model");
    let stored: Option<(String, i32)> = database.fetch_optional(statement).await?;
    stored.map_or(Ok(()), |stored| compare(&stored, manifest))
}

/// The version of the database's schema; 0 before the first migration.
///
/// # Errors
/// Whatever the database says.
pub async fn applied_version(database: &Database) -> Result<i32, DatabaseError> {
    let statement = Statement::read("SELECT coalesce(max(version), 0) FROM rappel.migrations");
    match database.fetch_optional::<(i32,)>(statement).await {
        Ok(version) => Ok(version.map_or(0, |(version,)| version)),
        Err(DatabaseError::NotMigrated(_)) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Applies what is missing in one transaction, so that a failure leaves the schema as it was. The
/// lock ends with the transaction, which makes it hold through a pooler too.
async fn apply(database: &Database, manifest: &Manifest) -> Result<Report, DatabaseError> {
    let mut transaction = database.begin().await?;
    let lock = format!("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
    transaction.run_script(&lock).await?;
    let mut history = History::read(&mut transaction).await?;
    let pending = history.pending()?;
    let installed = functions::are_installed(&mut transaction).await?;
    if !pending.is_empty() || !installed {
        // Whoever waits for a table's lock keeps all that come later waiting too: behind a transaction that
        // somebody left open, a migration must give up before searches do.
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
    Ok(Report {
        applied: pending.iter().map(|migration| migration.name).collect(),
        version: history.version(),
        functions: FUNCTIONS,
    })
}

/// Stores the model at the first migration; later it must be the same.
async fn store_model(
    transaction: &mut Transaction,
    manifest: &Manifest,
) -> Result<(), DatabaseError> {
    let select = "SELECT name, dimensions FROM rappel.model";
    let stored: Vec<(String, i32)> = transaction.fetch_all(Statement::read(select)).await?;
    if let Some(stored) = stored.first() {
        return compare(stored, manifest);
    }
    let insert = Statement::write(
        "INSERT INTO rappel.model (name, dimensions) VALUES ($1, $2) RETURNING dimensions",
    )
    .bind(manifest.name.clone())
    .bind(dimensions(manifest));
    transaction.fetch_all::<(i32,)>(insert).await.map(drop)
}

fn compare(stored: &(String, i32), manifest: &Manifest) -> Result<(), DatabaseError> {
    let (name, stored_dimensions) = stored;
    if *name == manifest.name && *stored_dimensions == dimensions(manifest) {
        return Ok(());
    }
    Err(DatabaseError::ModelMismatch(format!(
        "the database holds embeddings of the model {name} ({stored_dimensions} dimensions), but the configured \
         model is {} ({} dimensions): set MODEL_DIR to the first, or use another database",
        manifest.name, manifest.dimensions
    )))
}

fn dimensions(manifest: &Manifest) -> i32 {
    i32::try_from(manifest.dimensions).unwrap_or(i32::MAX)
}
