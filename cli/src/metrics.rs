//! Ranking measures of one question.

use std::collections::HashMap;

/// The depth of all three measures.
const DEPTH: usize = 10;

/// Measures of one ranking, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Metrics {
    /// Normalised discounted cumulative gain: the gains `score` over `log2(rank + 1)`, relative to the ideal ranking
    /// (Järvelin and Kekäläinen, 2002; linear gains, as in `trec_eval`).
    pub(crate) ndcg: f64,
    /// Recall.
    pub(crate) recall: f64,
    /// The reciprocal rank of the first relevant document.
    pub(crate) reciprocal_rank: f64,
}

impl Metrics {
    /// Measures the first ten of `ranking` against `judged`, scores above 0 by document id.
    pub(crate) fn of(ranking: &[String], judged: &HashMap<String, u32>) -> Self {
        let gains: Vec<f64> = ranking
            .iter()
            .take(DEPTH)
            .map(|id| judged.get(id).copied().map_or(0.0, f64::from))
            .collect();
        let mut ideal: Vec<f64> = judged.values().copied().map(f64::from).collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        ideal.truncate(DEPTH);
        let found = gains.iter().filter(|gain| **gain > 0.0).count();
        Self {
            ndcg: discounted(&gains) / discounted(&ideal),
            recall: found as f64 / judged.len() as f64,
            reciprocal_rank: gains
                .iter()
                .position(|gain| *gain > 0.0)
                .map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0)),
        }
    }
}

fn discounted(gains: &[f64]) -> f64 {
    gains
        .iter()
        .enumerate()
        .map(|(rank, gain)| gain / (rank as f64 + 2.0).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranking: &[&str], judged: &[(&str, u32)]) -> Metrics {
        let ranking: Vec<String> = ranking.iter().map(ToString::to_string).collect();
        Metrics::of(
            &ranking,
            &judged
                .iter()
                .map(|(id, score)| ((*id).to_owned(), *score))
                .collect(),
        )
    }

    #[test]
    fn one_judged_document_counts_by_its_rank() {
        assert_eq!(
            of(&["a", "b"], &[("a", 1)]),
            Metrics {
                ndcg: 1.0,
                recall: 1.0,
                reciprocal_rank: 1.0
            }
        );
        let second = of(&["b", "a"], &[("a", 1)]);
        assert!((second.ndcg - 1.0 / 3_f64.log2()).abs() < 1e-12);
        assert!((second.reciprocal_rank - 0.5).abs() < 1e-12);
        assert_eq!(of(&["b"], &[("a", 1)]), Metrics::default());
    }

    #[test]
    fn grades_are_linear_gains() {
        let metrics = of(&["b", "a"], &[("a", 2), ("b", 1)]);
        let expected = (1.0 + 2.0 / 3_f64.log2()) / (2.0 + 1.0 / 3_f64.log2());
        assert!((metrics.ndcg - expected).abs() < 1e-12);
    }

    #[test]
    fn ranks_below_the_tenth_do_not_count() {
        let ranking = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a"];
        assert_eq!(of(&ranking, &[("a", 1)]), Metrics::default());
    }
}
