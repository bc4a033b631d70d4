//! Bulk imports: an object of documents, a line each, is cut into parts, and a queue hands these to
//! workers.
//!
//! [`Imports::accept`] writes a row and sends a message. A worker ([`work`]) takes what a message names,
//! by a lease in the database: the plan cuts the object and sends a message a part, a part is stored
//! batch by batch, and a document that is in the way of its neighbours gets a message of its own.
//! [`Imports::status`] adds up the rows.

mod attempt;
mod config;
mod convert;
mod cut;
mod error;
mod ids;
mod in_flight;
mod lines;
mod message;
mod part;
mod plan;
mod single;
mod source;
mod state;
mod status;
mod work;
mod worker;

use std::time::Duration;

use aws::{AwsError, s3::S3, sqs::Queue};
use database::{Database, DatabaseError, Statement};
use json::FieldError;
use serde::Deserialize;
use telemetry::chain;
use tokio::time::timeout;

pub use self::{
    config::ImportConfig,
    error::ImportError,
    status::{Documents, Failure, Import, ImportState, Parts, Progress},
    work::{Delivery, Verdict, work},
    worker::{BoxError, Embed, Worker},
};
use self::{
    message::Message,
    source::{ReadError, Source},
};

/// How long a connection to AWS may take to be made, and a request in all, which moves 4 MB at most.
const CONNECT: Duration = Duration::from_secs(3);
const REQUEST: Duration = Duration::from_secs(20);

/// How long AWS may take, in all attempts, to tell of a source or to take the message of its plan: the
/// function that accepts an import has 29 s to answer.
const ACCEPT: Duration = Duration::from_secs(8);

/// After how many leases without a sign of work the messages of an import count as given up.
const SILENCE: u32 = 10;

/// What imports stand on, besides the database.
#[derive(Debug)]
pub struct Imports {
    config: ImportConfig,
    queue: Queue,
    s3: S3,
}

/// The body of `POST /imports`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// `s3://bucket/key`, an object of JSON lines, a JSON array or CSV with a header, compressed or not.
    pub source: String,
}

/// Days for which an import can be asked about. It ends within the four that its queue keeps messages.
const KEPT_DAYS: i32 = 30;

/// Imports that the acceptance of another one drops at most: enough to keep up, too few to be felt.
const FORGOTTEN_AT_ONCE: i64 = 20;

impl Imports {
    /// Builds the clients; nothing is sent.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
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

    /// Accepts an import under the id `id`, which must be new. When this returns, the import will be
    /// worked on.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] for a source that is not there or empty, [`ImportError::Queue`] when the queue does not
    /// take the message; then nothing was begun.
    pub async fn accept(
        &self,
        database: &Database,
        id: &str,
        request: ImportRequest,
    ) -> Result<Import, ImportError> {
        let refused = |detail: String| ImportError::from(FieldError::new("source", detail));
        let source = Source::parse(&request.source, self.config.root.as_deref())?;
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
            tracing::warn!(cause = %chain(&error), "the ids of imports that have ended are still noted");
        }
        if let Err(error) = forget_old(database).await {
            tracing::warn!(cause = %chain(&error), "imports of long ago are still kept");
        }
        let insert = Statement::upsert(
            "WITH import AS (
                 INSERT INTO rappel.imports AS i (id, source, etag, bytes, queue) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING
                 RETURNING i.id
             )
             INSERT INTO rappel.import_parts (import_id, part, first, last, position)
             SELECT id, 0, 0, $4, 0 FROM import
             RETURNING part",
        )
        .bind(id.to_owned())
        .bind(request.source)
        .bind(object.etag)
        .bind(i64::try_from(object.bytes).unwrap_or(i64::MAX))
        .bind(queue_name(&self.config.queue_url).to_owned());
        database.fetch_all::<(i32,)>(insert).await?;
        let message = Message::plan(id.to_owned()).json();
        let messages = [message];
        let sent = timeout(ACCEPT, self.queue.send(&messages, Duration::ZERO)).await;
        if let Err(error) = sent.unwrap_or_else(|_| Err(AwsError::Connection(late()))) {
            let delete = Statement::upsert("DELETE FROM rappel.imports WHERE id = $1 RETURNING id")
                .bind(id.to_owned());
            if let Err(error) = database.fetch_all::<(String,)>(delete).await {
                tracing::warn!(%error, "an import that was not accepted leaves its row");
            }
            return Err(ImportError::Queue(error));
        }
        self.status(database, id).await
    }

    /// How far the import `id` is. Whoever asks this of an import that nobody has worked on for long has
    /// its forgotten messages sent again.
    ///
    /// # Errors
    /// [`ImportError::Unknown`], or the database's error.
    pub async fn status(&self, database: &Database, id: &str) -> Result<Import, ImportError> {
        let import = Import::read(database, id, self.config.max_receives).await?;
        if matches!(import.state, ImportState::Queued | ImportState::Running)
            && let Err(error) = self.remember(database, id).await
        {
            tracing::warn!(cause = %chain(&error), "messages that were given up could not be sent again");
        }
        Ok(import)
    }

    async fn remember(&self, database: &Database, id: &str) -> Result<(), ImportError> {
        let silence = self.config.lease * SILENCE;
        let statement = Statement::write(concat!(
            "SELECT * FROM ",
            schema::function!("forgotten_work"),
            "($1, $2, $3, $4)"
        ))
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

/// Opens all imports of a queue that have not ended once more, and answers the messages that go on with
/// them: for a queue that forgot its messages when it was stopped, as a laptop's does.
///
/// # Errors
/// When the database fails.
pub async fn reopen(
    database: &Database,
    queue_url: &str,
    max_receives: i32,
) -> Result<Vec<String>, DatabaseError> {
    let statement = Statement::upsert(concat!(
        "SELECT ",
        schema::function!("reopen_imports"),
        "($1, $2) AS id"
    ))
    .bind(queue_name(queue_url).to_owned())
    .bind(max_receives);
    let open: Vec<(String,)> = database.fetch_all(statement).await?;
    Ok(open
        .into_iter()
        .map(|(id,)| Message::plan(id).json())
        .collect())
}

fn late() -> String {
    format!("AWS did not answer within {} s", ACCEPT.as_secs())
}

/// The account and the name of a queue: its URL without the host, whose port a laptop's changes.
fn queue_name(url: &str) -> &str {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    place.split_once('/').map_or(place, |(_, name)| name)
}

/// Drops imports that were accepted more than [`KEPT_DAYS`] ago, a few at a time; their lines go with them.
async fn forget_old(database: &Database) -> Result<(), DatabaseError> {
    let delete = Statement::upsert(
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
