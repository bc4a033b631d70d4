//! An API that asks for keys: what API Gateway does with tokens, before the laptop's gateway.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A port before an API, as long as this value lives. The console's page and its files need no key.
pub struct Keys {
    address: SocketAddr,
    good: Arc<Mutex<BTreeSet<String>>>,
    /// Its connections end with it.
    _serving: JoinSet<()>,
}

const REFUSAL: &str = "{\"message\":\"Unauthorized\"}";

impl Keys {
    /// Opens one before the API at `url`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(url: &str) -> Result<Self> {
        let server: SocketAddr = url
            .trim_start_matches("http://")
            .parse()
            .context("an address")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let good = Arc::new(Mutex::new(BTreeSet::new()));
        let known = Arc::clone(&good);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let known = Arc::clone(&known);
                // A connection that breaks is the other end's matter.
                connections.spawn(async move { pass(stream, server, &known).await.ok() });
            }
        });
        Ok(Self {
            address,
            good,
            _serving: serving,
        })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this key is good, and no other.
    pub fn only(&self, key: &str) {
        *lock(&self.good) = [format!("Bearer {key}")].into();
    }
}

/// Passes one request on, if it bears a good key, and closes the connection after its answer.
async fn pass(
    mut stream: TcpStream,
    server: SocketAddr,
    good: &Mutex<BTreeSet<String>>,
) -> Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        anyhow::ensure!(stream.read_buf(&mut read).await? > 0, "it ended early");
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let path = head.split(' ').nth(1).unwrap_or_default();
    let is_page = path == "/" || path.starts_with("/console/");
    let is_good = header("authorization").is_some_and(|key| lock(good).contains(&key));
    if !is_page && !is_good {
        let refusal = format!(
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{REFUSAL}",
            REFUSAL.len()
        );
        stream.write_all(refusal.as_bytes()).await?;
        return Ok(stream.shutdown().await?);
    }
    let mut onward = TcpStream::connect(server).await?;
    // So that the next request comes by here too.
    let line = head.find("\r\n").context("a line of the request")?;
    onward.write_all(&read[..line]).await?;
    onward.write_all(b"\r\nconnection: close").await?;
    let others = head[line..]
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    onward
        .write_all(others.collect::<Vec<_>>().join("\r\n").as_bytes())
        .await?;
    onward.write_all(&read[end..]).await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
