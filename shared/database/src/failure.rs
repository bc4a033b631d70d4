//! Errors of the database.

use std::{fmt, io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::{
    driver_error::{DriverError, describe},
    messages::{Said, advice, said},
};

/// Why a database call failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection could be established.
    #[error("no connection to the database ({cause}): {detail}")]
    Unavailable {
        /// The cause.
        cause: Cause,
        /// Details, with the address; for the log.
        detail: String,
    },
    /// The connection broke during use; whether the statement took effect is unknown.
    #[error("the connection to the database was lost")]
    Lost(#[source] DriverError),
    /// The server is read-only: a standby, or a demoted primary; a new connection reached no other.
    #[error(
        "the server is read-only (a standby, or default_transaction_read_only is on): point DATABASE_URL at the primary"
    )]
    ReadOnly(#[source] DriverError),
    /// Named statements of this connection are missing, or another client's: a transaction-mode pooler is in between.
    /// Nothing was executed.
    #[error(
        "another client's statements are on this server connection: a pooler in transaction mode is in between"
    )]
    Shared(#[source] DriverError),
    /// The pool is exhausted.
    #[error("no connection of the pool became free in time")]
    Busy,
    /// The server is short of a resource, or another transaction conflicted: a retry may succeed soon.
    #[error("the database cannot execute the statement now")]
    Overloaded(#[source] DriverError),
    /// The server cancelled the statement at `statement_timeout`.
    #[error("the statement exceeded its time limit")]
    StatementTimeout,
    /// Another model computed the database's embeddings.
    #[error("{0}")]
    ModelMismatch(String),
    /// The schema is missing or older than this program.
    #[error(
        "the database schema is missing or behind ({0}): run the migrate function or `rappel migrate`"
    )]
    NotMigrated(String),
    /// The role lacks a privilege.
    #[error(
        "the database role lacks a privilege ({0}): run `rappel migrate` or the migrate function, which grants it, or \
         GRANT it"
    )]
    Forbidden(String),
    /// The server, the role or the migration history prevents the schema change; the message says what to do.
    #[error("the schema cannot be migrated: {0}")]
    Migration(String),
    /// A change would make, or touch, a document outside of the filter that the caller is held to.
    #[error("a document is not among those that the caller may change")]
    Invisible,
    /// A tenant may not have that many documents: how many it has, and may have.
    #[error("{0}")]
    Limit(String),
    /// A tenant is being removed.
    #[error("the tenant is being removed")]
    Removed,
    /// The server rejects a value. Its message may quote the value, so only its SQLSTATE is kept.
    #[error("the database refused a value (SQLSTATE {0})")]
    Value(String),
    /// The server refused the statement.
    #[error("the database refused a statement")]
    Statement(#[source] DriverError),
}

/// Why no connection was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

/// Why a connection fails, as a code for logs and problem types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `DATABASE_URL` or a related setting is invalid.
    Settings,
    /// AWS keeps the login and refuses to return it.
    Secret,
    /// The host name has no usable address.
    Dns,
    /// The host has only IPv6 addresses, and there is no IPv6 route.
    Ipv6Only,
    /// Connection refused.
    Refused,
    /// The address does not answer.
    Timeout,
    /// Another network error.
    Network,
    /// The server's certificate, or the handshake.
    Tls,
    /// The server rejects the user or the password.
    Authentication,
    /// The database does not exist.
    UnknownDatabase,
    /// The server has no connection left.
    TooManyClients,
    /// The server is starting, stopping or recovering, or a pooler has no server.
    NotReady,
    /// `DATABASE_POOLER` says `direct`, but there is a pooler.
    Pooler,
    /// The server refused for another reason.
    Server,
}

impl Cause {
    /// The code: `refused`, `too-many-clients`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Secret => "secret",
            Self::Dns => "dns",
            Self::Ipv6Only => "ipv6-only",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Authentication => "authentication",
            Self::UnknownDatabase => "unknown-database",
            Self::TooManyClients => "too-many-clients",
            Self::NotReady => "not-ready",
            Self::Pooler => "pooler",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl DatabaseError {
    /// Whether the values may be the cause, so that others would succeed. They are not if the server lacks space or a
    /// privilege, or on a conflict.
    #[must_use]
    pub fn may_blame_values(&self) -> bool {
        // SQLSTATE classes: transaction state, access rights, prerequisite state, operator intervention, system
        // error.
        const SERVER: [&str; 5] = ["25", "42", "55", "57", "58"];
        match self {
            Self::StatementTimeout
            | Self::Value(_)
            | Self::Invisible
            | Self::Limit(_)
            | Self::Removed => true,
            Self::Statement(error) => error
                .sqlstate()
                .is_some_and(|code| !SERVER.iter().any(|class| code.starts_with(class))),
            _ => false,
        }
    }

    /// Whether Postgres rolled the statement back because of another transaction (SQLSTATE class 40: a deadlock, a
    /// serialization failure); an immediate retry may succeed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Overloaded(error) if error.sqlstate().is_some_and(|code| code.starts_with("40")))
    }

