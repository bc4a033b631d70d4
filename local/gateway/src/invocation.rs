//! An event on its way to a sandbox, and what comes back.

use std::{error::Error, fmt};

use hyper::{Response, body::Bytes};
use tokio::sync::oneshot;

use super::stream::FunctionStream;

/// What became of an invocation.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The JSON that the function returned.
    Response(Bytes),
    /// The response that the function has begun to stream.
    Stream(Response<FunctionStream>),
    Failed(FunctionError),
}

/// Why an invocation has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The function's binary.
    pub function: String,
    /// As the function reported it, or Lambda's word for it, such as `Runtime.ExitError`.
    pub error_type: String,
    /// What happened.
    pub error_message: String,
    pub(super) kind: ErrorKind,
}

/// Which answer an error calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    Failed,
    Deadline,
    Busy,
}

/// An event with its deadline, as a sandbox gets it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// Milliseconds since 1970.
    pub(super) deadline: u128,
}

/// An event for which no sandbox has begun to work.
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
            "Function `{function}` has no answer ({error_type}): {error_message}."
        )
    }
}

impl Error for FunctionError {}
