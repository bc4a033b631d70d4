//! The index that searches use. It is built apart from the migrations, since Postgres builds an
//! index without blocking writers only outside a transaction.

use crate::database::{Database, DatabaseError, Statement};

/// Its name.
pub const INDEX: &str = "chunks_embedding_hnsw";

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
                let operators = operators(database).await?;
                let create = format!(
                    "CREATE INDEX CONCURRENTLY {INDEX} ON rappel.chunks USING hnsw (embedding {operators})"
                );
                run_tolerant(database, &create).await?;
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

/// The operator class of the index, with the schema that the extension is in.
async fn operators(database: &Database) -> Result<String, DatabaseError> {
    let statement = Statement::read(
        "SELECT format('%I.halfvec_cosine_ops', n.nspname)
         FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'vector'",
    );
    let found: Option<(String,)> = database.fetch_optional(statement).await?;
    found
        .map(|(operators,)| operators)
        .ok_or_else(|| DatabaseError::NotMigrated("there is no pgvector".to_owned()))
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
