//! The unnamed events of a stream.

use serde::Serialize;

/// One event.
pub(super) fn event(data: &impl Serialize) -> String {
    // serde_json writes no line breaks, so the data is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("data: {data}\n\n")
}
