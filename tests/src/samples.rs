//! The sample documents that `rappel up` imports, for tests that need real prose.

use anyhow::{Context, Result};
use serde_json::Value;

const SAMPLES: &str = include_str!("../../cli/samples.jsonl");

/// All sample documents, as `POST /documents` takes them.
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
/// When no sample has it.
pub fn sample(id: &str) -> Result<Value> {
    samples()?
        .into_iter()
        .find(|document| document["id"] == id)
        .with_context(|| format!("no sample document has the id {id}"))
}
