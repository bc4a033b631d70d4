//! Coordinate search: optimises one setting after the other until no change improves the ranking.

use serde::Serialize;

use crate::eval::settings::Settings;

/// Settings tried on the questions for choosing, and their score.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tried {
    pub(crate) settings: Settings,
    pub(crate) ndcg_at_10: f64,
}

/// One setting and its grid of values. Each grid contains the default, which only a better value replaces.
struct Axis {
    place: fn(&mut Settings) -> &mut f64,
    grid: &'static [f64],
}

const AXES: [Axis; 3] = [
    Axis {
        place: |settings| &mut settings.semantic_weight,
        grid: &[
            0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
        ],
    },
    Axis {
        place: |settings| &mut settings.k1,
        grid: &[0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4],
    },
    Axis {
        place: |settings| &mut settings.b,
        grid: &[0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0],
    },
];

/// Maximum rounds over all axes: the best value of one setting depends on the others, but not strongly.
const ROUNDS: usize = 3;

/// The minimum gain in nDCG@10, above the rounding of a sum.
const GAIN: f64 = 1e-9;

/// Searches from `start`; `score` is the mean nDCG@10 of some settings. Returns the best ones, and all that were
/// tried, in order.
pub(crate) async fn climb(
    start: Settings,
    mut score: impl AsyncFnMut(Settings) -> anyhow::Result<f64>,
) -> anyhow::Result<(Settings, Vec<Tried>)> {
    let mut best = Tried {
        settings: start,
        ndcg_at_10: score(start).await?,
    };
    let mut tried = vec![best];
    for _ in 0..ROUNDS {
        let before = best.settings;
        for axis in &AXES {
            for &value in axis.grid {
                let mut settings = best.settings;
                *(axis.place)(&mut settings) = value;
                if tried.iter().any(|earlier| earlier.settings == settings) {
                    continue;
                }
                let candidate = Tried {
                    settings,
                    ndcg_at_10: score(settings).await?,
                };
                tried.push(candidate);
                if candidate.ndcg_at_10 > best.ndcg_at_10 + GAIN {
                    best = candidate;
                }
            }
        }
        if best.settings == before {
            break;
        }
    }
    Ok((best.settings, tried))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_search_finds_the_optimum_and_tries_nothing_twice() {
        // The best k1 depends on the weight, so that one round is not enough.
        let hill = async |settings: Settings| {
            let weight = settings.semantic_weight - 0.45;
            let k1 = settings.k1 - 1.8 - weight / 2.0;
            let b = settings.b - 0.3;
            Ok(1.0 - weight * weight - k1 * k1 - b * b)
        };
        let (best, tried) = climb(Settings::default(), hill).await.expect("a number");
        let expected = Settings {
            semantic_weight: 0.45,
            k1: 1.8,
            b: 0.3,
            ..Settings::default()
        };
        assert_eq!(best, expected);
        for (number, one) in tried.iter().enumerate() {
            let again = tried[..number].iter().any(|t| t.settings == one.settings);
            assert!(!again, "{one:?}");
        }
    }

    #[tokio::test]
    async fn without_a_gain_the_start_is_kept() {
        let (best, _) = climb(Settings::default(), async |_| Ok(0.5))
            .await
            .expect("a number");
        assert_eq!(best, Settings::default());
    }

    #[test]
    fn every_grid_contains_the_default() {
        for axis in &AXES {
            let default = *(axis.place)(&mut Settings::default());
            assert!(axis.grid.iter().any(|v| (v - default).abs() < 1e-12));
        }
    }
}
