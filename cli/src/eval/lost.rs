//! Which questions a search answers badly, and with what.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::set::{Answer, Asked};
use crate::metrics::Metrics;

/// Documents found that are shown beside those that should have been.
const SHOWN: usize = 3;

/// Questions that are printed.
const PRINTED: usize = 20;

/// A question whose ranking could be better.
#[derive(Debug, Serialize)]
pub(crate) struct Lost {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) ndcg_at_10: f64,
    /// The documents that are judged relevant, with the rank that each was found at, if it was among the first ten.
    pub(crate) judged: BTreeMap<String, Option<usize>>,
    /// What was found first.
    pub(crate) found: Vec<String>,
}

/// Those questions, the worst first.
pub(crate) fn lost(asked: &[Asked], answers: &[Answer]) -> Vec<Lost> {
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

/// Prints the worst of them: what should have been found, and what was.
pub(crate) fn write(out: &mut impl Write, mode: &str, lost: &[Lost]) -> io::Result<()> {
    writeln!(
        out,
        "\n{mode}: {} questions lose something, the worst first",
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
fn rank(id: &str, answer: &Answer) -> Option<usize> {
    let place = answer.ranking.iter().position(|found| found == id)?;
    Some(place + 1)
}
