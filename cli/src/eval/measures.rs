//! The measures of a configuration on a set of questions.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::{
    set::{EmbeddedQuestion, SearchResult},
    statistics::{Comparison, Estimate, Latency},
};
use crate::metrics::Metrics;

/// nDCG@10 by question id, the basis of comparisons.
pub(crate) type ByQuestion = BTreeMap<String, f64>;

/// Means over all questions, and latencies.
#[derive(Debug, Serialize)]
pub(crate) struct Measures {
    pub(crate) ndcg_at_10: Estimate,
    pub(crate) recall_at_10: Estimate,
    pub(crate) mrr_at_10: Estimate,
    /// The round trip to the database.
    pub(crate) database_ms: Latency,
    /// Embedding, database and, if requested, reranking.
    pub(crate) total_ms: Latency,
    pub(crate) ndcg_at_10_by_question: ByQuestion,
}

impl Measures {
    /// Measures answers, which are in the order of the questions.
    pub(crate) fn of(asked: &[EmbeddedQuestion], answers: &[SearchResult]) -> Self {
        let metrics: Vec<Metrics> = asked
            .iter()
            .zip(answers)
            .map(|(asked, answer)| Metrics::of(&answer.ranking, &asked.question.judged))
            .collect();
        let estimate = |measure: fn(&Metrics) -> f64| {
            Estimate::of(&metrics.iter().map(measure).collect::<Vec<_>>())
        };
        let total = asked
            .iter()
            .zip(answers)
            .map(|(asked, answer)| asked.embed_ms + answer.database_ms + answer.rerank_ms);
        Self {
            ndcg_at_10: estimate(|metrics| metrics.ndcg),
            recall_at_10: estimate(|metrics| metrics.recall),
            mrr_at_10: estimate(|metrics| metrics.reciprocal_rank),
            database_ms: Latency::of(answers.iter().map(|answer| answer.database_ms).collect()),
            total_ms: Latency::of(total.collect()),
            ndcg_at_10_by_question: asked
                .iter()
                .zip(&metrics)
                .map(|(asked, metrics)| (asked.question.id.clone(), metrics.ndcg))
                .collect(),
        }
    }

    /// Compares nDCG@10 with another configuration, on the questions they share.
    pub(crate) fn compare(&self, other: &ByQuestion) -> Comparison {
        let pairs: Vec<(f64, f64)> = self
            .ndcg_at_10_by_question
            .iter()
            .filter_map(|(id, ours)| Some((*ours, *other.get(id)?)))
            .collect();
        Comparison::of(&pairs)
    }
}

#[cfg(test)]
impl Measures {
    /// What tests compare: the questions `q0`, `q1` and so on have these values of nDCG@10.
    pub(crate) fn of_values(values: &[f64]) -> Self {
        let estimate = Estimate::of(values);
        let latency = Latency::of(vec![1234.5]);
        Self {
            ndcg_at_10: estimate,
            recall_at_10: estimate,
            mrr_at_10: estimate,
            database_ms: latency,
            total_ms: latency,
            ndcg_at_10_by_question: (0..)
                .zip(values)
                .map(|(number, value)| (format!("q{number}"), *value))
                .collect(),
        }
    }
}

/// Prints the head of a table whose first column is `label`.
pub(crate) fn write_head(out: &mut impl Write, label: &str) -> io::Result<()> {
    writeln!(out, "{:<75} {:>15} {:>15}", "", "database ms", "total ms")?;
    writeln!(
        out,
        "{label:<9} {:<21} {:<21} {:<21} {:>7} {:>7} {:>7} {:>7}",
        "nDCG@10", "recall@10", "MRR@10", "p50", "p99", "p50", "p99"
    )
}

/// Prints a row of a table.
pub(crate) fn write_row(out: &mut impl Write, label: &str, row: &Measures) -> io::Result<()> {
    let interval = |Estimate { mean, low, high }| format!("{mean:.3} [{low:.3}, {high:.3}]");
    writeln!(
        out,
        "{label:<9} {:<21} {:<21} {:<21} {:>7.1} {:>7.1} {:>7.1} {:>7.1}",
        interval(row.ndcg_at_10),
        interval(row.recall_at_10),
        interval(row.mrr_at_10),
        row.database_ms.p50,
        row.database_ms.p99,
        row.total_ms.p50,
        row.total_ms.p99,
    )
}

/// Prints a comparison in one line.
pub(crate) fn write_comparison(
    out: &mut impl Write,
    label: &str,
    comparison: &Comparison,
) -> io::Result<()> {
    let Estimate { mean, low, high } = comparison.difference;
    let p = if comparison.p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {:.3}", comparison.p)
    };
    let questions = comparison.questions;
    writeln!(
        out,
        "{label:<9} {mean:+.3} [{low:+.3}, {high:+.3}]  {p}  on {questions} questions"
    )
}
