//! Imports with faulty documents, duplicate messages and unavailable servers.

use anyhow::Context;
use serde_json::{Value, json};
use tests::{
    App, Pace,
    command::{Printed, rappel},
    eventually,
};
use tokio::time::{Duration, sleep};

use crate::{Outcome, imports::lines};

/// Makes the database refuse the document `poison`.
const POISON: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'no document may be called %', NEW.id;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON rappel.documents
        FOR EACH ROW WHEN (NEW.id = 'poison-7') EXECUTE FUNCTION refuse();
";

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_document_is_given_up_and_its_neighbours_are_stored() -> Outcome {
    // No worker dies here, and on a busy machine none must be taken for dead.
    let pace = Pace {
        lease: Duration::from_secs(12),
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    let sql = app.sql().await?;
    sql.run(POISON).await?;
    let source = imports.put("poison.jsonl", lines("poison", 20, 10)).await?;
    let id = app.import(&source).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 20, "done": 19, "unchanged": 0, "failed": 1 })
    );
    let failure = &import["failures"][0];
    assert_eq!(
        (&failure["line"], &failure["document_id"]),
        (&json!(8), &json!("poison-7")),
        "{import}"
    );
    let is_told = |reason: &Value| {
        reason
            .as_str()
            .is_some_and(|text| text.contains("SQLSTATE P0001"))
    };
    assert!(is_told(&failure["reason"]), "{import}");
    let attempts = "SELECT attempts::bigint FROM rappel.import_lines WHERE outcome = 'failed'";
    assert_eq!(
        sql.number(attempts, &[]).await?,
        3,
        "as often as the queue delivers"
    );

    let letters = imports.dead_letters().await?;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["import"], id, "{letters:?}");
    assert_eq!(letters[0]["position"], failure["offset"], "{letters:?}");
    assert!(is_told(&letters[0]["reason"]), "{letters:?}");
    Ok(())
}

