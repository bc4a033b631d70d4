//! What can go wrong between a function and its database.

use std::{io, time::Duration};

/// Why the database did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection could be made.
    #[error("no connection to the database ({cause})")]
    Unavailable {
        /// What stood in the way.
        cause: String,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// A connection broke while it was used; whether the statement took effect is unknown.
    #[error("the connection to the database was lost")]
    Lost(#[source] sqlx::Error),
    /// Every connection of the pool is in use.
    #[error("no connection of the pool became free in time")]
    Busy,
    /// The server cancelled the statement at its time limit.
    #[error("the statement reached its time limit")]
    StatementTimeout,
    /// The database was embedded by another model.
    #[error("{0}")]
    ModelMismatch(String),
    /// The schema is not there, or older than this program.
    #[error(
        "the database schema is missing or behind ({0}): run the migrate function or `rappel migrate`"
    )]
    NotMigrated(String),
    /// The server refused the statement.
    #[error("the database refused a statement")]
    Statement(#[source] sqlx::Error),
}

impl DatabaseError {
    /// An error of making a connection.
    pub(super) fn connecting(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Unavailable {
                cause: "none could be made or became free within the acquire limit".to_owned(),
                source: error,
            },
            source => Self::Unavailable {
                cause: source.to_string(),
                source,
            },
        }
    }

    /// An error of running a statement on a connection that was made.
    pub(super) fn running(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return if is_broken_connection(&error) {
                Self::Lost(error)
            } else {
                Self::Statement(error)
            };
        };
        let message = database.message().to_owned();
        match database.code().as_deref() {
            // rappel.require_model of migration 1.
            Some("RP001") => Self::ModelMismatch(message),
            // query_canceled: by statement_timeout, the only one to cancel here.
            Some("57014") => Self::StatementTimeout,
            // admin_shutdown, crash_shutdown, cannot_connect_now, and the connection_exception class.
            Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Lost(error),
            // undefined_function, undefined_table, undefined_object, undefined_column, invalid_schema_name.
            Some("42883" | "42P01" | "42704" | "42703" | "3F000") => Self::NotMigrated(message),
            _ => Self::Statement(error),
        }
    }

    /// The server neither answered nor cancelled within `limit`: the connection is dead.
    pub(super) fn no_answer(limit: Duration) -> Self {
        Self::Lost(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} ms", limit.as_millis()),
        )))
    }
}

/// The SQLSTATE of an error of the server.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn is_broken_connection(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
    )
}
