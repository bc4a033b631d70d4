//! A run: its sections in order, and their shared state.

mod data;
mod searches;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use assets::Cache;
use embedder::{Embedder, Kind, ModelConfig};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::{
    Bench, RAPPEL, Section,
    database::{Scratch, counts},
    peer::{Peer, Variant},
    questions, report,
    results::{Other, Results},
    sandbox::Program,
    setting,
};

/// State shared by the sections.
struct Run<'a> {
    bench: &'a Bench,
    scratch: Scratch,
    questions: Vec<String>,
    embedder: Embedder,
    peer: Option<Peer>,
    log: PathBuf,
    folder: TempDir,
    results: Results,
    start: Instant,
}

impl Bench {
    /// Measures the sections and writes the results; returns the page's path.
    ///
    /// # Errors
    /// When something cannot be measured; the results of finished sections are in the files.
    pub async fn run(&self) -> Result<PathBuf> {
        fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let others = self.merged.iter().map(|file| Other::read(file));
        let others = others.collect::<Result<_>>()?;
        let copying = spinner("copying the database");
        let scratch = Scratch::of(&self.database, "rappel_bench").await?;
        copying.finish_and_clear();
        let mut run = Run::prepare(self, scratch, others).await?;
        let outcome = run.sections().await;
        let Run { scratch, .. } = run;
        scratch.drop().await?;
        outcome?;
        Ok(self.out.join(report::PAGE))
    }
}

impl<'a> Run<'a> {
    async fn prepare(bench: &'a Bench, scratch: Scratch, others: Vec<Other>) -> Result<Self> {
        let start = Instant::now();
        let folder = tempfile::tempdir()?;
        let mut results = Results {
            setting: setting::of(bench),
            others,
            ..Results::default()
        };
        let peer = install_peer(bench, folder.path().join("peer"), &mut results.notes).await?;
        let database = scratch.open()?;
        let (documents, passages) = counts(&database).await?;
        let questions = questions::draw(&database, bench.plan.questions).await?;
        database.close().await;
        results.setting.documents = documents;
        results.setting.passages = passages;
        results.setting.questions = questions.len();
        let config = ModelConfig {
            threads: 1,
            ..bench.model.clone()
        };
        let embedder = tokio::task::spawn_blocking(move || Embedder::load(&config)).await??;
        Ok(Self {
            log: bench.out.join("functions.log"),
            bench,
            scratch,
            questions,
            embedder,
            peer,
            folder,
            results,
            start,
        })
    }

    async fn sections(&mut self) -> Result<()> {
        for section in Section::ALL {
            if !self.bench.sections.contains(&section) {
                continue;
            }
            match section {
                Section::Cold => self.cold().await,
                Section::Warm => self.warm().await,
                Section::Quota => self.quota().await,
                Section::Recall => self.recall().await,
                Section::Bulk => self.bulk().await,
                Section::Scaling => self.scaling().await,
            }
            .with_context(|| format!("the section {}", section.name()))?;
            // After each section: a run takes hours and may be interrupted.
            self.cost();
            self.results.ratios = self.results.ratios();
            self.results.setting.seconds = self.start.elapsed().as_secs_f64();
            report::write(&self.bench.out, &self.results)?;
        }
        Ok(())
    }

    /// Rappel's search function, without pooler and TLS.
    fn rappel(&self) -> Program {
        let Bench {
            binaries, model, ..
        } = self.bench;
        let command = binaries.join("search");
        let environment = [
            ("DATABASE_URL", self.scratch.config.url.clone()),
            ("DATABASE_POOLER", "direct".to_owned()),
            // A slow connection is a slow sample, not the end of a run.
            ("DATABASE_ACQUIRE_TIMEOUT_MS", "10000".to_owned()),
            ("MODEL_DIR", model.folder.display().to_string()),
            ("ORT_DYLIB_PATH", model.library.display().to_string()),
            ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
            // A search function has one vCPU: see template.yaml.
            ("EMBEDDING_THREADS", "1".to_owned()),
            // Questions come again: an answer from the cache would measure nothing.
            ("QUESTION_CACHE", "0".to_owned()),
        ];
        Program {
            name: RAPPEL.to_owned(),
            arguments: Vec::new(),
            folder: binaries.clone(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            files: vec![command.clone(), model.library.clone(), model.folder.clone()],
            command,
        }
    }

    /// The selected variants of the peer, if there is one. Only one model has a package.
    fn peers(&self, variants: &[Variant]) -> Vec<Program> {
        let rappel = self.rappel();
        let has_package = self.bench.manifest.name == "multilingual-e5-small";
        let wanted = variants
            .iter()
            .filter(|variant| has_package || **variant != Variant::Package);
        let recipe = self.bench.manifest.recipe();
        let peer = self.peer.iter();
        peer.flat_map(|peer| {
            wanted
                .clone()
                .map(|variant| peer.program(*variant, &rappel, recipe))
        })
        .collect()
    }

    /// The embeddings of the first questions.
    fn embeddings(&self, count: usize) -> Result<Vec<Vec<f32>>> {
        let questions = self.questions.iter().take(count);
        let embeddings = questions.map(|question| self.embedder.embed_one(Kind::Query, question));
        Ok(embeddings.collect::<Result<_, _>>()?)
    }
}

async fn install_peer(
    bench: &Bench,
    code: PathBuf,
    notes: &mut Vec<String>,
) -> Result<Option<Peer>> {
    if !bench.peer {
        notes.push("the peer: skipped as requested".to_owned());
        return Ok(None);
    }
    fs::create_dir_all(&code)?;
    let spinner = spinner("installing the peer's packages");
    let install = move || Peer::install(&Cache::from_env()?, &code);
    let installed = tokio::task::spawn_blocking(install).await?;
    spinner.finish_and_clear();
    match installed {
        Ok(peer) => Ok(Some(peer)),
        Err(reason) => {
            notes.push(format!("the peer: skipped, {reason:#}"));
            Ok(None)
        }
    }
}

fn bar(message: &'static str, length: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} {pos}/{len} · {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64)
        .with_style(style)
        .with_message(message)
}

fn spinner(message: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
