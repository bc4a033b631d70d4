//! Bulk imports: an object of documents is cut into parts, and a queue distributes them to workers.
//!
//! [`Imports::accept`] inserts a row and sends a message. A worker ([`work`]) claims what a message refers to
//! under a lease in the database: the plan cuts the object and sends one message per part; a part is stored
//! batch by batch; a document that fails its batch gets a message for itself. [`Imports::status`] sums up the
//! rows.

mod attempt;
mod config;
mod convert;
mod cut;
mod error;
mod fetch;
mod file_reader;
mod files;
mod ids;
mod in_flight;
mod lines;
mod message;
mod part;
mod plan;
mod redrive;
mod removal;
mod single;
mod source;
mod state;
mod status;
mod usage;
mod work;
mod worker;

use std::time::Duration;

use aws::{AwsError, s3::S3, sqs::Queue};
use database::{Database, DatabaseError, Statement};
use document_store::{Tenant, Visibility};
use json::FieldError;
use schemars::JsonSchema;
use serde::Deserialize;
use telemetry::chain;
use tokio::time::timeout;

pub use self::{
    config::ImportConfig,
    error::ImportError,
    file_reader::{FileError, FileFormat, FileReader, ObjectFile, ObjectHead},
    redrive::{Redriven, Reopened, redrive, reopen_failed},
    removal::{Removals, RemovalsError},
    status::{Documents, Failure, Import, ImportState, Parts, Progress},
    work::{Delivery, Verdict, work},
    worker::Worker,
};
use self::{
    message::Message,
    source::{ObjectSource, ReadError},
};

/// Time limits for connecting to AWS and for a whole request, which transfers at most 4 MB.
const CONNECT: Duration = Duration::from_secs(3);
const REQUEST: Duration = Duration::from_secs(20);

/// Time limit, over all attempts, for looking up a source and for sending the plan's message: the function that
/// accepts an import has 29 s to answer.
const ACCEPT: Duration = Duration::from_secs(8);

/// Leases without progress after which the messages of an import count as lost.
const SILENCE: u32 = 10;

/// The clients and settings of imports.
#[derive(Debug)]
pub struct Imports {
    config: ImportConfig,
    queue: Queue,
    s3: S3,
}

/// The body of `POST /imports`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// `s3://bucket/key`: JSON lines, a JSON array or CSV with a header, compressed or not; or one Markdown, HTML, text,
    /// PDF or DOCX file, which becomes one document.
    #[schemars(length(min = 1))]
    pub source: String,
}

/// Days until an import is deleted. It ends within four, the queue's message retention.
const KEPT_DAYS: i32 = 30;

/// Old imports deleted per accepted one: enough to keep up without noticeable cost.
const FORGOTTEN_AT_ONCE: i64 = 20;

