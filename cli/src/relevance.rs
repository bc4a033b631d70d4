//! `rappel relevance`: fits the coefficients of a model's relevance on judged sets.

use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::ensure;
use clap::Args;
use embedder::Relevance;
use retrieval::{Mode, SearchConfig};
use serde::Serialize;

use crate::{
    eval::{
        files::{Files, spread},
        separation::{Calibration, KEPT, Threshold, auc},
        set::JudgedSet,
    },
    setup::Target,
    terminal::note,
};

/// Fit the coefficients of a model's relevance on judged sets.
///
/// The questions of each set are asked of its own passages, which answer them, and of those of every other group, which
/// do not. The best hit of a hybrid search counts as right if it is judged relevant. Every second question is used for
/// fitting, the others for the report.
#[derive(Args)]
pub(crate) struct FitRelevance {
    /// A group and a folder with corpus.jsonl (or .gz, .xz), queries.jsonl and qrels.tsv. Sets of one group cover the
    /// same topics.
    #[arg(long = "set", value_name = "GROUP=FOLDER", required = true)]
    sets: Vec<GroupSet>,
    /// A folder with queries.jsonl and qrels.tsv, whose questions no set answers. Its own passages are not asked, so it may be a set
    /// of which not all right passages are judged.
    #[arg(long = "foreign", value_name = "FOLDER")]
    foreign: Vec<PathBuf>,
    /// Number of questions per set, spread over it.
    #[arg(long, value_name = "N", default_value = "400")]
    questions: NonZeroUsize,
    /// The weight of full coverage, as a multiple of that of full similarity. If it were fitted on questions in the
    /// language of their answers, words would weigh so much that answers in another language would never pass.
    #[arg(long, default_value_t = 0.35)]
    coverage: f64,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Debug)]
struct GroupSet {
    group: String,
    folder: PathBuf,
}

/// A best hit: similarity, coverage, whether it is right, and its weight.
#[derive(Clone, Copy, Debug)]
struct Example {
    similarity: f64,
    coverage: f64,
    right: bool,
    /// Whether the passages can answer the question.
    answerable: bool,
    weight: f64,
}

/// The fitted coefficients and their quality on the questions not used for fitting.
#[derive(Serialize)]
struct FitReport {
    /// The entry of the model's manifest.
    relevance: Relevance,
    auc: f64,
    threshold: Threshold,
    calibration: Calibration,
}

impl FitRelevance {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (mut fitting, mut reporting) = (Vec::new(), Vec::new());
        for corpus in &self.sets {
            let files = files(&corpus.folder);
            let folder = corpus.folder.display();
            ensure!(files.corpus.is_some(), "{folder} has no corpus.jsonl");
            let set = JudgedSet::prepare(&self.target, &files).await?;
            let foreign = self.foreign.iter().map(|folder| (folder, false));
            let sets = self.sets.iter().filter_map(|source| {
                let own = source.folder == corpus.folder;
                (own || source.group != corpus.group).then_some((&source.folder, own))
            });
            for (source, own) in sets.chain(foreign) {
                let examples = self.examples(&set, source, own).await?;
                let (even, odd): (Vec<_>, Vec<_>) = (0..)
                    .zip(examples)
                    .partition(|(place, _): &(u32, _)| place % 2 == 0);
                fitting.extend(even.into_iter().map(|(_, example)| example));
                reporting.extend(odd.into_iter().map(|(_, example)| example));
            }
            set.close().await?;
            note(&format!("{folder}: asked"));
        }
        let answerable = |answerable| {
            fitting
                .iter()
                .any(|example: &Example| example.answerable == answerable)
        };
        ensure!(
            answerable(true) && answerable(false),
            "sets of at least two groups are needed, or --foreign: questions that the documents do not answer"
        );
        balance(&mut fitting);
        balance(&mut reporting);
        let relevance = fit(&fitting, self.coverage);
        let report = FitReport::of(relevance, &reporting);
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
        Ok(())
    }

    async fn examples(
        &self,
        set: &JudgedSet,
        source: &Path,
        own: bool,
    ) -> anyhow::Result<Vec<Example>> {
        let questions = files(source).questions(None)?;
        let asked = set.embed(spread(questions, self.questions)).await?;
        let answers = set
            .answers(&asked, Mode::Hybrid, &SearchConfig::default())
            .await?;
        let weight = 1.0 / asked.len().max(1) as f64;
        let example = asked.iter().zip(&answers).filter_map(|(asked, answer)| {
            let (distance, coverage) = answer.best?;
            let best = answer.ranking.first()?;
            Some(Example {
                similarity: 1.0 - distance,
                coverage,
                right: own && asked.question.judged.contains_key(best),
                answerable: own,
                weight,
            })
        });
        Ok(example.collect())
    }
}

