//! Accepting HTTP/1.1 connections, for clients and for sandboxes alike.

use std::{convert::Infallible, error::Error, net::SocketAddr, pin::pin, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::refusal::Refusals;

/// How long to wait after a failed accept, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers every request of every connection until `stop` is sent to or dropped; then closes the port and
/// idle connections at once and returns when the requests under way are answered. Dropping the future
/// closes everything. A head that is not read within `head` ends its connection.
pub(super) async fn serve<A, F, B>(
    listener: TcpListener,
    head: Option<Duration>,
    answer: A,
    mut stop: watch::Receiver<()>,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, head, answer.clone(), stop.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<A, F, B>(
    stream: TcpStream,
    peer: SocketAddr,
    head: Option<Duration>,
    answer: A,
    mut stop: watch::Receiver<()>,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    // Without it small answers wait for the peer's delayed acknowledgement; a failure costs only time.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answer = answer(request, peer);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = http1::Builder::new();
    if let Some(limit) = head {
        http.timer(TokioTimer::new()).header_read_timeout(limit);
    }
    let stream = TokioIo::new(Refusals::new(stream));
    let mut connection = pin!(http.serve_connection(stream, service));
    // A connection that ends with an error has no one left to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
