//! Connections that die, in use or while a frozen sandbox cannot see it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use database::{Database, DatabaseError, PoolerSetting, Statement, within};
use futures_util::future::try_join_all;
use tests::{
    App,
    proxy::{Fault, Proxy, with_port},
};
use tokio::time::{sleep, timeout};

use super::{HANG, LONG_IDLE, Outcome, echo, server_port, settings};

/// An engine whose connections go through a proxy.
async fn proxied(app: &App, pooler: PoolerSetting) -> Result<(Database, Proxy)> {
    let proxy = Proxy::to(server_port(app)?).await?;
    let mut config = settings(&with_port(app.database_url(), proxy.port())?);
    config.pooler = pooler;
    Ok((Database::new(&config)?, proxy))
}

/// Prints how long the next answer takes, then asks a few times more: the pool must not be poisoned.
async fn recovers(database: &Database, after: &str) -> Outcome {
    let start = Instant::now();
    assert_eq!(echo(database, 1).await?, 1);
    println!("{after}: the next answer after {:?}", start.elapsed());
    for n in 2..5 {
        assert_eq!(echo(database, n).await?, n);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closed_while_idle_fails_no_request() -> Outcome {
    let app = App::unmigrated().await?;
    for pooler in [PoolerSetting::Direct, PoolerSetting::Transaction] {
        let (database, proxy) = proxied(&app, pooler).await?;
        echo(&database, 0).await?;
        for fault in [Fault::Reset, Fault::HalfClose, Fault::Reset] {
            proxy.strike(fault);
            recovers(&database, &format!("{pooler:?}, {fault:?}")).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_process_fails_no_request() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    for pooler in [PoolerSetting::Direct, PoolerSetting::Transaction] {
        let (database, _proxy) = proxied(&app, pooler).await?;
        for _ in 0..3 {
            echo(&database, 0).await?;
            let killed = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
                WHERE application_name = 'rappel-connections' AND datname = current_database()";
            assert_eq!(sql.number(killed, &[]).await?, 1);
            recovers(&database, &format!("{pooler:?}, killed")).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_found_after_an_idle_time_fails_no_request() -> Outcome {
    let app = App::unmigrated().await?;
    let poolers = [
        PoolerSetting::Direct,
        PoolerSetting::Session,
        PoolerSetting::Transaction,
    ];
    try_join_all(poolers.map(|pooler| black_holes(&app, pooler))).await?;
    Ok(())
}

async fn black_holes(app: &App, pooler: PoolerSetting) -> Outcome {
    let (database, proxy) = proxied(app, pooler).await?;
    echo(&database, 0).await?;
    for _ in 0..2 {
        sleep(LONG_IDLE).await;
        proxy.strike(Fault::BlackHole);
        recovers(&database, &format!("{pooler:?}, black hole")).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_after_an_idle_time_survives_a_black_hole_and_happens_once() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    sql.run("CREATE TABLE lines (n bigint)").await?;
    let (database, proxy) = proxied(&app, PoolerSetting::Direct).await?;
    echo(&database, 0).await?;
    sleep(LONG_IDLE).await;
    proxy.strike(Fault::BlackHole);

    let start = Instant::now();
    let insert = Statement::write("INSERT INTO lines VALUES (1) RETURNING n");
    timeout(HANG, database.fetch_all::<(i64,)>(insert))
        .await
        .context("the write hangs")??;
    println!("a write into a black hole: {:?}", start.elapsed());
    assert_eq!(sql.number("SELECT count(*) FROM lines", &[]).await?, 1);

    // On a connection that was just used, nobody can tell whether the statement took effect.
    proxy.strike(Fault::Reset);
    let insert = Statement::write("INSERT INTO lines VALUES (2) RETURNING n");
    let lost = database.fetch_all::<(i64,)>(insert).await;
    assert!(matches!(lost, Err(DatabaseError::Lost(_))), "{lost:?}");
    recovers(&database, "a lost write").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_in_use_is_noticed_at_the_limit_of_the_statement() -> Outcome {
    let app = App::unmigrated().await?;
    let proxy = Proxy::to(server_port(&app)?).await?;
    let mut config = settings(&with_port(app.database_url(), proxy.port())?);
    config.statement_timeout = Duration::from_secs(1);
    let database = Database::new(&config)?;
    for _ in 0..2 {
        echo(&database, 0).await?;
        proxy.strike(Fault::BlackHole);
        recovers(&database, "a black hole on a busy connection").await?;
    }

    let mut transaction = database.begin().await?;
    proxy.strike(Fault::BlackHole);
    let lost = timeout(
        HANG,
        transaction.fetch_all::<(i32,)>(Statement::read("SELECT 1")),
    )
    .await
    .context("a transaction in a black hole hangs")?;
    assert!(matches!(lost, Err(DatabaseError::Lost(_))), "{lost:?}");
    drop(transaction);
    recovers(&database, "a transaction lost in a black hole").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_does_not_block_the_next() -> Outcome {
    let app = App::unmigrated().await?;
    let (database, _proxy) = proxied(&app, PoolerSetting::Direct).await?;
    let sleeping = Statement::read("SELECT 1 FROM pg_sleep(5)");
    let given_up = timeout(
        Duration::from_millis(300),
        database.fetch_all::<(i32,)>(sleeping),
    )
    .await;
    assert!(given_up.is_err());
    recovers(&database, "a statement given up").await?;

    let mut transaction = database.begin().await?;
    let broken = transaction
        .fetch_all::<(i32,)>(Statement::read("SELECT 1 / 0"))
        .await;
    assert!(matches!(broken, Err(DatabaseError::Value(_))));
    drop(transaction);
    recovers(&database, "a transaction that failed").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_slow_to_read_keeps_its_connection() -> Outcome {
    let app = App::unmigrated().await?;
    app.sql()
        .await?
        .run("CREATE TABLE lines (line text)")
        .await?;
    let (database, proxy) = proxied(&app, PoolerSetting::Direct).await?;
    let rows = format!("{}\n", "x".repeat(1023)).repeat(32 * 1024);
    let mut transaction = database.begin().await?;
    proxy.stall(true);
    let resume = async {
        sleep(Duration::from_secs(4)).await;
        proxy.stall(false);
    };
    let copy = transaction.copy_in("COPY lines FROM STDIN", rows.as_bytes());
    let (copied, ()) = timeout(HANG, async { tokio::join!(copy, resume) })
        .await
        .context("the copy hangs")?;
    assert_eq!(copied?, 32 * 1024);
    transaction.commit().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_near_its_deadline_does_not_wait_longer_for_a_black_hole() -> Outcome {
    let app = App::unmigrated().await?;
    let (database, proxy) = proxied(&app, PoolerSetting::Direct).await?;
    echo(&database, 0).await?;
    proxy.strike(Fault::BlackHole);
    let deadline = Instant::now() + Duration::from_secs(4);
    let statement = Statement::read("SELECT 1");
    let outcome = timeout(
        HANG,
        within(deadline, database.fetch_all::<(i32,)>(statement)),
    )
    .await
    .context("the statement hangs")?;
    println!(
        "a black hole on a busy connection, 4 s before the deadline: told {:?} before it",
        deadline.saturating_duration_since(Instant::now())
    );
    // Too little is left to try once more.
    assert!(
        matches!(outcome, Err(DatabaseError::StatementTimeout)),
        "{outcome:?}"
    );
    recovers(&database, "after the deadline").await
}
