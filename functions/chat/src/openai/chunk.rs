//! The events of a stream, which have no names.

use serde::Serialize;

/// One event.
pub(super) fn event(data: &impl Serialize) -> String {
    // JSON has no line breaks of its own, so the data is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("data: {data}\n\n")
}
