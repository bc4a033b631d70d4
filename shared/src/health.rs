//! Whether a search would work now, part by part.

use std::time::Instant;

use serde::Serialize;

use crate::{
    Error, State,
    database::{DatabaseError, Statement},
    embedder::Kind,
    migrations,
    search::SearchRequest,
};

/// The answer of `GET /health`.
#[derive(Debug, Serialize)]
pub struct Health {
    /// `failed` when any check is.
    pub status: Status,
    /// One line a check.
    pub checks: Vec<Check>,
}

/// One part of the way that a search takes.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub status: Status,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should.
    Ok,
    /// A search would fail.
    Failed,
}

/// Answers whether the database answers; with `deep`, whether a search would succeed, by running
/// the checks in the order in which a search needs them and then a search.
pub async fn check(state: &State, deep: bool) -> Health {
    let mut checks = vec![timed("database", database(state)).await];
    if deep {
        checks.push(timed("extension", extension(state)).await);
        checks.push(timed("migrations", migrations(state)).await);
        checks.push(timed("model", model(state)).await);
        checks.push(timed("index", index(state)).await);
        checks.push(timed("embedder", embedder(state)).await);
        checks.push(timed("search", search(state)).await);
    }
    let failed = checks.iter().any(|check| check.status == Status::Failed);
    Health {
        status: if failed { Status::Failed } else { Status::Ok },
        checks,
    }
}

async fn timed(name: &'static str, check: impl Future<Output = Result<(), Failure>>) -> Check {
    let start = Instant::now();
    let outcome = check.await;
    let took_ms = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    match outcome {
        Ok(()) => Check {
            name,
            status: Status::Ok,
            took_ms,
            detail: None,
        },
        Err(failure) => {
            tracing::error!(check = name, cause = %failure.cause, "a health check failed");
            Check {
                name,
                status: Status::Failed,
                took_ms,
                detail: Some(failure.remedy.to_owned()),
            }
        }
    }
}

/// Why a check failed, for the log, and what to do, for whoever asks.
struct Failure {
    cause: String,
    remedy: &'static str,
}

impl Failure {
    fn new(cause: &impl ToString, remedy: &'static str) -> Self {
        Self {
            cause: cause.to_string(),
            remedy,
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::new(
            &error,
            "the database does not answer: see this function's log",
        )
    }
}

async fn database(state: &State) -> Result<(), Failure> {
    let one: Option<(i32,)> = state
        .database()
        .fetch_optional(Statement::read("SELECT 1"))
        .await?;
    one.map(drop)
        .ok_or_else(|| Failure::new(&"no row", "the database answers without rows"))
}

async fn extension(state: &State) -> Result<(), Failure> {
    let statement = Statement::read("SELECT extversion FROM pg_extension WHERE extname = 'vector'");
    let version: Option<(String,)> = state.database().fetch_optional(statement).await?;
    version
        .map(drop)
        .ok_or_else(|| Failure::new(&"no pgvector", "create the extension: run migrate"))
}

async fn migrations(state: &State) -> Result<(), Failure> {
    let (applied, expected) = (
        migrations::applied_version(state.database()).await?,
        migrations::version(),
    );
    if applied >= expected {
        return Ok(());
    }
    Err(Failure::new(
        &format!("version {applied}, not {expected}"),
        "the schema is behind: run migrate",
    ))
}

async fn model(state: &State) -> Result<(), Failure> {
    let manifest = state
        .manifest()
        .map_err(|error| Failure::new(&error, "set MODEL_DIR"))?;
    migrations::require_model(state.database(), manifest)
        .await
        .map_err(|error| {
            Failure::new(
                &error,
                "the database and the function have different models",
            )
        })
}

async fn index(state: &State) -> Result<(), Failure> {
    let statement = Statement::read(
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('rappel.chunks_embedding_hnsw') AND indisvalid",
    );
    let valid: Option<(i32,)> = state.database().fetch_optional(statement).await?;
    valid.map(drop).ok_or_else(|| {
        Failure::new(
            &"no valid index",
            "the index is missing or invalid: run migrate",
        )
    })
}

async fn embedder(state: &State) -> Result<(), Failure> {
    let embedding = state.embed_one(Kind::Query, "health".to_owned()).await;
    embedding
        .map(drop)
        .map_err(|error| Failure::new(&error, "the model does not embed: see this function's log"))
}

async fn search(state: &State) -> Result<(), Failure> {
    let request = SearchRequest {
        query: "health".to_owned(),
        limit: Some(1),
        max_distance: None,
        filter: None,
        mode: None,
    };
    let run = async { request.parse()?.run(state).await };
    run.await
        .map(drop)
        .map_err(|error: Error| Failure::new(&error, "a search fails: see this function's log"))
}
