//! A run: its sections one after the other, and what is shared between them.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use local::assets::Cache;
use serde_json::json;
use shared::embedder::{Embedder, Kind};
use tempfile::TempDir;
use url::Url;

use crate::{
    Bench, RAPPEL, Section,
    bulk::Bulk,
    cold::{self, PageCache},
    cost::Billed,
    database::{Scratch, counts, tls::Front},
    event,
    load::Arrivals,
    peer::{Peer, Variant},
    process::evict,
    questions, raw, recall, report,
    results::Results,
    sandbox::Program,
    scaling::Scaling,
    setting,
    steps::{Files, Steps},
    warm::Warm,
};

/// How often the corpus may be gone through to make a larger one.
const MOST_ROUNDS: i64 = 4;

/// What the sections share.
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
    /// Measures the sections and writes the results; answers with the page's path.
    ///
    /// # Errors
    /// When something cannot be measured: nothing is published of a run that failed midway, but the
    /// sections that were done are in the files.
    pub async fn run(&self) -> Result<PathBuf> {
        fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let copying = spinner("copying the database");
        let scratch = Scratch::of(&self.database, "rappel_bench").await?;
        copying.finish_and_clear();
        let mut run = Run::prepare(self, scratch).await?;
        let outcome = run.sections().await;
        let Run { scratch, .. } = run;
        scratch.drop().await?;
        outcome?;
        Ok(self.out.join(report::PAGE))
    }
}

impl<'a> Run<'a> {
    async fn prepare(bench: &'a Bench, scratch: Scratch) -> Result<Self> {
        let start = Instant::now();
        let folder = tempfile::tempdir()?;
        let mut results = Results {
            setting: setting::of(bench),
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
        let config = shared::config::ModelConfig {
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
                Section::Recall => self.recall().await,
                Section::Bulk => self.bulk().await,
                Section::Scaling => self.scaling().await,
            }
            .with_context(|| format!("the section {}", section.name()))?;
            // After each one: a run of hours may be ended.
            self.cost();
            self.results.ratios = self.results.ratios();
            self.results.setting.seconds = self.start.elapsed().as_secs_f64();
            report::write(&self.bench.out, &self.results)?;
        }
        Ok(())
    }

