//! `rappel import`: a resumable import of files and folders, directly into the database or through an API.

mod apart;
mod api;
mod batches;
mod documents;
mod files;
mod found;
mod gone;
mod input;
mod opened;
mod place;
mod tally;
mod workers;

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::Args;
use database::{Database, DatabaseError, Statement};
use document_store::Visibility;
use indicatif::ProgressBar;
use serde_json::Value;

use self::{
    apart::apart,
    gone::StoredPage,
    input::{Documents, FolderArgs, Input},
    opened::OpenedInput,
    tally::Tally,
};
use crate::{
    migrate,
    remote::Key,
    setup::{SchemaArgs, Setup, Target},
    stop::{Interrupted, Reported, Stop},
    terminal::{self, note},
};

/// Load documents: files and folders directly into the database, or through an API.
#[derive(Args)]
pub(crate) struct Import {
    /// Folders, files and patterns. Each Markdown, HTML, text, PDF or DOCX file is a document. JSON lines, a JSON array,
    /// or CSV with a header have the keys id (or _id), title, content (or text) and metadata, compressed with gzip,
    /// zstd or xz or not; `-` is stdin. With --api also `s3://bucket/key`.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The API that stores them, such as `http://127.0.0.1:8000`. An object of S3, or a file of documents if the API is
    /// that of `rappel up`, is imported on its queue.
    #[arg(
        long,
        env = "RAPPEL_API",
        value_name = "URL",
        conflicts_with = "strict"
    )]
    api: Option<String>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    folder: FolderArgs,
    /// Stop at the first invalid line instead of reporting it; not with an API.
    #[arg(long)]
    strict: bool,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    target: Target,
}

/// The counts of an import, and its duration.
pub(crate) struct Imported {
    tally: Arc<Tally>,
    loading: Duration,
    indexing: Duration,
    /// The signal that interrupted it.
    interrupted: Option<Interrupted>,
}

/// Below this many stored chunks an import drops the index and builds it afterwards: row by row, the graph grows
/// thirty times slower than a bulk load runs.
const FEW_CHUNKS: i64 = 10_000;

impl Import {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            return match Input::of(&self.sources, &self.folder)? {
                Input::Records(source) => api::run(api, &self.key, &source, stop).await,
                Input::Documents(documents) => self.post(api, documents, stop).await,
            };
        }
        let is_object = |source: &PathBuf| source.starts_with("s3://");
        ensure!(
            !self.sources.iter().any(is_object),
            "an object of S3 is imported by an API: name it with --api"
        );
        // A missing file is reported before a database is started.
        let input = Input::of(&self.sources, &self.folder)?;
        let mut setup = stop.or(self.target.prepare("")).await?;
        migrate::until(&mut setup, &self.schema, stop).await?;
        let imported = import_until(&setup, input, &self.key.visibility(), self.strict, stop).await;
        let stopped = setup.stop().await;
        let imported = imported?;
        self.tell(&imported)?;
        stopped?;
        imported.ended()
    }

    /// Posts the documents of files to an API.
    async fn post(&self, api: &str, documents: Documents, stop: &Stop) -> anyhow::Result<()> {
        let start = Instant::now();
        let (tally, bar) = (Arc::clone(&documents.tally), documents.bar.clone());
        let posted = stop.or(documents::run(api, &self.key, documents)).await;
        bar.finish_and_clear();
        let imported = Imported {
            tally,
            loading: start.elapsed(),
            indexing: Duration::ZERO,
            interrupted: interruption(&posted),
        };
        self.tell(&imported)?;
        if imported.interrupted.is_none() {
            posted?;
        }
        imported.ended()
    }

    fn tell(&self, imported: &Imported) -> io::Result<()> {
        imported.tally.tell_rest();
        let mut out = terminal::out();
        if self.json {
            out.json(&imported.json())?;
        } else {
            writeln!(out, "{imported}")?;
        }
        if imported.interrupted.is_some() {
            let index = if self.api.is_some() {
                ""
            } else {
                ", and the index is built"
            };
            note(&format!(
                "interrupted: what is stored stays{index}; the same command goes on, and finds that unchanged"
            ));
        }
        Ok(())
    }
}

