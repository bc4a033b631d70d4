//! `rappel tune`: chooses search settings on a judged set, and reports their quality on other questions.

mod climb;
mod recall;
mod report;

use std::{num::NonZeroUsize, path::PathBuf};

use anyhow::ensure;
use clap::Args;
use indicatif::ProgressBar;
use retrieval::Mode;

use self::{
    climb::{Tried, climb},
    report::{Configuration, QuestionSample, Tuning},
};
use crate::{
    eval::{
        files::{Files, Half},
        measures::Measures,
        set::{EmbeddedQuestion, JudgedSet},
        settings::Settings,
    },
    setup::{OwnerArgs, Target},
    terminal::{self, note},
};

/// Find the search settings that suit a judged set.
///
/// They are chosen on the first half of the questions and reported on the second, or chosen on all and reported on
/// another set. With --recall, measure the index instead.
#[derive(Args)]
pub(crate) struct Tune {
    /// Measure the vector index again, and store the effort that finds the share `SEARCH_RECALL` (0.95) of the nearest
    /// passages. Searches use it unless `SEARCH_EFFORT` is set. Only this uses the login of --migration-database-url.
    #[arg(long, conflicts_with_all = ["corpus", "queries", "qrels", "report_corpus"])]
    recall: bool,
    /// Passages: JSON lines with _id, title, text, compressed or not. They are imported into a separate database. If
    /// absent, the documents that are loaded already are searched, and nothing is changed.
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// Questions: JSON lines with _id (or id) and text (or question), and language if it is not to be guessed.
    #[arg(long, value_name = "FILE", required_unless_present = "recall")]
    queries: Option<PathBuf>,
    /// Judgements: query-id, corpus-id, score, separated by tabs, with or without header line; or TREC's four columns.
    #[arg(long, value_name = "FILE", required_unless_present = "recall")]
    qrels: Option<PathBuf>,
    /// Passages of another set to report on.
    #[arg(long, value_name = "FILE", requires_all = ["report_queries", "report_qrels"])]
    report_corpus: Option<PathBuf>,
    /// Questions of that set.
    #[arg(long, value_name = "FILE", requires = "report_corpus")]
    report_queries: Option<PathBuf>,
    /// Judgements of that set.
    #[arg(long, value_name = "FILE", requires = "report_corpus")]
    report_qrels: Option<PathBuf>,
    /// Use only the first N judged questions of a set.
    #[arg(long, value_name = "N")]
    questions: Option<NonZeroUsize>,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    owner: OwnerArgs,
    #[command(flatten)]
    target: Target,
}

/// The mode to optimise: the default of requests.
const MODE: Mode = Mode::Hybrid;

impl Tune {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Some(files) = self.files() else {
            return recall::measure(&self.target, &self.owner, self.json).await;
        };
        let report_files = self.report_files();
        let questions = files.questions(self.questions)?;
        let ((choosing, reporting), (choosing_part, reporting_part)) = match &report_files {
            Some(others) => (
                (questions, others.questions(self.questions)?),
                ("all", "all"),
            ),
            None => (Half::both(questions), ("first half", "second half")),
        };
        ensure!(
            !reporting.is_empty(),
            "at least two questions are needed: some to choose on and some to report on"
        );
        let mut set = JudgedSet::prepare(&self.target, &files).await?;
        set.require_judged(&choosing).await?;
        let choosing = set.embed(choosing).await?;
        let chosen_on = describe(&files, &set, &choosing, choosing_part);
        let (tuned, tried) = choose_ranking(&set, &choosing).await?;
        if let Some(others) = &report_files {
            set.close().await?;
            set = JudgedSet::prepare(&self.target, others).await?;
        }
        set.require_judged(&reporting).await?;
        let reporting = set.embed(reporting).await?;
        let reported = report_files.as_ref().unwrap_or(&files);
        let report = Tuning::new(
            set.model().to_owned(),
            (
                chosen_on,
                describe(reported, &set, &reporting, reporting_part),
            ),
            tried,
            configuration(&set, &reporting, Settings::default()).await?,
            configuration(&set, &reporting, tuned).await?,
        );
        set.close().await?;
        self.print(&report)
    }

    /// The judged set; `None` if the index is to be measured instead.
    fn files(&self) -> Option<Files> {
        Some(Files {
            corpus: self.corpus.clone(),
            queries: self.queries.clone()?,
            qrels: self.qrels.clone()?,
        })
    }

    fn report_files(&self) -> Option<Files> {
        Some(Files {
            corpus: Some(self.report_corpus.clone()?),
            queries: self.report_queries.clone()?,
            qrels: self.report_qrels.clone()?,
        })
    }

    fn print(&self, report: &Tuning) -> anyhow::Result<()> {
        let mut out = terminal::out();
        if self.json {
            out.json(report)?;
            if !report.is_better {
                note("warning: the tuned settings are not significantly better: keep the defaults");
            }
        } else {
            report.write(&mut out)?;
        }
        Ok(())
    }
}

async fn choose_ranking(
    set: &JudgedSet,
    asked: &[EmbeddedQuestion],
) -> anyhow::Result<(Settings, Vec<Tried>)> {
    let progress = ProgressBar::new_spinner();
    let score = async |settings: Settings| {
        progress.set_message(settings.to_string());
        progress.tick();
        set.ndcg(asked, MODE, &settings.config()).await
    };
    let outcome = climb(Settings::default(), score).await;
    progress.finish_and_clear();
    outcome
}

async fn configuration(
    set: &JudgedSet,
    asked: &[EmbeddedQuestion],
    settings: Settings,
) -> anyhow::Result<Configuration> {
    let answers = set.answers(asked, MODE, &settings.config()).await?;
    Ok(Configuration {
        settings,
        measures: Measures::of(asked, &answers),
    })
}

fn describe(
    files: &Files,
    set: &JudgedSet,
    asked: &[EmbeddedQuestion],
    part: &'static str,
) -> QuestionSample {
    QuestionSample {
        corpus: files.corpus_name(),
        documents: set.documents,
        questions: asked.len(),
        part,
    }
}