impl Imports {
    /// Builds the clients without sending anything.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(config: ImportConfig) -> Result<Self, reqwest::Error> {
        let client = http_client::builder()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .build()?;
        let queue = Queue::new(
            client.clone(),
            config.region.clone(),
            config.queue_url.clone(),
        );
        let s3 = S3::new(client, config.region.clone());
        Ok(Self { config, queue, s3 })
    }

    /// Accepts an import under the new id `id`, of documents that are to be visible. What it uses is counted for the API key with the
    /// id `key`. When this returns, the import is durable and queued.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] for a missing or empty source; [`ImportError::Queue`] if the queue does not accept
    /// the message, and then nothing was started.
    pub async fn accept(
        &self,
        database: &Database,
        visibility: &Visibility,
        key: &str,
        id: &str,
        request: ImportRequest,
    ) -> Result<Import, ImportError> {
        let refused = |detail: String| ImportError::from(FieldError::new("source", detail));
        let source = ObjectSource::parse(&request.source, self.config.root.as_deref())?;
        let looked = timeout(ACCEPT, source.look(&self.s3)).await;
        let looked = looked.unwrap_or_else(|_| Err(ReadError::Away(late())));
        let object = looked.map_err(|error| match error {
            ReadError::Missing => refused("names an object that does not exist".to_owned()),
            ReadError::Refused(cause) => refused(format!(
                "cannot be read ({cause}); the functions need s3:GetObject on it"
            )),
            error => ImportError::Storage(error.to_string()),
        })?;
        if object.bytes == 0 {
            return Err(refused("names an object that is empty".to_owned()));
        }
        if let Err(error) = ids::forget(database).await {
            tracing::warn!(cause = %chain(&error), "cannot delete the ids of finished imports");
        }
        if let Err(error) = forget_old(database).await {
            tracing::warn!(cause = %chain(&error), "cannot delete old imports");
        }
        let insert = Statement::idempotent_write(concat!(
            "SELECT true FROM ",
            schema::function!("accept_import"),
            "($1, $2::jsonb, $3, $4, $5, $6, $7, $8, $9)"
        ))
        .bind(visibility.tenant())
        .bind(visibility.filter())
        .bind(visibility.max_documents)
        .bind(key.to_owned())
        .bind(id.to_owned())
        .bind(request.source)
        .bind(object.etag)
        .bind(i64::try_from(object.bytes).unwrap_or(i64::MAX))
        .bind(queue_name(&self.config.queue_url).to_owned());
        database.fetch_all::<(bool,)>(insert).await?;
        let message = Message::plan(id.to_owned()).json();
        let messages = [message];
        let sent = timeout(ACCEPT, self.queue.send(&messages, Duration::ZERO)).await;
        if let Err(error) = sent.unwrap_or_else(|_| Err(AwsError::Connection(late()))) {
            let delete = Statement::idempotent_write(
                "DELETE FROM rappel.imports WHERE id = $1 RETURNING id",
            )
            .bind(id.to_owned());
            if let Err(error) = database.fetch_all::<(String,)>(delete).await {
                tracing::warn!(%error, "cannot delete the row of an import that was not accepted");
            }
            return Err(ImportError::Queue(error));
        }
        self.status(database, &visibility.tenant, id).await
    }

    /// The progress of the import `id` of a tenant. If nobody has worked on it for long, this sends its lost messages again.
    ///
    /// # Errors
    /// [`ImportError::Unknown`], or the database's error.
    pub async fn status(
        &self,
        database: &Database,
        tenant: &Tenant,
        id: &str,
    ) -> Result<Import, ImportError> {
        let import = Import::read(database, tenant, id, self.config.max_receives).await?;
        if matches!(import.state, ImportState::Queued | ImportState::Running)
            && let Err(error) = self.remember(database, tenant, id).await
        {
            tracing::warn!(cause = %chain(&error), "cannot resend the lost messages of an import");
        }
        Ok(import)
    }

    async fn remember(
        &self,
        database: &Database,
        tenant: &Tenant,
        id: &str,
    ) -> Result<(), ImportError> {
        let silence = self.config.lease * SILENCE;
        let statement = Statement::write(concat!(
            "SELECT * FROM ",
            schema::function!("forgotten_work"),
            "($1, $2, $3, $4, $5)"
        ))
        .bind(tenant.as_str().to_owned())
        .bind(id.to_owned())
        .bind(queue_name(&self.config.queue_url).to_owned())
        .bind(self.config.max_receives)
        .bind(silence.as_secs_f64());
        let forgotten: Vec<(i32, Option<i64>, Option<String>)> =
            database.fetch_all(statement).await?;
        let plan = Message::plan(id.to_owned());
        let messages: Vec<String> = forgotten
            .into_iter()
            .map(|(part, position, reason)| {
                let message = plan.of_part(part);
                match position {
                    Some(position) => message.of_line(position, reason.unwrap_or_default()).json(),
                    None => message.json(),
                }
            })
            .collect();
        let sent = self.queue.send(&messages, Duration::ZERO).await;
        sent.map_err(ImportError::Queue)
    }
}

/// Resumes all unfinished imports of a queue and removals of tenants, and returns the messages to send, for a queue that lost its messages
/// when it was stopped, as on a laptop.
///
/// # Errors
/// The database's error.
pub async fn reopen(
    database: &Database,
    queue_url: &str,
    max_receives: i32,
) -> Result<Vec<String>, DatabaseError> {
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("reopen_imports"),
        "($1, $2) AS id"
    ))
    .bind(queue_name(queue_url).to_owned())
    .bind(max_receives);
    let open: Vec<(String,)> = database.fetch_all(statement).await?;
    let mut messages = removal::unfinished(database).await?;
    messages.extend(open.into_iter().map(|(id,)| Message::plan(id).json()));
    Ok(messages)
}

fn late() -> String {
    format!("AWS did not respond within {} s", ACCEPT.as_secs())
}

/// A queue's account and name: its URL without the host, whose port changes on a laptop.
fn queue_name(url: &str) -> &str {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    place.split_once('/').map_or(place, |(_, name)| name)
}

/// Deletes a few imports accepted more than [`KEPT_DAYS`] ago; their lines cascade.
async fn forget_old(database: &Database) -> Result<(), DatabaseError> {
    let delete = Statement::idempotent_write(
        "DELETE FROM rappel.imports WHERE id IN (
             SELECT i.id FROM rappel.imports AS i
             WHERE i.created_at < now() - $1 * interval '1 day'
             ORDER BY i.created_at
             LIMIT $2
             FOR UPDATE SKIP LOCKED
         )
         RETURNING id",
    )
    .bind(KEPT_DAYS)
    .bind(FORGOTTEN_AT_ONCE);
    database.fetch_all::<(String,)>(delete).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::queue_name;

    #[test]
    fn a_queue_keeps_its_name_at_another_address() {
        for (url, name) in [
            (
                "https://sqs.eu-west-3.amazonaws.com/123456789012/rappel-ImportQueue-a1",
                "123456789012/rappel-ImportQueue-a1",
            ),
            (
                "http://127.0.0.1:41234/123456789012/importqueue",
                "123456789012/importqueue",
            ),
            ("importqueue", "importqueue"),
        ] {
            assert_eq!(queue_name(url), name);
        }
    }
}
