//! A deploy as far as possible without an AWS account: what is sent to AWS is checked and run here.

mod access;
mod artifacts;
mod callers;
mod created;
mod failures;
mod guided;
mod lambda;
mod modes;
mod parameters;
mod project;
mod rendered;
mod rights;
mod routes;
mod template;

/// The result of a story: an error means that it could not run to its end.
type Outcome = anyhow::Result<()>;
