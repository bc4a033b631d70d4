//! What a client is told of a language model that does not answer, and whoever runs it what to set.

use language_model::{Class, Empty, LanguageModelError, Obstacle, Refusal};

use super::Problem;

impl Problem {
    pub(super) fn of_language_model(error: &LanguageModelError) -> Self {
        match error {
            LanguageModelError::NotConfigured(_) => Self::new(
                501,
                "language-model-missing",
                "No language model is configured",
                "set LLM_BASE_URL and LLM_MODEL, and LLM_API_KEY if the endpoint asks for one",
            ),
            LanguageModelError::Refused(refusal) => Self::of_refusal(refusal),
            LanguageModelError::Unreachable(unreachable) => Self::new(
                503,
                "language-model-unreachable",
                "The language model cannot be reached",
                way(unreachable.obstacle),
            )
            .retry(5),
            LanguageModelError::Silent(_) => Self::new(
                504,
                "language-model-silent",
                "The language model took too long",
                "it sent nothing for longer than LLM_TIMEOUT_MS",
            ),
            LanguageModelError::Unfinished => Self::new(
                504,
                "answer-unfinished",
                "The answer took too long",
                "it was not finished within the time limit of the function",
            ),
            LanguageModelError::Cut(_) => Self::new(
                502,
                "language-model-cut",
                "The answer was cut off",
                "the connection to the language model was closed before the answer was finished",
            ),
            LanguageModelError::Unreadable(_) => Self::new(
                502,
                "language-model-unreadable",
                "The language model's answer cannot be read",
                "the response is not a chat completion; check LLM_BASE_URL, which often ends with /v1",
            ),
            LanguageModelError::Empty(empty) => Self::of_empty(*empty),
            LanguageModelError::Key(_) => Self::new(
                502,
                "language-model-key",
                "The key of the language model cannot be fetched",
                "check the ARN in LLM_API_KEY, and the function's permission to read it",
            ),
        }
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        let failed = |word, title, detail| Self::new(502, word, title, detail);
        let problem = match refusal.class {
            Class::Key => failed(
                "language-model-key",
                "The language model's endpoint rejects the key",
                "check LLM_API_KEY, and that it has access to the model",
            ),
            Class::Quota => failed(
                "language-model-quota",
                "The account of the language model has no credit or quota left",
                "check the billing of the account that LLM_API_KEY belongs to",
            ),
            Class::Model => failed(
                "language-model-model",
                "The endpoint does not have the language model",
                "check LLM_MODEL",
            ),
            Class::Address => failed(
                "language-model-address",
                "The endpoint has no chat completions at this address",
                "check LLM_BASE_URL, which often ends with /v1, and LLM_MODEL",
            ),
            Class::Context => failed(
                "language-model-context",
                "The question and its sources are too long for the language model",
                "set LLM_CONTEXT_TOKENS to the tokens of the model's context, or ask for fewer sources",
            ),
            Class::Parameter => failed(
                "language-model-parameter",
                "The language model's endpoint rejects a parameter",
                "check LLM_PARAMETERS and LLM_PRESET; see the log for the error code",
            ),
            Class::Filter => Self::filtered(),
            Class::Busy => Self::new(
                503,
                "language-model-busy",
                "The language model is busy",
                "try again in a moment",
            )
            .retry(5),
            Class::Other => failed(
                "language-model-failed",
                "The language model failed",
                "the endpoint responded with an error; see the log for its status and code",
            ),
        };
        // The endpoint knows best when to come back.
        match refusal
            .retry_after
            .map(|wait| u32::try_from(wait.as_secs()))
        {
            Some(Ok(seconds)) => problem.retry(seconds),
            _ => problem,
        }
    }

    fn of_empty(empty: Empty) -> Self {
        match empty {
            Empty::Filtered => Self::filtered(),
            Empty::ToolCall => Self::new(
                502,
                "language-model-tool-call",
                "The language model called a tool instead of answering",
                "take tools out of LLM_PARAMETERS, or use another model",
            ),
            Empty::Exhausted => Self::new(
                502,
                "language-model-exhausted",
                "The language model used up its tokens before it answered",
                "allow more tokens in LLM_PARAMETERS, or less reasoning",
            ),
            Empty::Silent => Self::new(
                502,
                "language-model-empty",
                "The language model returned no text",
                "its answer ended without any text",
            ),
        }
    }

    fn filtered() -> Self {
        Self::new(
            502,
            "language-model-filtered",
            "A content filter blocked the answer",
            "the endpoint's filter blocked the question, its sources or the answer",
        )
    }
}

fn way(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Dns => "the host in LLM_BASE_URL cannot be resolved",
        Obstacle::Refused => "the host in LLM_BASE_URL refuses connections to the port",
        Obstacle::Tls => {
            "the TLS connection to LLM_BASE_URL failed or is not trusted; SSL_CERT_FILE names other certificate authorities"
        }
        Obstacle::Timeout => {
            "the host in LLM_BASE_URL does not respond; a function in a VPC needs a NAT gateway"
        }
        Obstacle::Request => {
            "LLM_BASE_URL is not a valid URL, or LLM_API_KEY has characters that a header cannot carry"
        }
        Obstacle::Connection => {
            "the endpoint at LLM_BASE_URL closes the connection without a response"
        }
    }
}