impl FromStr for GroupSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (group, folder) = text
            .split_once('=')
            .ok_or("must be a group and a folder, such as law=sets/law")?;
        Ok(Self {
            group: group.to_owned(),
            folder: folder.into(),
        })
    }
}

/// The files of a judged set.
fn files(folder: &Path) -> Files {
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    Files {
        corpus: ["corpus.jsonl", "corpus.jsonl.xz", "corpus.jsonl.gz"]
            .into_iter()
            .find_map(there),
        queries: folder.join("queries.jsonl"),
        qrels: folder.join("qrels.tsv"),
    }
}

impl FitReport {
    fn of(relevance: Relevance, examples: &[Example]) -> Self {
        let value = |example: &Example| relevance.of(1.0 - example.similarity, example.coverage);
        let of = |answerable: bool| -> Vec<f64> {
            examples
                .iter()
                .filter(|example| example.answerable == answerable)
                .map(value)
                .collect()
        };
        let hits: Vec<(f64, bool, f64)> = examples
            .iter()
            .map(|example| (value(example), example.right, example.weight))
            .collect();
        Self {
            relevance,
            auc: auc(&of(true), &of(false)),
            threshold: Threshold::keeping(KEPT, &of(true), &of(false)),
            calibration: Calibration::of(&hits),
        }
    }
}

/// Gives answerable and unanswerable questions the same total weight.
fn balance(examples: &mut [Example]) {
    for answerable in [true, false] {
        let sum: f64 = examples
            .iter()
            .filter(|e| e.answerable == answerable)
            .map(|e| e.weight)
            .sum();
        for example in examples.iter_mut().filter(|e| e.answerable == answerable) {
            example.weight /= sum;
        }
    }
}

/// Fits the logistic function of `similarity + ratio * coverage` by maximum likelihood (Newton's method).
fn fit(examples: &[Example], ratio: f64) -> Relevance {
    const STEPS: usize = 50;
    let (mut intercept, mut slope) = (0.0_f64, 0.0_f64);
    for _ in 0..STEPS {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for example in examples {
            let x = example.similarity + ratio * example.coverage;
            let p = 1.0 / (1.0 + (-(intercept + slope * x)).exp());
            let residual = example.weight * (f64::from(u8::from(example.right)) - p);
            let curvature = example.weight * p * (1.0 - p);
            g0 += residual;
            g1 += residual * x;
            h00 += curvature;
            h01 += curvature * x;
            h11 += curvature * x * x;
        }
        let determinant = h00 * h11 - h01 * h01;
        intercept += (h11 * g0 - h01 * g1) / determinant;
        slope += (h00 * g1 - h01 * g0) / determinant;
    }
    Relevance {
        intercept,
        similarity: slope,
        coverage: ratio * slope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_recovers_the_coefficients_behind_the_examples() {
        let truth = Relevance {
            intercept: -4.0,
            similarity: 10.0,
            coverage: 5.0,
        };
        let mut rng = fastrand::Rng::with_seed(7);
        let examples: Vec<Example> = (0..20_000)
            .map(|_| {
                let (similarity, coverage) = (rng.f64(), rng.f64());
                Example {
                    similarity,
                    coverage,
                    right: rng.f64() < truth.of(1.0 - similarity, coverage),
                    answerable: true,
                    weight: 1.0,
                }
            })
            .collect();
        let found = fit(&examples, 0.5);
        assert!((found.intercept - truth.intercept).abs() < 0.3, "{found:?}");
        assert!(
            (found.similarity - truth.similarity).abs() < 0.6,
            "{found:?}"
        );
        let report = FitReport::of(found, &examples);
        assert!(
            report.calibration.expected_error < 0.02,
            "{:?}",
            report.calibration
        );
    }

    #[test]
    fn answerable_and_unanswerable_questions_weigh_the_same() {
        let example = |answerable| Example {
            similarity: 0.5,
            coverage: 0.5,
            right: answerable,
            answerable,
            weight: 0.1,
        };
        let mut examples = vec![example(true), example(false), example(false)];
        balance(&mut examples);
        assert!(
            (examples[0].weight - 1.0).abs() < 1e-12 && (examples[1].weight - 0.5).abs() < 1e-12
        );
    }

    #[test]
    fn the_report_weighs_questions_as_the_fit_does() {
        let example = |right: bool| Example {
            similarity: 0.5,
            coverage: 0.5,
            right,
            answerable: right,
            weight: 1.0,
        };
        // Nine of ten are unanswerable, but count as half.
        let mut examples = vec![example(false); 9];
        examples.push(example(true));
        balance(&mut examples);
        let even = Relevance {
            intercept: 0.0,
            similarity: 0.0,
            coverage: 0.0,
        };
        let error = FitReport::of(even, &examples).calibration.expected_error;
        assert!(error < 1e-12, "{error}");
    }
}
