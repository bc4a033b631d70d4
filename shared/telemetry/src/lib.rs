//! Telemetry of each invocation when it is over: a log line, from which `CloudWatch` extracts metrics, and spans for
//! an OpenTelemetry collector, if configured.
//!
//! Crates that measure call [`measure`] and [`rows`]; `shared::http` sets the route and the status. All of it goes to
//! the record of the current invocation, or nowhere outside one. It includes no text of a request or a document, no
//! document id and no secret: see [`logging`].

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
        Phase, Record, Usage, afterwards, answered, asked, failed, gauge, idle, measure, pooler,
        request_id, rows, usage, used,
    },
};
