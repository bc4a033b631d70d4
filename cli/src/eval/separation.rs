//! How well relevance separates answerable from unanswerable questions.

use std::io::{self, Write};

use serde::Serialize;

use super::set::{EmbeddedQuestion, SearchResult};

/// The share of answerable questions that the suggested threshold keeps.
pub(crate) const KEPT: f64 = 0.97;

/// Bins of a calibration table, of equal width.
const BINS: usize = 10;

/// Answerable and unanswerable questions by the relevance of their best hit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Separation {
    pub(crate) answerable: usize,
    pub(crate) unanswerable: usize,
    /// The probability that the best hit of an answerable question has a higher relevance than that of an
    /// unanswerable one (AUC): 0.5 is chance, 1 is perfect.
    pub(crate) auc: f64,
    pub(crate) proposed: Threshold,
    pub(crate) calibration: Calibration,
}

/// The effect of a value of `min_relevance`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Threshold {
    pub(crate) min_relevance: f64,
    /// The share of answerable questions with a hit that passes.
    pub(crate) kept: f64,
    /// The share of unanswerable questions without such a hit.
    pub(crate) stopped: f64,
}

/// Whether hits are right as often as their relevance predicts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Calibration {
    pub(crate) bins: Vec<Bin>,
    /// The mean difference of relevance and the share of right hits, over bins by the weight of their hits (Naeini, Cooper
    /// and Hauskrecht, 2015).
    pub(crate) expected_error: f64,
}

/// Best hits of similar relevance.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Bin {
    pub(crate) hits: usize,
    /// The mean relevance.
    pub(crate) relevance: f64,
    /// The share judged to answer the question.
    pub(crate) right: f64,
}

impl Separation {
    /// Compares answers to answerable and unanswerable questions; `None` without either.
    pub(crate) fn of(
        asked: &[EmbeddedQuestion],
        answers: &[SearchResult],
        unanswerable: &[SearchResult],
    ) -> Option<Self> {
        let kept: Vec<f64> = answers.iter().map(SearchResult::best_relevance).collect();
        let stopped: Vec<f64> = unanswerable
            .iter()
            .map(SearchResult::best_relevance)
            .collect();
        if kept.is_empty() || stopped.is_empty() {
            return None;
        }
        let right = asked.iter().zip(answers).filter_map(|(asked, answer)| {
            let best = answer.ranking.first()?;
            Some((
                *answer.relevance.first()?,
                asked.question.judged.contains_key(best),
                1.0,
            ))
        });
        let wrong = unanswerable
            .iter()
            .filter_map(|answer| Some((*answer.relevance.first()?, false, 1.0)));
        let hits: Vec<(f64, bool, f64)> = right.chain(wrong).collect();
        Some(Self {
            answerable: kept.len(),
            unanswerable: stopped.len(),
            auc: auc(&kept, &stopped),
            proposed: Threshold::keeping(KEPT, &kept, &stopped),
            calibration: Calibration::of(&hits),
        })
    }

    pub(crate) fn write(&self, out: &mut impl Write, mode: &str) -> io::Result<()> {
        let Self {
            answerable,
            unanswerable,
            auc,
            proposed,
            calibration,
        } = self;
        writeln!(
            out,
            "\n{mode}: relevance of the best hit, {answerable} answerable and {unanswerable} unanswerable questions\n\
             AUC {auc:.3}; min_relevance {:.2} keeps {:.1} % of the first and stops {:.1} % of the second",
            proposed.min_relevance,
            proposed.kept * 100.0,
            proposed.stopped * 100.0
        )?;
        writeln!(
            out,
            "relevance    best hits    right   (expected calibration error {:.3})",
            calibration.expected_error
        )?;
        calibration
            .bins
            .iter()
            .filter(|bin| bin.hits > 0)
            .try_for_each(|bin| {
                writeln!(
                    out,
                    "{:>9.2} {:>12} {:>8.2}",
                    bin.relevance, bin.hits, bin.right
                )
            })
    }
}

