//! `rappel import FILE`: straight into the database, resumable.

mod api;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use shared::{
    database::{Database, DatabaseError, Statement},
    documents::{self, BatchLoad, Prepared},
    embedder::Embedder,
    migrations,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    lines::Lines,
    setup::{SchemaArgs, Setup, Target, note, threads},
};

/// Load documents: a file straight into the database, or an object through an API's queue.
#[derive(Args)]
pub(crate) struct Import {
    /// JSON lines with the keys id (or _id), title, content (or text) and metadata; .gz and .xz are read too.
    /// With --api, `s3://bucket/key`, or a file if the API is that of `rappel up`.
    source: PathBuf,
    /// The API that imports it on its queue, such as `http://127.0.0.1:8000`; requests are not signed.
    #[arg(long, value_name = "URL", conflicts_with = "strict")]
    api: Option<String>,
    /// Stop at the first bad line instead of reporting it.
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

/// What an import did, and how long it took.
pub(crate) struct Imported {
    done: Arc<Counts>,
    loading: Duration,
    indexing: Duration,
}

/// What the tasks of an import have done so far.
#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    chunks: AtomicU64,
    unchanged: AtomicU64,
    bad: AtomicU64,
}

/// Documents that are looked up, embedded and stored together, at first and at most. Few at first keep all cores
/// busy with a small import; of many, more are of like length, so that less of an inference is padding. A batch
/// that is killed is done again.
const BATCH: (usize, usize) = (128, 512);

/// The part of what a core has done so far that its next batch may be, lest one core be the last for long.
const SHARE: usize = 8;

/// Below this many stored chunks the index is dropped for the time of an import and built afterwards:
/// row by row the graph grows thirty times slower than a bulk load runs.
const FEW_CHUNKS: i64 = 10_000;

impl Import {
    #[expect(clippy::print_stdout, reason = "the outcome is the command's answer")]
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            return api::run(api, &self.source).await;
        }
        if self.source.starts_with("s3://") {
            bail!("an object of S3 is imported by an API: name it with --api");
        }
        let mut setup = self.target.prepare("").await?;
        setup.migrate(&self.schema).await?;
        let imported = import(&setup, &self.source, self.strict).await?;
        if self.json {
            println!("{}", imported.json());
        } else {
            println!("{imported}");
        }
        setup.stop().await
    }
}

impl Imported {
    fn json(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "documents": count(&self.done.stored),
            "chunks": count(&self.done.chunks),
            "unchanged": count(&self.done.unchanged),
            "bad_lines": count(&self.done.bad),
            "loading_s": self.loading.as_secs_f64(),
            "indexing_s": self.indexing.as_secs_f64(),
        })
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (stored, loading) = (count(&self.done.stored), self.loading.as_secs_f64());
        write!(
            f,
            "{stored} documents stored in {} chunks, {} unchanged, {} bad lines; {loading:.0} s at {:.0} documents a \
             second, index {:.0} s",
            count(&self.done.chunks),
            count(&self.done.unchanged),
            count(&self.done.bad),
            stored as f64 / loading.max(0.001),
            self.indexing.as_secs_f64(),
        )
    }
}

/// Loads a file; what is stored with the same hash already is skipped.
pub(crate) async fn import(setup: &Setup, file: &Path, strict: bool) -> anyhow::Result<Imported> {
    let start = Instant::now();
    let database = Arc::new(Database::new(&setup.database)?);
    let lines = Lines::open(file)?;
    let progress = progress(file, &lines);
    if stored_chunks(&database).await? < FEW_CHUNKS {
        drop_index(setup).await?;
    }
    let done = Arc::new(Counts::default());
    let loaded = load_all(setup, &database, lines, strict, &done, &progress).await;
    progress.finish_and_clear();
    let loading = start.elapsed();
    // Even an import that failed leaves documents, and searches need the index.
    database.close().await;
    let indexing = build_index(setup).await;
    loaded?;
    Ok(Imported {
        done,
        loading,
        indexing: indexing?,
    })
}

