//! The effort (`ef_search`) that the vector index needs. Ranking quality hardly shows it, because missed neighbours
//! are seldom the relevant ones; recall of neighbours does.

use anyhow::Context as _;
use retrieval::Mode;
use serde::Serialize;

use crate::eval::{
    set::{EmbeddedQuestion, JudgedSet, SearchResult},
    settings::Settings,
    statistics::Latency,
};

/// Recall and latency of an effort.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) effort: i32,
    /// The recall of the highest effort's ten documents, in mode `semantic`.
    pub(crate) recall_at_10: f64,
    /// The database round trip, in mode `semantic`.
    pub(crate) database_ms: Latency,
}

/// The efforts tried; the last and highest is the reference.
const EFFORTS: [i32; 4] = [40, 100, 200, 400];

/// The required recall relative to the highest effort, as the default effort had when it was chosen.
const ENOUGH: f64 = 0.98;

/// Measures every effort, lowest first.
pub(crate) async fn measure(
    set: &JudgedSet,
    asked: &[EmbeddedQuestion],
) -> anyhow::Result<Vec<Found>> {
    let mut all = Vec::new();
    for effort in EFFORTS {
        let settings = Settings {
            effort,
            ..Settings::default()
        };
        let answers = set
            .answers(asked, Mode::Semantic, &settings.config())
            .await?;
        all.push((effort, answers));
    }
    let (_, greatest) = all.last().context("there are efforts")?;
    let measured = all.iter().map(|(effort, answers)| Found {
        effort: *effort,
        recall_at_10: recall(answers, greatest),
        database_ms: Latency::of(answers.iter().map(|answer| answer.database_ms).collect()),
    });
    Ok(measured.collect())
}

/// The lowest effort with sufficient recall.
pub(crate) fn least_sufficient(efforts: &[Found]) -> Option<i32> {
    efforts
        .iter()
        .find(|effort| effort.recall_at_10 >= ENOUGH)
        .map(|effort| effort.effort)
}

/// The share of the documents in `greatest` that `answers` has for the same question.
fn recall(answers: &[SearchResult], greatest: &[SearchResult]) -> f64 {
    let (found, wanted) =
        answers
            .iter()
            .zip(greatest)
            .fold((0, 0), |(found, wanted), (answer, reference)| {
                let shared = reference
                    .ranking
                    .iter()
                    .filter(|id| answer.ranking.contains(id));
                (found + shared.count(), wanted + reference.ranking.len())
            });
    found as f64 / wanted.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(rankings: &[&[&str]]) -> Vec<SearchResult> {
        let answer = |ranking: &&[&str]| SearchResult {
            ranking: ranking.iter().map(ToString::to_string).collect(),
            relevance: vec![0.5; ranking.len()],
            best: None,
            database_ms: 1.0,
            rerank_ms: 0.0,
        };
        rankings.iter().map(answer).collect()
    }

    #[test]
    fn recall_is_the_share_found_in_any_order() {
        let greatest = answers(&[&["a", "b"], &["c", "d"]]);
        let found = recall(&answers(&[&["b", "a"], &["c", "x"]]), &greatest);
        assert!((found - 0.75).abs() < 1e-12);
        assert!((recall(&greatest, &greatest) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_lowest_sufficient_effort_is_chosen() {
        let effort = |effort, recall_at_10| Found {
            effort,
            recall_at_10,
            database_ms: Latency { p50: 1.0, p99: 1.0 },
        };
        let efforts = [effort(40, 0.9), effort(100, 0.985), effort(200, 1.0)];
        assert_eq!(least_sufficient(&efforts), Some(100));
    }
}
