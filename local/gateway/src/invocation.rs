//! An invocation on its way to a sandbox, and its outcome.

use std::{error::Error, fmt};

use hyper::{Response, body::Bytes};
use tokio::sync::oneshot;

use super::stream::FunctionStream;

/// The outcome of an invocation.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The returned JSON.
    Response(Bytes),
    /// A streamed response.
    Stream(Response<FunctionStream>),
    Failed(FunctionError),
}

/// Why an invocation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The function's binary.
    pub function: String,
    /// As the function reported it, or Lambda's own, such as `Runtime.ExitError`.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
    pub(super) kind: ErrorKind,
}

/// Selects the status of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    Failed,
    Deadline,
    Busy,
}

/// An event with its deadline, as delivered to a sandbox.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// Milliseconds since 1970.
    pub(super) deadline: u128,
}

/// An invocation that no sandbox has started.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) payload: Bytes,
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl fmt::Display for FunctionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function,
            error_type,
            error_message,
            ..
        } = self;
        write!(
            formatter,
            "Function `{function}` failed ({error_type}): {error_message}."
        )
    }
}

impl Error for FunctionError {}