async fn load_all(
    setup: &Setup,
    database: &Arc<Database>,
    lines: Lines,
    strict: bool,
    done: &Arc<Counts>,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let threads = threads();
    let (sender, receiver) = mpsc::channel(threads);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut tasks = JoinSet::new();
    let mut embedders = Vec::with_capacity(threads);
    for _ in 0..threads {
        // One thread an embedder and one embedder a core: passages a second grow with the cores.
        let config = shared::config::ModelConfig {
            threads: 1,
            ..setup.model.clone()
        };
        let embedder = tokio::task::spawn_blocking(move || Embedder::load(&config)).await??;
        embedders.push(Arc::new(embedder));
    }
    // Two workers share an embedder: one embeds while the other waits for the database. They wait for
    // batches in this order, so that each embedder has one before any has two.
    for embedder in embedders.iter().chain(&embedders) {
        let worker = Worker {
            database: Arc::clone(database),
            embedder: Arc::clone(embedder),
            done: Arc::clone(done),
            progress: progress.clone(),
        };
        tasks.spawn(worker.run(Arc::clone(&receiver)));
    }
    drop(receiver);
    let (done, bar) = (Arc::clone(done), progress.clone());
    tasks.spawn_blocking(move || read(lines, strict, &sender, &done, &bar));
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }
    Ok(())
}

/// Reads the file into batches; a bad line is reported with its number.
fn read(
    lines: Lines,
    strict: bool,
    batches: &mpsc::Sender<Vec<Prepared>>,
    done: &Counts,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let bytes_read = lines.bytes_read();
    let threads = threads();
    let (mut batch, mut sent) = (Vec::new(), 0);
    for line in lines {
        let line = line.context("the file cannot be read further")?;
        let checked = line.document.and_then(|document| {
            BatchLoad::check(document).map_err(|errors| {
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            })
        });
        match checked {
            Ok(document) => batch.push(document),
            Err(reason) if strict => bail!("line {}: {reason}", line.number),
            Err(reason) => {
                done.bad.fetch_add(1, Ordering::Relaxed);
                progress.suspend(|| note(&format!("line {}: {reason}", line.number)));
            }
        }
        if batch.len() >= batch_size(sent, threads) {
            sent += batch.len();
            progress.set_position(bytes_read.load(Ordering::Relaxed));
            if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                // Every worker stopped; one of them says why.
                return Ok(());
            }
        }
    }
    // A closed channel here, too, is a worker's failure to report.
    let _ = batches.blocking_send(batch);
    Ok(())
}

/// Documents of the next batch, when so many have been sent to so many cores.
fn batch_size(sent: usize, threads: usize) -> usize {
    let (first, most) = BATCH;
    (sent / (SHARE * threads)).clamp(first, most)
}

/// Stores batches until there are no more.
struct Worker {
    database: Arc<Database>,
    embedder: Arc<Embedder>,
    done: Arc<Counts>,
    progress: ProgressBar,
}

impl Worker {
    async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Vec<Prepared>>>>) -> anyhow::Result<()> {
        loop {
            let next = batches.lock().await.recv().await;
            let Some(documents) = next else {
                return Ok(());
            };
            self.store(documents).await?;
        }
    }

    async fn store(&self, documents: Vec<Prepared>) -> anyhow::Result<()> {
        let mut batch = BatchLoad::sort(&self.database, documents).await?;
        let embedder = Arc::clone(&self.embedder);
        batch = tokio::task::spawn_blocking(move || {
            Prepared::embed(&embedder, &mut batch.new)?;
            Prepared::embed(&embedder, &mut batch.changed)?;
            anyhow::Ok(batch)
        })
        .await??;
        let model = &self.embedder.manifest().name;
        let chunks = documents::load(&self.database, model, &batch).await?;
        let stored = (batch.new.len() + batch.changed.len()) as u64;
        self.done.chunks.fetch_add(chunks as u64, Ordering::Relaxed);
        self.done
            .unchanged
            .fetch_add(batch.unchanged as u64, Ordering::Relaxed);
        let total = self.done.stored.fetch_add(stored, Ordering::Relaxed) + stored;
        let rate = total as f64 / self.progress.elapsed().as_secs_f64();
        self.progress
            .set_message(format!("{total} documents, {rate:.0}/s"));
        Ok(())
    }
}

async fn stored_chunks(database: &Database) -> anyhow::Result<i64> {
    let statement =
        Statement::read("SELECT count(*) FROM (SELECT FROM rappel.chunks LIMIT $1) AS counted")
            .bind(FEW_CHUNKS);
    let count: Option<(i64,)> = database.fetch_optional(statement).await?;
    Ok(count.map_or(0, |(count,)| count))
}

/// A role that may not drop the index imports with it, more slowly.
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

/// Progress by the bytes of the file, since the number of its lines is not known.
fn progress(file: &Path, lines: &Lines) -> ProgressBar {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} · {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let progress = ProgressBar::new(size).with_style(style);
    progress.set_position(lines.bytes_read().load(Ordering::Relaxed));
    progress
}
