//! Driver errors, formatted for the log.

use std::{error::Error, fmt};

use telemetry::chain;

/// An error of the driver, or of the server.
#[derive(Debug)]
pub struct DriverError(sqlx::Error);

impl DriverError {
    /// The SQLSTATE of a server error.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        Some(self.0.as_database_error()?.code()?.into_owned())
    }

    /// Whether it is a `unique_violation`.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        self.0
            .as_database_error()
            .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

impl From<sqlx::Error> for DriverError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match said_by_server(&self.0) {
            Some(said) => f.write_str(&said),
            None => self.0.fmt(f),
        }
    }
}

impl Error for DriverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.0.as_database_error() {
            Some(_) => None,
            None => self.0.source(),
        }
    }
}

/// An error with its causes.
pub(super) fn describe(error: &sqlx::Error) -> String {
    said_by_server(error).unwrap_or_else(|| chain(error))
}

/// Message and SQLSTATE of a server error; sqlx adds a line number of Postgres' source.
fn said_by_server(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    Some(match error.code() {
        Some(code) => format!("{} (SQLSTATE {code})", error.message()),
        None => error.message().to_owned(),
    })
}
