//! What can go wrong between a function and its database.

use std::{fmt, io, time::Duration};

use super::dial::DialError;

/// Why the database did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection could be made.
    #[error("no connection to the database ({cause}): {detail}")]
    Unavailable {
        /// What stood in the way.
        cause: Cause,
        /// What exactly, with the address; for the log.
        detail: String,
    },
    /// A connection broke while it was used; whether the statement took effect is unknown.
    #[error("the connection to the database was lost")]
    Lost(#[source] sqlx::Error),
    /// Every connection of the pool is in use.
    #[error("no connection of the pool became free in time")]
    Busy,
    /// The server is short of something, or another transaction was in the way: the same may succeed in a
    /// moment.
    #[error("the database could not do it now")]
    Overloaded(#[source] sqlx::Error),
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
    /// The role of the connection lacks a right.
    #[error("the database role lacks a right ({0}): run `rappel migrate` or the migrate function, which grants it, or GRANT it")]
    Forbidden(String),
    /// The server, the role or the history of the database keeps the schema from being changed; the message says what to do.
    #[error("the schema cannot be brought up to date: {0}")]
    Migration(String),
    /// The server does not take a value that a statement brought. Its words may quote the value, so only its
    /// SQLSTATE is kept.
    #[error("the database refused a value (SQLSTATE {0})")]
    Value(String),
    /// The server refused the statement.
    #[error("the database refused a statement")]
    Statement(#[source] sqlx::Error),
}

/// What stands in the way of a connection, in a word for logs and problem types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `DATABASE_URL` or a setting around it cannot be used.
    Settings,
    /// AWS keeps the login and does not give it.
    Secret,
    /// The host's name has no usable address.
    Dns,
    /// The host has only IPv6 addresses, and there is no IPv6 route.
    Ipv6Only,
    /// Nobody listens at the address.
    Refused,
    /// The address does not answer.
    Timeout,
    /// Another error of the network.
    Network,
    /// The server's certificate, or the handshake.
    Tls,
    /// The server does not accept the user or the password.
    Authentication,
    /// The server has no database of this name.
    UnknownDatabase,
    /// The server has no connection left.
    TooManyClients,
    /// The server starts, stops or recovers.
    NotReady,
    /// The server refused for another reason.
    Server,
}

impl Cause {
    /// The word: `refused`, `too-many-clients`.
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
    /// Whether it may be the fault of the values that were sent: then others would be stored where these
    /// are not. It is not if the server lacks room or a right, or was in another's way.
    #[must_use]
    pub fn may_blame_values(&self) -> bool {
        // Classes of SQLSTATE: transaction state, access rights, prerequisite state, operator intervention,
        // system error.
        const SERVER: [&str; 5] = ["25", "42", "55", "57", "58"];
        match self {
            Self::StatementTimeout | Self::Value(_) => true,
            Self::Statement(error) => {
                code(error).is_some_and(|code| !SERVER.iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        }
    }

    /// An error of making a connection; `dial` is how the last dial failed, if it did.
    pub(super) fn connecting(error: &sqlx::Error, dial: Option<DialError>) -> Self {
        // sqlx sees a failed dial only as a connection that ended before it began.
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
        Self::Unavailable {
            cause,
            detail: error.to_string(),
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
            // `require_model`.
            Some("RP001") => Self::ModelMismatch(message),
            // query_canceled: by statement_timeout, the only one to cancel here.
            Some("57014") => Self::StatementTimeout,
            // admin_shutdown, crash_shutdown, cannot_connect_now, and the connection_exception class.
            Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Lost(error),
            // idle_in_transaction_session_timeout and transaction_timeout, which end the connection;
            // read_only_sql_transaction: a server that was demoted keeps its connections, and the next one
            // may lead to its successor.
            Some("25P03" | "25P04" | "25006") => Self::Lost(error),
            // Transaction rollback (deadlock_detected), insufficient resources, lock_not_available.
            Some(code) if code.starts_with("40") || code.starts_with("53") || code == "55P03" => {
                Self::Overloaded(error)
            }
            // insufficient_privilege.
            Some("42501") => Self::Forbidden(message),
            // undefined_function, undefined_table, undefined_object, undefined_column, invalid_schema_name.
            Some("42883" | "42P01" | "42704" | "42703" | "3F000") => Self::NotMigrated(message),
            // Data exceptions, what a trigger of somebody else's raises, and a syntax error, which is one of
            // text that was made into a question.
            Some(code) if code.starts_with("22") || code.starts_with("P0") || code == "42601" => {
                Self::Value(code.to_owned())
            }
            _ => Self::Statement(error),
        }
    }

    /// Whether the server refused the user or the password.
    pub(super) fn is_refused_login(&self) -> bool {
        let refused = Cause::Authentication;
        matches!(self, Self::Unavailable { cause, .. } if *cause == refused)
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

/// What a server means that answers a connection with an error. Poolers have few codes of their own
/// (`PgBouncer` 08P01, Supavisor XX000) and say in words what is wrong.
fn refusal(code: &str, message: &str) -> Cause {
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    // Of PgBouncer, Postgres with `hostssl` lines alone, Azure and Neon.
    let tls = [
        "SSL required",
        "no encryption",
        "SSL connection is required",
        "connection is insecure",
    ];
    match code {
        _ if says(&tls) => Cause::Tls,
        // invalid_authorization_specification and invalid_password, insufficient_privilege.
        "28000" | "28P01" | "42501" => Cause::Authentication,
        // invalid_catalog_name.
        "3D000" => Cause::UnknownDatabase,
        // too_many_connections.
        "53300" => Cause::TooManyClients,
        // admin_shutdown, crash_shutdown, cannot_connect_now.
        "57P01" | "57P02" | "57P03" => Cause::NotReady,
        "08P01" if says(&["no such database"]) => Cause::UnknownDatabase,
        "08P01" if says(&["no such user", "authentication failed"]) => Cause::Authentication,
        "08P01" if says(&["max_client_conn", "query_wait_timeout"]) => Cause::TooManyClients,
        "XX000" if says(&["Tenant or user not found"]) => Cause::Authentication,
        "XX000" if says(&["max clients", "Max client"]) => Cause::TooManyClients,
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