impl Imported {
    fn ended(&self) -> anyhow::Result<()> {
        match (self.interrupted, self.tally.status()) {
            (Some(interrupted), _) => Err(Reported(interrupted.status()).into()),
            (None, 0) => Ok(()),
            (None, status) => Err(Reported(status).into()),
        }
    }

    fn json(&self) -> Value {
        let mut json = self.tally.json(self.loading, self.indexing);
        json["interrupted"] = self.interrupted.is_some().into();
        json
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tally.text(self.loading, self.indexing))
    }
}

/// Loads a file; skips documents that are stored with the same hash.
pub(crate) async fn import(setup: &Setup, file: &Path, strict: bool) -> anyhow::Result<Imported> {
    import_until(
        setup,
        Input::Records(file.to_owned()),
        &Visibility::default(),
        strict,
        &Stop::never(),
    )
    .await
}

async fn import_until(
    setup: &Setup,
    input: Input,
    visibility: &Visibility,
    strict: bool,
    stop: &Stop,
) -> anyhow::Result<Imported> {
    let start = Instant::now();
    let (opened, tally, present) = match input {
        Input::Records(path) => {
            // A pipe may be slow to show its format.
            let opened = stop.or(apart(move || OpenedInput::open(&path))).await?;
            (opened, Arc::new(Tally::default()), None)
        }
        Input::Documents(Documents {
            files,
            bar,
            tally,
            present,
        }) => (OpenedInput::files(files, bar), tally, present),
    };
    let bar = opened.bar.clone();
    let embedders = stop.or(workers::embedders(setup)).await?;
    let database = Arc::new(Database::new(&setup.database)?);
    let gone = match &present {
        Some(present) => {
            let page = async |folder: &str, cursor| {
                StoredPage::read(&database, visibility, folder, cursor).await
            };
            present.gone_from(page).await?
        }
        None => Vec::new(),
    };
    if stored_chunks(&database).await? < FEW_CHUNKS {
        drop_index(setup).await?;
    }
    let load = async {
        workers::load(&database, visibility, &embedders, opened, strict, &tally).await?;
        let deleted = gone::delete(&database, visibility, &gone).await?;
        tally.deleted.fetch_add(deleted, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let loaded = stop.or(load).await;
    bar.finish_and_clear();
    let loading = start.elapsed();
    let interrupted = interruption(&loaded);
    if interrupted.is_some() {
        note(
            "interrupted: building the index of what is stored; once more, and it stays unbuilt until `rappel migrate`",
        );
    }
    // Even a failed import stores documents, and searches need the index.
    let (indexing, ()) = tokio::join!(build_index(setup), workers::idle(&embedders));
    database.close().await;
    if interrupted.is_none() {
        loaded?;
    }
    Ok(Imported {
        tally,
        loading,
        indexing: indexing?,
        interrupted,
    })
}

/// The signal that ended the work.
fn interruption(outcome: &anyhow::Result<()>) -> Option<Interrupted> {
    outcome.as_ref().err()?.downcast_ref().copied()
}

async fn stored_chunks(database: &Database) -> anyhow::Result<i64> {
    let statement =
        Statement::read("SELECT count(*) FROM (SELECT FROM rappel.chunks LIMIT $1) AS counted")
            .bind(FEW_CHUNKS);
    let count: Option<(i64,)> = database.fetch_optional(statement).await?;
    Ok(count.map_or(0, |(count,)| count))
}

/// A role that may not drop the index keeps it, and imports more slowly.
async fn drop_index(setup: &Setup) -> anyhow::Result<()> {
    let database = setup.schema_database()?;
    let outcome = migrations::drop_index(&database).await;
    database.close().await;
    match outcome {
        Ok(()) | Err(DatabaseError::Forbidden(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn build_index(setup: &Setup) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let spinner = ProgressBar::new_spinner().with_message("building the index");
    spinner.enable_steady_tick(Duration::from_millis(200));
    setup.build_index().await?;
    spinner.finish_and_clear();
    Ok(start.elapsed())
}
