//! Concurrent writers and killed workers: in the end the documents match the rows.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use serde_json::{Value, json};
use tests::{App, Sql, documents_equal, kill};
use tokio::time::{Duration, sleep};

use crate::Outcome;

const TABLE: &str = "
    CREATE TABLE posts (id int PRIMARY KEY, body text NOT NULL, kind text NOT NULL DEFAULT 'post', views int NOT NULL DEFAULT 0);
    INSERT INTO posts SELECT i, 'post ' || i FROM generate_series(1, 60) AS i;
";
const DOCUMENTS: &str = "SELECT 'posts/' || id, '', body, jsonb_build_object('kind', kind) FROM posts WHERE kind <> 'draft'";

/// How it is followed.
fn definition() -> Value {
    json!({ "table": "posts", "content": "body", "metadata": ["kind"], "where": "kind <> 'draft'" })
}

/// Keys that are in use.
const KEYS: u64 = 90;

/// A linear congruential generator (Knuth, MMIX): the seed that is printed plays the same changes again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// One transaction. Rows are changed in the order of their keys, so that writers do not deadlock among themselves.
    fn transaction(&mut self) -> String {
        const WORDS: [&str; 6] = ["rain", "snow", "wind", "sun", "fog", "hail"];
        let word = WORDS[usize::try_from(self.below(6)).unwrap_or_default()];
        let key = self.below(KEYS) + 1;
        let text = format!("{word} {}", self.below(1_000));
        match self.below(14) {
            0..=3 => format!("UPDATE posts SET body = '{text}' WHERE id = {key}"),
            4 => format!("UPDATE posts SET views = views + 1 WHERE id = {key}"),
            5 => format!("DELETE FROM posts WHERE id = {key}"),
            6 | 7 => format!(
                "INSERT INTO posts VALUES ({key}, '{text}') ON CONFLICT (id) DO UPDATE SET body = excluded.body"
            ),
            8 => format!(
                "UPDATE posts SET kind = CASE kind WHEN 'draft' THEN 'post' ELSE 'draft' END WHERE id = {key}"
            ),
            9 => format!(
                "BEGIN; SELECT FROM posts WHERE id BETWEEN {key} AND {key} + 5 ORDER BY id FOR UPDATE;
                 UPDATE posts SET body = body || '{word}' WHERE id BETWEEN {key} AND {key} + 5; COMMIT"
            ),
            10 => format!("BEGIN; UPDATE posts SET body = 'never' WHERE id = {key}; ROLLBACK"),
            11 => format!(
                "BEGIN; UPDATE posts SET body = '{text}' WHERE id = {key}; SAVEPOINT s;
                 DELETE FROM posts WHERE id = {key}; ROLLBACK TO s; COMMIT"
            ),
            12 => format!(
                "BEGIN; DELETE FROM posts WHERE id = {key}; SELECT pg_sleep(0.005);
                 INSERT INTO posts VALUES ({key}, '{text}'); COMMIT"
            ),
            // A key that is free, or that another writer takes meanwhile.
            _ => format!(
                "UPDATE posts SET id = {other} WHERE id = {key} AND NOT EXISTS (SELECT FROM posts WHERE id = {other})",
                other = self.below(KEYS) + 1
            ),
        }
    }
}

/// Plays `count` transactions; none may fail but for a key that another writer took.
async fn write(url: String, seed: u64, count: u64) -> Result<()> {
    let sql = Sql::connect(&url).await?;
    sql.run("SET search_path = public").await?;
    let mut random = Random(seed);
    for number in 0..count {
        let transaction = if number % 400 == 399 {
            "TRUNCATE posts".to_owned()
        } else {
            random.transaction()
        };
        if let Err(error) = sql.run(&transaction).await {
            let said = format!("{error:#}");
            anyhow::ensure!(said.contains("posts_pkey"), "{transaction}: {said}");
            sql.run("ROLLBACK").await?;
        }
        sleep(Duration::from_millis(random.below(4))).await;
    }
    Ok(())
}

/// Runs one worker after another until `stop` is set. Ignores failures: workers are killed.
async fn work(app: Arc<App>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let _ = app.invoke("sync", json!({})).await;
        sleep(Duration::from_millis(30)).await;
    }
}

async fn kill_at_random(app: Arc<App>, stop: Arc<AtomicBool>, seed: u64) -> u64 {
    let (mut random, mut kills) = (Random(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(200 + random.below(900))).await;
        for process in app.sandboxes("sync") {
            kills += u64::from(kill(process).is_ok());
        }
    }
    kills
}