    /// Rappel's search function, without a pooler or TLS.
    fn rappel(&self) -> Program {
        let Bench {
            binaries, model, ..
        } = self.bench;
        let command = binaries.join("search");
        let environment = [
            ("DATABASE_URL", self.scratch.config.url.clone()),
            ("DATABASE_POOLER", "direct".to_owned()),
            ("MODEL_DIR", model.folder.display().to_string()),
            ("ORT_DYLIB_PATH", model.library.display().to_string()),
            ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
            // A search function has one processor: see template.yaml.
            ("EMBEDDING_THREADS", "1".to_owned()),
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

    /// The peer's variants that are wanted, where there is a peer. Only one model has a package.
    fn peers(&self, variants: &[Variant]) -> Vec<Program> {
        let rappel = self.rappel();
        let has_package = self.bench.manifest.name == "multilingual-e5-small";
        let wanted = variants
            .iter()
            .filter(|variant| has_package || **variant != Variant::Package);
        let peer = self.peer.iter();
        peer.flat_map(|peer| {
            wanted
                .clone()
                .map(|variant| peer.program(*variant, &rappel))
        })
        .collect()
    }

    async fn cold(&mut self) -> Result<()> {
        let server = Url::parse(&self.scratch.config.url)?;
        let encrypts = server.query_pairs().any(|(name, value)| {
            name == "sslmode" && (value == "require" || value.starts_with("verify"))
        });
        if encrypts {
            let why =
                "cold: skipped, the look at a connection needs a server without TLS of its own";
            self.results.notes.push(why.to_owned());
            return Ok(());
        }
        let host = server.host_str().unwrap_or("127.0.0.1").to_owned();
        let front = Front::before(host, server.port().unwrap_or(5432)).await?;
        let url = front.url(&self.scratch.config.url)?;
        let mut programs = vec![self.rappel()];
        programs.extend(self.peers(&[Variant::Index, Variant::Package]));
        let event = event::search(&json!({ "query": raw::QUESTION, "mode": "semantic" }));
        let runs = self.bench.plan.cold_runs;
        let progress = bar("cold starts", 2 * programs.len() * runs);
        for page_cache in [PageCache::Warm, PageCache::Evicted] {
            for program in &programs {
                let program = program.clone().with("DATABASE_URL", url.clone());
                let measured = cold::measure(
                    &program, page_cache, &front, &event, runs, &self.log, &progress,
                );
                self.results.cold.push(measured.await?);
            }
        }
        progress.finish_and_clear();
        self.steps(runs).await
    }

    async fn steps(&mut self, runs: usize) -> Result<()> {
        let spinner = spinner("the steps of a cold start");
        let (binaries, model) = (self.bench.binaries.clone(), self.bench.model.clone());
        let measure = move || -> Result<Vec<(PageCache, Steps)>> {
            let files = Files {
                program: binaries.join("bench-probe"),
                library: &model.library,
                model: &model.folder,
            };
            let read = [
                files.program.clone(),
                model.library.clone(),
                model.folder.clone(),
            ];
            let warm = Steps::measure(&files, runs, &|| Ok(()))?;
            let evicted = Steps::measure(&files, runs, &|| evict(&read))?;
            Ok(vec![(PageCache::Warm, warm), (PageCache::Evicted, evicted)])
        };
        self.results.steps = tokio::task::spawn_blocking(measure).await??;
        spinner.finish_and_clear();
        Ok(())
    }

    async fn warm(&mut self) -> Result<()> {
        let rappel = self.rappel();
        let searches = self.questions.len();
        let progress = bar("warm searches", 0);
        let warm = Warm {
            questions: &self.questions,
            log: &self.log,
            progress: &progress,
        };
        progress.set_length(searches as u64);
        let mut programs = vec![rappel.clone()];
        programs.extend(self.peers(&[Variant::Index, Variant::Package]));
        let database = self.scratch.open()?;
        self.results.in_turn = warm.in_turn(&programs, &self.embedder, &database).await?;
        database.close().await;

        if let Some(exact) = self.peers(&[Variant::Exact]).first() {
            // Each takes as long as many others: a tenth of the questions will do.
            let few = Warm {
                questions: &self.questions[..searches.div_ceil(10)],
                ..warm
            };
            let arrivals = Arrivals::Saturation;
            let case = few
                .case(exact, "exact search", &json!({}), 1, arrivals)
                .await?;
            self.results.exact = Some(case);
        }
        let most = self.bench.plan.sandboxes;
        let mut cases = warm.loads(&rappel, most).await?;
        for peer in self.peers(&[Variant::Index]) {
            cases.extend(warm.loads(&peer, most).await?);
        }
        cases.extend(warm.kinds(&rappel).await?);
        let mut notes = Vec::new();
        cases.extend(warm.poolers(&rappel, &self.scratch, &mut notes).await?);
        progress.finish_and_clear();
        self.results.notes.extend(notes);
        self.results.warm = cases;
        Ok(())
    }

    /// The embeddings of the first questions.
    fn embeddings(&self, count: usize) -> Result<Vec<Vec<f32>>> {
        let questions = self.questions.iter().take(count);
        let embeddings = questions.map(|question| self.embedder.embed_one(Kind::Query, question));
        Ok(embeddings.collect::<Result<_, _>>()?)
    }

    async fn recall(&mut self) -> Result<()> {
        let plan = &self.bench.plan;
        let embeddings = self.embeddings(plan.truths)?;
        let progress = bar("recall", embeddings.len() * (plan.efforts.len() + 1));
        let database = self.scratch.open()?;
        let (truths, exact) = recall::truths(&database, embeddings, &progress).await?;
        self.results.recall_exact = exact;
        let model = &self.bench.manifest.name;
        for &effort in &plan.efforts {
            let measured = recall::measure(&database, model, &truths, effort, &progress).await?;
            self.results.recall.push(measured);
        }
        database.close().await;
        progress.finish_and_clear();
        Ok(())
    }

    async fn bulk(&mut self) -> Result<()> {
        let bulk = Bulk {
            rappel: &self.bench.rappel,
            probe: &self.bench.binaries.join("bench-probe"),
            model: &self.bench.model,
            model_name: &self.bench.model_name,
            folder: self.folder.path(),
        };
        let progress = bar("imports", 2 * self.bench.plan.imports.len());
        let database = self.scratch.open()?;
        for &count in &self.bench.plan.imports {
            let import = bulk
                .measure(&database, &self.scratch, count, &progress)
                .await?;
            self.results.bulk.push(import);
        }
        database.close().await;
        progress.finish_and_clear();
        Ok(())
    }

    async fn scaling(&mut self) -> Result<()> {
        let embeddings = self.embeddings(self.bench.plan.truths)?;
        let passages = self.results.setting.passages;
        let mut sizes = self.bench.plan.sizes.clone();
        if sizes.iter().all(|size| *size > MOST_ROUNDS * passages) {
            sizes = vec![
                passages.div_euclid(4).max(1),
                passages.div_euclid(2).max(1),
                passages,
                2 * passages,
            ];
        }
        // Beyond a few rounds through it, a made corpus says nothing of a real one.
        sizes.retain(|size| *size <= MOST_ROUNDS * passages);
        sizes.sort_unstable();
        let progress = bar("sizes", sizes.len());
        progress.enable_steady_tick(Duration::from_millis(200));
        let scaling = Scaling {
            scratch: &self.scratch,
            model: &self.bench.manifest.name,
            dimensions: self.bench.manifest.dimensions,
            questions: &self.questions,
            embeddings: &embeddings,
            progress: &progress,
        };
        self.results.scaling = scaling.measure(&sizes).await?;
        progress.finish_and_clear();
        Ok(())
    }

    /// The prices of every program whose cold and warm searches were measured.
    fn cost(&mut self) {
        self.results.cost.clear();
        for cold in &self.results.cold {
            let mut warm = self
                .results
                .warm
                .iter()
                .filter(|case| case.program == cold.program);
            let Some(case) = warm.next().filter(|_| cold.page_cache == PageCache::Warm) else {
                continue;
            };
            let processor = case.load.processor_ms;
            let billed = Billed {
                processor,
                waiting: (case.load.latency.p50 - processor).max(0.0),
                init: cold.ready.p50,
                peak_mb: cold.memory_mb.p50,
            };
            self.results
                .cost
                .push((cold.program.clone(), billed.prices()));
        }
    }
}

async fn install_peer(
    bench: &Bench,
    code: PathBuf,
    notes: &mut Vec<String>,
) -> Result<Option<Peer>> {
    if !bench.peer {
        notes.push("the peer: left out as asked".to_owned());
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
