//! Summary statistics and line fitting.

use serde::Serialize;

/// A sample of measurements in their original unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Number of values.
    pub count: usize,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
}

impl Summary {
    /// Summarises values in any order; everything is 0 without values.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self {
            count: sorted.len(),
            p50: percentile(&sorted, 500),
            p90: percentile(&sorted, 900),
            p99: percentile(&sorted, 990),
            max: sorted.last().copied().unwrap_or_default(),
        }
    }
}

/// The nearest-rank percentile of sorted values, in thousandths: 500 is the median; 0 without values.
#[must_use]
pub fn percentile(sorted: &[f64], per_mille: usize) -> f64 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// The least-squares line `intercept + slope * x`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The value at 0.
    pub intercept: f64,
    /// The increase per unit of x.
    pub slope: f64,
}

impl Line {
    /// Fits a line; `None` for fewer than two distinct x.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if points.is_empty() || spread <= f64::EPSILON {
            return None;
        }
        let together: f64 = points
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum();
        let slope = together / spread;
        Some(Self {
            intercept: mean_y - slope * mean_x,
            slope,
        })
    }

    /// The value at `x`.
    #[must_use]
    pub fn at(self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let summary = Summary::of((1..=200).rev().map(f64::from));
        let expected = Summary {
            count: 200,
            p50: 100.0,
            p90: 180.0,
            p99: 198.0,
            max: 200.0,
        };
        assert_eq!(summary, expected);
        assert_eq!(Summary::of([3.0]).p99.to_bits(), 3.0_f64.to_bits());
        assert_eq!(Summary::of([]), Summary::default());
    }

    #[test]
    fn a_fit_recovers_a_line() {
        let points = [1.0, 2.0, 5.0].map(|x| (x, 3.0 + 2.0 * x));
        let line = Line::through(&points).expect("three points make a line");
        assert!((line.intercept - 3.0).abs() < 1e-9 && (line.slope - 2.0).abs() < 1e-9);
        assert!((line.at(10.0) - 23.0).abs() < 1e-9);
    }

    #[test]
    fn one_x_gives_no_line() {
        assert_eq!(Line::through(&[]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
