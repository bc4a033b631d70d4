//! The causes of failed connections.

use std::{net::SocketAddr, time::Instant};

use anyhow::Context as _;
use database::Cause;
use tests::{App, Sql, proxy::with_port};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Outcome, cause, settings};

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_own_cause() -> Outcome {
    let app = App::unmigrated().await?;
    let url = app.database_url();
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let (_full, black_hole) = black_hole().await?;
    let (_sql, limited) = limited_role(&app).await?;
    let database = url
        .rsplit_once('/')
        .and_then(|(_, rest)| rest.split_once('?'))
        .context("the URL names a database")?
        .0;
    for (what, url, expected) in [
        ("a closed port", with_port(url, closed)?, Cause::Refused),
        (
            "an unknown host",
            url.replace("127.0.0.1", "nowhere.invalid"),
            Cause::Dns,
        ),
        (
            "a wrong password",
            url.replace("rappel:", "rappel:not"),
            Cause::Authentication,
        ),
        (
            "a wrong database",
            url.replace(database, "nothing_here"),
            Cause::UnknownDatabase,
        ),
        ("a role at its limit", limited, Cause::TooManyClients),
        (
            "TLS required of a server without",
            url.replace("disable", "require"),
            Cause::Tls,
        ),
        (
            "a black-holed address",
            with_port(url, black_hole.port())?,
            Cause::Timeout,
        ),
        (
            "a server that says nothing",
            with_port(url, silent.local_addr()?.port())?,
            Cause::Timeout,
        ),
        (
            "no such mode of TLS",
            url.replace("disable", "perhaps"),
            Cause::Settings,
        ),
    ] {
        let start = Instant::now();
        let (found, said) = cause(&settings(&url)).await.context(what)?;
        println!("{what}: {found} after {:?}: {said}", start.elapsed());
        assert_eq!(found, expected, "{what}: {said}");
    }
    Ok(())
}

/// A role that may have one connection, and that connection.
async fn limited_role(app: &App) -> anyhow::Result<(Sql, String)> {
    app.sql()
        .await?
        .run("CREATE ROLE one_at_a_time LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
        .await?;
    let (_, rest) = app
        .database_url()
        .split_once('@')
        .context("the URL has a user")?;
    let url = format!("postgres://one_at_a_time:secret@{rest}");
    Ok((Sql::connect(&url).await?, url))
}

/// An address that answers no SYN, as one behind a firewall, and what keeps it so: a full backlog.
pub(super) async fn black_hole() -> anyhow::Result<((TcpListener, Vec<TcpStream>), SocketAddr)> {
    fill(TcpSocket::new_v4()?, "127.0.0.1:0".parse()?).await
}

/// Fills the backlog of a socket that nobody accepts from.
pub(super) async fn fill(
    socket: TcpSocket,
    address: SocketAddr,
) -> anyhow::Result<((TcpListener, Vec<TcpStream>), SocketAddr)> {
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(0)?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    let patience = std::time::Duration::from_millis(300);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        waiting.push(stream?);
    }
    Ok(((listener, waiting), address))
}
