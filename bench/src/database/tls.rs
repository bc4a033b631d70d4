//! A TLS proxy in front of a server without TLS, which records when each connection was opened, its handshake and
//! login were done and each statement was answered, so that the measured function needs no clock.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context as _, Result};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::wire::ReadyForQuery;

/// The proxy on a port of this machine.
#[derive(Debug)]
pub(crate) struct TlsProxy {
    port: u16,
    /// Holds the certificate for clients to verify.
    folder: TempDir,
    connections: Arc<Mutex<Vec<Timeline>>>,
    accepting: JoinHandle<()>,
}

/// The timeline of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// The TCP connection was accepted.
    pub(crate) dialled: Instant,
    /// The TLS handshake was done.
    pub(crate) encrypted: Option<Instant>,
    /// The server was ready for the first statement.
    pub(crate) logged_in: Option<Instant>,
    /// The server was ready again, for each statement.
    pub(crate) answered: Vec<Instant>,
}

impl TlsProxy {
    /// Opens the proxy in front of the server at `host` and `port`.
    pub(crate) async fn before(host: String, port: u16) -> Result<Self> {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .context("making a certificate")?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("root.pem"), own.cert.pem())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own_port = listener.local_addr()?.port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn(accept(
            listener,
            acceptor,
            host,
            port,
            Arc::clone(&connections),
        ));
        Ok(Self {
            port: own_port,
            folder,
            connections,
            accepting,
        })
    }

    /// The URL of a database through the proxy, with sslmode=verify-full.
    pub(crate) fn url(&self, url: &str) -> Result<String> {
        let root = self.folder.path().join("root.pem");
        let query = format!("sslmode=verify-full&sslrootcert={}", root.display());
        super::redirected(url, "localhost", self.port, &query)
    }

    /// Takes the connections recorded since the last call.
    pub(crate) fn take(&self) -> Vec<Timeline> {
        std::mem::take(&mut *lock(&self.connections))
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(connections: &Mutex<Vec<Timeline>>) -> MutexGuard<'_, Vec<Timeline>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    host: String,
    port: u16,
    connections: Arc<Mutex<Vec<Timeline>>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let dialled = Instant::now();
        let (acceptor, host, connections) =
            (acceptor.clone(), host.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            let number = {
                let mut all = lock(&connections);
                all.push(Timeline {
                    dialled,
                    encrypted: None,
                    logged_in: None,
                    answered: Vec::new(),
                });
                all.len() - 1
            };
            let note = |change: &dyn Fn(&mut Timeline)| {
                if let Some(timeline) = lock(&connections).get_mut(number) {
                    change(timeline);
                }
            };
            // A broken connection shows as the client's failure.
            let _ = carry(client, &acceptor, (&host, port), &note).await;
        });
    }
}

type Note<'a> = dyn Fn(&dyn Fn(&mut Timeline)) + Send + Sync + 'a;

async fn carry(
    mut client: TcpStream,
    acceptor: &TlsAcceptor,
    server: (&str, u16),
    note: &Note<'_>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    // SSLRequest: its length and code. All clients here use TLS.
    client.read_exact(&mut [0; 8]).await?;
    client.write_all(b"S").await?;
    let encrypted = acceptor.accept(client).await?;
    let now = Instant::now();
    note(&|timeline| timeline.encrypted = Some(now));
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (mut client_out, mut client_in) = io::split(encrypted);
    let (server_out, mut server_in) = server.into_split();
    let requests = async {
        io::copy(&mut client_out, &mut server_in).await?;
        server_in.shutdown().await
    };
    tokio::try_join!(requests, answers(server_out, &mut client_in, note))?;
    Ok(())
}

/// Forwards the server's responses and records each `ReadyForQuery`.
async fn answers(
    mut server: impl AsyncRead + Unpin,
    client: &mut (impl AsyncWrite + Unpin),
    note: &Note<'_>,
) -> io::Result<()> {
    let mut messages = ReadyForQuery::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut piece).await?;
        if length == 0 {
            return client.shutdown().await;
        }
        let ready = messages.count(&piece[..length]);
        client.write_all(&piece[..length]).await?;
        client.flush().await?;
        let now = Instant::now();
        for _ in 0..ready {
            note(&|timeline| match timeline.logged_in {
                None => timeline.logged_in = Some(now),
                Some(_) => timeline.answered.push(now),
            });
        }
    }
}
