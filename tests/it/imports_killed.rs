//! Import workers that are killed: nothing is lost, nothing is stored twice.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{App, Pace, kill, patience::PATIENCE};
use tokio::time::{Duration, Instant, sleep};

use crate::{Outcome, imports::lines, imports_faults::STORED_TWICE};

/// Kills every worker that runs now, and answers how many there were.
fn kill_workers(app: &App) -> usize {
    let workers = app.sandboxes("import-worker");
    workers
        .into_iter()
        // One that has just ended by itself is none.
        .filter(|process| kill(*process).is_ok())
        .count()
}

/// A pause of up to `most` milliseconds.
async fn some_time(random: &mut u64, most: u64) {
    // A linear congruential generator (Knuth, MMIX): the seed that is printed plays the same pauses again.
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    sleep(Duration::from_millis((*random >> 33) % most)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_at_any_moment_lose_nothing_and_store_nothing_twice() -> Outcome {
    const DOCUMENTS: usize = 1_500;
    const KILLS: usize = 25;
    // On AWS a worker dies once in a while; here hardly one lives for two seconds.
    let pace = Pace {
        lease: Duration::from_secs(2),
        visibility: Duration::from_secs(2),
        max_receives: 200,
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    let text = lines("killed", DOCUMENTS, 6_000) + "no document\n";
    let source = imports.put("killed.jsonl", text).await?;
    let id = app.import(&source).await?;

    let mut random = u64::from(std::process::id());
    println!("seed {random}");
    let (begun, mut kills) = (Instant::now(), 0);
    while kills < KILLS {
        ensure!(
            begun.elapsed() < PATIENCE,
            "only {kills} workers were there to be killed"
        );
        some_time(&mut random, 1_500).await;
        kills += kill_workers(&app);
        let import = app.import_state(&id).await?;
        if import["state"] == "done" {
            break;
        }
    }
    let import = app.finished(&id).await?;
    println!("{kills} workers killed, done after {:?}", begun.elapsed());
    assert!(kills >= 10, "only {kills} workers were killed");
    assert_eq!(import["state"], "done", "{import}");
    // Counted once, however often a part was begun.
    assert_eq!(
        import["documents"],
        json!({ "total": DOCUMENTS + 1, "done": DOCUMENTS, "unchanged": 0, "failed": 1 })
    );
    assert_eq!(import["failures"][0]["line"], DOCUMENTS + 1, "{import}");
    let sql = app.sql().await?;
    let expected = i64::try_from(DOCUMENTS)?;
    let stored = "SELECT count(*) FROM rappel.documents WHERE id LIKE 'killed-%'";
    assert_eq!(sql.number(stored, &[]).await?, expected);
    let whole = "SELECT count(*) FROM rappel.chunks AS c
        JOIN rappel.chunk_terms AS t ON t.document_id = c.document_id AND t.ordinal = c.ordinal";
    assert_eq!(sql.number(whole, &[]).await?, expected, "one chunk each");
    assert_eq!(sql.number(STORED_TWICE, &[]).await?, 0);
    Ok(())
}

/// Makes the database take two seconds over the document `killer-5`, time enough to kill its worker.
const KILLER: &str = "
    CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(2);
        RAISE EXCEPTION 'the worker should be dead';
    END $$;
    CREATE TRIGGER linger BEFORE INSERT ON rappel.documents
        FOR EACH ROW WHEN (NEW.id = 'killer-5') EXECUTE FUNCTION linger();
";

async fn kill_whoever_stores_the_killer(app: &App) -> Result<()> {
    let sql = app.sql().await?;
    // The server process of a worker that was killed sleeps on.
    let mut seen = BTreeSet::new();
    let storing = "SELECT pid::text FROM pg_stat_activity
        WHERE application_name = 'rappel-import-worker' AND wait_event = 'PgSleep' AND datname = current_database()";
    loop {
        let found: BTreeSet<String> = sql.texts(storing, &[]).await?.into_iter().collect();
        if !found.is_subset(&seen) {
            kill_workers(app);
        }
        seen.extend(found);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_kills_every_worker_is_found_and_its_neighbours_are_stored() -> Outcome {
    let pace = Pace {
        lease: Duration::from_secs(4),
        // A worker that starts slowly must not find its message delivered to another one meanwhile.
        visibility: Duration::from_secs(30),
        ..Pace::default()
    };
    let (app, imports) = App::with_imports(pace).await?;
    app.sql().await?.run(KILLER).await?;
    let source = imports.put("killer.jsonl", lines("killer", 12, 10)).await?;
    let id = app.import(&source).await?;
    let import = tokio::select! {
        import = app.finished(&id) => import?,
        killed = kill_whoever_stores_the_killer(&app) => return killed,
    };
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 12, "done": 11, "unchanged": 0, "failed": 1 })
    );
    let failure = &import["failures"][0];
    assert_eq!(failure["document_id"], "killer-5", "{import}");
    let reason = failure["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the worker died 3 times"), "{import}");
    let letters = imports.dead_letters().await?;
    assert_eq!(letters[0]["position"], failure["offset"], "{letters:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_messages_are_sent_again_when_the_import_is_read() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports
        .put("given-up.jsonl", lines("page", 60, 20_000))
        .await?;
    let id = app.import(&source).await?;
    let before = app.finished(&id).await?;
    // As if all workers of the second part had died before they took it, an hour ago.
    app.sql()
        .await?
        .run(
            "UPDATE rappel.imports SET created_at = now() - interval '1 hour';
             UPDATE rappel.import_parts SET finished_at = now() - interval '50 minutes',
                 leased_until = now() - interval '50 minutes';
             UPDATE rappel.import_parts SET finished_at = NULL, leased_until = '-infinity', worker = NULL,
                 receives = 0, position = first, lines = 0, stored = 0 WHERE part = 2",
        )
        .await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(import["documents"]["total"], before["documents"]["total"]);
    assert!(
        import["documents"]["unchanged"].as_u64() > Some(0),
        "the part was done again: {import}"
    );
    Ok(())
}
