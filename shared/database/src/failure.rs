//! What can go wrong between a function and its database.

use std::{fmt, io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::driver_error::{DriverError, describe};

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
    Lost(#[source] DriverError),
    /// The server takes no changes: a standby, or a primary that was demoted; the next connection led to
    /// no other.
    #[error(
        "the server is read-only (a standby, or default_transaction_read_only is on): let DATABASE_URL lead to \
         the primary"
    )]
    ReadOnly(#[source] DriverError),
    /// Named statements of this connection are not there, or another client's are: a pooler in
    /// transaction mode is in between. Nothing was executed.
    #[error(
        "another client's statements are on this server connection: a pooler in transaction mode is in between"
    )]
    Shared(#[source] DriverError),
    /// Every connection of the pool is in use.
    #[error("no connection of the pool became free in time")]
    Busy,
    /// The server is short of something, or another transaction was in the way: the same may succeed in a
    /// moment.
    #[error("the database could not do it now")]
    Overloaded(#[source] DriverError),
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
    #[error(
        "the database role lacks a right ({0}): run `rappel migrate` or the migrate function, which grants it, or GRANT it"
    )]
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
    Statement(#[source] DriverError),
}

/// Why no connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: Cause,
    pub(super) detail: String,
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
    /// The server starts, stops or recovers, or a pooler has no server.
    NotReady,
    /// `DATABASE_POOLER` says that there is no pooler, and there is one.
    Pooler,
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
    /// Whether it may be the fault of the values that were sent: then others would be stored where these
    /// are not. It is not if the server lacks room or a right, or was in another's way.
    #[must_use]
    pub fn may_blame_values(&self) -> bool {
        // Classes of SQLSTATE: transaction state, access rights, prerequisite state, operator intervention,
        // system error.
        const SERVER: [&str; 5] = ["25", "42", "55", "57", "58"];
        match self {
            Self::StatementTimeout | Self::Value(_) => true,
            Self::Statement(error) => error
                .sqlstate()
                .is_some_and(|code| !SERVER.iter().any(|class| code.starts_with(class))),
            _ => false,
        }
    }

    /// Whether Postgres rolled the statement back for the sake of another transaction (SQLSTATE class 40: a
    /// deadlock, a serialization failure); the same may succeed at once.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Overloaded(error) if error.sqlstate().is_some_and(|code| code.starts_with("40")))
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
            detail: describe(error),
        }
    }

    /// An error of running a statement on a connection that was made.
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
        if ends_session(database) || says_no_server(&message) {
            return Self::Lost(error.into());
        }
        match code.as_str() {
            // `require_model`.
            "RP001" => Self::ModelMismatch(message),
            // query_canceled: by statement_timeout, the only one to cancel here.
            "57014" => Self::StatementTimeout,
            // read_only_sql_transaction: a server that was demoted keeps its connections, and the next one
            // may lead to its successor.
            "25006" => Self::ReadOnly(error.into()),
            // invalid_sql_statement_name and duplicate_prepared_statement: only named statements have a name.
            "26000" | "42P05" => Self::Shared(error.into()),
            // protocol_violation, where the statement of our name has other parameters.
            "08P01" if message.contains("prepared statement") => Self::Shared(error.into()),
            // insufficient_privilege.
            "42501" => Self::Forbidden(message),
            // lock_not_available; undefined_file and duplicate_file: a server that lacks a library keeps its
            // connections.
            "55P03" | "58P01" | "58P02" => Self::Overloaded(error.into()),
            // undefined_function, undefined_table, undefined_object, undefined_column, invalid_schema_name.
            "42883" | "42P01" | "42704" | "42703" | "3F000" => Self::NotMigrated(message),
            // A syntax error is one of text that was made into a question.
            "42601" => Self::Value(code),
            _ => match code.get(..2).unwrap_or_default() {
                // connection_exception; operator_intervention, which poolers say where Postgres would end
                // the connection; system_error, which is theirs or that of a disk.
                "08" | "57" | "58" => Self::Lost(error.into()),
                // transaction_rollback (deadlock_detected), insufficient_resources.
                "40" | "53" => Self::Overloaded(error.into()),
                // data_exception, and what a trigger of somebody else's raises.
                "22" | "P0" => Self::Value(code),
                _ => Self::Statement(error.into()),
            },
        }
    }

    /// Whether the connection on which it came is of no use any more.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::ReadOnly(_) | Self::Shared(_))
    }

    /// Whether the server refused the user or the password.
    pub(super) fn is_refused_login(&self) -> bool {
        let refused = Cause::Authentication;
        matches!(self, Self::Unavailable { cause, .. } if *cause == refused)
    }

    /// The server neither answered nor cancelled within `limit`: the connection is dead.
    pub(super) fn no_answer(limit: Duration) -> Self {
        let late = io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} ms", limit.as_millis()),
        );
        Self::Lost(sqlx::Error::Io(late).into())
    }
}

/// Whether the server, or a pooler, ends the connection with this error: by the protocol, every one of
/// these severities does, whatever its code.
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
fn ends_session(error: &dyn sqlx::error::DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether a pooler says that it has no server, under whatever code and severity: `PgBouncer`, pgpool-II,
/// `PgCat`, Odyssey.
fn says_no_server(message: &str) -> bool {
    [
        "server login has been failing",
        "server conn crashed",
        "server_login_retry",
        "all backend nodes are down",
        "unable to read data from DB node",
        "failed to read kind from backend",
        "AllServersDown",
        "all servers down",
        "could not get connection from the pool",
        "failed to get remote server",
        "no server connection",
    ]
    .iter()
    .any(|words| message.contains(words))
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
        _ if says_no_server(message) => Cause::NotReady,
        // invalid_authorization_specification and invalid_password, insufficient_privilege.
        "28000" | "28P01" | "42501" => Cause::Authentication,
        // invalid_catalog_name.
        "3D000" => Cause::UnknownDatabase,
        // insufficient_resources: too_many_connections, or no memory for one.
        _ if code.starts_with("53") => Cause::TooManyClients,
        // operator_intervention: admin_shutdown, crash_shutdown, cannot_connect_now; system_error, with
        // which poolers say that they have no server.
        _ if code.starts_with("57") || code.starts_with("58") => Cause::NotReady,
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
