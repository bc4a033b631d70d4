//! `rappel bench`: performance, compared with the Python service that Rappel replaces.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bench::{Bench as Run, Plan, Section};
use clap::Args;
use gateway::binaries;

use crate::{
    api::PROFILE,
    import,
    setup::{SchemaArgs, Target},
    terminal::{self, note},
};

/// Measure cold, warm and bulk performance, compared with the Python service that Rappel replaces.
///
/// Everything runs on a copy of the database. Use a release build on an idle machine.
#[derive(Args)]
pub(crate) struct Bench {
    /// Documents to search, imported once into a separate database: JSON lines as for `import`; by default the
    /// samples.
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// Search the documents that are in the database.
    #[arg(long, conflicts_with = "corpus")]
    loaded: bool,
    /// A few minutes instead of half an hour.
    #[arg(long)]
    quick: bool,
    /// The sections to measure.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "cold,warm,recall,bulk,scaling"
    )]
    sections: Vec<Section>,
    /// Cold starts per program.
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Searches per warm load.
    #[arg(long, value_name = "N")]
    questions: Option<usize>,
    /// Documents per import.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    imports: Vec<usize>,
    /// Corpus sizes in passages; beyond the corpus, its passages are repeated with noise.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    sizes: Vec<i64>,
    /// Skip the Python service.
    #[arg(long)]
    no_peer: bool,
    /// The results.json of a run on another machine, such as one with other processors, to show beside this one.
    #[arg(long, value_name = "FILE")]
    merge: Vec<PathBuf>,
    /// The folder for results.json and index.html.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    out: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// The documents that `rappel up` imports.
const SAMPLES: &str = include_str!("../samples.jsonl");

impl Bench {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if cfg!(debug_assertions) {
            note("warning: this is a debug build; use `cargo run --release -- bench`");
        }
        fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let corpus = self.corpus()?;
        let suffix = match &corpus {
            Some((_, name)) => format!("_bench_{name}"),
            None => String::new(),
        };
        let mut setup = self.target.prepare(&suffix).await?;
        if let Some((file, _)) = &corpus {
            setup.migrate(&SchemaArgs::default()).await?;
            note(&import::import(&setup, file, true).await?.to_string());
        } else {
            setup.require_schema().await?;
        }
        let workspace = binaries::workspace()?;
        let built = workspace.clone();
        let binaries =
            tokio::task::spawn_blocking(move || binaries::build(&built, PROFILE)).await??;
        let run = Run {
            database: setup.database.clone(),
            model: setup.model.clone(),
            model_name: self.target.model().to_owned(),
            manifest: setup.manifest.clone(),
            workspace,
            rappel: command(&binaries)?,
            binaries,
            corpus: corpus.map_or_else(|| "the loaded documents".to_owned(), |(_, name)| name),
            sections: self.sections.clone(),
            plan: self.plan(),
            peer: !self.no_peer,
            merged: self.merge,
            out: self.out,
        };
        let page = run.run().await;
        setup.stop().await?;
        writeln!(terminal::out(), "{}", page?.display())?;
        Ok(())
    }

    /// The file to import, and its name.
    fn corpus(&self) -> anyhow::Result<Option<(PathBuf, String)>> {
        if self.loaded {
            return Ok(None);
        }
        let Some(file) = &self.corpus else {
            let samples = self.out.join("samples.jsonl");
            fs::write(&samples, SAMPLES)?;
            return Ok(Some((samples, "samples".to_owned())));
        };
        let name = file
            .file_name()
            .context("--corpus is not a file")?
            .to_string_lossy();
        let name = name.split('.').next().unwrap_or_default().to_owned();
        Ok(Some((file.clone(), name)))
    }

    fn plan(&self) -> Plan {
        let mut plan = if self.quick {
            Plan::quick()
        } else {
            Plan::full()
        };
        plan.cold_runs = self.runs.unwrap_or(plan.cold_runs).max(1);
        plan.questions = self.questions.unwrap_or(plan.questions).max(1);
        plan.truths = plan.truths.min(plan.questions);
        if !self.imports.is_empty() {
            plan.imports.clone_from(&self.imports);
        }
        if !self.sizes.is_empty() {
            plan.sizes.clone_from(&self.sizes);
        }
        plan
    }
}

/// The `rappel` binary that was built with the functions, which may have replaced this process' file. A folder of
/// ready binaries may lack it.
fn command(binaries: &Path) -> anyhow::Result<PathBuf> {
    let built = binaries.join("rappel");
    if built.is_file() {
        return Ok(built);
    }
    env::current_exe().context("cannot find the path of this program")
}
