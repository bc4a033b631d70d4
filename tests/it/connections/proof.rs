//! Named statements are sent only where it is proven that no pooler shares the server connection.

use anyhow::{Context as _, Result};
use database::{Cause, Database, DatabaseError, Pooler, PoolerSetting, Proof, Standing, Statement};
use servers::pooler::{PgBouncer, Settings};
use tests::{
    App,
    proxy::{Proxy, with_port},
};

use super::{Outcome, cause, echo, server_port, settings};

/// A pooler whose clients share three server connections.
pub(super) fn transaction_mode() -> Settings {
    Settings {
        mode: "transaction",
        servers: 3,
        clients: 200,
        certificate: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_connection_is_proven_by_the_address_of_the_client() -> Outcome {
    let app = App::unmigrated().await?;
    for setting in [PoolerSetting::Auto, PoolerSetting::Direct] {
        let mut config = settings(app.database_url());
        config.pooler = setting;
        let database = Database::new(&config)?;
        assert_eq!(database.standing(), None, "nothing is known yet");
        echo(&database, 1).await?;
        let expected = Standing {
            pooler: Pooler::Direct,
            proof: Proof::ClientAddress,
        };
        assert_eq!(database.standing(), Some(expected), "{setting}");
        assert_eq!(named_statements(&database).await?, 2, "{setting}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nat_named_statements_require_pooler_direct() -> Outcome {
    let app = App::unmigrated().await?;
    let proxy = Proxy::to(server_port(&app)?).await?;
    for (setting, pooler, named) in [
        (PoolerSetting::Auto, Pooler::Transaction, 0),
        (PoolerSetting::Direct, Pooler::Direct, 2),
    ] {
        let mut config = settings(&with_port(app.database_url(), proxy.port())?);
        config.pooler = setting;
        let database = Database::new(&config)?;
        echo(&database, 1).await?;
        let proof = Proof::StartupOptions;
        assert_eq!(database.standing(), Some(Standing { pooler, proof }));
        assert_eq!(named_statements(&database).await?, named, "{setting}");
    }
    Ok(())
}

/// The named statements that the server keeps for the connection of `database`, with this one.
async fn named_statements(database: &Database) -> Result<i64> {
    let statement = Statement::read("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''");
    let row: Option<(i64,)> = database.fetch_optional(statement).await?;
    Ok(row.context("a count has a row")?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_drops_startup_options_is_refused_with_pooler_direct() -> Outcome {
    let app = App::unmigrated().await?;
    for mode in ["transaction", "session"] {
        let pooler = Settings {
            mode,
            ..transaction_mode()
        };
        for pgbouncer in PgBouncer::dropping_options(app.database_url(), &pooler).await? {
            let mut config = settings(&pgbouncer.url()?);
            let database = Database::new(&config)?;
            echo(&database, 1).await?;
            let expected = Standing {
                pooler: Pooler::Transaction,
                proof: Proof::Disproved,
            };
            assert_eq!(database.standing(), Some(expected), "{mode}");
            database.close().await;

            config.pooler = PoolerSetting::Direct;
            let (found, said) = cause(&config).await?;
            assert_eq!(found, Cause::Pooler, "{mode}: {said}");
            assert!(said.contains("DATABASE_POOLER is direct"), "{said}");
            assert!(said.contains("set it to transaction"), "{said}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_refuses_startup_options_is_used_without_pooler_direct() -> Outcome {
    let app = App::unmigrated().await?;
    for pgbouncer in PgBouncer::each(app.database_url(), &transaction_mode()).await? {
        let mut config = settings(&pgbouncer.url()?);
        let database = Database::new(&config)?;
        assert_eq!(echo(&database, 1).await?, 1);
        assert_eq!(database.pooler(), Some(Pooler::Transaction));
        database.close().await;
        config.pooler = PoolerSetting::Direct;
        let (found, said) = cause(&config).await?;
        assert_eq!(found, Cause::Pooler, "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_is_detected_late_ends_named_statements() -> Outcome {
    let app = App::unmigrated().await?;
    let proxy = Proxy::to(server_port(&app)?).await?;
    let mut config = settings(&with_port(app.database_url(), proxy.port())?);
    config.pooler = PoolerSetting::Direct;
    let database = Database::new(&config)?;
    echo(&database, 1).await?;
    assert_eq!(database.pooler(), Some(Pooler::Direct));
    // As a transaction that lands on a server connection where nothing of ours is prepared.
    database
        .fetch_all::<(i32,)>(Statement::read("SELECT 1"))
        .await?;
    let mut transaction = database.begin().await?;
    transaction.run_script("DEALLOCATE ALL").await?;
    transaction.commit().await?;
    assert_eq!(echo(&database, 2).await?, 2);
    assert_eq!(database.pooler(), Some(Pooler::Transaction));
    assert_eq!(named_statements(&database).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_pooler_direct_does_not_start_behind_a_pooler() -> Outcome {
    let reached = App::through(async |url| {
        let pgbouncers = PgBouncer::dropping_options(url, &transaction_mode()).await?;
        let pgbouncer = pgbouncers.into_iter().next();
        let variables = match &pgbouncer {
            Some(pgbouncer) => vec![
                ("DATABASE_URL".to_owned(), pgbouncer.url()?),
                ("DATABASE_POOLER".to_owned(), "direct".to_owned()),
            ],
            None => Vec::new(),
        };
        Ok((pgbouncer, variables))
    });
    let (app, pgbouncer) = reached.await?;
    if pgbouncer.is_none() {
        return Ok(());
    }
    let answer = app.get("/documents", &[]).await?;
    assert!(answer.status >= 500, "{answer:?}");
    let logged = app.logged()?;
    assert!(
        logged.contains("DATABASE_POOLER is direct, but a pooler is in between"),
        "{logged}"
    );
    assert!(logged.contains("set it to transaction"), "{logged}");
    Ok(())
}

/// What a lost statement of ours would look like: it is an error of its own, not a lost connection.
#[tokio::test(flavor = "multi_thread")]
async fn another_clients_statement_is_not_a_lost_connection() -> Outcome {
    let app = App::unmigrated().await?;
    let database = Database::new(&settings(app.database_url()))?;
    let mut transaction = database.begin().await?;
    for script in [
        "EXECUTE nobodys",
        "PREPARE a AS SELECT 1; PREPARE a AS SELECT 1",
    ] {
        let error = transaction.run_script(script).await.err().context(script)?;
        assert!(
            matches!(error, DatabaseError::Shared(_)),
            "{script}: {error}"
        );
        transaction = database.begin().await?;
    }
    Ok(())
}
