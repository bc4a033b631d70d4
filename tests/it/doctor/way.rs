//! What it says of the way to the database: its address, a pooler in between, TLS.

use std::time::{Duration, Instant};

use local::pooler::{PgBouncer, Settings};
use tests::{App, command::write_lines, tls::Authority};

use super::{Outcome, PARTS, Report};

/// A `PgBouncer` with room for everything that the doctor does at a time.
fn settings(mode: &'static str) -> Settings {
    Settings {
        mode,
        servers: 5,
        clients: 100,
        certificate: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_at_once_with_the_cause() -> Outcome {
    let app = App::alone().await?;
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
        .contains("to the pooler, whose limits count");
    assert_eq!(pooled, mode == "transaction");
    assert_eq!(report.body["sizing"]["pooled"], pooled);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn named_statements_through_a_transaction_mode_pooler_are_warned_of() -> Outcome {
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
async fn tls_is_told_with_what_it_verifies() -> Outcome {
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
