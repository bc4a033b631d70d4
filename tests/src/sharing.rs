//! A transaction-mode pooler that is transparent to startup options, logins and the server's parameters: it shares
//! server connections between transactions.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

/// A pooler on a port, until dropped.
pub struct SharingPooler {
    port: u16,
    accepting: JoinHandle<()>,
}

type Stream = BufStream<TcpStream>;

struct Pool {
    /// The server's port.
    port: u16,
    free: Mutex<Free>,
    /// One permit per server connection.
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Free {
    servers: Vec<Stream>,
    /// The server's messages at the end of the first login.
    greeting: Option<Vec<u8>>,
}

/// A protocol message: its type and all its bytes.
struct Message {
    kind: u8,
    bytes: Vec<u8>,
}

impl SharingPooler {
    /// Listens on 127.0.0.1 and connects to the server at `port` through `servers` shared connections.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(port: u16, servers: usize) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("opening the port of a pooler")?;
        let own = listener.local_addr().context("the pooler's port")?.port();
        let pool = Arc::new(Pool {
            port,
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(servers)),
        });
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    // Any error ends the client's connection.
                    let _ = serve(client, &pool).await;
                });
            }
        });
        Ok(Self {
            port: own,
            accepting,
        })
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for SharingPooler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Pool {
    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(client: TcpStream, pool: &Pool) -> Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufStream::new(client);
    let startup = startup(&mut client).await?;
    let permit = Arc::clone(&pool.permits).acquire_owned().await?;
    let (free, greeting) = {
        let mut free = pool.free();
        (free.servers.pop(), free.greeting.clone())
    };
    let server = match (free, greeting) {
        (Some(server), Some(greeting)) => {
            client.write_all(&greeting).await?;
            client.flush().await?;
            server
        }
        _ => log_in(&mut client, &startup, pool).await?,
    };
    pool.free().servers.push(server);
    drop(permit);
    while let Some(first) = read(&mut client).await? {
        if first.kind == b'X' {
            break;
        }
        transaction(&mut client, first, pool).await?;
    }
    Ok(())
}

/// Reads the startup message; refuses TLS.
async fn startup(client: &mut Stream) -> Result<Vec<u8>> {
    loop {
        let length = client.read_u32().await?;
        let mut rest = vec![0; usize::try_from(length)?.saturating_sub(4)];
        client.read_exact(&mut rest).await?;
        if rest == [4, 210, 22, 47] {
            client.write_all(b"N").await?;
            client.flush().await?;
            continue;
        }
        return Ok([&length.to_be_bytes(), rest.as_slice()].concat());
    }
}

/// Logs `client` in on a new server connection, with its own startup message.
async fn log_in(client: &mut Stream, startup: &[u8], pool: &Pool) -> Result<Stream> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, pool.port)).await?;
    server.set_nodelay(true)?;
    let mut server = BufStream::new(server);
    server.write_all(startup).await?;
    server.flush().await?;
    let mut greeting = Vec::new();
    loop {
        let message = read(&mut server)
            .await?
            .context("the server closed the connection")?;
        client.write_all(&message.bytes).await?;
        client.flush().await?;
        // Authentication requests have a code; AuthenticationOk and SASLFinal expect no response.
        let code = message.bytes.get(5..9);
        match message.kind {
            b'R' if code == Some(&[0, 0, 0, 0]) => greeting = message.bytes,
            b'R' if code == Some(&[0, 0, 0, 12]) => {}
            b'R' => {
                let answer = read(client)
                    .await?
                    .context("the client closed the connection")?;
                server.write_all(&answer.bytes).await?;
                server.flush().await?;
            }
            b'E' => bail!("the server rejected the login"),
            kind => {
                greeting.extend(message.bytes);
                if kind == b'Z' {
                    pool.free().greeting = Some(greeting);
                    return Ok(server);
                }
            }
        }
    }
}

/// Forwards the client's messages, beginning with `first`, until the transaction ends.
async fn transaction(client: &mut Stream, first: Message, pool: &Pool) -> Result<()> {
    let permit: OwnedSemaphorePermit = Arc::clone(&pool.permits).acquire_owned().await?;
    let server = pool.free().servers.pop();
    let mut server = server.context("no server connection is left")?;
    let mut message = first;
    loop {
        server.write_all(&message.bytes).await?;
        if matches!(message.kind, b'Q' | b'S') {
            server.flush().await?;
            let answered = answer(client, &mut server).await?;
            if answered == b'I' {
                break;
            }
        }
        message = read(client)
            .await?
            .context("the client closed the connection")?;
    }
    pool.free().servers.push(server);
    drop(permit);
    Ok(())
}

/// Forwards the server's messages until it is ready, and returns the transaction status.
async fn answer(client: &mut Stream, server: &mut Stream) -> Result<u8> {
    loop {
        let message = read(server)
            .await?
            .context("the server closed the connection")?;
        client.write_all(&message.bytes).await?;
        if message.kind == b'Z' {
            client.flush().await?;
            return message
                .bytes
                .last()
                .copied()
                .context("ReadyForQuery without a status");
        }
    }
}

/// The next message; `None` at the end.
async fn read(from: &mut Stream) -> Result<Option<Message>> {
    let Ok(kind) = from.read_u8().await else {
        return Ok(None);
    };
    let length = from.read_u32().await?;
    let mut bytes = vec![0; usize::try_from(length)? + 1];
    bytes[0] = kind;
    bytes[1..5].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut bytes[5..]).await?;
    Ok(Some(Message { kind, bytes }))
}