    /// An error of connecting; `dial` is the error of the last dial, if it failed.
    pub(super) fn connecting(error: &sqlx::Error, dial: Option<DialError>) -> Self {
        // sqlx reports a failed dial as a connection that ended before it began.
        if let (sqlx::Error::Io(_), Some(DialError { cause, detail })) = (error, dial) {
            return Self::Unavailable { cause, detail };
        }
        let cause = match error {
            sqlx::Error::Tls(_) => Cause::Tls,
            sqlx::Error::Configuration(_) => Cause::Settings,
            sqlx::Error::Database(database) => refusal(
                database.code().as_deref().unwrap_or_default(),
                database.message(),
            ),
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Cause::Tls,
            _ => Cause::Network,
        };
        let message = error
            .as_database_error()
            .map(sqlx::error::DatabaseError::message);
        let detail = match message.and_then(advice) {
            Some(advice) => format!("{}; {advice}", describe(error)),
            None => describe(error),
        };
        Self::Unavailable { cause, detail }
    }

    /// An error of a statement on an open connection.
    pub(super) fn running(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return if is_broken_connection(&error) {
                Self::Lost(error.into())
            } else {
                Self::Statement(error.into())
            };
        };
        let message = database.message().to_owned();
        let code = database.code().unwrap_or_default().into_owned();
        let has_no_server = matches!(said(&code, &message), Some(Said::NoServer | Said::Full));
        if ends_session(database) || has_no_server {
            return Self::Lost(error.into());
        }
        match code.as_str() {
            // `require_model`.
            "RP001" => Self::ModelMismatch(message),
            // `require_visible`.
            "RP002" => Self::Invisible,
            // `admit_documents`.
            "RP004" => Self::Limit(message),
            "RP005" => Self::Removed,
            // query_canceled: only statement_timeout cancels here.
            "57014" => Self::StatementTimeout,
            // read_only_sql_transaction: a demoted server keeps its connections; the next one may reach its
            // successor.
            "25006" => Self::ReadOnly(error.into()),
            // invalid_sql_statement_name and duplicate_prepared_statement: only named statements have a name.
            "26000" | "42P05" => Self::Shared(error.into()),
            // protocol_violation: a statement of the same name has other parameters.
            "08P01" if message.contains("prepared statement") => Self::Shared(error.into()),
            // insufficient_privilege.
            "42501" => Self::Forbidden(message),
            // lock_not_available; undefined_file and duplicate_file: a server that lacks a library keeps its
            // connections.
            "55P03" | "58P01" | "58P02" => Self::Overloaded(error.into()),
            // undefined_function, undefined_table, undefined_object, undefined_column, invalid_schema_name.
            "42883" | "42P01" | "42704" | "42703" | "3F000" => Self::NotMigrated(message),
            // A syntax error comes from text converted to a query.
            "42601" => Self::Value(code),
            _ => match code.get(..2).unwrap_or_default() {
                // connection_exception; operator_intervention, which poolers send where Postgres would close the
                // connection; system_error, of a pooler or a disk.
                "08" | "57" | "58" => Self::Lost(error.into()),
                // transaction_rollback (deadlock_detected), insufficient_resources.
                "40" | "53" => Self::Overloaded(error.into()),
                // data_exception, and errors raised by foreign triggers.
                "22" | "P0" => Self::Value(code),
                _ => Self::Statement(error.into()),
            },
        }
    }

    /// Whether the connection is unusable after it.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::ReadOnly(_) | Self::Shared(_))
    }

    /// Whether the server rejected the user or the password.
    pub(super) fn is_refused_login(&self) -> bool {
        let refused = Cause::Authentication;
        matches!(self, Self::Unavailable { cause, .. } if *cause == refused)
    }

    /// The server neither answered nor cancelled within `limit`: the connection is dead.
    pub(super) fn no_answer(limit: Duration) -> Self {
        let late = io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no response within {} ms", limit.as_millis()),
        );
        Self::Lost(sqlx::Error::Io(late).into())
    }
}

/// Whether this error ends the session: by the protocol, each of these severities does, whatever the SQLSTATE.
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
fn ends_session(error: &dyn sqlx::error::DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// The cause of an error at connect.
fn refusal(code: &str, message: &str) -> Cause {
    match said(code, message) {
        Some(Said::Tls) => Cause::Tls,
        Some(Said::Login) => Cause::Authentication,
        Some(Said::Database) => Cause::UnknownDatabase,
        Some(Said::Full) => Cause::TooManyClients,
        Some(Said::NoServer) => Cause::NotReady,
        None => refusal_by_code(code),
    }
}

fn refusal_by_code(code: &str) -> Cause {
    match code {
        // invalid_authorization_specification and invalid_password, insufficient_privilege.
        "28000" | "28P01" | "42501" => Cause::Authentication,
        // invalid_catalog_name.
        "3D000" => Cause::UnknownDatabase,
        // A connection that a pooler or a proxy could not make.
        "08000" | "08001" | "08006" => Cause::NotReady,
        // insufficient_resources: too_many_connections, or no memory for one.
        _ if code.starts_with("53") => Cause::TooManyClients,
        // operator_intervention: admin_shutdown, crash_shutdown, cannot_connect_now; system_error, which poolers send
        // without a server.
        _ if code.starts_with("57") || code.starts_with("58") => Cause::NotReady,
        _ => Cause::Server,
    }
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
