//! Checks of the database and of the schema.

use tests::{
    App,
    command::{Printed, rappel},
};

use super::{Outcome, PARTS, Report};

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
        ("pooler", "each connection has its own server process"),
        ("server", "PostgreSQL 1"),
        (
            "settings",
            "statement_timeout 10000 ms and jit off by startup options",
        ),
        ("settings", "application_name rappel-doctor"),
        ("extension", "pgvector 0.8"),
        ("model", "multilingual-e5-small centred "),
        ("model", "(384 dimensions)"),
        ("index", "too few chunks to measure"),
        ("field-indexes", "none, and none is needed"),
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
async fn a_search_that_reads_many_chunks_is_a_warning() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run(
            "DROP INDEX rappel.chunks_embedding_hnsw;
             INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
             VALUES ('many', '', '', '{}', '');
             INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
             SELECT 'many', n, 0, '', array_fill(0.05::real, ARRAY[384])::halfvec FROM generate_series(1, 20001) AS n;
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
async fn a_terminal_shows_a_line_for_each_check_with_its_remedy() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run("DROP INDEX rappel.chunks_embedding_hnsw")
        .await?;
    let arguments = ["doctor", "--sandboxes", "1000", "--connections", "4"];
    let printed = Printed::by(&mut rappel(Some(app.database_url()), &arguments).await?).await?;
    let text = printed.answer()?;
    for line in [
        "ok       extension       pgvector 0.8",
        "warning  index           chunks_embedding_hnsw is missing: searches read every chunk\n",
        "                         → run `rappel migrate`",
        "warning  sizing          1000 sandboxes × 4 = 4000 connections, but only",
        "                         → limit all functions together to",
        "\n2 with warnings, 19 ok\n",
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
async fn an_old_schema_and_another_model_are_reported_with_both_sides() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run(
            "DELETE FROM rappel.migrations WHERE version > 7;
             UPDATE rappel.model SET name = 'someone-elses-model', dimensions = 512",
        )
        .await?;
    let report = Report::of(app.database_url(), &["--sandboxes", "1"]).await?;
    assert!(!report.success);
    assert_eq!(report.with("failed")?, ["migrations", "model", "search"]);
    let says = report.says("migrations")?;
    assert!(says.contains("the schema has version 7"), "{says}");
    let says = report.says("model")?;
    assert!(
        says.contains("someone-elses-model (512 dimensions)")
            && says.contains("multilingual-e5-small centred ")
            && says.contains("(384 dimensions)"),
        "{says}"
    );
    Ok(())
}
