//! Bulk imports: an object of documents, a line each, is cut into parts, and a queue hands these to
//! workers.
//!
//! [`Imports::accept`] writes a row and sends a message. A worker ([`work`]) takes what a message names,
//! by a lease in the database: the plan cuts the object and sends a message a part, a part is stored
//! batch by batch, and a document that is in the way of its neighbours gets a message of its own.
//! [`Imports::status`] adds up the rows.

mod alone;
mod cut;
mod ended;
mod lease;
mod line_rows;
mod lines;
mod message;
mod part;
mod plan;
mod rows;
mod source;
mod status;
mod work;

use std::time::Duration;

use serde::Deserialize;

use self::{
    message::Message,
    source::{ReadError, Source},
};
use crate::{
    Error,
    aws::{s3::S3, sqs::Queue},
    cause::chain,
    client,
    config::ImportConfig,
    database::{Database, DatabaseError, Statement},
    error::FieldError,
};

pub use self::{
    status::{Documents, Failure, Import, ImportState, Parts, Progress},
    work::{Delivery, Verdict, work},
};

/// How long a connection to AWS may take to be made, and a request in all.
const CONNECT: Duration = Duration::from_secs(3);
const REQUEST: Duration = Duration::from_mins(1);

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
    /// `s3://bucket/key`, an object of JSON lines, compressed with gzip or not.
    pub source: String,
}

impl Imports {
    /// Builds the clients; nothing is sent.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(config: ImportConfig) -> Result<Self, reqwest::Error> {
        let client = client::builder()
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
    /// [`Error::Invalid`] for a source that is not there or empty, [`Error::Queue`] when the queue does not
    /// take the message; then nothing was begun.
    pub async fn accept(
        &self,
        database: &Database,
        id: &str,
        request: ImportRequest,
    ) -> Result<Import, Error> {
        let refused = |detail: String| Error::from(FieldError::new("source", detail));
        let source = Source::parse(&request.source, self.config.local_files)?;
        let object = source.look(&self.s3).await.map_err(|error| match error {
            ReadError::Missing => refused("names an object that does not exist".to_owned()),
            ReadError::Refused(cause) => refused(format!(
                "cannot be read ({cause}); the functions need s3:GetObject on it"
            )),
            error => Error::Storage(error.to_string()),
        })?;
        if object.bytes == 0 {
            return Err(refused("names an object that is empty".to_owned()));
        }
        let insert = Statement::upsert(
            "WITH import AS (
                 INSERT INTO rappel.imports AS i (id, source, etag, bytes) VALUES ($1, $2, $3, $4)
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
        .bind(i64::try_from(object.bytes).unwrap_or(i64::MAX));
        database.fetch_all::<(i32,)>(insert).await?;
        let message = Message::plan(id.to_owned()).json();
        if let Err(error) = self.queue.send(&[message], Duration::ZERO).await {
            let delete = Statement::upsert("DELETE FROM rappel.imports WHERE id = $1 RETURNING id")
                .bind(id.to_owned());
            if let Err(error) = database.fetch_all::<(String,)>(delete).await {
                tracing::warn!(%error, "an import that was not accepted leaves its row");
            }
            return Err(Error::Queue(error));
        }
        self.status(database, id).await
    }

    /// How far the import `id` is. Whoever asks this of an import that nobody has worked on for long has
    /// its forgotten messages sent again.
    ///
    /// # Errors
    /// [`Error::NoImport`], or the database's error.
    pub async fn status(&self, database: &Database, id: &str) -> Result<Import, Error> {
        let import = Import::read(database, id, self.config.max_receives).await?;
        if matches!(import.state, ImportState::Queued | ImportState::Running)
            && let Err(error) = self.remember(database, id).await
        {
            tracing::warn!(cause = %chain(&error), "messages that were given up could not be sent again");
        }
        Ok(import)
    }

    async fn remember(&self, database: &Database, id: &str) -> Result<(), Error> {
        let silence = self.config.lease * SILENCE;
        let statement = Statement::write("SELECT * FROM rappel.forgotten_work($1, $2, $3)")
            .bind(id.to_owned())
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
        sent.map_err(Error::Queue)
    }
}

/// Opens all imports that have not ended once more, and answers the messages that go on with them: for a
/// queue that forgot its messages when it was stopped, as a laptop's does.
///
/// # Errors
/// When the database fails.
pub async fn reopen(database: &Database, max_receives: i32) -> Result<Vec<String>, DatabaseError> {
    let statement = Statement::upsert("SELECT rappel.reopen_imports($1) AS id").bind(max_receives);
    let open: Vec<(String,)> = database.fetch_all(statement).await?;
    Ok(open
        .into_iter()
        .map(|(id,)| Message::plan(id).json())
        .collect())
}
