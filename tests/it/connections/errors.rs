//! Errors of a server or a pooler that close a connection, or report that no server is available.

use anyhow::Context as _;
use database::{Cause, Database, DatabaseError, PoolerSetting, Statement};
use tests::{
    App,
    proxy::{Fault, Proxy, error, with_port},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{Outcome, cause, echo, failure, problem_word, server_port, settings};

/// Severity, SQLSTATE and words, as they end a connection that was idle or in use.
const ENDINGS: [(&str, &str, &str); 12] = [
    // Postgres.
    (
        "FATAL",
        "57P01",
        "terminating connection due to administrator command",
    ),
    (
        "FATAL",
        "57P05",
        "terminating connection due to idle-session timeout",
    ),
    // pgpool-II.
    ("FATAL", "XX000", "pool_read2: EOF encountered with backend"),
    (
        "FATAL",
        "57000",
        "connection terminated due to client idle limit reached",
    ),
    (
        "ERROR",
        "57000",
        "connection terminated due to client idle limit reached",
    ),
    ("ERROR", "XX000", "unable to read data from DB node 0"),
    // PgCat.
    (
        "FATAL",
        "58000",
        "could not get connection from the pool - AllServersDown",
    ),
    (
        "FATAL",
        "58000",
        "Error reading BackendKeyData message from server",
    ),
    ("FATAL", "58000", "pooler is shut down now"),
    // PgBouncer.
    ("FATAL", "08P01", "server conn crashed?"),
    ("FATAL", "08P01", "query_wait_timeout"),
    // Supavisor.
    (
        "ERROR",
        "XX000",
        "Unable to check out process from the pool due to timeout",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_closes_a_connection_fails_no_request() -> Outcome {
    let app = App::unmigrated().await?;
    for pooler in [PoolerSetting::Direct, PoolerSetting::Transaction] {
        let proxy = Proxy::to(server_port(&app)?).await?;
        let mut config = settings(&with_port(app.database_url(), proxy.port())?);
        config.pooler = pooler;
        let database = Database::new(&config)?;
        echo(&database, 0).await?;
        for (severity, code, message) in ENDINGS {
            proxy.strike(Fault::Says {
                severity,
                code,
                message,
            });
            let answer = echo(&database, 1).await;
            let what = format!("{pooler}: {severity} {code} {message}");
            assert_eq!(answer.context(what)?, 1);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_a_closed_connection_is_a_lost_connection_not_an_internal_error() -> Outcome {
    let app = App::unmigrated().await?;
    app.sql()
        .await?
        .run("CREATE TABLE lines (n bigint)")
        .await?;
    let proxy = Proxy::to(server_port(&app)?).await?;
    let mut config = settings(&with_port(app.database_url(), proxy.port())?);
    config.pooler = PoolerSetting::Direct;
    let database = Database::new(&config)?;
    for (severity, code, message) in ENDINGS {
        echo(&database, 0).await?;
        proxy.strike(Fault::Says {
            severity,
            code,
            message,
        });
        let insert = Statement::write("INSERT INTO lines VALUES (1) RETURNING n");
        let lost = database.fetch_all::<(i64,)>(insert).await;
        let lost = lost.err().context("nobody knows whether it took effect")?;
        assert!(matches!(lost, DatabaseError::Lost(_)), "{code}: {lost}");
        assert_eq!(problem_word(lost), "urn:rappel:problem:database-lost");
    }
    Ok(())
}

/// A server, or a pooler, that answers every login with an error.
async fn refusing(severity: &str, code: &str, message: &str) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let error = error(severity, code, message);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut startup = [0; 1024];
            // A client that disconnects at once expects no response.
            let _ = client.read(&mut startup).await;
            let _ = client.write_all(&error).await;
        }
    });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_a_pooler_tells_the_cause() -> Outcome {
    for (severity, code, message, expected) in [
        (
            "FATAL",
            "58000",
            "could not get connection from the pool - AllServersDown",
            Cause::NotReady,
        ),
        (
            "FATAL",
            "XX000",
            "all backend nodes are down, pgpool requires at least one valid node",
            Cause::NotReady,
        ),
        ("FATAL", "57000", "pgpool is shutting down", Cause::NotReady),
        (
            "FATAL",
            "08P01",
            "server login has been failing, try again later (server_login_retry)",
            Cause::NotReady,
        ),
        (
            "FATAL",
            "53300",
            "Sorry, too many clients already",
            Cause::TooManyClients,
        ),
        ("FATAL", "53200", "out of memory", Cause::TooManyClients),
        (
            "FATAL",
            "08P01",
            "pgbouncer cannot connect to server",
            Cause::NotReady,
        ),
        (
            "FATAL",
            "08P01",
            "no more connections allowed (max_user_client_connections)",
            Cause::TooManyClients,
        ),
        (
            "FATAL",
            "XX000",
            "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
            Cause::TooManyClients,
        ),
        (
            "FATAL",
            "XX000",
            "(ENOTFOUND) tenant/user postgres.abc not found",
            Cause::Authentication,
        ),
        (
            "FATAL",
            "08000",
            "Timed-out waiting to acquire database connection.",
            Cause::TooManyClients,
        ),
        (
            "ERROR",
            "XX000",
            "Couldn't connect to compute node",
            Cause::NotReady,
        ),
    ] {
        let port = refusing(severity, code, message).await?;
        let mut config = settings(&format!(
            "postgres://rappel:secret@127.0.0.1:{port}/rappel?sslmode=disable"
        ));
        config.acquire_timeout = std::time::Duration::from_millis(500);
        let (found, said) = cause(&config).await?;
        assert_eq!(found, expected, "{said}");
        assert!(said.contains(message), "{said}");
        let word = problem_word(failure(&Database::new(&config)?).await?);
        assert_eq!(
            word,
            format!("urn:rappel:problem:database-{}", expected.word())
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_says_so_unless_the_next_connection_leads_to_a_primary() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    sql.run("CREATE TABLE lines (n bigint)").await?;
    let read_only = async |on: bool| {
        let database = "SELECT current_database()::text";
        let database = sql.texts(database, &[]).await?.remove(0);
        let on = if on { "on" } else { "off" };
        let set = format!("ALTER DATABASE {database} SET default_transaction_read_only = {on}");
        sql.run(&set).await
    };
    let insert = || Statement::write("INSERT INTO lines VALUES (1) RETURNING n");
    for pooler in [PoolerSetting::Direct, PoolerSetting::Transaction] {
        let mut config = settings(app.database_url());
        config.pooler = pooler;
        read_only(true).await?;
        let database = Database::new(&config)?;
        let refused = database.fetch_all::<(i64,)>(insert()).await;
        let refused = refused.err().context("the server is read-only")?;
        assert!(matches!(refused, DatabaseError::ReadOnly(_)), "{refused}");
        assert!(refused.to_string().contains("DATABASE_URL"), "{refused}");
        assert_eq!(
            problem_word(refused),
            "urn:rappel:problem:database-read-only"
        );

        // The connection is one to a server that was demoted; a new one leads to its successor.
        echo(&database, 1).await?;
        read_only(false).await?;
        assert_eq!(database.fetch_all::<(i64,)>(insert()).await?, [(1,)]);
        read_only(true).await?;
        database.close().await;
        let database = Database::new(&config)?;
        let mut transaction = database.begin().await?;
        read_only(false).await?;
        let refused = transaction.fetch_all::<(i64,)>(insert()).await;
        assert!(
            matches!(refused, Err(DatabaseError::ReadOnly(_))),
            "{refused:?}"
        );
        drop(transaction);
        let mut transaction = database.begin().await?;
        transaction.fetch_all::<(i64,)>(insert()).await?;
        transaction.commit().await?;
    }
    assert_eq!(sql.number("SELECT count(*) FROM lines", &[]).await?, 4);
    Ok(())
}
