//! `rappel eval`: search quality on a judged set, by mode.

pub(crate) mod files;
pub(crate) mod languages;
pub(crate) mod lost;
pub(crate) mod measures;
pub(crate) mod report;
pub(crate) mod separation;
pub(crate) mod set;
pub(crate) mod settings;
pub(crate) mod statistics;

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf};

use anyhow::ensure;
use clap::Args;
use retrieval::Mode;

use self::{
    files::{Files, Half},
    measures::Measures,
    report::{Baseline, EvalReport},
    separation::Separation,
    set::JudgedSet,
    settings::Settings,
};
use crate::{
    setup::Target,
    terminal::{self, note},
};

/// Measure search quality on a judged set.
#[derive(Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    files: Files,
    /// The modes to measure.
    #[arg(
        long = "mode",
        value_name = "MODES",
        value_delimiter = ',',
        default_value = "semantic,keyword,hybrid",
        value_parser = mode
    )]
    modes: Vec<Mode>,
    /// Unanswerable questions, in the format of --queries: measures how well relevance separates them from
    /// answerable ones.
    #[arg(long, value_name = "FILE")]
    unanswerable: Option<PathBuf>,
    /// Use only the first N judged questions.
    #[arg(long, value_name = "N")]
    questions: Option<NonZeroUsize>,
    /// Use only this half of them: choose settings on one half, report on the other.
    #[arg(long)]
    half: Option<Half>,
    #[command(flatten)]
    settings: Settings,
    /// Rerank each mode's candidates with the cross-encoder in the folder `RERANKER_DIR`.
    #[arg(long)]
    rerank: bool,
    /// List the questions with the worst rankings, with expected and found documents.
    #[arg(long)]
    lost: bool,
    /// Compare with an earlier run, whose JSON output is in this file.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Print the measures as JSON, also per question.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Eval {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut questions = self.files.questions(self.questions)?;
        if let Some(half) = self.half {
            questions = half.of(questions);
            ensure!(
                !questions.is_empty(),
                "a single question has no second half"
            );
        }
        let baseline = self
            .baseline
            .as_deref()
            .map(|path| Baseline::read(path, &self.modes, &questions))
            .transpose()?;
        let mut set = JudgedSet::prepare(&self.target, &self.files).await?;
        set.require_judged(&questions).await?;
        if self.rerank {
            set = set.reranking()?;
        }
        let unanswerable = match &self.unanswerable {
            Some(path) => set.embed(files::unanswerable(path)?).await?,
            None => Vec::new(),
        };
        let asked = set.embed(questions).await?;
        let (mut modes, mut separation) = (BTreeMap::new(), BTreeMap::new());
        let mut lost = BTreeMap::new();
        for &mode in &self.modes {
            let answers = set.answers(&asked, mode, &self.settings.config()).await?;
            modes.insert(mode.name().to_owned(), Measures::of(&asked, &answers));
            if self.lost {
                lost.insert(mode.name().to_owned(), lost::lost(&asked, &answers));
            }
            if !unanswerable.is_empty() {
                let config = self.settings.config();
                let others = set.answers(&unanswerable, mode, &config).await?;
                separation.extend(
                    Separation::of(&asked, &answers, &others)
                        .map(|separation| (mode.name().to_owned(), separation)),
                );
            }
            note(&format!("{}: measured", mode.name()));
        }
        let mut report = EvalReport {
            model: set.model().to_owned(),
            corpus: self.files.corpus_name(),
            documents: set.documents,
            questions: asked.len(),
            half: self.half,
            settings: self.settings,
            reranked: self.rerank,
            languages: languages::by_language(&asked, &modes),
            modes,
            separation,
            lost,
            against_best_single: None,
            against_baseline: None,
        };
        set.close().await?;
        report.against_best_single = report.compare_with_best_single();
        report.against_baseline = baseline.map(|baseline| baseline.compare(&report));
        let mut out = terminal::out();
        if self.json {
            out.json(&report)?;
        } else {
            report.write(&mut out)?;
        }
        Ok(())
    }
}

fn mode(name: &str) -> Result<Mode, String> {
    Mode::ALL
        .into_iter()
        .find(|mode| mode.name() == name)
        .ok_or_else(|| "must be semantic, keyword or hybrid".to_owned())
}
