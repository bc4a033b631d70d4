//! Connects to one server, and detects the pooler of each connection.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Cause, DatabaseError, Pooler,
    backend::Backend,
    deadline,
    dial::Endpoint,
    forwarder::Forwarder,
    pooler::Standing,
    proof::{self, Proof},
    session::{self, ISOLATION},
};
use crate::{DatabaseConfig, PoolerSetting};

/// The retry pauses for a server that is full or starting: the first, doubling up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The path to one server.
#[derive(Debug)]
pub(super) struct Route {
    /// Without startup options, which a pooler may refuse.
    options: PgConnectOptions,
    /// The pooler by the setting or the address.
    expected: Pooler,
    /// Whether `DATABASE_POOLER` rules out a pooler.
    vouched: bool,
    /// `None` for a Unix socket, which needs no dialling.
    forwarder: Option<Forwarder>,
    acquire_timeout: Duration,
    wake_timeout: Duration,
    statement_timeout: Duration,
    settings: &'static [(&'static str, &'static str)],
    /// The result of the last connection.
    found: Mutex<Option<Standing>>,
}

/// A new connection.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) connection: PgConnection,
    pub(super) standing: Standing,
    /// The server process, if no pooler is in between.
    pub(super) backend: Option<Backend>,
}

impl Route {
    /// Dials nothing yet.
    pub(super) fn new(
        options: PgConnectOptions,
        expected: Pooler,
        config: &DatabaseConfig,
    ) -> Result<Self, DatabaseError> {
        let (options, forwarder) = through_forwarder(options, config)?;
        Ok(Self {
            options,
            expected,
            vouched: config.pooler == PoolerSetting::Direct,
            forwarder,
            acquire_timeout: config.acquire_timeout,
            wake_timeout: config.wake_timeout,
            statement_timeout: config.statement_timeout,
            settings: config.settings,
            found: Mutex::new(None),
        })
    }

