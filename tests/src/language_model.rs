//! A scripted language model with an `OpenAI`-compatible API that fails in every way real ones do. Clients cannot tell
//! the difference.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::sleep,
};

/// A language model on a port, until dropped.
pub struct LanguageModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The response to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200 with these steps.
    Stream(Vec<Step>),
    /// Another status with a JSON body, optionally with `Retry-After` in seconds.
    Status(u16, Option<u64>, Value),
    /// 200 with these raw header lines and this body; then the connection is closed.
    Raw(&'static str, Vec<u8>),
    /// The connection is closed without a response.
    HangUp,
}

/// A step of a stream.
#[derive(Clone, Debug)]
pub enum Step {
    /// A piece of the answer.
    Text(&'static str),
    /// The end of the answer, with its finish reason, its usage (7 and 5 tokens) and `[DONE]`.
    Finish(&'static str),
    /// An event with these raw data.
    Data(&'static str),
    /// A comment, after a third of a second.
    Comment,
    /// Waits until [`LanguageModel::go_on`] is called.
    Wait,
    /// Waits until the client disconnects.
    Hang,
    /// Endless text, as fast as the client reads.
    Flood,
    /// Closes the connection in the middle of an event.
    Cut,
    /// Ends the response early but properly.
    Close,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The method.
    pub method: String,
    /// The path with query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The header `content-type`.
    pub content_type: Option<String>,
    /// The header `authorization`.
    pub authorization: Option<String>,
    /// The header `x-amz-target`, which names the AWS operation.
    pub target: Option<String>,
    /// The body.
    pub body: Value,
}

struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<ModelRequest>>,
    go: Semaphore,
    /// Clients that disconnected early.
    left: watch::Sender<usize>,
    flooded: AtomicU64,
}

impl LanguageModel {
    /// Listens on a port and gives these replies in order; further requests get 500.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn replying(replies: impl IntoIterator<Item = Reply>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("opening the port of a language model")?;
        let address = listener.local_addr().context("the language model's port")?;
        let shared = Arc::new(Shared {
            replies: Mutex::new(replies.into_iter().collect()),
            asked: Mutex::default(),
            go: Semaphore::new(0),
            left: watch::Sender::new(0),
            flooded: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                // A broken connection is an error of the client only.
                tokio::spawn(async move { serve(stream, &serving).await.ok() });
            }
        });
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// The environment of a function that uses this model, with the key `sk-test`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LLM_BASE_URL", format!("http://{}/v1", self.address)),
            ("LLM_API_KEY", "sk-test".to_owned()),
            ("LLM_MODEL", "test-model".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Its URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<ModelRequest> {
        lock(&self.shared.asked).clone()
    }

    /// Ends one [`Step::Wait`], the current or the next.
    pub fn go_on(&self) {
        self.shared.go.add_permits(1);
    }

    /// Bytes written by [`Step::Flood`] so far.
    #[must_use]
    pub fn flooded(&self) -> u64 {
        self.shared.flooded.load(Ordering::Relaxed)
    }

    /// Waits until a client has disconnected early.
    ///
    /// # Errors
    /// When none does within a minute.
    pub async fn reader_left(&self) -> Result<()> {
        let mut left = self.shared.left.subscribe();
        let leaving = left.wait_for(|left| *left > 0);
        tokio::time::timeout(Duration::from_mins(1), leaving)
            .await
            .context("no client disconnected within a minute")??;
        Ok(())
    }
}

impl Drop for LanguageModel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Reply {
    /// A complete answer of these pieces.
    #[must_use]
    pub fn text(pieces: &[&'static str]) -> Self {
        let steps = pieces.iter().copied().map(Step::Text);
        Self::Stream(steps.chain([Step::Finish("stop")]).collect())
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let asked = read_request(&mut reading).await?;
    lock(&shared.asked).push(asked);
    let reply = lock(&shared.replies).pop_front();
    let no_more = Reply::Status(500, None, json!({}));
    match reply.unwrap_or(no_more) {
        Reply::Status(status, retry_after, body) => {
            let body = body.to_string();
            let retry = retry_after
                .map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
            let head = format!(
                "HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-type: application/json\r\n{retry}content-length: {}\r\n\r\n{body}",
                body.len()
            );
            writing.write_all(head.as_bytes()).await?;
        }
        Reply::Raw(head, body) => {
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n\r\n");
            writing.write_all(head.as_bytes()).await?;
            writing.write_all(&body).await?;
            writing.shutdown().await?;
        }
        Reply::HangUp => writing.shutdown().await?,
        Reply::Stream(steps) => {
            let sent = tokio::select! {
                sent = send_steps(&mut writing, steps, shared) => sent,
                // The connection serves one request: any further byte or its end means that the client left.
                _ = reading.read_u8() => Err(anyhow::anyhow!("the reader left")),
            };
            if sent.is_err() {
                shared.left.send_modify(|left| *left += 1);
            }
        }
    }
    Ok(())
}

async fn read_request(reading: &mut BufReader<OwnedReadHalf>) -> Result<ModelRequest> {
    let mut line = String::new();
    reading.read_line(&mut line).await?;
    let mut words = line.split(' ').map(str::to_owned);
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reading.read_line(&mut line).await?;
        // A value may be empty.
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let header = |name: &str| headers.get(name).cloned();
    let length = header("content-length").map_or(Ok(0), |length| length.parse())?;
    let mut body = vec![0; length];
    reading.read_exact(&mut body).await?;
    Ok(ModelRequest {
        method,
        path,
        content_type: header("content-type"),
        authorization: header("authorization"),
        target: header("x-amz-target"),
        headers,
        // A GET has none.
        body: if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body)?
        },
    })
}

async fn send_steps(writing: &mut OwnedWriteHalf, steps: Vec<Step>, shared: &Shared) -> Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    writing.write_all(head.as_bytes()).await?;
    for step in steps {
        match step {
            Step::Text(text) => write_event(writing, &delta(text)).await?,
            Step::Data(data) => write_event(writing, data).await?,
            Step::Finish(reason) => {
                let end =
                    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] });
                write_event(writing, &end.to_string()).await?;
                let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 5 } });
                write_event(writing, &usage.to_string()).await?;
                write_event(writing, "[DONE]").await?;
            }
            Step::Wait => shared.go.acquire().await?.forget(),
            Step::Hang => sleep(Duration::from_hours(1)).await,
            Step::Flood => loop {
                const PIECE: &str = "une rivière de mots, ";
                write_event(writing, &delta(PIECE)).await?;
                shared
                    .flooded
                    .fetch_add(PIECE.len() as u64, Ordering::Relaxed);
            },
            Step::Comment => {
                sleep(Duration::from_millis(333)).await;
                writing.write_all(b"c\r\n: queued\r\n\r\n\r\n").await?;
            }
            Step::Close => break,
            Step::Cut => {
                // A chunk of 99 bytes that ends after eight.
                writing.write_all(b"63\r\ndata: {\"").await?;
                writing.shutdown().await?;
                return Ok(());
            }
        }
    }
    writing.write_all(b"0\r\n\r\n").await?;
    Ok(())
}

fn delta(text: &str) -> String {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "test-model",
        "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] })
    .to_string()
}

async fn write_event(writing: &mut OwnedWriteHalf, data: &str) -> Result<()> {
    let event = format!("data: {data}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    writing.write_all(chunk.as_bytes()).await?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
