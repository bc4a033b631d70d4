//! Checks every part between here and an answered search without changing anything, and reports findings and
//! remedies.

use database::{Database, DatabaseConfig, Probe};
use embedder::ModelConfig;
use language_model::LanguageModelConfig;
use retrieval::{
    SearchConfig, SearchState,
    health::{
        Status,
        finding::{Check, explain, failed, not_looked_at, worst},
        parts,
    },
};
use serde::Serialize;
use shared::Error;

use super::{
    endpoint, fields, index_build, network, plan, pooler, server,
    sizing::{self, Demand, Sizing},
    sources,
};

/// The settings to check: those of a function that searches and chats.
#[derive(Clone, Debug)]
pub(crate) struct FunctionSettings {
    pub(crate) database: DatabaseConfig,
    pub(crate) model: ModelConfig,
    pub(crate) search: SearchConfig,
    pub(crate) language_model: Option<LanguageModelConfig>,
}

/// The result of all checks.
#[derive(Debug, Serialize)]
pub(crate) struct Examination {
    /// The worst status.
    pub(crate) status: Status,
    /// The checks in the order of [`PARTS`].
    pub(crate) checks: Vec<Check>,
    /// Whether the functions' connections fit; absent if the server did not respond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sizing: Option<Sizing>,
}

/// The checks of every report, in order. What cannot be checked is listed as skipped.
pub(crate) const PARTS: [&str; 21] = [
    "addresses",
    "dial",
    "tls",
    "database",
    "pooler",
    "server",
    "round-trip",
    "clock",
    "connections",
    "settings",
    "extension",
    "migrations",
    "model",
    "index",
    "field-indexes",
    "plan",
    "sources",
    "embedder",
    "search",
    "sizing",
    "language-model",
];

/// Checks the path to the database of `settings`, the database, and a search on it, and whether the server has
/// enough connections for `demand`. Opens at most three connections at a time and closes all of them. Must run
/// inside a Tokio runtime.
pub(crate) async fn examine(settings: &FunctionSettings, demand: Demand) -> Examination {
    let mut checks = vec![endpoint::examine(settings.language_model.as_ref()).await];
    let sizing = look(settings, demand, &mut checks).await;
    for name in PARTS {
        if !checks.iter().any(|check| check.name == name) {
            checks.push(Check::skipped(name));
        }
    }
    let position = |name| PARTS.iter().position(|part| *part == name);
    checks.sort_by_key(|check| position(check.name));
    Examination {
        status: worst(&checks),
        checks,
        sizing,
    }
}

/// Runs the checks; those that depend on a failed connection are left out.
async fn look(
    settings: &FunctionSettings,
    demand: Demand,
    checks: &mut Vec<Check>,
) -> Option<Sizing> {
    let probe = match Probe::new(&settings.database) {
        Ok(probe) => probe,
        Err(error) => {
            let error = Error::from(error);
            checks.push(Check::run("database", async { Ok(explain(&error)) }).await);
            return None;
        }
    };
    checks.extend(network::examine(&probe).await);
    let state = match state(settings) {
        Ok(state) => state,
        Err(error) => {
            let finding = failed(error.to_string(), "correct the named setting");
            checks.push(Check::run("model", async { Ok(finding) }).await);
            return None;
        }
    };
    let database = parts::database(&state).await;
    let answers = database.status == Status::Ok;
    checks.push(database);
    // Do this before the functions' own connections: a pooler may be why they fail.
    let mut pooler = sizing::PoolerLimits::default();
    let look = async {
        let examined = Box::pin(pooler::examine(&probe)).await?;
        Ok(examined.map_or_else(not_looked_at, |examined| {
            pooler = examined.limits;
            examined.finding
        }))
    };
    checks.push(Check::run("pooler", look).await);
    let sizing = if answers {
        Box::pin(behind_database(
            settings,
            &state,
            &probe,
            (demand, pooler),
            checks,
        ))
        .await
    } else {
        None
    };
    state.database.close().await;
    sizing
}

fn state(settings: &FunctionSettings) -> Result<SearchState, Error> {
    let database = Database::new(&settings.database)?;
    SearchState::new(database, settings.model.clone(), settings.search)
        .map_err(|error| Error::internal(&error))
}

async fn behind_database(
    settings: &FunctionSettings,
    state: &SearchState,
    probe: &Probe,
    (demand, pooler): (Demand, sizing::PoolerLimits),
    checks: &mut Vec<Check>,
) -> Option<Sizing> {
    checks.push(Check::run("server", server::version(state)).await);
    checks.push(Check::run("round-trip", server::round_trip(probe)).await);
    checks.push(Check::run("clock", server::clock(probe)).await);
    checks.push(Check::run("settings", server::settings(state, &settings.database)).await);
    let mut behind = parts::behind_database(state).await;
    if let Some(index) = behind.iter_mut().find(|check| check.name == "index") {
        // Advice that cannot be computed does not fail the index.
        let _ = index_build::advise(state, index).await;
    }
    checks.extend(behind);
    checks.push(Check::run("field-indexes", fields::examine(state)).await);
    checks.push(Check::run("plan", plan::examine(state)).await);
    checks.push(Check::run("sources", sources::examine(state)).await);

    let capacity = sizing::capacity(state).await;
    let found = async {
        let capacity = capacity
            .as_ref()
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(capacity.finding())
    };
    checks.push(Check::run("connections", found).await);
    let sizing = capacity.ok()?.size(demand, pooler);
    checks.push(Check::run("sizing", async { Ok(sizing.finding()) }).await);
    Some(sizing)
}
