//! The schema: applied in order, once, by whoever comes first.

use serde::Serialize;

use crate::{
    database::{Database, DatabaseError, Statement, Transaction},
    embedder::Manifest,
};

/// What [`migrate`] did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Names of the migrations that were applied now.
    pub applied: Vec<&'static str>,
    /// The schema's version: the number of migrations.
    pub version: i32,
}

/// The index that searches use; it is built apart from the migrations, since Postgres builds an
/// index without blocking writers only outside a transaction.
pub const INDEX: &str = "chunks_embedding_hnsw";

/// Each migration with its SQL. An applied migration is never edited: a change is a new one.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001_documents",
        include_str!("../migrations/0001_documents.sql"),
    ),
    ("0002_terms", include_str!("../migrations/0002_terms.sql")),
    ("0003_upsert", include_str!("../migrations/0003_upsert.sql")),
    (
        "0004_semantic",
        include_str!("../migrations/0004_semantic.sql"),
    ),
    (
        "0005_keyword",
        include_str!("../migrations/0005_keyword.sql"),
    ),
    ("0006_search", include_str!("../migrations/0006_search.sql")),
    (
        "0007_imports",
        include_str!("../migrations/0007_imports.sql"),
    ),
    (
        "0009_documents_in",
        include_str!("../migrations/0009_documents_in.sql"),
    ),
];

/// The key of the advisory lock that lets one migration run at a time: "rappel" in ASCII.
const LOCK: i64 = 0x7261_7070_656c;

/// The version that this program expects.
#[must_use]
pub fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Brings the schema up to date, and builds the index if it is missing. Safe to run twice and by several
/// at a time.
///
/// # Errors
/// [`DatabaseError::ModelMismatch`] when the database was embedded by another model, or whatever
/// the database says.
pub async fn migrate(database: &Database, manifest: &Manifest) -> Result<Report, DatabaseError> {
    let applied = apply(database, manifest).await?;
    build_index(database).await?;
    Ok(Report {
        applied,
        version: version(),
    })
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
async fn apply(
    database: &Database,
    manifest: &Manifest,
) -> Result<Vec<&'static str>, DatabaseError> {
    let mut transaction = database.begin().await?;
    // Whoever waits for a table's lock keeps all that come later waiting too: behind a transaction that
    // somebody left open, a migration must give up before searches do.
    let lock = format!(
        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '5s'"
    );
    transaction.run_script(&lock).await?;
    transaction.run_script(PREPARE).await?;
    let last = Statement::read("SELECT coalesce(max(version), 0) FROM rappel.migrations");
    let last: Vec<(i32,)> = transaction.fetch_all(last).await?;
    let last = last.first().map_or(0, |row| row.0);
    let mut applied = Vec::new();
    for (version, (name, sql)) in (1..).zip(MIGRATIONS) {
        if version > last {
            transaction
                .run_script(&sql.replace("{dimensions}", &manifest.dimensions.to_string()))
                .await?;
            record(&mut transaction, version, name).await?;
            applied.push(*name);
        }
    }
    store_model(&mut transaction, manifest).await?;
    transaction.commit().await?;
    Ok(applied)
}

/// What has to be there before the first migration. `hnsw.*` settings are known to a session only
/// once the extension's library is loaded, which the cast does.
const PREPARE: &str = "
    CREATE EXTENSION IF NOT EXISTS vector;
    SELECT '[1]'::vector;
    CREATE SCHEMA IF NOT EXISTS rappel;
    CREATE TABLE IF NOT EXISTS rappel.migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
";

async fn record(
    transaction: &mut Transaction,
    version: i32,
    name: &str,
) -> Result<(), DatabaseError> {
    let statement = Statement::write(
        "INSERT INTO rappel.migrations (version, name) VALUES ($1, $2) RETURNING version",
    )
    .bind(version)
    .bind(name.to_owned());
    transaction.fetch_all::<(i32,)>(statement).await.map(drop)
}

/// Stores the model at the first migration; later it must be the same.
async fn store_model(
    transaction: &mut Transaction,
    manifest: &Manifest,
) -> Result<(), DatabaseError> {
    let insert = Statement::write(
        "INSERT INTO rappel.model (name, dimensions) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING dimensions",
    )
    .bind(manifest.name.clone())
    .bind(dimensions(manifest));
    transaction.fetch_all::<(i32,)>(insert).await?;
    let stored = transaction
        .fetch_all::<(String, i32)>(Statement::read("SELECT name, dimensions FROM rappel.model"))
        .await?;
    stored
        .first()
        .map_or(Ok(()), |stored| compare(stored, manifest))
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

/// The state of the index, as far as building it has to know.
#[derive(sqlx::FromRow)]
struct IndexState {
    valid: bool,
    building: bool,
}

/// Builds the index unless it is there. One that a killed build left invalid is dropped first; one
/// that another process is building is waited for. Nothing is locked while waiting: a transaction
/// that waits for a lock holds a snapshot, for which `CREATE INDEX CONCURRENTLY` would wait in turn.
pub async fn build_index(database: &Database) -> Result<(), DatabaseError> {
    loop {
        match index_state(database).await? {
            Some(IndexState { valid: true, .. }) => return Ok(()),
            Some(IndexState { building: true, .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            Some(_) => {
                drop_index(database).await?;
            }
            None => {
                run_tolerant(
                    database,
                    "CREATE INDEX CONCURRENTLY chunks_embedding_hnsw ON rappel.chunks \
                     USING hnsw (embedding halfvec_cosine_ops)",
                )
                .await?;
            }
        }
    }
}

/// Drops the index, so that a bulk load into an empty table does not build it row by row.
///
/// # Errors
/// Whatever the database says.
pub async fn drop_index(database: &Database) -> Result<(), DatabaseError> {
    run_tolerant(
        database,
        "DROP INDEX CONCURRENTLY IF EXISTS rappel.chunks_embedding_hnsw",
    )
    .await
}

async fn index_state(database: &Database) -> Result<Option<IndexState>, DatabaseError> {
    let statement = Statement::read(
        "SELECT i.indisvalid AS valid,
                EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid) AS building
         FROM pg_index AS i
         WHERE i.indexrelid = to_regclass('rappel.chunks_embedding_hnsw')",
    );
    database.fetch_optional(statement).await
}

/// Runs a statement on the index; that another process was faster or in the way is no failure,
/// since the caller looks at the outcome again.
async fn run_tolerant(database: &Database, sql: &str) -> Result<(), DatabaseError> {
    // A graph that does not fit into this memory spills to disk while it is built, and takes five times
    // longer. A server that allows more keeps it.
    let memory = "SELECT set_config('maintenance_work_mem', '1GB', false)
                  WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < 1024 * 1024 * 1024";
    match database.run_unlimited(&[memory], sql).await {
        Err(DatabaseError::Statement(error) | DatabaseError::Overloaded(error))
            if is_race(&error) =>
        {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            Ok(())
        }
        outcome => outcome,
    }
}

/// `duplicate_table`, `unique_violation` (of the catalog), `deadlock_detected`.
fn is_race(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("42P07" | "23505" | "40P01"))
}
