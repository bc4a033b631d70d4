//! Lends sqlx our own TCP connections.
//!
//! sqlx opens its sockets itself and sets no option on them; but it also speaks to a Unix socket. The
//! forwarder is that socket: for each connection to it, it dials the server ([`super::dial`]) and
//! passes bytes both ways. TLS runs inside, end to end. (launchbadge/sqlx has no way to hand it a
//! socket.)

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

/// Bytes of each buffer: a page of hits fits, and so does a typical request.
const BUFFER: usize = 16 * 1024;

/// The time that the last bytes have to leave, within the 500 ms that Lambda leaves a process.
const DRAIN: Duration = Duration::from_millis(200);

/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of a forwarder share.
#[derive(Debug, Default)]
struct Dialled {
    last_failure: Mutex<Option<DialError>>,
    /// Our own ends of the TCP connections that are open.
    sockets: Mutex<HashSet<SocketAddr>>,
}

/// A Unix socket that leads to an endpoint.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: PathBuf,
    /// What has to be removed of it, where it is a file.
    folder: Option<TempDir>,
    listener: AbortHandle,
    dialled: Arc<Dialled>,
    /// Closed when the listener and every connection have ended.
    ended: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

impl Forwarder {
    /// Listens; nothing is dialled before sqlx connects.
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

    /// Where the socket is, as [`sqlx::postgres::PgConnectOptions::socket`] takes it.
    pub(super) fn address(&self) -> &Path {
        &self.address
    }

    /// Why the last dial failed, if it did; a dial that succeeds clears it.
    pub(super) fn last_failure(&self) -> Option<DialError> {
        lock(&self.dialled.last_failure).clone()
    }

    /// Whether one of the open connections comes from `address`, as a server writes it, and `port`.
    pub(super) fn has_socket(&self, address: &str, port: u16) -> bool {
        let Ok(address) = address.parse::<IpAddr>() else {
            return false;
        };
        lock(&self.dialled.sockets)
            .iter()
            .any(|ours| ours.port() == port && ours.ip().to_canonical() == address.to_canonical())
    }

    /// Waits until what was written has left, when all connections are closed on our side. A folder goes
    /// here already: a process that is ended drops nothing.
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

/// Where sqlx finds the socket. On Linux a name without a file, which the zero byte in front makes it:
/// nothing of it stays when the process is killed. Elsewhere a folder.
fn address() -> io::Result<(PathBuf, Option<TempDir>)> {
    if cfg!(target_os = "linux") {
        let number = RandomState::new().build_hasher().finish();
        return Ok((format!("\0rappel-{number:016x}").into(), None));
    }
    let folder = tempfile::Builder::new().prefix("rappel-").tempdir()?;
    Ok((folder.path().to_owned(), Some(folder)))
}

/// Serves the connections of `owner`: a name without a file has no permissions that would keep other
/// users of the machine out.
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
            // Too many open files, most likely: whoever waits is served when there is room.
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

/// Dropping `client` is how sqlx learns of a failed dial and of a broken connection alike.
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

/// Passes bytes both ways. When the server closes, sqlx reads that at its next use; when sqlx closes,
/// what it wrote last is sent, and a server that does not close in turn is not waited for.
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

/// Copies until the reader ends, and ends the writer.
async fn copy_to_end(
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    copy_buf(&mut BufReader::with_capacity(BUFFER, reader), &mut writer).await?;
    writer.shutdown().await
}
