//! What the queue carries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A piece of work: a part of an import, or one document of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The import's id.
    pub(super) import: String,
    /// Its part; 0 is the plan.
    pub(super) part: i32,
    /// Of a document that is tried alone, where its line begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<i64>,
    /// Why it is tried alone, for whoever finds it in the dead-letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// When work on its import was asked for, in seconds since 1970.
    pub(super) since: u64,
}

/// How long an import may take. It is the time that SQS keeps messages if nothing else is set:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>.
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

    /// Whether the import takes longer than any may.
    pub(super) fn is_too_old(&self) -> bool {
        now() > self.since + LONGEST.as_secs()
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
