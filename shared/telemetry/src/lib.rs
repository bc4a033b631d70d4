//! What is told of each invocation when it is over: a line in the log, which `CloudWatch` makes metrics
//! of, and spans for a collector of OpenTelemetry, if one is set.
//!
//! Rooms that measure call [`measure`] and [`rows`]; `shared::http` says which route was asked for and
//! how it ended. All of it is noted in the record of the invocation that runs, or nowhere if none does.
//! No text of a request or a document, no id of a document and no secret is told: see [`logging`].

mod cause;
mod config;
mod function;
mod line;
mod logging;
mod milliseconds;
mod record;
mod spans;
mod trace_context;

pub use self::{
    cause::{chain, of_panic},
    config::TelemetryConfig,
    function::{Telemetry, outcome},
    milliseconds::ms,
    record::{
        Part, Record, answered, asked, failed, gauge, idle, measure, pooler, request_id, rows,
    },
};