    /// The pooler by the setting, the address, or the last connection; `None` if not known yet.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self.expected {
            Pooler::Direct => *self.lock(),
            pooler => Some(Standing {
                pooler,
                proof: Proof::NotAsked,
            }),
        }
    }

    /// From now on sends statements as through a transaction-mode pooler, detected late.
    pub(super) fn distrust(&self) {
        tracing::error!(
            "a pooler in transaction mode shares this connection's server process with other clients: \
             statements are unnamed from now on; set DATABASE_POOLER=transaction"
        );
        *self.lock() = Some(Standing {
            pooler: Pooler::Transaction,
            proof: Proof::Disproved,
        });
    }

    /// A new connection. Retries a server that is full or starting until `deadline`, and a database that may sleep
    /// for `DATABASE_WAKE_TIMEOUT_MS`.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Connected, DatabaseError> {
        let wakes = Instant::now() + deadline::at_most(self.wake_timeout);
        let deadline = deadline.max(wakes);
        let mut pause = PAUSES.0;
        let mut said = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match timeout(left.min(self.acquire_timeout), self.attempt()).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => error,
                // The last try has little time: an earlier one's error says more.
                Err(_) => said.unwrap_or_else(|| self.unfinished()),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.is_worth_waiting(&error) {
                return Err(error);
            }
            if left <= pause {
                return Err(self.after_waiting(error));
            }
            tracing::debug!(%error, "the database is not ready; retrying");
            said = Some(error);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// A connection without startup options or queries.
    pub(super) async fn connect_plainly(&self) -> Result<PgConnection, DatabaseError> {
        let connected = self.options.connect().await;
        connected.map_err(|error| self.explain(&error))
    }

    /// Waits until the written bytes are sent, once all connections are closed on our side.
    pub(super) async fn drain(&self) {
        if let Some(forwarder) = &self.forwarder {
            forwarder.drain().await;
        }
    }

    async fn attempt(&self) -> Result<Connected, DatabaseError> {
        let known = self.standing();
        if let Some(standing) = known.filter(|standing| standing.pooler != Pooler::Direct) {
            return Ok(Connected {
                connection: self.connect_plainly().await?,
                standing,
                backend: None,
            });
        }
        let connected = self.ask().await?;
        if known != Some(connected.standing) {
            let Standing { pooler, proof } = connected.standing;
            tracing::info!(
                pooler = pooler.word(),
                proof = proof.word(),
                "connected: {}",
                connected.standing.consequence()
            );
        }
        *self.lock() = Some(connected.standing);
        Ok(connected)
    }

    /// Connects as to a server without a pooler, and verifies that: one more round trip.
    async fn ask(&self) -> Result<Connected, DatabaseError> {
        let option = format!("{:016x}", RandomState::new().build_hasher().finish());
        let options = self.options.clone().options([
            (
                "statement_timeout",
                self.statement_timeout.as_millis().to_string(),
            ),
            ("default_transaction_isolation", ISOLATION.to_owned()),
            (proof::OPTION, option.clone()),
        ]);
        let options = options
            .options(session::SETTINGS)
            .options(self.settings.iter().copied());
        let began = Instant::now();
        let mut connection = match options.connect().await {
            Ok(connection) => connection,
            Err(error) if proof::refuses_options(&error) => {
                self.refuse_if_vouched(&format!("it refuses startup options ({error})"))?;
                return Ok(Connected {
                    connection: self.connect_plainly().await?,
                    standing: self.judge(Proof::Disproved),
                    backend: None,
                });
            }
            Err(error) => return Err(self.explain(&error)),
        };
        let is_ours = |address: &str, port| {
            let forwarder = self.forwarder.as_ref();
            forwarder.is_some_and(|forwarder| forwarder.has_socket(address, port))
        };
        let asked = proof::of(&mut connection, &option, || began.elapsed(), is_ours).await;
        let (proof, backend) = asked?;
        if proof == Proof::Disproved {
            self.refuse_if_vouched(proof.evidence())?;
        }
        let standing = self.judge(proof);
        Ok(Connected {
            connection,
            standing,
            backend: backend.filter(|_| standing.pooler == Pooler::Direct),
        })
    }

    fn judge(&self, proof: Proof) -> Standing {
        let direct = match proof {
            Proof::ClientAddress => true,
            Proof::StartupOptions => self.vouched,
            Proof::Disproved | Proof::Unknown | Proof::NotAsked => false,
        };
        let pooler = if direct {
            Pooler::Direct
        } else {
            Pooler::Transaction
        };
        Standing { pooler, proof }
    }

    fn refuse_if_vouched(&self, evidence: &str) -> Result<(), DatabaseError> {
        if !self.vouched {
            return Ok(());
        }
        Err(DatabaseError::Unavailable {
            cause: Cause::Pooler,
            detail: format!(
                "DATABASE_POOLER is direct, but a pooler is in between: {evidence}; set it to transaction, \
                 which works through every pooler"
            ),
        })
    }

    /// Whether a retry may succeed soon.
    fn is_worth_waiting(&self, error: &DatabaseError) -> bool {
        match error {
            DatabaseError::Unavailable { cause, .. } => match cause {
                Cause::NotReady | Cause::TooManyClients => true,
                Cause::Refused | Cause::Timeout | Cause::Network | Cause::Server => {
                    !self.wake_timeout.is_zero()
                }
                _ => false,
            },
            DatabaseError::Lost(_) => true,
            _ => false,
        }
    }

    fn after_waiting(&self, error: DatabaseError) -> DatabaseError {
        match error {
            DatabaseError::Unavailable { cause, detail } if !self.wake_timeout.is_zero() => {
                let waited = self.wake_timeout.as_millis();
                let detail = format!(
                    "{detail}; it did not wake within {waited} ms (DATABASE_WAKE_TIMEOUT_MS)"
                );
                DatabaseError::Unavailable { cause, detail }
            }
            error => error,
        }
    }

    fn explain(&self, error: &sqlx::Error) -> DatabaseError {
        let dial = self.forwarder.as_ref().and_then(Forwarder::last_failure);
        DatabaseError::connecting(error, dial)
    }

    fn unfinished(&self) -> DatabaseError {
        DatabaseError::Unavailable {
            cause: Cause::Timeout,
            detail: format!(
                "{}:{} did not finish the connection within {} ms (DATABASE_ACQUIRE_TIMEOUT_MS); if it accepts \
                 connections, a pooler is full, or delays its refusal of a wrong login as Supabase's does",
                self.options.get_host(),
                self.options.get_port(),
                self.acquire_timeout.as_millis()
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Standing>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Routes the connections of `options` through a forwarder, unless they use a Unix socket.
fn through_forwarder(
    options: PgConnectOptions,
    config: &DatabaseConfig,
) -> Result<(PgConnectOptions, Option<Forwarder>), DatabaseError> {
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok((options, None));
    }
    let endpoint = Endpoint {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        family: config.address_family,
    };
    // Dialling is a part of acquiring: a shorter limit, so that its cause is reported, not a timeout.
    let dial_limit = config.acquire_timeout.mul_f32(0.9);
    let forwarder =
        Forwarder::start(endpoint, dial_limit).map_err(|error| DatabaseError::Unavailable {
            cause: Cause::Settings,
            detail: format!("cannot create a Unix socket: {error}"),
        })?;
    Ok((options.socket(forwarder.address()), Some(forwarder)))
}
