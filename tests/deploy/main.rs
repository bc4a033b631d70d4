//! A deploy as far as it goes without an account: what is sent to AWS is checked and run here.

mod access;
mod artifacts;
mod created;
mod failures;
mod guided;
mod lambda;
mod modes;
mod parameters;
mod rights;
mod routes;
mod template;

/// What every story returns: an error is a story that could not be told to its end.
type Outcome = anyhow::Result<()>;
