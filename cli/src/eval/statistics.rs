//! The statistical uncertainty of measures over a sample of questions.

use std::iter;

use bench::statistics::percentile;
use fastrand::Rng;
use serde::Serialize;

/// Bootstrap resamples: the interval's ends are the 50th and the 1,950th.
pub(crate) const RESAMPLES: usize = 2_000;

/// Permutations of a randomisation test: the lowest possible p is 1 / 10,001.
pub(crate) const PERMUTATIONS: usize = 10_000;

/// A difference with a lower p is significant.
pub(crate) const SIGNIFICANT: f64 = 0.05;

/// Seed of all random numbers, so that a run is reproducible to the last digit.
const SEED: u64 = 42;

/// The mean of a measure over questions, with its 95 % confidence interval: percentiles of the means of questions
/// drawn with replacement (Efron, 1979).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Two configurations compared on the same questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Comparison {
    /// One minus the other.
    pub(crate) difference: Estimate,
    /// The probability of a difference of this size in either direction if both were equally good: a paired
    /// randomisation test (Smucker, Allan and Carterette, 2007).
    pub(crate) p: f64,
    /// Questions that both answered.
    pub(crate) questions: usize,
}

/// Median and 99th percentile, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Estimate {
    /// Estimates the mean from one value per question.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut rng = Rng::with_seed(SEED);
        let count = values.len();
        let mut means: Vec<f64> = iter::repeat_with(|| {
            let drawn = iter::repeat_with(|| values[rng.usize(..count)]).take(count);
            mean(drawn, count)
        })
        .take(RESAMPLES)
        .collect();
        means.sort_by(f64::total_cmp);
        Self {
            mean: mean(values.iter().copied(), count),
            low: percentile(&means, 25),
            high: percentile(&means, 975),
        }
    }
}

impl Comparison {
    /// Compares pairs of values, one pair per question.
    pub(crate) fn of(pairs: &[(f64, f64)]) -> Self {
        let differences: Vec<f64> = pairs.iter().map(|(ours, theirs)| ours - theirs).collect();
        Self {
            difference: Estimate::of(&differences),
            p: sign_flip(&differences),
            questions: pairs.len(),
        }
    }

    /// Whether the first configuration is significantly better.
    pub(crate) fn is_better(&self) -> bool {
        self.difference.mean > 0.0 && self.p < SIGNIFICANT
    }
}

impl Latency {
    /// Summarises times in milliseconds, in any order.
    pub(crate) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            p50: percentile(&times, 500),
            p99: percentile(&times, 990),
        }
    }
}

/// The share of permutations whose sum is as far from 0 as the observed one. Were both configurations equally good,
/// each difference could as well have the other sign. The observed order counts as a permutation, so p is never 0.
fn sign_flip(differences: &[f64]) -> f64 {
    // A question with the same result adds nothing to any sum.
    let differences: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|difference| difference.abs() > 0.0)
        .collect();
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same differences with other signs differ in the last bits.
    let threshold = observed - 1e-9;
    let mut rng = Rng::with_seed(SEED);
    let as_far = iter::repeat_with(|| {
        let flipped = differences.iter().map(|d| if rng.bool() { *d } else { -d });
        flipped.sum::<f64>().abs()
    })
    .take(PERMUTATIONS)
    .filter(|sum| *sum >= threshold)
    .count();
    (as_far + 1) as f64 / (PERMUTATIONS + 1) as f64
}

fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from 0 to 1 without a pattern.
    fn scattered(seed: u64, count: usize) -> Vec<f64> {
        let mut rng = Rng::with_seed(seed);
        iter::repeat_with(|| rng.f64()).take(count).collect()
    }

    fn compare(ours: &[f64], theirs: &[f64]) -> Comparison {
        let pairs = ours.iter().copied().zip(theirs.iter().copied());
        Comparison::of(&pairs.collect::<Vec<_>>())
    }

    #[test]
    fn a_constant_has_no_uncertainty() {
        let estimate = Estimate::of(&[0.5; 40]);
        let exactly = |value: f64| (value - 0.5).abs() < 1e-12;
        assert!(exactly(estimate.mean) && exactly(estimate.low) && exactly(estimate.high));
    }

    #[test]
    fn an_interval_is_as_wide_as_theory_says() {
        // The standard deviation of a uniform distribution is 1 / sqrt(12).
        let values = scattered(7, 1_000);
        let estimate = Estimate::of(&values);
        let expected = 2.0 * 1.96 / (12.0_f64 * 1_000.0).sqrt();
        let width = estimate.high - estimate.low;
        assert!((width / expected - 1.0).abs() < 0.1, "{estimate:?}");
        assert!(estimate.low < estimate.mean && estimate.mean < estimate.high);
    }

    #[test]
    fn identical_rankings_do_not_differ() {
        let values = scattered(1, 100);
        let comparison = compare(&values, &values);
        assert!((comparison.p - 1.0).abs() < 1e-12);
        assert!(!comparison.is_better());
        assert!(comparison.difference.low.abs() + comparison.difference.high.abs() < 1e-12);
    }

    #[test]
    fn a_clear_difference_is_significant_in_either_direction() {
        let worse = scattered(1, 100);
        let better: Vec<f64> = worse.iter().map(|value| value + 0.1).collect();
        let gain = compare(&better, &worse);
        assert!(gain.p < 0.01 && gain.is_better(), "{gain:?}");
        let loss = compare(&worse, &better);
        assert!(loss.p < 0.01 && !loss.is_better(), "{loss:?}");
    }

    #[test]
    fn noise_is_not_significant() {
        let comparison = compare(&scattered(1, 100), &scattered(2, 100));
        assert!(comparison.p > 0.05, "{comparison:?}");
    }

    #[test]
    fn few_questions_prove_nothing() {
        // Of the four ways to sign two differences, two are as far from 0 as both of one sign.
        let comparison = compare(&[1.0, 1.0], &[0.0, 0.0]);
        assert!((comparison.p - 0.5).abs() < 0.02, "{comparison:?}");
    }

    #[test]
    fn the_same_values_give_the_same_numbers() {
        let (ours, theirs) = (scattered(1, 50), scattered(2, 50));
        assert_eq!(Estimate::of(&ours), Estimate::of(&ours));
        assert_eq!(compare(&ours, &theirs), compare(&ours, &theirs));
    }

    #[test]
    fn latencies_are_nearest_ranks() {
        let latency = Latency::of((1..=200).rev().map(f64::from).collect());
        let expected = Latency {
            p50: 100.0,
            p99: 198.0,
        };
        assert_eq!(latency, expected);
        assert_eq!(Latency::of(vec![3.0]), Latency { p50: 3.0, p99: 3.0 });
    }
}
