//! Lends sqlx our own TCP connections.
//!
//! sqlx opens its sockets itself and sets no options on them, but it also accepts a Unix socket. The forwarder is
//! that socket: for each connection to it, it dials the server ([`super::dial`]) and copies bytes both ways. TLS runs
//! inside, end to end. (launchbadge/sqlx has no API to pass it a socket.)

use std::{
    collections::HashSet,
    convert::Infallible,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_buf},
    net::{TcpStream, UnixListener, UnixStream},
    sync::mpsc,
    task::AbortHandle,
};

use super::{dial::Endpoint, failure::DialError};

/// Buffer size in bytes: fits a page of hits and a typical request.
const BUFFER: usize = 16 * 1024;

/// The time to flush the last bytes, within the 500 ms that Lambda leaves a process.
const DRAIN: Duration = Duration::from_millis(200);

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// State shared by a forwarder's connections.
#[derive(Debug, Default)]
struct Dialled {
    last_failure: Mutex<Option<DialError>>,
    /// Local addresses of the open TCP connections.
    sockets: Mutex<HashSet<SocketAddr>>,
}

/// A Unix socket that forwards to an endpoint.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: PathBuf,
    /// The folder to remove, if the socket is a file.
    folder: Option<TempDir>,
    listener: AbortHandle,
    dialled: Arc<Dialled>,
    /// Closed when the listener and every connection have ended.
    ended: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

impl Forwarder {
    /// Listens; dials only when sqlx connects.
    pub(super) fn start(endpoint: Endpoint, dial_limit: Duration) -> io::Result<Self> {
        let (address, folder) = address()?;
        let listener = UnixListener::bind(address.join(format!(".s.PGSQL.{}", endpoint.port)))?;
        let owner = UnixStream::pair()?.0.peer_cred()?.uid();
        let dialled = Arc::new(Dialled::default());
        let (running, ended) = mpsc::channel(1);
        let accept = accept(
            listener,
            owner,
            endpoint,
            dial_limit,
            Arc::clone(&dialled),
            running,
        );
        let listener = tokio::spawn(accept).abort_handle();
        Ok(Self {
            address,
            folder,
            listener,
            dialled,
            ended: ended.into(),
        })
    }

    /// The socket's path, for [`sqlx::postgres::PgConnectOptions::socket`].
    pub(super) fn address(&self) -> &Path {
        &self.address
    }

    /// The error of the last dial; a successful dial clears it.
    pub(super) fn last_failure(&self) -> Option<DialError> {
        lock(&self.dialled.last_failure).clone()
    }

    /// Whether an open connection has this local `address`, in the server's notation, and `port`.
    pub(super) fn has_socket(&self, address: &str, port: u16) -> bool {
        let Ok(address) = address.parse::<IpAddr>() else {
            return false;
        };
        lock(&self.dialled.sockets)
            .iter()
            .any(|ours| ours.port() == port && ours.ip().to_canonical() == address.to_canonical())
    }

    /// Waits until the written bytes are sent, once all connections are closed on our side. Removes the folder
    /// already: a killed process drops nothing.
    pub(super) async fn drain(&self) {
        self.listener.abort();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder.path());
        }
        let mut ended = self.ended.lock().await;
        let _ = tokio::time::timeout(DRAIN, ended.recv()).await;
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// The socket's path. On Linux an abstract name (leading zero byte), of which nothing remains after a kill. Elsewhere
/// in a folder.
fn address() -> io::Result<(PathBuf, Option<TempDir>)> {
    if cfg!(target_os = "linux") {
        let number = RandomState::new().build_hasher().finish();
        return Ok((format!("\0rappel-{number:016x}").into(), None));
    }
    let folder = tempfile::Builder::new().prefix("rappel-").tempdir()?;
    Ok((folder.path().to_owned(), Some(folder)))
}

/// Serves only connections of `owner`: an abstract name has no permissions to keep other users out.
async fn accept(
    listener: UnixListener,
    owner: u32,
    endpoint: Endpoint,
    dial_limit: Duration,
    dialled: Arc<Dialled>,
    running: mpsc::Sender<Infallible>,
) {
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            // Probably too many open files: clients wait until one is free.
            Err(error) => {
                tracing::warn!(%error, "a connection to the forwarder was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !client.peer_cred().is_ok_and(|peer| peer.uid() == owner) {
            continue;
        }
        let (endpoint, dialled, running) =
            (endpoint.clone(), Arc::clone(&dialled), running.clone());
        tokio::spawn(async move {
            forward(client, &endpoint, dial_limit, &dialled).await;
            drop(running);
        });
    }
}

/// Dropping `client` signals both a failed dial and a broken connection to sqlx.
async fn forward(
    mut client: UnixStream,
    endpoint: &Endpoint,
    dial_limit: Duration,
    dialled: &Dialled,
) {
    let dial = endpoint.dial(dial_limit).await;
    *lock(&dialled.last_failure) = dial.as_ref().err().cloned();
    let Ok(mut server) = dial else { return };
    let ours = server.local_addr().ok();
    lock(&dialled.sockets).extend(ours);
    if let Err(error) = pass(&mut client, &mut server).await {
        tracing::debug!(%error, "a database connection broke");
    }
    if let Some(ours) = ours {
        lock(&dialled.sockets).remove(&ours);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies bytes both ways. When the server closes, sqlx reads EOF at its next use; when sqlx closes, its last bytes
/// are sent, without waiting for the server to close.
async fn pass(client: &mut UnixStream, server: &mut TcpStream) -> io::Result<()> {
    let (client_out, client_in) = client.split();
    let (server_out, server_in) = server.split();
    let mut answers = pin!(copy_to_end(server_out, client_in));
    let requests = pin!(copy_to_end(client_out, server_in));
    let requests = match select(requests, &mut answers).await {
        Either::Left((sent, _)) => {
            sent?;
            let _ = tokio::time::timeout(DRAIN, answers).await;
            return Ok(());
        }
        Either::Right((answered, requests)) => {
            answered?;
            requests
        }
    };
    requests.await
}

/// Copies until EOF, then shuts the writer down.
async fn copy_to_end(
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    copy_buf(&mut BufReader::with_capacity(BUFFER, reader), &mut writer).await?;
    writer.shutdown().await
}
