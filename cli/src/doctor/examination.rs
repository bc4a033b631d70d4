//! Looks at everything between here and an answered search, changes nothing, and says of each part what was found and
//! what to do.

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
    endpoint, index_build, network, plan, pooler, server,
    sizing::{self, Demand, Sizing},
};

/// What is examined: the settings of a function that searches and chats.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) database: DatabaseConfig,
    pub(crate) model: ModelConfig,
    pub(crate) search: SearchConfig,
    pub(crate) language_model: Option<LanguageModelConfig>,
}

/// What an examination found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// That of the worst check.
    pub(crate) status: Status,
    /// One line a part, in the order of [`PARTS`].
    pub(crate) checks: Vec<Check>,
    /// Whether the functions' connections fit; absent when the server did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sizing: Option<Sizing>,
}

/// The parts of every report, in order. What cannot be looked at is listed as skipped.
pub(crate) const PARTS: [&str; 19] = [
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
    "plan",
    "embedder",
    "search",
    "sizing",
    "language-model",
];

/// Examines the way to the database of `settings`, the database, and a search on it; says whether the
/// server has room for `demand`. At most three connections are open at a time, and all are closed
/// at the end. It has to be called inside a Tokio runtime.
pub(crate) async fn examine(settings: &Settings, demand: Demand) -> Report {
    let mut checks = vec![endpoint::examine(settings.language_model.as_ref()).await];
    let sizing = look(settings, demand, &mut checks).await;
    for name in PARTS {
        if !checks.iter().any(|check| check.name == name) {
            checks.push(Check::skipped(name));
        }
    }
    let position = |name| PARTS.iter().position(|part| *part == name);
    checks.sort_by_key(|check| position(check.name));
    Report {
        status: worst(&checks),
        checks,
        sizing,
    }
}

/// Looks as far as it can; what comes after a failed connection is left out.
async fn look(settings: &Settings, demand: Demand, checks: &mut Vec<Check>) -> Option<Sizing> {
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
            let finding = failed(error.to_string(), "correct the setting that is named");
            checks.push(Check::run("model", async { Ok(finding) }).await);
            return None;
        }
    };
    let database = parts::database(&state).await;
    let answers = database.status == Status::Ok;
    checks.push(database);
    // Whatever the functions' own connections meet: what is in between may be the reason.
    let mut way = sizing::Way::default();
    let look = async {
        let examined = Box::pin(pooler::examine(&probe)).await?;
        Ok(examined.map_or_else(not_looked_at, |examined| {
            way = examined.way;
            examined.finding
        }))
    };
    checks.push(Check::run("pooler", look).await);
    let sizing = if answers {
        Box::pin(behind_database(
            settings,
            &state,
            &probe,
            (demand, way),
            checks,
        ))
        .await
    } else {
        None
    };
    state.database.close().await;
    sizing
}

fn state(settings: &Settings) -> Result<SearchState, Error> {
    let database = Database::new(&settings.database)?;
    SearchState::new(database, settings.model.clone(), settings.search)
        .map_err(|error| Error::internal(&error))
}

async fn behind_database(
    settings: &Settings,
    state: &SearchState,
    probe: &Probe,
    (demand, way): (Demand, sizing::Way),
    checks: &mut Vec<Check>,
) -> Option<Sizing> {
    checks.push(Check::run("server", server::version(state)).await);
    checks.push(Check::run("round-trip", server::round_trip(probe)).await);
    checks.push(Check::run("clock", server::clock(probe)).await);
    checks.push(Check::run("settings", server::settings(state, &settings.database)).await);
    let mut behind = parts::behind_database(state).await;
    if let Some(index) = behind.iter_mut().find(|check| check.name == "index") {
        // Advice that cannot be given is no fault of the index.
        let _ = index_build::advise(state, index).await;
    }
    checks.extend(behind);
    checks.push(Check::run("plan", plan::examine(state)).await);

    let room = sizing::room(state).await;
    let found = async {
        let room = room
            .as_ref()
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(room.finding())
    };
    checks.push(Check::run("connections", found).await);
    let sizing = room.ok()?.size(demand, way);
    checks.push(Check::run("sizing", async { Ok(sizing.finding()) }).await);
    Some(sizing)
}
