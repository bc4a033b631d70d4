//! The parts that a search needs, in that order. [`crate::health`] reports them to a load balancer, the doctor to
//! an operator.

use database::Statement;
use document_store::Visibility;
use embedder::Kind;
use migrations::{
    self, INDEX, IndexState,
    requirements::{PGVECTOR, major_minor},
};
use shared::Error;
use telemetry::chain;

use super::{
    IndexRecall,
    finding::{Check, Finding, MODEL_REMEDY, failed, ok, warning},
};
use crate::{SearchConfig, SearchRequest, SearchState};

/// The parts behind the database, in order.
pub const PARTS: [&str; 6] = [
    "extension",
    "migrations",
    "model",
    "index",
    "embedder",
    "search",
];

/// Whether the database answers.
pub async fn database(state: &SearchState) -> Check {
    Check::run("database", async {
        let statement = Statement::read("SELECT current_database()::text, current_user::text");
        let answer: Option<(String, String)> = state.database.fetch_optional(statement).await?;
        Ok(match answer {
            Some((database, user)) => ok(format!("{database} answers {user}")),
            None => failed("the query returned no rows", "the server is not Postgres"),
        })
    })
    .await
}

/// The parts behind the database: [`PARTS`].
pub async fn behind_database(state: &SearchState) -> Vec<Check> {
    vec![
        Check::run("extension", extension(state)).await,
        Check::run("migrations", migrations(state)).await,
        Check::run("model", model(state)).await,
        Check::run("index", index(state)).await,
        Check::run("embedder", embedder(state)).await,
        Check::run("search", search(state)).await,
    ]
}

async fn extension(state: &SearchState) -> Result<Finding, Error> {
    let installed = Statement::read("SELECT extversion FROM pg_extension WHERE extname = 'vector'");
    let installed: Option<(String,)> = state.database.fetch_optional(installed).await?;
    if let Some((version,)) = installed {
        return Ok(if major_minor(&version) >= PGVECTOR {
            ok(format!("pgvector {version}"))
        } else {
            failed(
                format!("pgvector {version} is too old: 0.8 or newer is needed"),
                "install pgvector 0.8 on the server, then run ALTER EXTENSION vector UPDATE",
            )
        });
    }
    let available = Statement::read(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'",
    );
    let available: Option<(String,)> = state.database.fetch_optional(available).await?;
    Ok(match available {
        Some((version,)) => failed(
            format!("pgvector {version} is on the server, but not in this database"),
            "run `rappel migrate` or the migrate function",
        ),
        None => failed(
            "the server has no pgvector",
            "install pgvector 0.8 or newer on the server",
        ),
    })
}

async fn migrations(state: &SearchState) -> Result<Finding, Error> {
    let status = migrations::status(&state.database).await?;
    let found = status.to_string();
    Ok(if status.is_ready() {
        ok(found)
    } else {
        failed(found, "run `rappel migrate` or the migrate function")
    })
}

async fn model(state: &SearchState) -> Result<Finding, Error> {
    let manifest = state.embedder.manifest();
    let statement = Statement::read("SELECT name, dimensions FROM rappel.model");
    let stored: Option<(String, i32)> = state.database.fetch_optional(statement).await?;
    let configured = format!("{} ({} dimensions)", manifest.recipe(), manifest.dimensions);
    let stored = stored.map(|(name, dimensions)| format!("{name} ({dimensions} dimensions)"));
    Ok(match stored {
        Some(stored) if stored == configured => ok(stored),
        Some(stored) => failed(
            format!("the database was embedded by {stored}; {configured} is configured"),
            MODEL_REMEDY,
        ),
        None => failed(
            "the database does not record which model embedded it",
            "run `rappel migrate` or the migrate function",
        ),
    })
}

