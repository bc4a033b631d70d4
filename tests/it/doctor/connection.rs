//! Checks of the connection to the database: its address, a pooler, TLS.

use std::time::{Duration, Instant};

use anyhow::ensure;
use servers::pooler::{PgBouncer, Pgpool, PgpoolSettings, Settings};
use tests::{
    App, Sql,
    command::write_lines,
    proxy::{Proxy, with_port},
    tls::Authority,
};

use super::{Outcome, PARTS, Report};
use crate::connections::port;

/// A `PgBouncer` with enough server connections for all concurrent checks.
fn settings(mode: &'static str) -> Settings {
    Settings {
        mode,
        servers: 5,
        clients: 100,
        certificate: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_database_is_reported_at_once_with_the_cause() -> Outcome {
    let app = App::with_own_server().await?;
    app.kill_postgres().await?;
    let url = app.database_url();
    let unknown = url.replace("127.0.0.1", "nowhere.invalid");
    for (url, failed, cause) in [
        (url, ["dial", "database"].as_slice(), "(refused)"),
        (&unknown, &["addresses", "database"], "(dns)"),
        ("postgres://[", &["database"], "(settings)"),
    ] {
        let start = Instant::now();
        let report = Report::of(url, &[]).await?;
        assert!(start.elapsed() < Duration::from_mins(1), "{cause} hangs");
        assert!(!report.success, "{cause}");
        assert_eq!(report.with("failed")?, failed, "{}", report.body);
        let says = report.says("database")?;
        assert!(says.contains(cause), "{says}");
        assert!(
            report.with("skipped")?.contains(&"search"),
            "{}",
            report.body
        );
        assert!(
            report.with("skipped")?.contains(&"sizing"),
            "{}",
            report.body
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_recognised_by_what_it_does() -> Outcome {
    let app = App::start().await?;
    for mode in ["transaction", "session"] {
        for pgbouncer in PgBouncer::each(app.database_url(), &settings(mode)).await? {
            recognised(&pgbouncer, mode).await?;
        }
    }
    Ok(())
}

async fn recognised(pgbouncer: &PgBouncer, mode: &str) -> Outcome {
    let url = format!("{}?sslmode=disable", pgbouncer.url()?);
    let wrong = Report::of(&url, &["--pooler", "direct"]).await?;
    assert!(!wrong.success, "{}", wrong.body);
    let says = wrong.says("database")?;
    assert!(says.contains("a pooler is in between"), "{mode}: {says}");
    let says = wrong.says("pooler")?;
    assert!(
        says.contains(&format!("DATABASE_POOLER={mode}")),
        "{mode}: {says}"
    );

    let report = Report::of(&url, &["--pooler", mode, "--sandboxes", "20"]).await?;
    assert!(report.success, "{mode}: {}", report.body);
    assert_eq!(report.with("ok")?, PARTS, "{mode}: {}", report.body);
    let says = report.says("settings")?;
    assert!(
        says.contains("statement_timeout 10000 ms and jit off"),
        "{mode}: {says}"
    );
    let pooled = report
        .says("sizing")?
        .contains("to the pooler, whose limits apply");
    assert_eq!(pooled, mode == "transaction");
    assert_eq!(report.body["sizing"]["pooled"], pooled);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn named_statements_through_a_transaction_mode_pooler_are_a_warning() -> Outcome {
    let app = App::start().await?;
    let settings = settings("transaction");
    let Some(pgbouncer) = PgBouncer::before(app.database_url(), &settings).await? else {
        return Ok(());
    };
    let url = format!("{}?sslmode=disable", pgbouncer.url()?);
    let report = Report::of(&url, &["--pooler", "session"]).await?;
    assert!(
        report.with("failed")?.contains(&"pooler"),
        "{}",
        report.body
    );
    let says = report.says("pooler")?;
    assert!(says.contains("one server process"), "{says}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_reported_with_what_it_verifies() -> Outcome {
    let app = App::start().await?;
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let settings = Settings {
        certificate: Some(authority.vouch("localhost")?),
        ..settings("transaction")
    };
    let Some(pgbouncer) = PgBouncer::before(app.database_url(), &settings).await? else {
        return Ok(());
    };
    let url = pgbouncer.url()?.replace("127.0.0.1", "localhost");
    let folder = tempfile::tempdir()?;
    let roots = |name: &str, authority: &Authority| {
        let lines = [authority.certificate.clone()];
        write_lines(folder.path(), name, &lines)
    };
    let right = roots("right.pem", &authority)?;
    let wrong = roots("wrong.pem", &stranger)?;
    for (query, status, word) in [
        (
            "sslmode=require".to_owned(),
            "ok",
            "the certificate is not verified",
        ),
        (
            format!("sslmode=verify-full&sslrootcert={right}"),
            "ok",
            "certificate and host name verified",
        ),
        (
            format!("sslmode=verify-full&sslrootcert={wrong}"),
            "failed",
            "correct sslmode and sslrootcert",
        ),
    ] {
        let arguments = ["--pooler", "transaction"];
        let report = Report::of(&format!("{url}?{query}"), &arguments).await?;
        assert!(report.with(status)?.contains(&"tls"), "{}", report.body);
        assert!(
            report.with(status)?.contains(&"database"),
            "{}",
            report.body
        );
        let says = report.says("tls")?;
        assert!(says.contains(word), "{query}: {says}");
    }
    Ok(())
}

/// What a report says of the pooler: the setting apart, the same however often it is asked.
async fn says_twice(url: &str, arguments: &[&str]) -> anyhow::Result<(String, Report)> {
    let first = Report::of(url, arguments).await?;
    let said = first.says("pooler")?;
    for _ in 0..2 {
        let again = Report::of(url, arguments).await?;
        ensure!(again.says("pooler")? == said, "{}: {said}", again.body);
        ensure!(
            again.with("failed")? == first.with("failed")?,
            "{} is not {}",
            again.body,
            first.body
        );
    }
    Ok((said, first))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_takes_startup_options_is_recognised_whatever_is_configured() -> Outcome {
    let app = App::start().await?;
    for mode in ["transaction", "session"] {
        let settings = settings(mode);
        for pgbouncer in PgBouncer::dropping_options(app.database_url(), &settings).await? {
            let url = format!("{}?sslmode=disable", pgbouncer.url()?);
            let (says, report) = says_twice(&url, &["--pooler", "direct"]).await?;
            assert!(!report.success, "{mode}: {}", report.body);
            let advice = format!("set DATABASE_POOLER={mode}");
            assert!(says.contains(&advice), "{mode}: {says}");

            let (says, report) =
                says_twice(&url, &["--pooler", "auto", "--sandboxes", "20"]).await?;
            assert!(report.success, "{mode}: {}", report.body);
            assert!(says.contains("statements are unnamed"), "{mode}: {says}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_leftover_statements_are_no_obstacle_and_none_is_left() -> Outcome {
    let app = App::start().await?;
    let settings = Settings {
        servers: 2,
        ..settings("transaction")
    };
    let Some(pgbouncer) = PgBouncer::before(app.database_url(), &settings).await? else {
        return Ok(());
    };
    let url = format!("{}?sslmode=disable", pgbouncer.url()?);
    let sql = Sql::connect(&url).await?;
    sql.run("PREPARE sqlx_s_1 AS SELECT 1; PREPARE sqlx_s_2 AS SELECT 2")
        .await?;
    for pooler in ["session", "direct", "transaction"] {
        says_twice(&url, &["--pooler", pooler]).await?;
    }
    // Each of the two server connections, at a time.
    let other = Sql::connect(&url).await?;
    let mut left = 0;
    for connection in [&sql, &other] {
        connection.run("BEGIN").await?;
    }
    for connection in [&sql, &other] {
        for statement in ["sqlx_s_1", "sqlx_s_2", "sqlx_s_3"] {
            connection.run("SAVEPOINT one").await?;
            left += usize::from(
                connection
                    .run(&format!("EXECUTE {statement}"))
                    .await
                    .is_ok(),
            );
            connection.run("ROLLBACK TO one").await?;
        }
        let others = "DO 'BEGIN ASSERT (SELECT count(*) FROM pg_prepared_statements
                      WHERE name NOT IN ($$sqlx_s_1$$, $$sqlx_s_2$$)) = 0; END'";
        connection.run(others).await?;
        connection.run("ROLLBACK").await?;
    }
    assert_eq!(
        left, 2,
        "somebody else's statements are there, and no others"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pgpool_is_recognised_and_its_client_limit_counts() -> Outcome {
    let app = App::start().await?;
    let settings = PgpoolSettings {
        clients: 12,
        client_idle_limit: 0,
    };
    let Some(pgpool) = Pgpool::before(app.database_url(), settings).await? else {
        return Ok(());
    };
    let url = format!("{}?sslmode=disable", pgpool.url()?);
    let (says, report) = says_twice(&url, &["--pooler", "session", "--sandboxes", "12"]).await?;
    assert!(report.success, "{}", report.body);
    assert!(
        says.contains("pgpool-II") && says.contains("serves 12 at a time"),
        "{says}"
    );
    assert!(report.with("ok")?.contains(&"sizing"), "{}", report.body);

    let (says, report) = says_twice(&url, &["--pooler", "auto", "--sandboxes", "13"]).await?;
    assert!(says.contains("DATABASE_POOLER=session"), "{says}");
    assert!(
        report.with("warning")?.contains(&"sizing"),
        "{}",
        report.body
    );
    let says = report.says("sizing")?;
    assert!(says.contains("num_init_children"), "{says}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pooler_it_says_what_proves_that() -> Outcome {
    let app = App::start().await?;
    let (says, report) = says_twice(app.database_url(), &["--sandboxes", "1"]).await?;
    assert!(report.with("ok")?.contains(&"pooler"), "{}", report.body);
    assert!(
        says.contains("address and port of the client's own socket"),
        "{says}"
    );

    let proxy = Proxy::to(port(app.database_url())?).await?;
    let url = with_port(app.database_url(), proxy.port())?;
    let (says, report) = says_twice(&url, &["--sandboxes", "1"]).await?;
    assert!(report.with("ok")?.contains(&"pooler"), "{}", report.body);
    assert!(
        says.contains("NAT") && says.contains("DATABASE_POOLER=direct"),
        "{says}"
    );
    Ok(())
}
