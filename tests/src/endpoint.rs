//! An HTTP endpoint outside the product that responds as a test defines and records requests.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// An endpoint on a port, until dropped.
pub struct Endpoint {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    accepting: JoinHandle<()>,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Its path.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Endpoint {
    /// Listens on a port; each request gets the status and body that `answer` returns. For `None`, no response is sent
    /// until the client disconnects.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn answering(
        answer: impl Fn(&ReceivedRequest) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("opening the port of an endpoint")?;
        let address = listener.local_addr().context("the endpoint's port")?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&asked);
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keeping, answer) = (Arc::clone(&keeping), Arc::clone(&answer));
                // A broken connection is an error of the client only.
                tokio::spawn(async move { serve(stream, &keeping, &*answer).await.ok() });
            }
        });
        Ok(Self {
            address,
            asked,
            accepting,
        })
    }

    /// Its URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<ReceivedRequest> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    stream: TcpStream,
    keeping: &Mutex<Vec<ReceivedRequest>>,
    answer: &(impl Fn(&ReceivedRequest) -> Option<(u16, String)> + ?Sized),
) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let asked = read(&mut stream).await?;
    let answer = answer(&asked);
    keeping
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked);
    match answer {
        Some((status, body)) => {
            let response = format!(
                "HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(response.as_bytes()).await?;
            stream.flush().await?;
        }
        None => {
            stream.read_u8().await?;
        }
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<ReceivedRequest> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(Ok(0), |it| it.parse());
    let mut body = vec![0; length?];
    stream.read_exact(&mut body).await?;
    Ok(ReceivedRequest {
        path,
        headers,
        body,
    })
}
