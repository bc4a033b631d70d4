//! A language model behind HTTP that says what a test wants, in the form of `OpenAI`'s API, and fails in
//! every way that real ones do. The other end of the connection cannot tell it from one.

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

/// A port that answers as a language model does, as long as this value lives.
pub struct LanguageModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200, and these steps one after the other.
    Stream(Vec<Step>),
    /// Another status with a JSON body, and perhaps `Retry-After` in seconds.
    Status(u16, Option<u64>, Value),
    /// 200 with these lines of the head and this body, whatever they are; then the connection is closed.
    Raw(&'static str, Vec<u8>),
    /// The connection is closed instead.
    HangUp,
}

/// What happens within a stream.
#[derive(Clone, Debug)]
pub enum Step {
    /// A piece of the answer.
    Text(&'static str),
    /// The end of the answer, with its reason, its usage (7 and 5 tokens) and `[DONE]`.
    Finish(&'static str),
    /// An event with these data, whatever they are.
    Data(&'static str),
    /// A comment, after a third of a second.
    Comment,
    /// Silence until [`LanguageModel::go_on`] is called.
    Wait,
    /// Silence until the reader leaves.
    Hang,
    /// Text without an end, as fast as it is taken.
    Flood,
    /// The connection is closed in the middle of an event.
    Cut,
    /// The response ends, as if nothing were missing.
    Close,
}

/// A request that the model got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its headers, by names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Its header `content-type`.
    pub content_type: Option<String>,
    /// Its header `authorization`.
    pub authorization: Option<String>,
    /// Its header `x-amz-target`, by which AWS's services know what is asked.
    pub target: Option<String>,
    /// Its body.
    pub body: Value,
}

struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    go: Semaphore,
    /// Readers that left before the end.
    left: watch::Sender<usize>,
    flooded: AtomicU64,
}

impl LanguageModel {
    /// Opens a port whose requests get these replies, in this order; each further one gets 500.
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
                // A connection that breaks is the other end's matter.
                tokio::spawn(async move { serve(stream, &serving).await.ok() });
            }
        });
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// The environment of a function that asks this model, with the key `sk-test`.
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

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Ends one [`Step::Wait`], this one or the next.
    pub fn go_on(&self) {
        self.shared.go.add_permits(1);
    }

    /// Bytes of text that [`Step::Flood`] could write so far.
    #[must_use]
    pub fn flooded(&self) -> u64 {
        self.shared.flooded.load(Ordering::Relaxed)
    }

    /// Waits until a reader has left before the end of its answer.
    ///
    /// # Errors
    /// When none does within a minute.
    pub async fn reader_left(&self) -> Result<()> {
        let mut left = self.shared.left.subscribe();
        let leaving = left.wait_for(|left| *left > 0);
        tokio::time::timeout(Duration::from_mins(1), leaving)
            .await
            .context("nobody left within a minute")??;
        Ok(())
    }
}

impl Drop for LanguageModel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Reply {
    /// An answer of these pieces that ends well.
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
                "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{retry}content-length: {}\r\n\r\n{body}",
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
            let told = tokio::select! {
                told = tell(&mut writing, steps, shared) => told,
                // Nothing more is asked on this connection: whatever comes is its end.
                _ = reading.read_u8() => Err(anyhow::anyhow!("the reader left")),
            };
            if told.is_err() {
                shared.left.send_modify(|left| *left += 1);
            }
        }
    }
    Ok(())
}

async fn read_request(reading: &mut BufReader<OwnedReadHalf>) -> Result<Asked> {
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
    Ok(Asked {
        method,
        path,
        content_type: header("content-type"),
        authorization: header("authorization"),
        target: header("x-amz-target"),
        headers,
        body: serde_json::from_slice(&body)?,
    })
}

async fn tell(writing: &mut OwnedWriteHalf, steps: Vec<Step>, shared: &Shared) -> Result<()> {
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
