//! `rappel doctor`: what it says of a database that is well, and of one that is not.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::{
    App,
    command::{Printed, rappel, write_lines},
    pooler::{PgBouncer, Settings},
    tls::Authority,
};

use crate::Outcome;

/// Every part of a report, in order.
const PARTS: [&str; 18] = [
    "addresses",
    "dial",
    "tls",
    "database",
    "pooler",
    "server",
    "round-trip",
    "clock",
    "connections",
    "settings",
    "extension",
    "migrations",
    "model",
    "index",
    "plan",
    "embedder",
    "search",
    "sizing",
];

/// A report, and whether the command succeeded.
struct Report {
    body: Value,
    success: bool,
}

impl Report {
    async fn of(url: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let arguments = [&["doctor", "--json"], arguments].concat();
        let printed = Printed::by(&mut rappel(Some(url), &arguments).await?).await?;
        let body: Value = serde_json::from_str(&printed.stdout)
            .with_context(|| format!("the report is JSON: {printed:?}"))?;
        let report = Self {
            body,
            success: printed.success,
        };
        let names: Vec<_> = report
            .checks()?
            .iter()
            .map(|check| &check["name"])
            .collect();
        ensure!(names == PARTS, "every part is listed, in order: {names:?}");
        Ok(report)
    }

    fn checks(&self) -> anyhow::Result<&Vec<Value>> {
        self.body["checks"]
            .as_array()
            .context("a report has checks")
    }

    /// The parts with this status.
    fn with(&self, status: &str) -> anyhow::Result<Vec<&str>> {
        let checks = self.checks()?.iter();
        checks
            .filter(|check| check["status"] == status)
            .map(|check| check["name"].as_str().context("a check has a name"))
            .collect()
    }

    /// What was found of a part, and the remedy.
    fn says(&self, part: &str) -> anyhow::Result<String> {
        let mut checks = self.checks()?.iter();
        let check = checks.find(|check| check["name"] == part);
        let check = check.with_context(|| format!("the report has the part {part}"))?;
        Ok(format!("{} → {}", check["found"], check["remedy"]))
    }
}

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
async fn a_database_that_is_well_passes_every_check() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let sql = app.sql().await?;
    sql.run("ANALYZE rappel.chunks").await?;
    let report = Report::of(app.database_url(), &["--sandboxes", "20"]).await?;
    assert!(report.success, "{}", report.body);
    assert_eq!(report.with("ok")?, PARTS, "{}", report.body);

    for (part, word) in [
        ("addresses", "IPv4 127.0.0.1; no IPv6"),
        ("tls", "sslmode=disable: not encrypted, on this machine"),
        ("pooler", "each connection has a server process of its own"),
        ("server", "PostgreSQL 1"),
        (
            "settings",
            "statement_timeout 10000 ms and jit off by startup options",
        ),
        ("settings", "application_name rappel-doctor"),
        ("extension", "pgvector 0.8"),
        ("model", "multilingual-e5-small (384 dimensions)"),
        ("plan", "which is right for so few"),
        ("search", "it finds a document"),
        ("sizing", "20 sandboxes × 1 = 20 connections"),
    ] {
        let says = report.says(part)?;
        assert!(says.contains(word), "{part}: {says}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_reads_many_chunks_one_by_one_is_warned_of() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run(
            "DROP INDEX rappel.chunks_embedding_hnsw;
             INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
             VALUES ('many', '', '', '{}', '');
             INSERT INTO rappel.chunks (document_id, ordinal, content, embedding)
             SELECT 'many', n, '', array_fill(0.05::real, ARRAY[384])::halfvec FROM generate_series(1, 20001) AS n;
             ANALYZE rappel.chunks",
        )
        .await?;
    let report = Report::of(app.database_url(), &["--sandboxes", "1"]).await?;
    assert!(
        report.success,
        "a slow search is no failure: {}",
        report.body
    );
    assert_eq!(
        report.with("warning")?,
        ["index", "plan"],
        "{}",
        report.body
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_a_line_a_part_and_the_remedy_below_it() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run("DROP INDEX rappel.chunks_embedding_hnsw")
        .await?;
    let arguments = ["doctor", "--sandboxes", "1000", "--connections", "4"];
    let printed = Printed::by(&mut rappel(Some(app.database_url()), &arguments).await?).await?;
    let text = printed.answer()?;
    for line in [
        "ok       extension    pgvector 0.8",
        "warning  index        chunks_embedding_hnsw is missing: searches read every chunk\n",
        "                      → run `rappel migrate`",
        "warning  sizing       1000 sandboxes × 4 = 4000 connections, but only",
        "                      → reserve a concurrency of",
        "\n2 to look at, 16 ok\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains('\x1b'), "no colours where nobody sees them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_migrated_fails_and_stays_as_it_is() -> Outcome {
    let app = App::unmigrated().await?;
    let report = Report::of(app.database_url(), &["--sandboxes", "1"]).await?;
    assert!(!report.success);
    let failed = report.with("failed")?;
    for part in ["extension", "migrations", "model", "search"] {
        assert!(failed.contains(&part), "{part}: {}", report.body);
        let says = report.says(part)?;
        assert!(says.contains("rappel migrate"), "{part}: {says}");
    }
    let schema = "SELECT count(*) FROM pg_namespace WHERE nspname = 'rappel'";
    assert_eq!(app.sql().await?.number(schema, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_behind_and_another_model_are_told_with_both_sides() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run(
            "DELETE FROM rappel.migrations WHERE version > 1;
             UPDATE rappel.model SET name = 'someone-elses-model', dimensions = 512",
        )
        .await?;
    let report = Report::of(app.database_url(), &["--sandboxes", "1"]).await?;
    assert!(!report.success);
    assert_eq!(report.with("failed")?, ["migrations", "model", "search"]);
    let says = report.says("migrations")?;
    assert!(says.contains("the schema has version 1"), "{says}");
    let says = report.says("model")?;
    assert!(
        says.contains("someone-elses-model (512 dimensions)")
            && says.contains("multilingual-e5-small (384 dimensions)"),
        "{says}"
    );
    Ok(())
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
        let settings = settings(mode);
        let Some(pgbouncer) = PgBouncer::before(app.database_url(), &settings).await? else {
            return Ok(());
        };
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
    }
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
