//! Removals of tenants in the background. Their messages go through the queue of imports: every deployment has it, and its
//! worker connects for all tenants.

use std::time::Duration;

use aws::{AwsError, sqs::Queue};
use database::{Database, DatabaseError, Statement};
use document_store::Tenant;
use serde::{Deserialize, Serialize};
use settings::{optional, required};
use tokio::time::timeout;

use super::{ACCEPT, CONNECT, ImportError, REQUEST, late, message};

/// A message: a tenant whose removal has begun. Other fields make it the message of an import.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovalMessage {
    /// The tenant.
    pub(super) removal: String,
    /// When the removal was requested, in seconds since 1970.
    pub(super) since: u64,
}

/// Accepts removals of tenants.
#[derive(Clone, Debug)]
pub struct Removals {
    queue: Queue,
}

/// Why the queue of removals could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RemovalsError {
    /// A setting is missing.
    #[error(transparent)]
    Settings(#[from] settings::ConfigError),
    /// The system's certificates cannot be read.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl Removals {
    /// Reads `IMPORT_QUEUE_URL`; `None` without it. No I/O.
    ///
    /// # Errors
    /// `AWS_REGION` is missing, or the system's certificates cannot be read.
    pub fn from_env() -> Result<Option<Self>, RemovalsError> {
        let Some(url) = optional("IMPORT_QUEUE_URL") else {
            return Ok(None);
        };
        let region = required("AWS_REGION", "the region of the queue, which Lambda sets")?;
        let client = http_client::builder()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .build()?;
        let queue = Queue::new(client, region, url);
        Ok(Some(Self { queue }))
    }

    /// Begins to remove a tenant, and notes in the audit that `actor` did. When this returns, its keys are revoked and the
    /// rest is queued.
    ///
    /// # Errors
    /// [`ImportError::Queue`] if the queue does not accept the message; the removal has begun, and goes on when it is
    /// requested again. Or the database's error.
    pub async fn begin(
        &self,
        database: &Database,
        tenant: &Tenant,
        actor: &str,
    ) -> Result<(), ImportError> {
        document_store::begin_removal(database, tenant, actor).await?;
        let messages = [RemovalMessage::of(tenant.as_str()).json()];
        let sent = timeout(ACCEPT, self.queue.send(&messages, Duration::ZERO)).await;
        let sent = sent.unwrap_or_else(|_| Err(AwsError::Connection(late())));
        sent.map_err(ImportError::Queue)
    }
}

impl RemovalMessage {
    fn of(tenant: &str) -> Self {
        Self {
            removal: tenant.to_owned(),
            since: message::now(),
        }
    }

    /// The same, resumed now.
    pub(super) fn resumed(self) -> Self {
        Self {
            since: message::now(),
            ..self
        }
    }

    /// Whether its removal has taken too long for another message.
    pub(super) fn is_too_old(&self) -> bool {
        message::is_too_old(self.since)
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

/// The messages of the removals that are not finished.
pub(super) async fn unfinished(database: &Database) -> Result<Vec<String>, DatabaseError> {
    let statement = Statement::read(
        "SELECT r.tenant FROM rappel.tenant_removals AS r WHERE r.finished_at IS NULL ORDER BY r.requested_at",
    );
    let tenants: Vec<(String,)> = database.fetch_all(statement).await?;
    let messages = tenants
        .iter()
        .map(|(tenant,)| RemovalMessage::of(tenant).json());
    Ok(messages.collect())
}
