//! Connection settings.

use std::{fmt, str::FromStr, time::Duration};

use settings::{ConfigError, chosen, milliseconds, number, optional, required};

/// Connection settings of the database.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database?sslmode=...`, or a reference to it: see [`aws::secret::Secret`].
    pub url: String,
    /// Replaces the URL's user and password: a JSON object with `username` and `password`, or a reference to it.
    pub credentials: Option<String>,
    /// The pooler between the function and the server.
    pub pooler: PoolerSetting,
    /// The address families to dial.
    pub address_family: AddressFamily,
    /// The value of `pg_stat_activity.application_name`.
    pub application_name: String,
    /// Pool size: the number of requests that the sandbox serves at a time.
    pub connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a request waits for a database to wake (a paused Aurora, a suspended Neon), retrying the connection;
    /// zero if it never sleeps.
    pub wake_timeout: Duration,
    /// `statement_timeout` on the server.
    pub statement_timeout: Duration,
    /// Further server settings of every session, or where a pooler is in between, of every transaction: a name, and a
    /// value that needs no quotes within quotes.
    pub settings: &'static [(&'static str, &'static str)],
}

/// Not derived: the URL and the credentials hold a password.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("pooler", &self.pooler)
            .field("application_name", &self.application_name)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// The configured pooler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolerSetting {
    /// Detected from the URL: see [`crate::Pooler::of`].
    #[default]
    Auto,
    /// No pooler.
    Direct,
    /// Session mode: one server connection per client connection.
    Session,
    /// Transaction mode: the server connection may change after every transaction.
    Transaction,
}

/// The address families to dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both.
    #[default]
    Auto,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl DatabaseConfig {
    /// Reads `DATABASE_URL` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env(function: &str) -> Result<Self, ConfigError> {
        let url = required(
            "DATABASE_URL",
            "the Postgres to search, for example postgres://user:password@host:5432/database, or the ARN of a \
             secret or a parameter that holds its URL",
        )?;
        Ok(Self {
            url,
            credentials: optional("DATABASE_CREDENTIALS"),
            pooler: chosen("DATABASE_POOLER")?,
            address_family: chosen("DATABASE_ADDRESS_FAMILY")?,
            application_name: format!("rappel-{function}"),
            // Set by Lambda where one sandbox serves several requests at a time.
            connections: number(
                "AWS_LAMBDA_MAX_CONCURRENCY",
                1,
                "must be a whole number above 0",
                |n| *n > 0,
            )?,
            acquire_timeout: milliseconds("DATABASE_ACQUIRE_TIMEOUT_MS", 2_000)?,
            wake_timeout: number(
                "DATABASE_WAKE_TIMEOUT_MS",
                0,
                "must be a whole number of milliseconds, 0 for a database that never sleeps",
                |_: &u64| true,
            )
            .map(Duration::from_millis)?,
            statement_timeout: milliseconds("DATABASE_STATEMENT_TIMEOUT_MS", 10_000)?,
            settings: &[],
        })
    }
}

impl DatabaseConfig {
    /// The same database with the login of `MIGRATION_DATABASE_URL`, which may change the schema where the functions'
    /// login may not; `None` if unset. `MIGRATION_DATABASE_CREDENTIALS` overrides its user and password.
    #[must_use]
    pub fn for_migration(&self) -> Option<Self> {
        Some(Self {
            url: optional("MIGRATION_DATABASE_URL")?,
            credentials: optional("MIGRATION_DATABASE_CREDENTIALS"),
            ..self.clone()
        })
    }
}

impl FromStr for PoolerSetting {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        match value {
            "auto" => Ok(Self::Auto),
            "direct" => Ok(Self::Direct),
            "session" => Ok(Self::Session),
            "transaction" => Ok(Self::Transaction),
            _ => Err(ConfigError::Invalid {
                variable: "DATABASE_POOLER",
                value: value.to_owned(),
                expected: "must be auto, direct, session or transaction",
            }),
        }
    }
}

impl fmt::Display for PoolerSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Session => "session",
            Self::Transaction => "transaction",
        })
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

impl FromStr for AddressFamily {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        match value {
            "auto" => Ok(Self::Auto),
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(ConfigError::Invalid {
                variable: "DATABASE_ADDRESS_FAMILY",
                value: value.to_owned(),
                expected: "must be auto, ipv4 or ipv6",
            }),
        }
    }
}
