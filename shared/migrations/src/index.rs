//! The index for searches. Builds are separate from migrations, since Postgres builds an index without blocking writers
//! only outside a transaction. Without it searches are slow, not wrong: a failed build is reported, and fails nothing
//! else.

use std::time::Duration;

use database::{Database, DatabaseError, Pooler, Statement};
use serde::Serialize;
use telemetry::chain;

use crate::IndexConfig;

/// Index name.
pub const INDEX: &str = "chunks_embedding_hnsw";

/// Candidates for the neighbours of a new element, pgvector's `ef_construction`. With its default of 64, near-duplicates make the
/// graph so poor that no effort finds 95 % of the nearest; see docs/performance.md#figures.
const CANDIDATES: u32 = 128;

/// The name of an index that is to replace another, and of one that was replaced.
const REPLACEMENT: &str = "chunks_embedding_hnsw_new";
const REPLACED: &str = "chunks_embedding_hnsw_old";

/// Questions for measuring the index: with 1,000 neighbours each, the share is exact to one in a hundred.
const QUESTIONS: i32 = 100;

/// How often to check another process's build of the index.
const PAUSE: Duration = Duration::from_millis(250);

/// The result of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Index {
    /// Searches use it.
    Valid,
    /// The build failed; searches compare every chunk.
    Missing {
        /// Why.
        reason: String,
    },
}

/// The index's state in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// Searches use it.
    Valid,
    /// It is invalid, and a build is running.
    Building,
    /// A build was interrupted.
    Invalid,
    /// It does not exist.
    Missing,
}

/// Builds the index if it is missing. First drops an invalid one of a killed build, or waits for another process's
/// build. Waiting takes no locks: a transaction that waits for a lock holds a snapshot, for which
/// `CREATE INDEX CONCURRENTLY` would wait in turn.
///
/// A build that fails for lack of memory or disk, or with a lost server, is repeated with lower demands: with the
/// server's `maintenance_work_mem`, and without parallel workers, since they share memory that a container has little
/// of.
///
/// # Errors
/// If the state of the index cannot be read. A failed build is not an error.
pub async fn build_index(
    database: &Database,
    config: &IndexConfig,
) -> Result<Index, DatabaseError> {
    if index_state(database).await? == IndexState::Valid {
        return Ok(Index::Valid);
    }
    let built = build(database, config, INDEX, &definition(database).await?).await?;
    if let Index::Missing { reason } = &built {
        tracing::error!(
            reason,
            "cannot build the index: searches compare every chunk"
        );
    }
    Ok(built)
}

/// Builds the index anew beside the one that searches use meanwhile, and replaces that. If the build fails, searches use the old
/// one. After an interruption the same call goes on, and nothing else knows what is left.
///
/// # Errors
/// Any error of the database. A failed build, or one that is running elsewhere, is not an error.
pub async fn rebuild_index(
    database: &Database,
    config: &IndexConfig,
) -> Result<Index, DatabaseError> {
    match state(database, REPLACEMENT).await? {
        // To drop it would end that build: both wait for each other.
        IndexState::Building => {
            let reason =
                "it is being rebuilt already, perhaps by a command that was interrupted".to_owned();
            return Ok(Index::Missing { reason });
        }
        // It serves, because an exchange was interrupted.
        IndexState::Valid if index_state(database).await? == IndexState::Missing => {}
        IndexState::Valid | IndexState::Invalid | IndexState::Missing => {
            drop(database, REPLACEMENT).await?;
            let definition = definition(database).await?;
            let built = build(database, config, REPLACEMENT, &definition).await?;
            if built != Index::Valid {
                drop(database, REPLACEMENT).await?;
                return Ok(built);
            }
        }
    }
    let mut transaction = database.begin().await?;
    transaction
        .run_script(&format!(
            "ALTER INDEX IF EXISTS rappel.{INDEX} RENAME TO {REPLACED};
             ALTER INDEX rappel.{REPLACEMENT} RENAME TO {INDEX}"
        ))
        .await?;
    transaction.commit().await?;
    drop(database, REPLACED).await?;
    Ok(Index::Valid)
}

/// Whether the index was built with fewer candidates, as releases before 0.2 did, so that searches find less.
///
/// # Errors
/// Any error of the database.
pub async fn is_outdated(database: &Database) -> Result<bool, DatabaseError> {
    let statement = Statement::read(
        "SELECT coalesce((
             SELECT o.option_value FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'ef_construction'
         )::integer, 64)
         FROM pg_class AS c WHERE c.oid = to_regclass('rappel.' || $1)",
    )
    .bind(INDEX);
    let candidates: Option<(i32,)> = database.fetch_optional(statement).await?;
    Ok(candidates.is_some_and(|(candidates,)| candidates.cast_unsigned() < CANDIDATES))
}

/// Builds the index `name` on `definition` in the same way.
pub(crate) async fn build(
    database: &Database,
    config: &IndexConfig,
    name: &str,
    definition: &str,
) -> Result<Index, DatabaseError> {
    let mut frugal = false;
    loop {
        let outcome = match state(database, name).await? {
            IndexState::Valid => return Ok(Index::Valid),
            IndexState::Building => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            IndexState::Invalid => drop(database, name).await,
            IndexState::Missing => create(database, config, name, definition, frugal).await,
        };
        match outcome {
            Ok(()) => {}
            // Another process was faster or interfered: the state shows the result.
            Err(error) if is_race(&error) => tokio::time::sleep(PAUSE).await,
            Err(error) if !frugal && asks_too_much(&error) => {
                tracing::warn!(%error, "building the index again without parallel workers");
                frugal = true;
            }
            Err(error) => {
                let mut reason = chain(&error);
                if is_limited(database, &error) {
                    reason.push_str(LIMITED);
                }
                return Ok(Index::Missing { reason });
            }
        }
    }
}

