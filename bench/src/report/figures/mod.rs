//! The plots of a run, each with heading and caption.

mod cold;
mod data;
mod warm;

use super::plot::number;
use crate::{RAPPEL, results::Results};

/// A plot with its texts.
pub(super) struct Figure {
    pub(super) heading: &'static str,
    pub(super) svg: String,
    /// What it shows, and how it was measured.
    pub(super) caption: String,
}

/// Every plot with results.
pub(super) fn all(results: &Results) -> Vec<Figure> {
    let figures = [
        cold::cold(results),
        cold::steps(results),
        cold::memory(results),
        warm::in_turn(results),
        warm::rates(results),
        warm::sandboxes(results),
        warm::kinds(results),
        warm::quota(results),
        data::recall(results),
        data::scaling(results),
        data::index(results),
        data::bulk(results),
        data::cost(results),
    ];
    figures.into_iter().flatten().collect()
}

fn milliseconds(value: f64) -> String {
    format!("{} ms", number(value))
}

fn colour_of(program: &str) -> usize {
    usize::from(program != RAPPEL)
}