/// `SOURCE_TRANSACTIONS` plays another number of transactions than the suite does.
#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_and_workers_killed_at_random_leave_documents_equal_to_rows() -> Outcome {
    const WRITERS: u64 = 4;
    let transactions = tests::number("SOURCE_TRANSACTIONS", 2_000)?;
    let lease = async |_: &str| Ok(((), vec![("SYNC_LEASE_MS".to_owned(), "1500".to_owned())]));
    let (app, ()) = App::through(lease).await?;
    let app = Arc::new(app);
    app.invoke("migrate", json!({})).await?;
    let sql = app.user_sql().await?;
    sql.run(TABLE).await?;
    app.follow("posts", definition()).await?;

    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(work(Arc::clone(&app), Arc::clone(&stop))))
        .collect();
    let killer = tokio::spawn(kill_at_random(Arc::clone(&app), Arc::clone(&stop), seed));
    let url = app.database_url().to_owned();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write(
                url.clone(),
                seed + 1 + writer,
                transactions / WRITERS,
            ))
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    stop.store(true, Ordering::Relaxed);
    let kills = killer.await?;
    for worker in workers {
        worker.await?;
    }
    println!("{transactions} transactions, {kills} workers killed");
    assert!(kills > 2, "{kills} workers were killed");

    for _ in 0..2 {
        // A sandbox that was killed while it was idle.
        let _ = app.invoke("sync", json!({})).await;
    }
    let source = app.synced("posts").await?;
    assert_eq!(source["failed"], 0, "{source}");
    assert!(
        source["skipped"].is_null(),
        "every change was noted: {source}"
    );
    documents_equal(&sql, "posts", DOCUMENTS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_meets_an_open_transaction_keeps_nobody_waiting() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(TABLE).await?;
    app.follow("posts", definition()).await?;
    app.synced("posts").await?;
    let open = app.user_sql().await?;
    open.run("BEGIN; UPDATE posts SET body = 'not committed' WHERE id = 40")
        .await?;
    app.post("/sources/posts/resync", json!({}))
        .await?
        .success(202)?;
    sql.run("CREATE TABLE notes (id int PRIMARY KEY, note text NOT NULL); INSERT INTO notes VALUES (1, 'a note')")
        .await?;
    app.follow("notes", json!({ "table": "notes", "content": "note" }))
        .await?;

    // The walk comes as far as the row in use, other walks are made, and other rows are written.
    app.invoke("sync", json!({})).await?;
    let source = app.source("posts").await?;
    assert_eq!(source["state"], "walking", "{source}");
    assert_eq!(source["walk"]["rows"], 39, "{source}");
    assert_eq!(source["pending"], 0, "{source}");
    app.synced("notes").await?;
    let notes = "SELECT 'notes/' || id, '', note, '{}'::jsonb FROM notes";
    documents_equal(&sql, "notes", notes).await?;
    sql.run("UPDATE posts SET body = body || ', and committed' WHERE id <> 40")
        .await?;

    open.run("COMMIT").await?;
    let source = app.synced("posts").await?;
    assert_eq!(source["failed"], 0, "{source}");
    documents_equal(&sql, "posts", DOCUMENTS).await
}

/// A request and a worker that lock in different orders would fail one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_changed_and_removed_while_workers_store_its_rows() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(TABLE).await?;
    sql.run("INSERT INTO posts SELECT i, 'post ' || i FROM generate_series(61, 3000) AS i")
        .await?;
    let stop = AtomicBool::new(false);
    // Dropped together with the changes if these fail.
    tokio::try_join!(
        async {
            change_and_remove(&app).await?;
            stop.store(true, Ordering::Relaxed);
            Ok(())
        },
        work_unharmed(&app, &stop),
        work_unharmed(&app, &stop),
    )?;
    let logged = app.logged()?;
    assert!(!logged.contains("deadlock"), "{logged}");
    // A worker that was about to read the rows of a removed source finds none.
    let rows = concat!(
        "SELECT count(*) FROM ",
        schema::function!("source_rows"),
        "(0, '{[1]}')"
    );
    assert_eq!(sql.number(rows, &[]).await?, 0);
    Ok(())
}

/// Follows, walks anew and removes a source at random moments.
async fn change_and_remove(app: &App) -> Result<()> {
    let mut random = Random(u64::from(std::process::id()));
    for round in 0..12 {
        for metadata in [json!(["kind"]), json!(["kind", "views"])] {
            let mut changed = definition();
            changed["metadata"] = metadata;
            app.follow("posts", changed).await?;
            sleep(Duration::from_millis(random.below(500))).await;
            let resync = app.post("/sources/posts/resync", json!({})).await?;
            resync.success(202)?;
            sleep(Duration::from_millis(random.below(500))).await;
        }
        let keep = if round % 2 == 0 { "" } else { "?keep=true" };
        app.delete(&format!("/sources/posts{keep}"))
            .await?
            .success(200)?;
    }
    Ok(())
}

/// Runs one worker after another until `stop` is set. Fails if one of them fails.
async fn work_unharmed(app: &App, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        app.invoke("sync", json!({})).await?;
    }
    Ok(())
}
