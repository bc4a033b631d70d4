//! A proxy that behaves like RDS with IAM authentication: it verifies the token given as password, then connects to a
//! Postgres.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Whether a token is valid.
type Check = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A proxy on a port, until dropped.
pub struct Gate {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    server: SocketAddr,
    check: Check,
    /// Accepted tokens.
    known: Mutex<BTreeSet<String>>,
    /// Accepted tokens that have expired since.
    expired: Mutex<BTreeSet<String>>,
    let_in: AtomicUsize,
    refused: AtomicUsize,
}

impl Gate {
    /// Opens one in front of `server`, which must trust local connections. `check` verifies each token.
    /// # Errors
    /// When no port is free.
    pub async fn before(
        server: SocketAddr,
        check: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            server,
            check: Box::new(check),
            known: Mutex::default(),
            expired: Mutex::default(),
            let_in: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                // A broken connection is an error of the client only.
                tokio::spawn(async move { serve(client, &state).await.ok() });
            }
        });
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Expires all tokens that were accepted so far.
    pub fn expire(&self) {
        lock(&self.state.expired).append(&mut lock(&self.state.known));
    }

    /// The numbers of accepted and refused connections.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&self.state.let_in), count(&self.state.refused))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>
async fn serve(mut client: TcpStream, state: &State) -> Result<()> {
    let startup = message(&mut client).await?;
    // AuthenticationCleartextPassword.
    client.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await?;
    ensure!(client.read_u8().await? == b'p', "a password was asked for");
    let password = message(&mut client).await?;
    let token = std::str::from_utf8(&password)?.trim_end_matches('\0');
    if !(state.check)(token) || lock(&state.expired).contains(token) {
        state.refused.fetch_add(1, Ordering::Relaxed);
        let text = b"SFATAL\0C28000\0MPAM authentication failed for user\0\0";
        let length = u32::try_from(text.len() + 4)?;
        client.write_u8(b'E').await?;
        client.write_u32(length).await?;
        client.write_all(text).await?;
        return Ok(());
    }
    lock(&state.known).insert(token.to_owned());
    state.let_in.fetch_add(1, Ordering::Relaxed);
    let mut server = TcpStream::connect(state.server).await?;
    server.write_u32(u32::try_from(startup.len() + 4)?).await?;
    server.write_all(&startup).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A message without its length field.
async fn message(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let length = length
        .checked_sub(4)
        .context("a message length includes itself")?;
    ensure!(length < 65_536, "a message of {length} bytes");
    let mut bytes = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
