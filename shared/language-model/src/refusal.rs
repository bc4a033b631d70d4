//! Interprets an endpoint's errors: endpoints agree on neither statuses nor codes.

use std::time::Duration;

use serde_json::Value;

use super::error::{Class, Refusal};

/// A refusal with the endpoint's words in lower case. They are only inspected, never passed on: they may quote the
/// conversation or the key.
pub(super) struct EndpointError {
    pub(super) refusal: Refusal,
    pub(super) words: String,
}

impl EndpointError {
    /// Reads an error of a response, with its status, or of a stream.
    pub(super) fn new(status: Option<u16>, body: &Value, retry_after: Option<Duration>) -> Self {
        // Gemini puts errors in a list.
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").unwrap_or(body);
        let codes = [code_in(error, "code"), code_in(error, "type")];
        let words = words(error);
        let class = class(status.or_else(|| status_in(error)), &codes, &words);
        Self {
            refusal: Refusal {
                class,
                status,
                code: codes.into_iter().flatten().next(),
                retry_after,
            },
            words,
        }
    }

    /// Whether the endpoint's words contain one of these.
    pub(super) fn mentions(&self, any: &[&str]) -> bool {
        any.iter().any(|word| self.words.contains(word))
    }
}

/// Codes of accounts without credit: a retry is useless, although some come with 429.
const NO_MONEY: [&str; 9] = [
    "insufficient_quota",
    "budget_exceeded",
    "insufficient_balance",
    "insufficient_credits",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "exceeded_current_quota_error",
    "arrearage",
];
const NO_SUCH_MODEL: [&str; 6] = [
    "model_not_found",
    "invalid_model",
    "unknown_model",
    "model_not_supported",
    "model_decommissioned",
    "deploymentnotfound",
];
const TOO_LONG: [&str; 14] = [
    "context_length",
    "context length",
    "context window",
    "context size",
    "maximum context",
    "max context",
    "too many tokens",
    "too many input tokens",
    "too large for model",
    "prompt is too long",
    "input is too long",
    "input length",
    "maximum number of tokens",
    "exceeds the maximum number of tokens",
];
const NO_SUCH_PARAMETER: [&str; 12] = [
    "unsupported_parameter",
    "unsupported_value",
    "unknown_parameter",
    "invalid_parameter",
    "extra_forbidden",
    "extra inputs",
    "extra fields",
    "unsupported parameter",
    "unsupported value",
    "unknown field",
    "unrecognized",
    "unknown parameter",
];
const FILTERED: [&str; 4] = [
    "content_filter",
    "content_policy",
    "data_inspection_failed",
    "responsibleaipolicyviolation",
];
/// Messages for accounts without credit, without a code.
const NO_MONEY_SENTENCES: [&str; 5] = [
    "credit balance",
    "insufficient balance",
    "not enough credits",
    "budget has been exceeded",
    "exceededbudget",
];
/// Messages for a wrong model without a code. Another form of the request would not help.
const NO_SUCH_MODEL_SENTENCES: [&str; 6] = [
    // LiteLLM
    "invalid model name",
    // DeepSeek
    "model not exist",
    // OpenRouter
    "not a valid model",
    "unknown model",
    // Bedrock
    "model identifier is invalid",
    "has been decommissioned",
];
/// Messages for a wrong key from endpoints that answer 400.
const WRONG_KEY: [&str; 5] = [
    // xAI
    "incorrect api key",
    "invalid_api_key",
    "api_key_invalid",
    "api key not valid",
    "invalid api key",
];

fn class(status: Option<u16>, codes: &[Option<String>], words: &str) -> Class {
    let has_code = |known: &[&str]| {
        let mut codes = codes.iter().flatten();
        codes.any(|code| known.contains(&code.to_ascii_lowercase().as_str()))
    };
    let said = |known: &[&str]| known.iter().any(|word| words.contains(word));
    // In a stream only the error's own words are known.
    let status = status.unwrap_or_default();
    let request = matches!(status, 0 | 400 | 413 | 422 | 500);
    match status {
        402 => Class::Quota,
        _ if has_code(&NO_MONEY) => Class::Quota,
        _ if has_code(&NO_SUCH_MODEL) => Class::Model,
        429 | 502 | 503 | 504 | 529 => Class::Busy,
        400 | 401 | 403 if said(&NO_MONEY_SENTENCES) => Class::Quota,
        401 | 403 => Class::Key,
        _ if request && said(&FILTERED) => Class::Filter,
        404 if said(&["model", "deployment"]) => Class::Model,
        404 | 405 => Class::Address,
        _ if request && said(&WRONG_KEY) => Class::Key,
        _ if request && said(&NO_SUCH_MODEL_SENTENCES) => Class::Model,
        _ if request && said(&TOO_LONG) => Class::Context,
        413 => Class::Context,
        _ if request && said(&NO_SUCH_PARAMETER) => Class::Parameter,
        400 | 422 if said(&["model"]) && said(&["not found", "does not exist"]) => Class::Model,
        400 | 422 if said(&["not supported", "unsupported", "not permitted"]) => Class::Parameter,
        0 if said(&["rate_limit", "overloaded"]) => Class::Busy,
        _ => Class::Other,
    }
}

