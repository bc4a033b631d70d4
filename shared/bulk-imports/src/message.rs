//! Messages of the import queue.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A piece of work: a part of an import, or a single document of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The import's id.
    pub(super) import: String,
    /// The part; 0 is the plan.
    pub(super) part: i32,
    /// For a single document: where its line begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<i64>,
    /// Why it is stored singly, for readers of the dead-letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// When the import was accepted or resumed, in seconds since 1970.
    pub(super) since: u64,
}

/// The maximum duration of an import: the default message retention of SQS:
const LONGEST: Duration = Duration::from_hours(4 * 24);

impl Message {
    /// The first message of an import.
    pub(super) fn plan(import: String) -> Self {
        Self {
            import,
            part: 0,
            position: None,
            reason: None,
            since: now(),
        }
    }

    pub(super) fn of_part(&self, part: i32) -> Self {
        Self {
            part,
            position: None,
            reason: None,
            ..self.clone()
        }
    }

    pub(super) fn of_line(&self, position: i64, reason: String) -> Self {
        Self {
            position: Some(position),
            reason: Some(reason),
            ..self.clone()
        }
    }

    /// The same, resumed now.
    pub(super) fn resumed(self) -> Self {
        Self {
            since: now(),
            ..self
        }
    }

    /// Whether the import exceeds the maximum duration.
    pub(super) fn is_too_old(&self) -> bool {
        is_too_old(self.since)
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

/// Whether work that was accepted at `since` exceeds the maximum duration.
pub(super) fn is_too_old(since: u64) -> bool {
    now() > since + LONGEST.as_secs()
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