/// Never a failure: a search without the index is slow, not wrong.
async fn index(state: &SearchState) -> Result<Finding, Error> {
    Ok(match migrations::index_state(&state.database).await? {
        IndexState::Valid => {
            let measured = index_recall(state).await?;
            let found = format!("{INDEX} is valid; {}", effort(state, measured.as_ref()));
            if migrations::is_outdated(&state.database).await? {
                warning(
                    format!(
                        "{found}; an older release built it, with fewer candidates: it finds less, or takes longer"
                    ),
                    "run `rappel index rebuild`, which takes about twice as long as the first build did",
                )
            } else if let Some(now) = outgrown(state, measured.as_ref()).await? {
                warning(
                    format!("{found}; there are about {now} chunks now"),
                    "run `rappel tune --recall`, which measures the effort that they need",
                )
            } else {
                ok(found)
            }
        }
        IndexState::Building => warning(
            format!("{INDEX} is being built; searches read every chunk until then"),
            "wait for the build",
        ),
        IndexState::Invalid => warning(
            format!("{INDEX} is invalid: searches read every chunk"),
            "run `rappel migrate` or the migrate function, which builds it again",
        ),
        IndexState::Missing => warning(
            format!("{INDEX} is missing: searches read every chunk"),
            "run `rappel migrate` or the migrate function, which builds it",
        ),
    })
}

/// The last measurement of the index, if there were enough chunks.
///
/// # Errors
/// [`Error::Database`].
pub(super) async fn index_recall(state: &SearchState) -> Result<Option<IndexRecall>, Error> {
    let statement = Statement::read(
        "SELECT effort, recall, recall_chunks FROM rappel.model WHERE effort IS NOT NULL",
    );
    let measured: Option<(i32, f64, i64)> = state.database.fetch_optional(statement).await?;
    Ok(measured.map(|(effort, recall, chunks)| IndexRecall {
        recall,
        effort,
        chunks,
    }))
}

/// About how many chunks there are, if far more than the effort was `measured` for: requests and sync fill a table after
/// `migrate`.
async fn outgrown(
    state: &SearchState,
    measured: Option<&IndexRecall>,
) -> Result<Option<i64>, Error> {
    /// A smaller index needs no measurement: that of the SQL function `measure_recall`.
    const FEW: i64 = 5_000;
    if state.config.effort.is_some() {
        return Ok(None);
    }
    let statement = Statement::read(
        "SELECT c.reltuples::bigint FROM pg_class AS c WHERE c.oid = 'rappel.chunks'::regclass",
    );
    let now: Option<(i64,)> = state.database.fetch_optional(statement).await?;
    let most = measured.map_or(FEW, |measured| 2 * measured.chunks);
    Ok(now.map(|(now,)| now).filter(|now| *now > most))
}

/// The effort of searches, and its measured recall.
fn effort(state: &SearchState, measured: Option<&IndexRecall>) -> String {
    let measured = measured.map(|measured| {
        let percent = measured.recall * 100.0;
        let IndexRecall { effort, chunks, .. } = measured;
        format!("effort {effort} found {percent:.1} % of the nearest among {chunks} chunks")
    });
    match (state.config.effort, measured) {
        (Some(set), Some(found)) => {
            format!("SEARCH_EFFORT is {set}; {found} when it was measured")
        }
        (Some(set), None) => format!("SEARCH_EFFORT is {set}; its recall was not measured"),
        (None, Some(found)) => found,
        (None, None) => format!(
            "effort {}; there were too few chunks to measure it",
            SearchConfig::EFFORT
        ),
    }
}

async fn embedder(state: &SearchState) -> Result<Finding, Error> {
    let embedder = &state.embedder;
    let embedding = match embedder.embed_one(Kind::Query, "health".to_owned()).await {
        Ok(embedding) => embedding,
        Err(error) => {
            return Ok(failed(chain(&error), "check MODEL_DIR and ORT_DYLIB_PATH"));
        }
    };
    Ok(ok(format!(
        "{} gives {} dimensions",
        embedder.manifest().name,
        embedding.len()
    )))
}

async fn search(state: &SearchState) -> Result<Finding, Error> {
    let request = SearchRequest {
        query: "health".to_owned(),
        limit: Some(1),
        ..SearchRequest::default()
    };
    let search = request.parse()?;
    let response = state.run(search, &Visibility::default()).await?;
    let hits = if response.hits.is_empty() {
        "no document without a tenant is found"
    } else {
        "it finds a document"
    };
    let took = response.took_ms;
    Ok(ok(format!(
        "{hits}; embedding {:.1} ms, database {:.1} ms",
        took.embed, took.database
    )))
}