/// A code or type that is a plain word. The error's message is ignored.
fn code_in(error: &Value, field: &str) -> Option<String> {
    let word = error.get(field)?.as_str()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (word.len() <= 64 && word.chars().all(plain)).then(|| word.to_owned())
}

/// Some endpoints put the status in the error's body, its only place in a stream.
fn status_in(error: &Value) -> Option<u16> {
    let code = error.get("code")?;
    let number = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    u16::try_from(number)
        .ok()
        .filter(|code| (400..600).contains(code))
}

/// Every text in an error, in lower case.
fn words(error: &Value) -> String {
    match error {
        Value::String(text) => text.to_lowercase(),
        Value::Array(values) => joined(values.iter()),
        Value::Object(fields) => joined(fields.values()),
        _ => String::new(),
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    values.map(words).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class_of(status: u16, body: &Value) -> Class {
        EndpointError::new(Some(status), body, None).refusal.class
    }

    #[test]
    fn errors_of_many_endpoints_are_classified() {
        let message = |text: &str| json!({ "error": { "message": text } });
        let code = |code: &str| json!({ "error": { "message": "No.", "code": code } });
        for (status, body, class) in [
            (401, json!({}), Class::Key),
            (403, message("Country not supported"), Class::Key),
            (
                400,
                json!([{ "error": { "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT" } }]),
                Class::Key,
            ),
            (402, message("Insufficient Balance"), Class::Quota),
            (429, code("insufficient_quota"), Class::Quota),
            (400, message("Your credit balance is too low"), Class::Quota),
            (429, message("You exceeded your current quota"), Class::Busy),
            (529, json!("overloaded"), Class::Busy),
            (
                404,
                message("The model `gpt-9` does not exist"),
                Class::Model,
            ),
            (404, json!({ "error": "model 'x' not found" }), Class::Model),
            (
                400,
                json!({ "message": "Invalid model: x", "type": "invalid_model" }),
                Class::Model,
            ),
            (
                400,
                json!({ "error": { "message": { "error": "/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view available models for your key." }, "type": "None", "param": "None", "code": "400" } }),
                Class::Model,
            ),
            (
                400,
                json!({ "error": { "message": "Model Not Exist", "type": "invalid_request_error", "param": null, "code": "invalid_request_error" } }),
                Class::Model,
            ),
            (
                400,
                json!({ "error": { "message": "x/y is not a valid model ID", "code": 400 }, "user_id": "u" }),
                Class::Model,
            ),
            (
                400,
                json!({ "error": { "message": "Budget has been exceeded! Current cost: 2, Max budget: 1", "type": "budget_exceeded", "param": null, "code": "400" } }),
                Class::Quota,
            ),
            (
                429,
                json!({ "error": { "message": "No.", "type": "budget_exceeded", "code": "429" } }),
                Class::Quota,
            ),
            (
                401,
                message("ExceededBudget: User=u over budget. Spend=2, Budget=1"),
                Class::Quota,
            ),
            (
                400,
                json!({ "code": "Client specified an invalid argument", "error": "Incorrect API key provided: sk***gA. You can obtain an API key from https://console.x.ai." }),
                Class::Key,
            ),
            (404, json!({ "detail": "Not Found" }), Class::Address),
            (405, json!(null), Class::Address),
            (400, code("context_length_exceeded"), Class::Context),
            (
                400,
                message("This model's maximum context length is 4096 tokens"),
                Class::Context,
            ),
            (
                500,
                message("the request exceeds the available context size"),
                Class::Context,
            ),
            (413, json!(null), Class::Context),
            (
                400,
                json!({ "error": { "message": "x", "param": "max_tokens", "code": "unsupported_parameter" } }),
                Class::Parameter,
            ),
            (
                422,
                json!({ "detail": [{ "type": "extra_forbidden", "loc": ["body", "stream_options"] }] }),
                Class::Parameter,
            ),
            (400, code("content_filter"), Class::Filter),
            (400, message("Bad request"), Class::Other),
            (500, message("oops"), Class::Other),
        ] {
            assert_eq!(class_of(status, &body), class, "{status} {body}");
        }
    }

    #[test]
    fn an_error_in_a_stream_is_classified_by_its_message() {
        let said =
            |error: Value| EndpointError::new(None, &json!({ "error": error }), None).refusal;
        assert_eq!(said(json!({ "code": 429 })).class, Class::Busy);
        assert_eq!(
            said(json!({ "type": "overloaded_error" })).class,
            Class::Busy
        );
        let refusal = said(json!({ "message": "the key sk-123 is wrong", "type": "server_error" }));
        assert_eq!(refusal.class, Class::Other);
        let shown = format!("{refusal} {refusal:?}");
        assert!(
            shown.contains("server_error") && !shown.contains("sk-123"),
            "{shown}"
        );
        let odd = said(json!({ "code": "the secret is sk-123" }));
        assert_eq!(odd.code, None, "no plain word");
    }
}