/// Drops the index, so that a bulk load into an empty table does not build it row by row.
///
/// # Errors
/// Any error of the database; [`DatabaseError::Forbidden`] if it belongs to another role.
pub async fn drop_index(database: &Database) -> Result<(), DatabaseError> {
    // What an interrupted rebuild left would be kept up to date row by row.
    for name in [REPLACED, REPLACEMENT, INDEX] {
        drop(database, name).await?;
    }
    Ok(())
}

/// Drops the index `name`.
pub(crate) async fn drop(database: &Database, name: &str) -> Result<(), DatabaseError> {
    let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS rappel.{name}");
    database.run_unlimited(&[], &drop).await
}

/// Measures the index once, or `again`, and stores the effort that finds `recall`, 0.5 to 1, of the nearest passages: the
/// default for searches without an effort. For 340,000 passages it takes half a minute. Returns whether it measured: too few
/// passages need no index.
///
/// # Errors
/// Any error of the database.
pub async fn measure_recall(
    database: &Database,
    recall: f64,
    again: bool,
) -> Result<bool, DatabaseError> {
    let measure = Statement::write(concat!(
        "SELECT ",
        schema::function!("measure_recall"),
        "($1, $2, $3)"
    ))
    .bind(recall)
    .bind(QUESTIONS)
    .bind(again);
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    let measured: Vec<(bool,)> = transaction.fetch_all(measure).await?;
    transaction.commit().await?;
    Ok(measured == [(true,)])
}

/// Reads the state of the index.
///
/// A build holds a lock on the table throughout, which reveals it: the progress of another role's statement is hidden
/// from this one, its locks are not. Vacuuming takes the same lock, and must also be waited for.
///
/// # Errors
/// Any error of the database.
pub async fn index_state(database: &Database) -> Result<IndexState, DatabaseError> {
    state(database, INDEX).await
}

/// The same of the index `name`.
pub(crate) async fn state(database: &Database, name: &str) -> Result<IndexState, DatabaseError> {
    let statement = Statement::read(
        "SELECT i.indisvalid AND i.indisready,
                EXISTS (
                    SELECT FROM pg_locks AS l
                    WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted
                      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
                      AND l.mode = 'ShareUpdateExclusiveLock'
                )
         FROM pg_index AS i
         JOIN pg_class AS c ON c.oid = i.indexrelid
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = 'rappel' AND c.relname = $1",
    )
    .bind(name.to_owned());
    let found: Option<(bool, bool)> = database.fetch_optional(statement).await?;
    Ok(match found {
        Some((true, _)) => IndexState::Valid,
        Some((false, true)) => IndexState::Building,
        Some((false, false)) => IndexState::Invalid,
        None => IndexState::Missing,
    })
}

async fn create(
    database: &Database,
    config: &IndexConfig,
    name: &str,
    definition: &str,
    frugal: bool,
) -> Result<(), DatabaseError> {
    let create = format!("CREATE INDEX CONCURRENTLY {name} ON {definition}");
    let memory = config
        .memory
        .as_ref()
        .map(|memory| format!("SET maintenance_work_mem = '{}'", memory.as_str()));
    let settings: Vec<&str> = if frugal {
        vec!["SET max_parallel_maintenance_workers = 0"]
    } else {
        memory.as_deref().into_iter().collect()
    };
    database.run_unlimited(&settings, &create).await
}

async fn definition(database: &Database) -> Result<String, DatabaseError> {
    let operators = operators(database).await?;
    Ok(format!(
        "rappel.chunks USING hnsw (embedding {operators}) WITH (ef_construction = {CANDIDATES})"
    ))
}

/// The operator class of the index, with the extension's schema.
async fn operators(database: &Database) -> Result<String, DatabaseError> {
    let statement = Statement::read(
        "SELECT format('%I.halfvec_cosine_ops', n.nspname)
         FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'vector'",
    );
    let found: Option<(String,)> = database.fetch_optional(statement).await?;
    found
        .map(|(operators,)| operators)
        .ok_or_else(|| DatabaseError::NotMigrated("pgvector is not installed".to_owned()))
}

/// What to do about a limit of time that could not be lifted.
const LIMITED: &str = ": the role's statement_timeout or lock_timeout, which cannot be lifted through a pooler in \
     transaction mode: build the index over a direct connection, or one in session mode (MIGRATION_DATABASE_URL)";

/// Whether a limit of the role ended a build that a pooler keeps from lifting it.
fn is_limited(database: &Database, error: &DatabaseError) -> bool {
    let is_timeout = matches!(error, DatabaseError::StatementTimeout)
        || code(error).is_some_and(|code| code == "55P03");
    is_timeout && database.pooler() == Some(Pooler::Transaction)
}

/// Insufficient resources (`disk_full`, `out_of_memory`), or a killed server process.
fn asks_too_much(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Lost(_))
        || code(error).is_some_and(|code| code.starts_with("53"))
}

/// `duplicate_table`, `unique_violation` (of the catalog), `deadlock_detected`.
fn is_race(error: &DatabaseError) -> bool {
    matches!(code(error).as_deref(), Some("42P07" | "23505" | "40P01"))
}

fn code(error: &DatabaseError) -> Option<String> {
    let (DatabaseError::Statement(error) | DatabaseError::Overloaded(error)) = error else {
        return None;
    };
    error.sqlstate()
}
