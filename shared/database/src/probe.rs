//! Inspects the path to the server, for [`crate::doctor`]: addresses, TLS, and connections outside the pool that
//! prepare nothing, so that a pooler's other clients see no trace of them.

use std::{io, net::SocketAddr, time::Duration};

use sqlx::{
    Connection as _, FromRow, PgConnection,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{
    Cause, DatabaseError, Pooler, Standing,
    dial::Endpoint,
    login::{self, LoginSource},
    options,
    route::Route,
};
use crate::{DatabaseConfig, PoolerSetting};

/// A path to one server, separate from the pool.
#[derive(Debug)]
pub struct Probe {
    options: PgConnectOptions,
    pooler: Option<Pooler>,
    /// Assumes no knowledge of a pooler.
    route: Route,
    /// `None` for a Unix socket.
    endpoint: Option<Endpoint>,
    limit: Duration,
}

/// A connection outside the pool. Its statements are simple queries: nothing is prepared.
#[derive(Debug)]
pub struct ProbeConnection {
    connection: PgConnection,
    limit: Duration,
}

/// The result of dialling one address.
#[derive(Clone, Copy, Debug)]
pub struct Dialled {
    /// The time of the TCP connect.
    pub took: Duration,
    /// Whether the server offers TLS.
    pub offers_tls: bool,
}

/// `SSLRequest`; the server answers `S` or `N` before authentication:
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Probe {
    /// Reads the settings; dials nothing. Requires a Tokio runtime.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the URL is invalid, or only AWS has it.
    pub fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let kept = || {
            login::unusable(
                login::URL,
                &"a login stored in AWS cannot be probed from outside",
            )
        };
        let login = LoginSource::new(config)?.given().ok_or_else(kept)?;
        let (options, pooler) = options::of(config, &login)?;
        let unknowing = DatabaseConfig {
            pooler: PoolerSetting::Auto,
            wake_timeout: Duration::ZERO,
            ..config.clone()
        };
        let route = Route::new(options.clone(), Pooler::Direct, &unknowing)?;
        let is_network = options.get_socket().is_none() && !options.get_host().starts_with('/');
        let endpoint = is_network.then(|| Endpoint {
            host: options.get_host().to_owned(),
            port: options.get_port(),
            family: config.address_family,
        });
        let untold = config.pooler == PoolerSetting::Auto && pooler == Pooler::Direct;
        Ok(Self {
            options,
            pooler: (!untold).then_some(pooler),
            route,
            endpoint,
            limit: config.acquire_timeout,
        })
    }

    /// The pooler that the settings name or, for `auto`, the address implies; `None` if neither does.
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.pooler
    }

    /// The URL's `sslmode`.
    #[must_use]
    pub fn ssl_mode(&self) -> PgSslMode {
        self.options.get_ssl_mode()
    }

    /// The host of the URL.
    #[must_use]
    pub fn host(&self) -> &str {
        self.options.get_host()
    }

    /// The addresses in dialling order; `None` for a Unix socket.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the name has none.
    pub async fn addresses(&self) -> Result<Option<Vec<SocketAddr>>, DatabaseError> {
        let Some(endpoint) = &self.endpoint else {
            return Ok(None);
        };
        let found = endpoint.resolve(Instant::now() + self.limit).await;
        found.map(Some).map_err(|error| DatabaseError::Unavailable {
            cause: error.cause,
            detail: error.detail,
        })
    }

    /// Dials one address and asks for TLS, without logging in.
    ///
    /// # Errors
    /// Why it does not answer like a Postgres.
    pub async fn dial(&self, address: SocketAddr) -> io::Result<Dialled> {
        let no_answer = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let start = Instant::now();
        let mut stream = timeout(self.limit, TcpStream::connect(address))
            .await
            .map_err(no_answer)??;
        let took = start.elapsed();
        let ask = async {
            stream.write_all(&SSL_REQUEST).await?;
            stream.read_u8().await
        };
        match timeout(self.limit, ask).await.map_err(no_answer)?? {
            letter @ (b'S' | b'N') => Ok(Dialled {
                took,
                offers_tls: letter == b'S',
            }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server does not speak the Postgres protocol",
            )),
        }
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] with the cause.
    pub async fn connect(&self) -> Result<ProbeConnection, DatabaseError> {
        let connected = timeout(self.limit, self.route.connect_plainly()).await;
        let connection = connected.map_err(|_| self.unfinished())??;
        Ok(ProbeConnection {
            connection,
            limit: self.limit,
        })
    }

    /// Connects with startup options, as functions do if the address names no pooler, and returns the proof.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn prove(&self) -> Result<Standing, DatabaseError> {
        let connected = self.route.connect(Instant::now() + self.limit).await?;
        let _ = timeout(self.limit, connected.connection.close()).await;
        Ok(connected.standing)
    }

    fn unfinished(&self) -> DatabaseError {
        DatabaseError::Unavailable {
            cause: Cause::Timeout,
            detail: format!("no login within {} ms", self.limit.as_millis()),
        }
    }
}

impl ProbeConnection {
    /// Runs statements in one message, one transaction unless they say otherwise, and reads the first row, if any.
    ///
    /// # Errors
    /// The server's error, or [`DatabaseError::Lost`] on a timeout; the connection is unusable then.
    pub async fn row<T>(&mut self, script: &str) -> Result<Option<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(script.to_owned()));
        let rows = timeout(self.limit, script.fetch_all(&mut self.connection))
            .await
            .map_err(|_| DatabaseError::no_answer(self.limit))?
            .map_err(DatabaseError::running)?;
        let first = rows.first().map(T::from_row).transpose();
        first.map_err(DatabaseError::running)
    }

    /// Closes it, with a Terminate message.
    pub async fn close(self) {
        let _ = timeout(self.limit, self.connection.close()).await;
    }
}
