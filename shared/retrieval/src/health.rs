//! Checks, part by part, whether a search works.

pub mod finding;
pub mod parts;

use database::Standing;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::finding::Status;
use self::finding::{Check, worst};
use crate::SearchState;

/// The answer of `GET /health`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// `failed` exactly when a search fails; `warning` when a part has a problem but a search works.
    pub status: Status,
    /// How statements reach the database, if a deep check reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// What the last measurement of the index found, in a deep check; absent if the index is not valid, or was never
    /// measured: there were too few chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_recall: Option<IndexRecall>,
    /// The checks.
    pub checks: Vec<HealthCheck>,
}

/// A measurement of the index.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct IndexRecall {
    /// The share of the ten nearest passages that the index found, 0 to 1.
    pub recall: f64,
    /// `hnsw.ef_search` in that measurement; that of searches for which no other is set.
    pub effort: i32,
    /// How many chunks there were.
    pub chunks: i64,
}

/// The pooler between the function and the database, if any.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DatabaseConnection")]
pub struct Connection {
    /// `direct`, `session` or `transaction`: how statements are sent.
    pub pooler: &'static str,
    /// The evidence: `client-address`, `startup-options`, `disproved`, `unknown` or `not-asked`.
    pub proof: &'static str,
    /// The same in words.
    pub detail: &'static str,
}

/// One part that a search needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthCheck {
    /// What was checked.
    pub name: &'static str,
    /// The result.
    pub status: Status,
    /// Milliseconds it took.
    pub took_ms: f64,
    /// The remedy for a problem. Only the log has the findings, which may name hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Checks that explain why a search fails, but do not make it fail. The model is not among them: a function with
/// another model refuses to start.
const EXPLANATIONS: [&str; 2] = ["extension", "migrations"];

/// Checks whether the database answers; with `deep`, runs the checks in the order in which a search needs them,
/// and then a search.
pub async fn check(state: &SearchState, deep: bool) -> Health {
    let mut checks = vec![parts::database(state).await];
    if deep && checks[0].status == Status::Ok {
        checks.extend(parts::behind_database(state).await);
    } else if deep {
        // Each check would wait for the same database again.
        checks.extend(parts::PARTS.map(Check::skipped));
    }
    heed_search(&mut checks);
    for check in &checks {
        log(check);
    }
    let standing = state.database.standing().filter(|_| deep);
    let measured = checks
        .iter()
        .any(|check| check.name == "index" && check.status == Status::Ok);
    let index_recall = if measured {
        parts::index_recall(state).await.ok().flatten()
    } else {
        None
    };
    Health {
        status: worst(&checks),
        index_recall,
        connection: standing.map(|Standing { pooler, proof }| Connection {
            pooler: pooler.word(),
            proof: proof.word(),
            detail: proof.evidence(),
        }),
        checks: checks.into_iter().map(HealthCheck::from).collect(),
    }
}

/// Turns failed explanations into warnings when the search succeeded.
fn heed_search(checks: &mut [Check]) {
    let found = |check: &Check| check.name == "search" && check.status == Status::Ok;
    if !checks.iter().any(found) {
        return;
    }
    for check in checks {
        if EXPLANATIONS.contains(&check.name) {
            check.status = check.status.min(Status::Warning);
        }
    }
}

fn log(check: &Check) {
    let Check { name, found, .. } = check;
    match check.status {
        Status::Failed => tracing::error!(check = name, found, "a health check failed"),
        Status::Warning => tracing::warn!(check = name, found, "a health check reports a warning"),
        Status::Ok | Status::Skipped => {}
    }
}

impl From<Check> for HealthCheck {
    fn from(check: Check) -> Self {
        Self {
            name: check.name,
            status: check.status,
            took_ms: check.took_ms,
            detail: check.remedy,
        }
    }
}
