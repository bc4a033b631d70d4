//! The report of an evaluation, and its comparison with an earlier one.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context as _, ensure};
use retrieval::Mode;
use serde::{Deserialize, Serialize};

use super::{
    files::{Half, Question},
    languages::{self, InLanguage},
    lost::{self, Lost},
    measures::{ByQuestion, Measures, write_comparison, write_head, write_row},
    separation::Separation,
    settings::Settings,
    statistics::{Comparison, PERMUTATIONS, RESAMPLES},
};
use crate::terminal::note;

/// An evaluation of some modes on one set of questions.
#[derive(Serialize)]
pub(crate) struct EvalReport {
    pub(crate) model: String,
    /// The folder of the corpus.
    pub(crate) corpus: String,
    pub(crate) documents: i64,
    pub(crate) questions: usize,
    /// The half of the judged questions that was used; `null` for all.
    pub(crate) half: Option<Half>,
    pub(crate) settings: Settings,
    /// Whether a cross-encoder reranked.
    pub(crate) reranked: bool,
    /// By mode name.
    pub(crate) modes: BTreeMap<String, Measures>,
    /// By the code of the questions' language.
    pub(crate) languages: BTreeMap<String, InLanguage>,
    /// By mode name: how well relevance separates answerable questions from others; empty without unanswerable ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) separation: BTreeMap<String, Separation>,
    /// By mode name, if requested: questions whose ranking is not ideal, worst first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lost: BTreeMap<String, Vec<Lost>>,
    /// Each other mode minus the better one of semantic and keyword.
    pub(crate) against_best_single: Option<Against>,
    /// Each mode minus the same mode of an earlier run.
    pub(crate) against_baseline: Option<Against>,
}

/// Differences in nDCG@10 to another configuration.
#[derive(Serialize)]
pub(crate) struct Against {
    /// The other configuration: a mode or a file.
    name: String,
    /// By name of the compared mode.
    modes: BTreeMap<String, Comparison>,
}

/// The compared parts of the output of an earlier `rappel eval --json`.
#[derive(Deserialize)]
pub(crate) struct Baseline {
    #[serde(skip)]
    name: String,
    corpus: String,
    documents: i64,
    modes: BTreeMap<String, BaselineMode>,
}

#[derive(Deserialize)]
struct BaselineMode {
    ndcg_at_10_by_question: ByQuestion,
}

impl Baseline {
    /// Reads a file and checks that this run can be compared with it.
    pub(crate) fn read(path: &Path, modes: &[Mode], asked: &[Question]) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let mut baseline: Self = serde_json::from_str(&text)
            .with_context(|| format!("{name} was not written by `rappel eval --json`"))?;
        baseline.name = name;
        let shared = modes
            .iter()
            .filter_map(|mode| baseline.modes.get(mode.name()))
            .flat_map(|mode| mode.ndcg_at_10_by_question.keys())
            .any(|id| asked.iter().any(|question| question.id == *id));
        ensure!(
            shared,
            "{} has no question in common with this run in the same mode",
            baseline.name
        );
        Ok(baseline)
    }

    /// Compares each mode with the same mode of the earlier run.
    pub(crate) fn compare(&self, report: &EvalReport) -> Against {
        if (&self.corpus, self.documents) != (&report.corpus, report.documents) {
            note(&format!(
                "warning: the baseline searched {} documents of {}, this run {} of {}",
                self.documents, self.corpus, report.documents, report.corpus
            ));
        }
        let modes = report.modes.iter().filter_map(|(name, measures)| {
            let earlier = &self.modes.get(name)?.ndcg_at_10_by_question;
            Some((name.clone(), measures.compare(earlier)))
        });
        Against {
            name: self.name.clone(),
            modes: modes.collect(),
        }
    }
}

impl EvalReport {
    /// Compares each other mode with the better one of semantic and keyword, if one of them ran.
    pub(crate) fn compare_with_best_single(&self) -> Option<Against> {
        let mean = |measures: &Measures| measures.ndcg_at_10.mean;
        let (best_name, best) = self
            .modes
            .iter()
            .filter(|(name, _)| *name != Mode::Hybrid.name())
            .max_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)))?;
        let modes: BTreeMap<String, Comparison> = self
            .modes
            .iter()
            .filter(|(name, _)| *name != best_name)
            .map(|(name, other)| (name.clone(), other.compare(&best.ndcg_at_10_by_question)))
            .collect();
        (!modes.is_empty()).then(|| Against {
            name: best_name.clone(),
            modes,
        })
    }

    /// Prints tables of at most 110 columns.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let half = self
            .half
            .map_or_else(String::new, |half| format!(" of the {} half", half.name()));
        writeln!(
            out,
            "{} on {}: {} documents, {} questions{half}",
            self.model, self.corpus, self.documents, self.questions
        )?;
        let reranked = if self.reranked { ", reranked" } else { "" };
        writeln!(out, "{}{reranked}\n", self.settings)?;
        write_head(out, "mode")?;
        for (name, measures) in explained_order(&self.modes) {
            write_row(out, name, measures)?;
        }
        languages::write(out, &self.languages)?;
        for (name, separation) in explained_order(&self.separation) {
            separation.write(out, name)?;
        }
        if let Some(against) = &self.against_best_single {
            let best = &against.name;
            writeln!(out, "\nnDCG@10 minus that of {best}, the best single mode")?;
            against.write(out)?;
        }
        if let Some(against) = &self.against_baseline {
            let file = &against.name;
            writeln!(out, "\nnDCG@10 minus that of the same mode in {file}")?;
            against.write(out)?;
        }
        write_method(out)?;
        explained_order(&self.lost).try_for_each(|(name, lost)| lost::write(out, name, lost))
    }
}

