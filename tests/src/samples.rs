//! The sample documents of `rappel up`, for tests that need real prose.

use anyhow::{Context, Result};
use serde_json::Value;

const SAMPLES: &str = include_str!("../../cli/samples.jsonl");

/// All sample documents, in the form of `POST /documents`.
///
/// # Errors
/// Names the line that is not JSON.
pub fn samples() -> Result<Vec<Value>> {
    SAMPLES
        .lines()
        .enumerate()
        .map(|(line, text)| {
            serde_json::from_str(text)
                .with_context(|| format!("line {} of samples.jsonl", line + 1))
        })
        .collect()
}

/// The sample document with this id.
///
/// # Errors
/// When there is no such sample.
pub fn sample(id: &str) -> Result<Value> {
    samples()?
        .into_iter()
        .find(|document| document["id"] == id)
        .with_context(|| format!("there is no sample document {id}"))
}
