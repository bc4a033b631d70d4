//! The questions with poor rankings.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::set::{EmbeddedQuestion, SearchResult};
use crate::metrics::Metrics;

/// Found documents shown beside the expected ones.
const SHOWN: usize = 3;

/// Maximum number of questions printed.
const PRINTED: usize = 20;

/// A question whose ranking is not ideal.
#[derive(Debug, Serialize)]
pub(crate) struct Lost {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) ndcg_at_10: f64,
    /// The relevant documents, each with its rank if it is among the first ten.
    pub(crate) judged: BTreeMap<String, Option<usize>>,
    /// The first documents found.
    pub(crate) found: Vec<String>,
}

/// The questions with non-ideal rankings, worst first.
pub(crate) fn lost(asked: &[EmbeddedQuestion], answers: &[SearchResult]) -> Vec<Lost> {
    let mut lost: Vec<Lost> = asked
        .iter()
        .zip(answers)
        .filter_map(|(asked, answer)| {
            let judged = &asked.question.judged;
            let ndcg_at_10 = Metrics::of(&answer.ranking, judged).ndcg;
            (ndcg_at_10 < 1.0 - 1e-9).then(|| Lost {
                id: asked.question.id.clone(),
                question: asked.question.text.clone(),
                ndcg_at_10,
                judged: judged
                    .keys()
                    .map(|id| (id.clone(), rank(id, answer)))
                    .collect(),
                found: answer.ranking.iter().take(SHOWN).cloned().collect(),
            })
        })
        .collect();
    lost.sort_by(|a, b| a.ndcg_at_10.total_cmp(&b.ndcg_at_10));
    lost
}

/// Prints the worst ones with expected and found documents.
pub(crate) fn write(out: &mut impl Write, mode: &str, lost: &[Lost]) -> io::Result<()> {
    writeln!(
        out,
        "\n{mode}: {} questions below the ideal ranking, worst first",
        lost.len()
    )?;
    for question in lost.iter().take(PRINTED) {
        writeln!(
            out,
            "{:.3} {}: {}",
            question.ndcg_at_10, question.id, question.question
        )?;
        let judged = question.judged.iter().map(|(id, rank)| match rank {
            Some(rank) => format!("{id} (rank {rank})"),
            None => format!("{id} (not found)"),
        });
        let judged = judged.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "      judged {judged}; found {}",
            question.found.join(", ")
        )?;
    }
    Ok(())
}

/// From 1.
fn rank(id: &str, answer: &SearchResult) -> Option<usize> {
    let place = answer.ranking.iter().position(|found| found == id)?;
    Some(place + 1)
}
