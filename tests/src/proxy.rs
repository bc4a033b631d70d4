//! A TCP proxy between client and server that counts, delays and injects faults.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// A proxy on a port, until dropped.
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
    accepting: JoinHandle<()>,
}

/// A fault of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides are reset, as by a router that lost its state.
    Reset,
    /// The server's side is closed and the client's half-closed; what the client still sends is read.
    HalfClose,
    /// Both sides stay open and accept bytes, which are dropped: a proxy without a backend.
    BlackHole,
    /// The client's data arrive, the server's response is dropped, and both sides are reset.
    LostAnswer,
    /// An error response of a server or pooler, then the connection is closed.
    Says {
        /// `FATAL` or `ERROR`.
        severity: &'static str,
        /// The SQLSTATE.
        code: &'static str,
        /// The message.
        message: &'static str,
    },
}

/// State shared by the proxy's connections.
#[derive(Default)]
struct Network {
    turns: AtomicUsize,
    connections: AtomicUsize,
    delay_ms: AtomicU64,
    /// One per open connection; dropped once used.
    faults: Mutex<Vec<watch::Sender<Option<Fault>>>>,
    stalled: watch::Sender<bool>,
}

/// The last sender on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Nobody,
    Client,
    Server,
}

impl Proxy {
    /// Listens on 127.0.0.1 and connects to `port` of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(port: u16) -> Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST.into(), port).await
    }

    /// The same on another address of this machine.
    ///
    /// # Errors
    /// When the machine lacks the address, or no port is free.
    pub async fn at(address: IpAddr, port: u16) -> Result<Self> {
        Self::bound((address, 0), port).await
    }

    /// The same on a given port.
    ///
    /// # Errors
    /// When the port is not free.
    pub async fn on(own: u16, port: u16) -> Result<Self> {
        Self::bound((Ipv4Addr::LOCALHOST.into(), own), port).await
    }

    async fn bound(address: (IpAddr, u16), port: u16) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .context("opening the port of a proxy")?;
        let own = listener.local_addr().context("the proxy's port")?.port();
        let network = Arc::new(Network::default());
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&network)));
        Ok(Self {
            port: own,
            network,
            accepting,
        })
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often a client started to send after the server: round trips, without that of TCP itself.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.network.turns.load(Ordering::SeqCst)
    }

    /// Connections opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.network.connections.load(Ordering::SeqCst)
    }

    /// Delays all data by `delay` in both directions from now on.
    pub fn delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.network.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Injects `fault` into every open connection; new ones work.
    pub fn strike(&self, fault: Fault) {
        for connection in self.network.faults().drain(..) {
            connection.send_replace(Some(fault));
        }
    }

    /// Reads nothing from clients while `stalled`, like a server with full buffers.
    pub fn stall(&self, stalled: bool) {
        self.network.stalled.send_replace(stalled);
    }
}

/// The URL with another port.
///
/// # Errors
/// When it is not a URL with a host.
pub fn with_port(url: &str, port: u16) -> Result<String> {
    let mut url = Url::parse(url).context("a database's URL")?;
    url.set_port(Some(port))
        .ok()
        .context("the URL has no host")?;
    Ok(url.into())
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Network {
    fn faults(&self) -> MutexGuard<'_, Vec<watch::Sender<Option<Fault>>>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lag(&self) {
        let ms = self.delay_ms.load(Ordering::SeqCst);
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
    }
}

async fn accept(listener: TcpListener, port: u16, network: Arc<Network>) {
    while let Ok((client, _)) = listener.accept().await {
        network.connections.fetch_add(1, Ordering::SeqCst);
        let (strike, struck) = watch::channel(None);
        network.faults().push(strike);
        let network = Arc::clone(&network);
        tokio::spawn(async move {
            // If the server is down, the client's connection is closed.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                // Any error ends the connection.
                let _ = carry(client, server, struck, &network).await;
            }
        });
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut struck: watch::Receiver<Option<Fault>>,
    network: &Network,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let fault = tokio::select! {
        passed = pass(&mut client, &mut server, network) => return passed,
        fault = struck.wait_for(Option::is_some) => fault.ok().and_then(|fault| *fault),
    };
    match fault {
        Some(Fault::Reset) => {
            client.set_zero_linger()?;
            server.set_zero_linger()
        }
        Some(Fault::HalfClose) => {
            drop(server);
            client.shutdown().await?;
            io::copy(&mut client, &mut io::sink()).await.map(drop)
        }
        Some(Fault::BlackHole) => {
            let taken = io::copy(&mut client, &mut io::sink()).await;
            drop(server);
            taken.map(drop)
        }
        Some(Fault::LostAnswer) => {
            let (mut client_out, _) = client.split();
            let (mut server_out, mut server_in) = server.split();
            let mut first = [0];
            tokio::select! {
                passed = io::copy(&mut client_out, &mut server_in) => { passed?; },
                answered = server_out.read_exact(&mut first) => { answered?; },
            }
            client.set_zero_linger()?;
            server.set_zero_linger()
        }
        Some(Fault::Says {
            severity,
            code,
            message,
        }) => {
            client.write_all(&error(severity, code, message)).await?;
            client.shutdown().await?;
            drop(server);
            io::copy(&mut client, &mut io::sink()).await.map(drop)
        }
        None => Ok(()),
    }
}

/// A Postgres `ErrorResponse` message.
#[must_use]
pub fn error(severity: &str, code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (field, value) in [
        (b'S', severity),
        (b'V', severity),
        (b'C', code),
        (b'M', message),
    ] {
        fields.push(field);
        fields.extend(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    [b"E".as_slice(), &length.to_be_bytes(), &fields].concat()
}

/// Copies data both ways until both sides have ended.
async fn pass(client: &mut TcpStream, server: &mut TcpStream, network: &Network) -> io::Result<()> {
    let (client_out, client_in) = client.split();
    let (server_out, server_in) = server.split();
    let last = Mutex::new(Speaker::Nobody);
    let spoke = |speaker| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if speaker == Speaker::Client && *last != Speaker::Client {
            network.turns.fetch_add(1, Ordering::SeqCst);
        }
        *last = speaker;
    };
    tokio::try_join!(
        carry_words(client_out, server_in, network, Speaker::Client, &spoke),
        carry_words(server_out, client_in, network, Speaker::Server, &spoke),
    )?;
    Ok(())
}

async fn carry_words(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    network: &Network,
    speaker: Speaker,
    spoke: &impl Fn(Speaker),
) -> io::Result<()> {
    let mut stalled = network.stalled.subscribe();
    let mut word = vec![0; 64 * 1024];
    loop {
        if speaker == Speaker::Client {
            // The sender lives as long as the network.
            let _ = stalled.wait_for(|stalled| !stalled).await;
        }
        let length = from.read(&mut word).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        spoke(speaker);
        network.lag().await;
        to.write_all(&word[..length]).await?;
    }
}