/// What a worker records that gives a part up.
const GIVEN_UP: &str = "
    DELETE FROM rappel.import_lines;
    UPDATE rappel.import_parts SET failure = 'the object store did not respond', finished_at = now(),
        position = first, lines = 0, stored = 0, unchanged = 0, refused = 0 WHERE part = 1";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_stored_after_a_redrive() -> Outcome {
    let pace = Pace {
        lease: Duration::from_secs(12),
        max_receives: 2,
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    let sql = app.sql().await?;
    let none = imports.redrive().await?;
    assert_eq!(none.status, Some(0), "{none:?}");
    assert!(none.stdout.starts_with("0 messages moved"), "{none:?}");

    // A document.
    sql.run(POISON).await?;
    let source = imports.put("poison.jsonl", lines("poison", 20, 10)).await?;
    let id = app.import(&source).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["documents"]["failed"], 1, "{import}");
    sql.run("DROP TRIGGER refuse ON rappel.documents").await?;
    // SQS moves the message when it would deliver it once more. What is not of Rappel stays.
    imports.give_up(&json!("not of Rappel")).await?;
    let moved = eventually("the letter is moved", async || {
        let printed = imports.redrive().await?;
        let moved = printed.stdout.starts_with("1 message moved to");
        Ok(moved.then_some(printed))
    });
    let moved = moved.await?;
    assert!(
        moved.status == Some(0) || moved.stderr.contains("not of Rappel"),
        "{moved:?}"
    );
    let all =
        |unchanged: u64| json!({ "total": 20, "done": 20, "unchanged": unchanged, "failed": 0 });
    let stored = "SELECT count(*) FROM rappel.documents WHERE id = 'poison-7'";
    sql.counts(stored).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["documents"], all(0), "{import}");
    assert_eq!(import["failures"], json!([]));

    // A part, whose worker recorded that it gave up.
    sql.run(GIVEN_UP).await?;
    assert_eq!(app.import_state(&id).await?["state"], "failed");
    imports
        .give_up(&json!({ "import": id, "part": 1, "since": 1 }))
        .await?;
    let moved = imports.redrive().await?;
    assert!(moved.stdout.starts_with("1 message moved to"), "{moved:?}");
    let mended = "SELECT count(*) FROM rappel.import_parts WHERE part = 1 AND failure IS NULL";
    sql.counts(mended).await?;
    assert_eq!(app.finished(&id).await?["documents"], all(20));

    // The same in the database alone, as on a laptop whose queue is lost.
    sql.run(GIVEN_UP).await?;
    let url = Some(app.database_url());
    let reopened = Printed::by(&mut rappel(url, &["imports", "redrive"]).await?).await?;
    assert_eq!(reopened.answer()?, "1 part and 0 documents reopened\n");
    sql.run(
        "UPDATE rappel.imports SET created_at = now() - interval '1 hour';
         UPDATE rappel.import_parts SET finished_at = now() - interval '50 minutes',
             leased_until = now() - interval '50 minutes' WHERE part = 0",
    )
    .await?;
    assert_eq!(app.finished(&id).await?["documents"], all(20));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_document_that_recovers_in_time_is_stored() -> Outcome {
    let pace = Pace {
        max_receives: 6,
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    let sql = app.sql().await?;
    sql.run(POISON).await?;
    let source = imports.put("poison.jsonl", lines("poison", 10, 10)).await?;
    let id = app.import(&source).await?;
    let tried = "SELECT count(*) FROM rappel.import_lines WHERE attempts > 0";
    sql.counts(tried).await?;
    sql.run("DROP TRIGGER refuse ON rappel.documents").await?;
    let import = app.finished(&id).await?;
    assert_eq!(
        import["documents"],
        json!({ "total": 10, "done": 10, "unchanged": 0, "failed": 0 }),
        "{import}"
    );
    assert_eq!(import["failures"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_messages_change_nothing() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let sql = app.sql().await?;
    let source = imports
        .put("twice.jsonl", lines("twice", 120, 15_000))
        .await?;
    let id = app.import(&source).await?;
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let duplicates = async || {
        for part in 0..=4 {
            imports
                .send(&json!({ "import": id, "part": part, "since": since }))
                .await?;
        }
        anyhow::Ok(())
    };
    // Once while workers hold the parts, and once when all is done.
    let held = "SELECT count(*) FROM rappel.import_parts
        WHERE part > 0 AND worker IS NOT NULL AND finished_at IS NULL";
    sql.counts(held).await?;
    duplicates().await?;
    let first = app.finished(&id).await?;
    duplicates().await?;
    imports.emptied().await?;
    let last = app.import_state(&id).await?;
    assert_eq!(first["state"], "done", "{first}");
    assert_eq!(
        first["documents"],
        json!({ "total": 120, "done": 120, "unchanged": 0, "failed": 0 })
    );
    for part in ["state", "documents", "parts", "finished_at"] {
        assert_eq!(first[part], last[part], "{part}");
    }
    assert_eq!(sql.number(STORED_TWICE, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_takes_longer_than_an_invocation_continues_in_the_next() -> Outcome {
    // Ten of these seconds are kept back, so each invocation stores a few batches of the one part.
    let pace = Pace {
        timeout: 12,
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    let sql = app.sql().await?;
    sql.run(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
         CREATE TRIGGER linger AFTER INSERT ON rappel.documents
             FOR EACH STATEMENT EXECUTE FUNCTION linger()",
    )
    .await?;
    let source = imports.put("slow.jsonl", lines("slow", 320, 10)).await?;
    let id = app.import(&source).await?;
    let mut workers = std::collections::BTreeSet::new();
    let import = eventually("the import ends", async || {
        let worker = "SELECT worker FROM rappel.import_parts WHERE part = 1 AND worker IS NOT NULL";
        workers.extend(sql.texts(worker, &[]).await?);
        let import = app.import_state(&id).await?;
        let ended = import["state"] == "done" || import["state"] == "failed";
        Ok(ended.then_some(import))
    })
    .await?;
    assert_eq!(
        import["documents"],
        json!({ "total": 320, "done": 320, "unchanged": 0, "failed": 0 }),
        "{import}"
    );
    assert!(workers.len() > 3, "invocations: {workers:?}");
    assert_eq!(imports.given_up().await?, 0);
    assert_eq!(sql.number(STORED_TWICE, &[]).await?, 0);
    Ok(())
}

/// Documents that were stored more than once.
pub(crate) const STORED_TWICE: &str =
    "SELECT count(*) FROM rappel.documents WHERE updated_at <> created_at";

#[tokio::test(flavor = "multi_thread")]
async fn an_import_waits_for_an_unavailable_database() -> Outcome {
    let pace = Pace {
        lease: Duration::from_secs(4),
        ..Pace::default()
    };
    let (app, imports) = App::with_own_server_and_imports(pace).await?;
    let source = imports
        .put("away.jsonl", lines("away", 150, 15_000))
        .await?;
    let id = app.import(&source).await?;
    {
        let sql = app.sql().await?;
        sql.counts("SELECT count(*) FROM rappel.documents").await?;
    }
    app.kill_postgres().await?;
    // Longer than all deliveries of a message take.
    sleep(Duration::from_secs(10)).await;
    app.restart_postgres().await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(import["documents"]["done"], 150, "{import}");
    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.documents", &[])
            .await?,
        150
    );
    assert_eq!(sql.number(STORED_TWICE, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_an_import_is_not_accepted_and_all_else_works() -> Outcome {
    let nobody = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoint = format!("http://{}", nobody.local_addr()?);
    drop(nobody);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("documents.jsonl");
    std::fs::write(&file, lines("a", 1, 0))?;
    let root = folder.path().display().to_string();
    let (app, ()) = App::through(async |_| {
        let variables = [
            ("AWS_ENDPOINT_URL_SQS", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("IMPORT_QUEUE_URL", "http://127.0.0.1/123456789012/queue"),
            ("IMPORT_BUCKET", "bucket"),
            ("IMPORT_ROOT", root.as_str()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(((), variables.to_vec()))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    let source = format!("file://{}", file.display());
    let answer = app.post("/imports", json!({ "source": source })).await?;
    answer.problem(503, "queue-unavailable")?;
    answer
        .header("retry-after")
        .context("it says when to try again")?;
    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.imports", &[])
            .await?,
        0,
        "what was not accepted leaves nothing"
    );
    app.ingest_samples(&["recette-crepes"]).await?;
    Ok(())
}
