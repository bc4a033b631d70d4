//! The finding on one part that a search needs.

use std::time::Instant;

use database::{Cause, DatabaseError};
use schemars::JsonSchema;
use serde::Serialize;
use shared::Error;
use telemetry::{chain, ms};

/// One checked part.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The part.
    pub name: &'static str,
    /// Its status.
    pub status: Status,
    /// Milliseconds of the check.
    pub took_ms: f64,
    /// The finding; it may name hosts, users and models.
    pub found: String,
    /// The remedy; it names only settings and commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The status of a part, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HealthStatus")]
pub enum Status {
    /// Not checked, because an earlier part failed.
    Skipped,
    /// As it should be.
    Ok,
    /// It works with a problem.
    Warning,
    /// It does not work.
    Failed,
}

/// The status, the finding, and the remedy.
pub type Finding = (Status, String, Option<String>);

/// All is well.
pub fn ok(found: impl Into<String>) -> Finding {
    (Status::Ok, found.into(), None)
}

/// It works with a problem.
pub fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    (Status::Warning, found.into(), Some(remedy.into()))
}

/// It does not work.
pub fn failed(found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    (Status::Failed, found.into(), Some(remedy.into()))
}

/// There was nothing to check.
#[must_use]
pub fn not_looked_at() -> Finding {
    (Status::Skipped, "not checked".to_owned(), None)
}

impl Check {
    /// Runs and times the check; an error is a failed check.
    pub async fn run(
        name: &'static str,
        look: impl Future<Output = Result<Finding, Error>>,
    ) -> Self {
        let start = Instant::now();
        let outcome = look.await;
        let took_ms = ms(start.elapsed());
        let (status, found, remedy) = outcome.unwrap_or_else(|error| explain(&error));
        Self {
            name,
            status,
            took_ms,
            found,
            remedy,
        }
    }

    /// A part that was not checked.
    #[must_use]
    pub fn skipped(name: &'static str) -> Self {
        let (status, found, remedy) = not_looked_at();
        Self {
            name,
            status,
            took_ms: 0.0,
            found,
            remedy,
        }
    }
}

/// The worst status.
#[must_use]
pub fn worst(checks: &[Check]) -> Status {
    let worst = checks.iter().map(|check| check.status).max();
    worst.unwrap_or(Status::Ok).max(Status::Ok)
}

/// An error as a finding, with its causes and the remedy.
#[must_use]
pub fn explain(error: &Error) -> Finding {
    let remedy = match error {
        Error::Database(DatabaseError::Unavailable { cause, .. }) => unavailable(*cause),
        Error::Database(DatabaseError::NotMigrated(_)) => {
            "run `rappel migrate` or the migrate function"
        }
        Error::Database(DatabaseError::Forbidden(_)) => {
            "run `rappel migrate` or the migrate function as a role that may grant it (MIGRATION_DATABASE_URL)"
        }
        Error::Database(DatabaseError::ModelMismatch(_)) => MODEL_REMEDY,
        Error::Database(DatabaseError::StatementTimeout) => {
            "find out why the server is slow, or raise DATABASE_STATEMENT_TIMEOUT_MS"
        }
        Error::Database(DatabaseError::ReadOnly(_)) => {
            "point DATABASE_URL at the primary, or promote the standby"
        }
        Error::Database(DatabaseError::Shared(_)) => TRANSACTION_REMEDY,
        Error::Database(DatabaseError::Lost(_) | DatabaseError::Busy) => {
            "try again; if the error persists, see the server's log"
        }
        _ => "see the error in the function's log",
    };
    failed(chain(error), remedy)
}

/// The remedy for a model that is not the database's.
pub const MODEL_REMEDY: &str = "configure the model that embedded this database (MODEL_DIR, --model) and run `rappel migrate`, or use another \
     database";

/// The remedy for an unexpected pooler.
pub const TRANSACTION_REMEDY: &str =
    "set DATABASE_POOLER=transaction, which works through every pooler";

fn unavailable(cause: Cause) -> &'static str {
    match cause {
        Cause::Settings => "correct DATABASE_URL",
        Cause::Secret => "let the function read the secret, or correct its ARN",
        Cause::Dns => "correct the host in DATABASE_URL, or the network's name server",
        Cause::Ipv6Only => {
            "use the host of the provider's pooler, which has IPv4 addresses, or a network with IPv6"
        }
        Cause::Refused => "start the server, or correct the host and port in DATABASE_URL",
        Cause::Timeout => {
            "open the server's firewall or security group for this network, or correct the address; behind a pooler, \
             check its login and its number of clients"
        }
        Cause::Network => "check the network between here and the server",
        Cause::Tls => "correct sslmode and sslrootcert in DATABASE_URL",
        Cause::Authentication => "correct the user and the password in DATABASE_URL",
        Cause::UnknownDatabase => "create the database, or correct its name in DATABASE_URL",
        Cause::TooManyClients => {
            "end connections, raise max_connections, or go through a transaction-mode pooler"
        }
        Cause::NotReady => {
            "wait until the server has started; behind a pooler, check that it reaches its server"
        }
        Cause::Pooler => TRANSACTION_REMEDY,
        Cause::Server => "see the server's log",
    }
}
