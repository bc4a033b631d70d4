//! The end of an answer, and its cost.

use std::time::Instant;

use language_model::Usage;
use schemars::JsonSchema;
use serde::Serialize;
use telemetry::ms;

use crate::citations::{Citation, Citations};

/// The last part of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatDone")]
pub(crate) struct Done {
    /// `stop`, `length`, `content_filter` or `refusal` from the model, or `no_sources` if the model was not asked.
    pub(crate) finish_reason: String,
    /// All tokens that the model read and wrote; `null` if it does not count them.
    pub(crate) usage: Option<Usage>,
    /// The numbers of the sources that the answer cites.
    cited: Vec<usize>,
    /// The places of the citations.
    pub(crate) citations: Vec<Citation>,
    /// The number of citations of missing sources.
    citations_invalid: usize,
    took_ms: Took,
}

/// Milliseconds since the request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatTook")]
struct Took {
    /// Until the sources were found.
    retrieval: f64,
    /// Until the first text; `null` without text.
    first_token: Option<f64>,
    /// Until the end.
    total: f64,
}

/// Times of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) start: Instant,
    /// The deadline of the answer.
    pub(crate) deadline: Instant,
    /// Milliseconds until the sources were found.
    pub(crate) retrieval: f64,
    /// Milliseconds until the first text.
    pub(crate) first_token: Option<f64>,
}

impl Done {
    pub(crate) fn new(
        finish_reason: String,
        usage: Option<Usage>,
        citations: &Citations,
        clock: Clock,
    ) -> Self {
        Self {
            finish_reason,
            usage,
            cited: citations.cited(),
            citations: citations.found().to_vec(),
            citations_invalid: citations.invalid(),
            took_ms: Took {
                retrieval: clock.retrieval,
                first_token: clock.first_token,
                total: ms(clock.start.elapsed()),
            },
        }
    }
}

impl Clock {
    pub(crate) fn found(&mut self) {
        self.retrieval = ms(self.start.elapsed());
    }

    /// Notes the time of the first text.
    pub(crate) fn spoken(&mut self) {
        self.first_token
            .get_or_insert_with(|| ms(self.start.elapsed()));
    }
}

/// Counts what the language model has read and written for the caller's account.
pub(crate) fn count(usage: Option<Usage>) {
    let Some(usage) = usage else { return };
    telemetry::used(|used| {
        used.prompt_tokens += usage.prompt_tokens;
        used.completion_tokens += usage.completion_tokens;
    });
}

/// The sum.
pub(crate) fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Usage {
            prompt_tokens: one.prompt_tokens + other.prompt_tokens,
            completion_tokens: one.completion_tokens + other.completion_tokens,
        }),
        (one, other) => one.or(other),
    }
}
