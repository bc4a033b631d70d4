//! The tasks that embed and store the batches of an import.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use database::Database;
use document_store::{self, Compared, Prepared, Visibility, VisibilityParameters};
use embedder::{Embedder, ModelConfig};
use indicatif::ProgressBar;
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinSet, spawn_blocking},
};

use super::{
    apart::apart,
    batches::{Batches, Numbered, Stored},
    opened::OpenedInput,
    tally::Tally,
};
use crate::{model::threads, setup::Setup};

/// How often to check whether an inference has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Loads all documents of a file.
pub(super) async fn load(
    database: &Arc<Database>,
    visibility: &Visibility,
    embedders: &[Arc<Embedder>],
    input: OpenedInput,
    strict: bool,
    tally: &Arc<Tally>,
) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::channel(threads());
    let receiver = Arc::new(Mutex::new(receiver));
    let stored = Arc::new(Stored::default());
    let mut tasks = JoinSet::new();
    // Two workers share an embedder: one embeds while the other waits for the database. They wait for
    // batches in this order, so that each embedder has one before any has two.
    for embedder in embedders.iter().chain(embedders) {
        let worker = Worker {
            database: Arc::clone(database),
            visibility: visibility.parameters(),
            embedder: Arc::clone(embedder),
            tally: Arc::clone(tally),
            stored: Arc::clone(&stored),
            bar: input.bar.clone(),
        };
        tasks.spawn(worker.run(Arc::clone(&receiver)));
    }
    drop(receiver);
    let tally = Arc::clone(tally);
    let reading = apart(move || Batches::new(strict, &tally, &stored, sender).read(input));
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }
    reading.await
}

/// An embedder for each core.
pub(super) async fn embedders(setup: &Setup) -> anyhow::Result<Vec<Arc<Embedder>>> {
    let mut embedders = Vec::new();
    for _ in 0..threads() {
        // One thread per embedder and one embedder per core: passages per second grow with the cores.
        let config = ModelConfig {
            threads: 1,
            ..setup.model.clone()
        };
        let embedder = spawn_blocking(move || Embedder::load(&config)).await??;
        embedders.push(Arc::new(embedder));
    }
    Ok(embedders)
}

/// Waits for the running inferences: a process must not end during one.
pub(super) async fn idle(embedders: &[Arc<Embedder>]) {
    while embedders
        .iter()
        .any(|embedder| Arc::strong_count(embedder) > 1)
    {
        tokio::time::sleep(LOOK).await;
    }
}

/// Stores batches until there are no more.
struct Worker {
    database: Arc<Database>,
    visibility: VisibilityParameters,
    embedder: Arc<Embedder>,
    tally: Arc<Tally>,
    stored: Arc<Stored>,
    bar: ProgressBar,
}

impl Worker {
    async fn run(self, batches: Arc<Mutex<mpsc::Receiver<Numbered>>>) -> anyhow::Result<()> {
        loop {
            let next = batches.lock().await.recv().await;
            let Some(batch) = next else {
                return Ok(());
            };
            self.store(batch).await?;
        }
    }

    async fn store(&self, batch: Numbered) -> anyhow::Result<()> {
        let mut compared =
            Compared::with_stored(&self.database, &self.visibility, batch.documents).await?;
        let model = self.embedder.manifest().recipe();
        loop {
            compared = compared.embedded(|new| self.embed(new)).await?;
            let (stored, chunks) = (compared.to_store(), compared.chunks());
            if document_store::load(&self.database, model, &compared).await? {
                self.count(stored, chunks, compared.unchanged());
                self.stored.add(batch.number, compared.unchanged_ids());
                return Ok(());
            }
            compared = compared.with_all_texts();
        }
    }

    async fn embed(&self, mut documents: Vec<Prepared>) -> anyhow::Result<Vec<Prepared>> {
        let embedder = Arc::clone(&self.embedder);
        let embed = move || {
            retrieval::embed(&embedder, &mut documents)?;
            anyhow::Ok(documents)
        };
        spawn_blocking(embed).await?
    }

    fn count(&self, stored: usize, chunks: usize, unchanged: usize) {
        let tally = &self.tally;
        tally.chunks.fetch_add(chunks as u64, Ordering::Relaxed);
        tally
            .unchanged
            .fetch_add(unchanged as u64, Ordering::Relaxed);
        let stored = stored as u64;
        let total = tally.stored.fetch_add(stored, Ordering::Relaxed) + stored;
        let rate = total as f64 / self.bar.elapsed().as_secs_f64();
        self.bar
            .set_message(format!("{total} documents, {rate:.0}/s"));
    }
}