impl Against {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        explained_order(&self.modes)
            .try_for_each(|(name, comparison)| write_comparison(out, name, comparison))
    }
}

/// Explains the intervals and probabilities below a report.
pub(crate) fn write_method(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n[]: 95 % interval over questions ({RESAMPLES} bootstrap resamples); \
         p: two-sided paired randomisation ({PERMUTATIONS})"
    )
}

/// The entries in the documented order of modes, not by name.
fn explained_order<T>(modes: &BTreeMap<String, T>) -> impl Iterator<Item = (&'static str, &T)> {
    Mode::ALL
        .into_iter()
        .filter_map(|mode| Some((mode.name(), modes.get(mode.name())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(modes: &[(Mode, &[f64])]) -> EvalReport {
        let modes = modes
            .iter()
            .map(|(mode, values)| (mode.name().to_owned(), Measures::of_values(values)));
        EvalReport {
            model: "model".to_owned(),
            corpus: "corpus".to_owned(),
            documents: 3,
            questions: 2,
            half: Some(Half::First),
            settings: Settings::default(),
            reranked: false,
            modes: modes.collect(),
            languages: BTreeMap::new(),
            separation: BTreeMap::new(),
            lost: BTreeMap::new(),
            against_best_single: None,
            against_baseline: None,
        }
    }

    #[test]
    fn modes_are_compared_with_the_best_single_one() {
        let report = report(&[
            (Mode::Semantic, &[0.5, 0.5]),
            (Mode::Keyword, &[0.75, 0.75]),
            (Mode::Hybrid, &[1.0, 1.0]),
        ]);
        let against = report.compare_with_best_single().expect("single modes ran");
        assert_eq!(against.name, "keyword");
        assert_eq!(
            against.modes.keys().collect::<Vec<_>>(),
            ["hybrid", "semantic"]
        );
        let difference = against.modes["hybrid"].difference;
        assert!((difference.mean - 0.25).abs() < 1e-12, "{difference:?}");
    }

    #[test]
    fn a_single_mode_has_no_comparison() {
        let alone = report(&[(Mode::Hybrid, &[1.0])]);
        assert!(alone.compare_with_best_single().is_none());
        let alone = report(&[(Mode::Keyword, &[1.0])]);
        assert!(alone.compare_with_best_single().is_none());
    }

    #[test]
    fn the_json_output_can_be_read_as_a_baseline() {
        let earlier = report(&[(Mode::Hybrid, &[0.5, 0.5, 1.0])]);
        let json = serde_json::to_string(&earlier).expect("it is JSON");
        let baseline: Baseline = serde_json::from_str(&json).expect("it can be read back");
        let now = report(&[(Mode::Hybrid, &[0.75, 0.75]), (Mode::Keyword, &[0.0, 0.0])]);
        let against = baseline.compare(&now);
        assert_eq!(against.modes.keys().collect::<Vec<_>>(), ["hybrid"]);
        let comparison = against.modes["hybrid"];
        assert_eq!(comparison.questions, 2);
        assert!((comparison.difference.mean - 0.25).abs() < 1e-12);
    }

    #[test]
    fn no_line_is_wider_than_110_columns() {
        let mut report = report(&[(Mode::Semantic, &[0.5, 0.5]), (Mode::Hybrid, &[0.75, 0.75])]);
        report.against_best_single = report.compare_with_best_single();
        let mut printed = Vec::new();
        report.write(&mut printed).expect("memory is writable");
        let printed = String::from_utf8(printed).expect("it is text");
        assert!(
            printed.lines().all(|line| line.chars().count() <= 110),
            "{printed}"
        );
        let hybrid = "\nhybrid    +0.250 [+0.250, +0.250]  p = ";
        assert!(printed.contains(hybrid), "{printed}");
    }
}
