//! The state of a source.

use database::{Database, DatabaseError, FromRow, Statement};
use document_store::Tenant;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::{SourceError, definition::SourceDefinition};

/// The state of a source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Source {
    /// Its name, the prefix of the ids of its documents.
    pub name: String,
    /// Its definition.
    #[schemars(with = "SourceDefinition")]
    pub definition: Box<RawValue>,
    /// Its phase.
    pub state: SourceState,
    /// Why its table cannot be followed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Rows of the table.
    pub rows: Rows,
    /// Documents of rows.
    pub documents: i64,
    /// Pending rows, failed ones included.
    pub pending: i64,
    /// Rows that could not be stored, and are retried.
    pub failed: i64,
    /// The first 100 of them; only for a single source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<FailedRow>>,
    /// Seconds since the oldest change that is not in the documents yet; 0 if there is none. Failed rows do not count.
    pub lag_seconds: f64,
    /// The running walk over all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
    /// Changes that the triggers could not note, if any; a walk has caught up on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedChanges>,
    /// Changes that this source does not see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<&'static str>,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When its definition was last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// When the first walk over all rows ended, RFC 3339 in UTC.
    pub filled_at: Option<String>,
}

/// The phase of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// A walk over all rows is running.
    Walking,
    /// Changes are followed.
    Following,
    /// Its table cannot be followed now.
    Failed,
    /// It was removed, and its documents are being deleted.
    Removing,
}

/// The number of rows.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SourceRows")]
pub struct Rows {
    /// The number, regardless of `where`.
    pub total: i64,
    /// Whether it is Postgres' estimate.
    pub estimated: bool,
}

/// A walk over all rows.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SourceWalk")]
pub struct Walk {
    /// Rows noted so far.
    pub rows: i64,
    /// Estimated seconds left, at the speed so far; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<f64>,
}

/// Changes that the triggers could not note.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SkippedChanges {
    /// How often that happened.
    pub total: i64,
    /// When it was last seen, RFC 3339 in UTC.
    pub last_at: Option<String>,
    /// The SQLSTATE of the last one.
    pub sqlstate: Option<String>,
}

/// The outcome of removing a source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Removed {
    /// Statements that the owner of the table must run; until then the triggers do nothing.
    pub left_to_owner: Vec<String>,
}

/// A row that could not be stored.
#[derive(Clone, Debug, Serialize, FromRow, JsonSchema)]
pub struct FailedRow {
    /// The values of its key, as a JSON array.
    pub key: String,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is retried, RFC 3339 in UTC.
    pub retry_at: String,
}

/// The result of the SQL function `source_state`.
#[derive(FromRow)]
struct State {
    source_id: i32,
    name: String,
    definition: Json<Box<RawValue>>,
    phase: Option<String>,
    walked: i64,
    failure: Option<String>,
    skipped: i64,
    skipped_at: Option<String>,
    skipped_why: Option<String>,
    created_at: String,
    updated_at: String,
    filled_at: Option<String>,
    rows_estimate: i64,
    documents: i64,
    pending: i64,
    failed: i64,
    lag: f64,
    walking: Option<f64>,
    always: Option<bool>,
}

/// Tables with more rows by Postgres' estimate are not counted.
const COUNTED: i64 = 1_000_000;

/// Changes that a session can make unseen.
const REPLICAS: &str = "changes by sessions with session_replication_role = replica, such as logical replication's, are not \
     captured: have the table's owner run ALTER TABLE ... ENABLE ALWAYS TRIGGER for the triggers rappel_*, or follow it \
     as its owner";

/// The state of at most `most` sources of a tenant after a name, in the order of their names: one round trip.
pub(super) async fn after(
    database: &Database,
    tenant: &Tenant,
    name: Option<String>,
    most: i32,
) -> Result<Vec<Source>, DatabaseError> {
    let states = read(database, Some(tenant), None, name, Some(most)).await?;
    Ok(states.into_iter().map(|state| state.source(None)).collect())
}

/// The state of the sources of all tenants: one round trip.
///
/// # Errors
/// When the database fails.
pub(super) async fn all(database: &Database) -> Result<Vec<Source>, DatabaseError> {
    let states = read(database, None, None, None, None).await?;
    Ok(states.into_iter().map(|state| state.source(None)).collect())
}

