//! Whether a connection leads to a server process that no other client shares.
//!
//! Named statements are safe only there: sqlx numbers them (`sqlx_s_1`, …), so two clients that a transaction-mode
//! pooler puts on one server connection would execute each other's.
//!
//! Each connection starts with a random startup option, and its first message queries the server process. The
//! evidence, and its weight:
//!
//! - *The option is set, in a process as young as the connection.* Only a pooler drops startup options or reuses a
//!   process: that disproves `direct`. A pooler that starts a process for its first client passes.
//! - *The server sees the address and the port of our own socket.* A proxy that terminates the connection has another
//!   socket, so this proves that none is in between. NAT and TCP load balancers change the address without being
//!   poolers: there it stays unproven.
//! - *`BackendKeyData` names the process that answers.* Not used: the driver does not expose it, TLS hides it, and
//!   some poolers forward the server's.

use std::time::Duration;

use sqlx::PgConnection;

use super::{DatabaseError, FromRow, backend::Backend};

/// The setting that carries the option. A name with a dot needs no declaration on the server.
pub(super) const OPTION: &str = "rappel.connection";

/// How much older than the connection a server process may appear: clocks are adjusted.
const SLACK: Duration = Duration::from_secs(1);

/// The evidence about a pooler between a connection and its server process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The server sees the address of our own socket: no pooler.
    ClientAddress,
    /// The startup options arrived in a new server process, but the server sees another client address or none: NAT,
    /// a load balancer or a Unix socket. Enough if `DATABASE_POOLER=direct`.
    StartupOptions,
    /// The startup options did not arrive: a pooler is in between.
    Disproved,
    /// The server does not answer the question.
    Unknown,
    /// Not queried: the setting or the address names a pooler.
    NotAsked,
}

/// The server process's description of itself.
#[derive(FromRow)]
struct ServerProcess {
    option: Option<String>,
    /// Seconds since its start, by the server's clock.
    age: f64,
    client_address: Option<String>,
    client_port: Option<i32>,
    pid: i32,
    started: String,
}

impl Proof {
    /// The value for logs and health: `client-address`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ClientAddress => "client-address",
            Self::StartupOptions => "startup-options",
            Self::Disproved => "disproved",
            Self::Unknown => "unknown",
            Self::NotAsked => "not-asked",
        }
    }

    /// The evidence, in words.
    #[must_use]
    pub fn evidence(self) -> &'static str {
        match self {
            Self::ClientAddress => {
                "the server sees the address and port of the client's own socket, and its startup options"
            }
            Self::StartupOptions => {
                "the startup options reach a dedicated server process, but the server sees \
                 another client address (NAT, a load balancer or a Unix socket)"
            }
            Self::Disproved => "the startup options do not reach the server process",
            Self::Unknown => "the server does not report the connection's properties",
            Self::NotAsked => "DATABASE_POOLER or the address names a pooler",
        }
    }
}

/// Queries the server process, in one round trip and without a prepared statement. `option` is the startup option,
/// sent at most `elapsed` ago; `is_ours` says whether an address and port are of our own socket.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn of(
    connection: &mut PgConnection,
    option: &str,
    elapsed: impl Fn() -> Duration,
    is_ours: impl Fn(&str, u16) -> bool,
) -> Result<(Proof, Option<Backend>), DatabaseError> {
    let asked = sqlx::raw_sql(
        "SELECT current_setting('rappel.connection', true) AS option,
                extract(epoch FROM clock_timestamp() - backend_start)::float8 AS age,
                host(inet_client_addr()) AS client_address, inet_client_port() AS client_port,
                pid, backend_start::text AS started
         FROM pg_stat_get_activity(pg_backend_pid())",
    )
    .fetch_all(connection)
    .await
    .map_err(DatabaseError::running);
    let rows = match asked {
        Err(lost @ DatabaseError::Lost(_)) => return Err(lost),
        Err(error) => {
            tracing::warn!(%error, "the server does not report whether a pooler is in between");
            return Ok((Proof::Unknown, None));
        }
        Ok(rows) => rows,
    };
    let Some(answer) = rows
        .first()
        .and_then(|row| ServerProcess::from_row(row).ok())
    else {
        return Ok((Proof::Unknown, None));
    };
    let limit = elapsed() + SLACK;
    if answer.option.as_deref() != Some(option) || answer.age > limit.as_secs_f64() {
        return Ok((Proof::Disproved, None));
    }
    let port = answer.client_port.and_then(|port| u16::try_from(port).ok());
    let ours = answer
        .client_address
        .as_deref()
        .zip(port)
        .is_some_and(|(address, port)| is_ours(address, port));
    let proof = if ours {
        Proof::ClientAddress
    } else {
        Proof::StartupOptions
    };
    let backend = Backend {
        pid: answer.pid,
        started: answer.started,
    };
    Ok((proof, Some(backend)))
}

/// Whether a pooler refuses a connection for its startup options: every `PgBouncer` version, RDS Proxy, and any that
/// does not know ours.
pub(super) fn refuses_options(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    [
        "startup parameter",
        "startup option",
        "command-line options",
        OPTION,
    ]
    .iter()
    .any(|words| error.message().contains(words))
}
