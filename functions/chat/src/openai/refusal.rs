//! Errors in the shape of `OpenAI`'s: <https://platform.openai.com/docs/guides/error-codes>.

use lambda_http::http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    Error,
    http::{self, Request, Response},
    problem::Problem,
};

use super::chunk::event;

/// A refused request.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    error: Box<ErrorBody>,
    retry_after: Option<u32>,
    authenticate: Option<String>,
    allow: Option<&'static str>,
}

/// The error in the response.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAiErrorBody")]
struct ErrorBody {
    /// What happened, with the limit or the remedy.
    message: String,
    /// `invalid_request_error` or `server_error`.
    r#type: &'static str,
    /// The invalid field.
    param: Option<String>,
    /// `invalid_api_key`, `rate_limit_exceeded`, or the last word of the problem's type, with underscores.
    code: String,
}

/// An error in `OpenAI`'s shape.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenAiError")]
pub(crate) struct Body<'a> {
    /// The error.
    error: &'a ErrorBody,
}

impl Refusal {
    /// No model has the requested name.
    pub(super) fn model(name: &str, known: &[&str]) -> Self {
        let known = known.join("`, `");
        let message = format!("the model `{name}` does not exist; use `{known}`");
        Self::own(404, "model_not_found", Some("model"), message)
    }

    /// The path below `/v1` does not exist.
    pub(super) fn resource(resource: &str) -> Self {
        let message =
            format!("/v1/{resource} does not exist; use chat/completions, embeddings or models");
        Self::own(404, "not_found", None, message)
    }

    /// The path does not allow the method.
    pub(super) fn method(request: &Request, allowed: &'static str) -> Self {
        let method = request.method().to_string();
        Error::Method { method, allowed }.into()
    }

    /// The event of a failure within a stream.
    pub(super) fn to_event(&self) -> String {
        event(&Body { error: &self.error })
    }

    pub(super) fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            http::respond(status, &Body { error: &self.error }).unwrap_or_else(|_| http::empty());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(Ok(how)) = self.authenticate.map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, how);
        }
        if let Some(methods) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        response
    }

    fn own(status: u16, code: &str, param: Option<&str>, message: String) -> Self {
        let word = code.replace('_', "-");
        telemetry::failed(&format!("urn:rappel:problem:{word}"), status);
        Self {
            status,
            error: Box::new(ErrorBody {
                message,
                r#type: INVALID,
                param: param.map(str::to_owned),
                code: code.to_owned(),
            }),
            retry_after: None,
            authenticate: None,
            allow: None,
        }
    }
}

const INVALID: &str = "invalid_request_error";

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let problem: Problem = http::report(&error);
        let word = problem.r#type.rsplit(':').next().unwrap_or_default();
        let caller = problem.status < 500;
        // The detail of a failure is the remedy.
        let message = if caller {
            problem.detail
        } else {
            format!("{}: {}", problem.title, problem.detail)
        };
        Self {
            // `OpenAI` uses 400 for invalid fields.
            status: if problem.status == 422 {
                400
            } else {
                problem.status
            },
            error: Box::new(ErrorBody {
                message,
                r#type: if caller { INVALID } else { "server_error" },
                param: problem.errors.into_iter().next().map(|error| error.field),
                // Clients know two of `OpenAI`'s words.
                code: match word {
                    "unauthorized" => "invalid_api_key".to_owned(),
                    "too-many-requests" => "rate_limit_exceeded".to_owned(),
                    word => word.replace('-', "_"),
                },
            }),
            retry_after: problem.retry_after,
            authenticate: problem.authenticate,
            allow: problem.allow,
        }
    }
}