impl Threshold {
    /// The highest value, in hundredths, that keeps this share of the answerable questions.
    pub(crate) fn keeping(share: f64, answerable: &[f64], unanswerable: &[f64]) -> Self {
        let at = |hundredths: u32| {
            let min_relevance = f64::from(hundredths) / 100.0;
            Self {
                min_relevance,
                kept: part(answerable, |relevance| relevance >= min_relevance),
                stopped: part(unanswerable, |relevance| relevance < min_relevance),
            }
        };
        let keeps = |threshold: &Self| threshold.kept >= share;
        (0..=100).rev().map(at).find(keeps).unwrap_or_else(|| at(0))
    }
}

impl Calibration {
    /// The calibration of hits, given as relevance, whether it is right, and weight.
    pub(crate) fn of(hits: &[(f64, bool, f64)]) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a relevance is 0 to 1"
        )]
        let place = |relevance: f64| ((relevance * BINS as f64) as usize).min(BINS - 1);
        let total: f64 = hits.iter().map(|hit| hit.2).sum();
        let (mut bins, mut expected_error) = (Vec::with_capacity(BINS), 0.0);
        for bin in 0..BINS {
            let inside: Vec<&(f64, bool, f64)> =
                hits.iter().filter(|hit| place(hit.0) == bin).collect();
            let weight: f64 = inside.iter().map(|hit| hit.2).sum();
            // The sums of a bin without hits are 0.
            let mean = |sum: f64| if weight > 0.0 { sum / weight } else { 0.0 };
            let relevance = mean(inside.iter().map(|hit| hit.0 * hit.2).sum());
            let right = mean(inside.iter().filter(|hit| hit.1).map(|hit| hit.2).sum());
            if weight > 0.0 {
                expected_error += weight / total * (relevance - right).abs();
            }
            bins.push(Bin {
                hits: inside.len(),
                relevance,
                right,
            });
        }
        Self {
            bins,
            expected_error,
        }
    }
}

/// The area under the ROC curve: the share of pairs in order; ties count half.
pub(crate) fn auc(answerable: &[f64], unanswerable: &[f64]) -> f64 {
    let mut others = unanswerable.to_vec();
    others.sort_by(f64::total_cmp);
    let below = |relevance: &f64| {
        let less = others.partition_point(|other| other < relevance);
        let equal = others.partition_point(|other| other <= relevance) - less;
        less as f64 + equal as f64 / 2.0
    };
    let pairs = answerable.len() * unanswerable.len();
    answerable.iter().map(below).sum::<f64>() / pairs.max(1) as f64
}

fn part(values: &[f64], is_part: impl Fn(f64) -> bool) -> f64 {
    let count = values.iter().filter(|value| is_part(**value)).count();
    count as f64 / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-12
    }

    #[test]
    fn auc_is_the_share_of_pairs_in_order() {
        assert!(is(auc(&[0.9, 0.8], &[0.1, 0.2]), 1.0));
        assert!(is(auc(&[0.9, 0.1], &[0.5, 0.1]), 0.625));
        assert!(is(auc(&[0.5], &[0.5]), 0.5));
    }

    #[test]
    fn the_threshold_is_the_highest_that_keeps_enough() {
        let answerable: Vec<f64> = (1..=100).map(|n| f64::from(n) / 100.0).collect();
        let threshold = Threshold::keeping(0.97, &answerable, &[0.005, 0.02, 0.5]);
        assert!(
            is(threshold.min_relevance, 0.04) && is(threshold.kept, 0.97),
            "{threshold:?}"
        );
        assert!(is(threshold.stopped, 2.0 / 3.0), "{threshold:?}");
    }

    #[test]
    fn hits_that_are_right_as_often_as_predicted_are_calibrated() {
        let mut hits = vec![(0.75, true, 1.0); 3];
        hits.push((0.75, false, 1.0));
        assert!(is(Calibration::of(&hits).expected_error, 0.0));
        let boastful = [(1.0, false, 1.0), (1.0, true, 1.0)];
        assert!(is(Calibration::of(&boastful).expected_error, 0.5));
    }
}
