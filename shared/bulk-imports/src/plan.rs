//! The plan: cuts an object into parts and sends one message per part.
//!
//! It can be killed at any point and repeated: the cuts are the same, and a duplicate message finds its part
//! leased or done.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use database::{Database, Statement};
use telemetry::chain;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Imports, Worker,
    attempt::WorkError,
    convert::{Fetched, convert},
    cut::Piece,
    fetch::fetch,
    files,
    lines::Object,
    message::Message,
    state::{Claim, Part},
};

/// Bytes per part: some hundred documents, half a minute of embedding.
const STRIDE: i64 = 512 * 1024;

/// Maximum number of parts; larger objects get larger parts.
const MOST_PARTS: i64 = 10_000;

/// Cuts the object of the plan `part` and sends a message for each unfinished part.
pub(super) async fn plan(
    worker: &Worker<'_>,
    claim: &Claim,
    part: &Part,
    until: Instant,
) -> Result<(), WorkError> {
    let (imports, database) = (worker.imports, worker.database);
    let (object, _) = part.place.object(&imports.config.bucket);
    let head = 0..object.bytes.min(records::HEAD as u64);
    let etag = object.etag.as_deref();
    let first = object.source.read(&imports.s3, &head, etag).await?;
    if let Some(piece) = files::piece(worker, &object, &first, until).await? {
        let mut pieces = Pieces::new(imports, database, &claim.message).await?;
        pieces.add(piece).await?;
        return pieces.send().await;
    }
    if !records::is_lines(&first) {
        let mut pieces = Pieces::new(imports, database, &claim.message).await?;
        return cut(imports, &object, &mut pieces, until).await;
    }
    let bytes = i64::try_from(object.bytes).unwrap_or(i64::MAX);
    let stride = STRIDE.max(bytes / MOST_PARTS + 1);
    let statement = Statement::idempotent_write(
        "INSERT INTO rappel.import_parts AS p (import_id, part, first, last, position)
         SELECT $1, n::integer + 1, n * $3, least((n + 1) * $3, $2), n * $3
         FROM generate_series(0::bigint, ($2 - 1) / $3) AS n
         ON CONFLICT DO NOTHING
         RETURNING p.part",
    )
    .bind(claim.message.import.clone())
    .bind(bytes)
    .bind(stride);
    database.fetch_all::<(i32,)>(statement).await?;
    let messages: Vec<String> = unfinished(database, &claim.message.import)
        .await?
        .into_iter()
        .map(|(part,)| claim.message.of_part(part).json())
        .collect();
    imports.send(&messages).await
}

/// The unfinished parts, without the plan.
async fn unfinished(database: &Database, import: &str) -> Result<Vec<(i32,)>, WorkError> {
    let statement = Statement::read(
        "SELECT part FROM rappel.import_parts
         WHERE import_id = $1 AND part > 0 AND finished_at IS NULL
         ORDER BY part",
    )
    .bind(import.to_owned());
    Ok(database.fetch_all(statement).await?)
}

/// Converts an object that is compressed, or not JSON lines, to pieces of JSON lines.
async fn cut(
    imports: &Imports,
    object: &Object,
    pieces: &mut Pieces<'_>,
    until: Instant,
) -> Result<(), WorkError> {
    // Decompression uses a core; the lease is renewed concurrently. Each side buffers at most one window.
    let (windows, source) = mpsc::channel(1);
    let (made, mut waiting) = mpsc::channel(1);
    let converting = spawn_blocking(move || convert(Fetched::new(source), &made));
    let store = async {
        while let Some(piece) = waiting.recv().await {
            pieces.add(piece).await?;
        }
        Ok(())
    };
    futures_util::try_join!(fetch(imports, object, windows, until), store)?;
    match converting.await {
        Ok(Ok(())) => pieces.send().await,
        Ok(Err(refused)) => Err(WorkError::Import(refused)),
        Err(panic) => Err(WorkError::failed(
            "cannot convert the object",
            panic.to_string(),
        )),
    }
}

/// The pieces of a converted object, in the bucket and in the database.
struct Pieces<'a> {
    imports: &'a Imports,
    database: &'a Database,
    message: &'a Message,
    /// Pieces of an earlier plan by part: first and last byte, and whether they are done.
    earlier: BTreeMap<i32, ((i64, i64), bool)>,
    next: i32,
    messages: Vec<String>,
}

impl<'a> Pieces<'a> {
    async fn new(
        imports: &'a Imports,
        database: &'a Database,
        message: &'a Message,
    ) -> Result<Self, WorkError> {
        let statement = Statement::read(
            "SELECT part, first, last, finished_at IS NOT NULL FROM rappel.import_parts
             WHERE import_id = $1 AND part > 0",
        )
        .bind(message.import.clone());
        let earlier: Vec<(i32, i64, i64, bool)> = database.fetch_all(statement).await?;
        Ok(Self {
            imports,
            database,
            message,
            earlier: earlier
                .into_iter()
                .map(|(part, first, last, done)| (part, ((first, last), done)))
                .collect(),
            next: 1,
            messages: Vec::new(),
        })
    }

    /// Writes a piece and its row; work on it may begin before the plan ends. An unfinished piece of an earlier plan
    /// is written again, because the bucket may have changed.
    async fn add(&mut self, piece: Piece) -> Result<(), WorkError> {
        let part = self.next;
        self.next += 1;
        let last = piece.first + i64::try_from(piece.text.len()).unwrap_or_default();
        match self.earlier.get(&part) {
            // With other cuts, the parts that are done would not complement the remaining ones.
            Some((place, _)) if *place != (piece.first, last) => {
                return Err(WorkError::Import(
                    "another version of Rappel split this object differently: import it again; documents that are \
                     already stored are skipped"
                        .to_owned(),
                ));
            }
            Some((_, true)) => return Ok(()),
            Some(_) | None => {}
        }
        let key = format!("imports/{}/{part:06}.jsonl", self.message.import);
        self.imports
            .s3
            .write(&self.imports.config.bucket, &key, Bytes::from(piece.text))
            .await
            .map_err(|error| {
                WorkError::failed("cannot write a piece to the import bucket", chain(&error))
            })?;
        let statement = Statement::idempotent_write(
            "INSERT INTO rappel.import_parts AS p (import_id, part, first, last, piece, position)
             VALUES ($1, $2, $3, $4, $5, $3)
             ON CONFLICT DO NOTHING
             RETURNING p.part",
        )
        .bind(self.message.import.clone())
        .bind(part)
        .bind(piece.first)
        .bind(last)
        .bind(key);
        self.database.fetch_all::<(i32,)>(statement).await?;
        self.messages.push(self.message.of_part(part).json());
        if self.messages.len() == 10 {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), WorkError> {
        let messages = std::mem::take(&mut self.messages);
        self.imports.send(&messages).await
    }
}