/// The state of one source, with the number of its rows and the failed rows: three round trips.
///
/// # Errors
/// [`SourceError::Unknown`], or when the database fails.
pub async fn source(
    database: &Database,
    tenant: &Tenant,
    name: &str,
) -> Result<Source, SourceError> {
    let unknown = || SourceError::Unknown(name.to_owned());
    if name.contains('\0') {
        // Postgres refuses such a text.
        return Err(unknown());
    }
    let states = read(database, Some(tenant), Some(name.to_owned()), None, Some(1)).await?;
    let state = states.into_iter().next().ok_or_else(unknown)?;
    let rows = count(database, &state).await?;
    let statement = Statement::read(concat!(
        "SELECT a.key, a.reason, a.attempts, ",
        schema::function!("utc"),
        "(a.until) AS retry_at
         FROM rappel.source_attempts AS a
         WHERE a.source_id = $1 AND a.reason IS NOT NULL ORDER BY a.key LIMIT $2"
    ))
    .bind(state.source_id)
    .bind(Source::MAX_FAILURES);
    let failures = database.fetch_all(statement).await?;
    let mut source = state.source(rows);
    source.failures = Some(failures);
    Ok(source)
}

async fn read(
    database: &Database,
    tenant: Option<&Tenant>,
    name: Option<String>,
    after: Option<String>,
    most: Option<i32>,
) -> Result<Vec<State>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("source_state"),
        "($1, $2, $3, $4)"
    ))
    .bind(tenant.map(|tenant| tenant.as_str().to_owned()))
    .bind(name)
    .bind(after)
    .bind(most);
    database.fetch_all(statement).await
}

/// Counts the rows, unless there are too many, or the table cannot be read.
async fn count(database: &Database, state: &State) -> Result<Option<i64>, DatabaseError> {
    if state.rows_estimate > COUNTED || state.failure.is_some() {
        return Ok(None);
    }
    let statement = Statement::read(concat!(
        "SELECT ",
        schema::function!("count_source_rows"),
        "($1) AS total"
    ))
    .bind(state.source_id);
    let total: Option<(Option<i64>,)> = database.fetch_optional(statement).await?;
    Ok(total.and_then(|(total,)| total))
}

impl Source {
    /// The most failed rows to list.
    pub const MAX_FAILURES: i64 = 100;
}

impl State {
    fn source(self, counted: Option<i64>) -> Source {
        let state = match (self.phase.as_deref(), &self.failure) {
            (Some("removal"), _) => SourceState::Removing,
            (_, Some(_)) => SourceState::Failed,
            (Some(_), None) => SourceState::Walking,
            (None, None) => SourceState::Following,
        };
        let rows = Rows {
            total: counted.unwrap_or(self.rows_estimate),
            estimated: counted.is_none(),
        };
        let walk = (state == SourceState::Walking).then(|| self.walk(rows.total));
        let skipped = (self.skipped > 0).then_some(SkippedChanges {
            total: self.skipped,
            last_at: self.skipped_at,
            sqlstate: self.skipped_why,
        });
        let is_blind = self.always == Some(false) && state != SourceState::Removing;
        Source {
            name: self.name,
            definition: self.definition.0,
            state,
            failure: self.failure,
            rows,
            documents: self.documents,
            pending: self.pending,
            failed: self.failed,
            failures: None,
            lag_seconds: (self.lag.max(0.0) * 1000.0).round() / 1000.0,
            walk,
            skipped,
            warnings: is_blind.then_some(REPLICAS).into_iter().collect(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            filled_at: self.filled_at,
        }
    }

    /// The rows of a walk that are done: it waits for the rows that it noted, so those not pending are done.
    fn walk(&self, rows: i64) -> Walk {
        let done = (self.walked - self.pending).max(0);
        let left = (rows - done).max(0);
        let seconds = self.walking.filter(|_| done > 0);
        Walk {
            rows: self.walked,
            seconds_left: seconds.map(|seconds| (seconds / done as f64 * left as f64).round()),
        }
    }
}
