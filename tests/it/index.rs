//! The index on servers with too few resources: it is built with less, or reported as missing.

mod rebuild;

use std::{
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::chown,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    App, Assets, Sql,
    command::{Printed, open_folder, rappel, write_lines},
};

use crate::Outcome;

/// An account that is not root, which Postgres refuses to run as.
const NOBODY: &str = "65534";

/// Lets every build of an index fail as on a full disk.
const NO_ROOM: &str = "
    CREATE FUNCTION no_room() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE 'no room' USING ERRCODE = '53100'; END $$;
    CREATE EVENT TRIGGER no_room ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION no_room()";

/// More than the least table that is built in parallel on this server.
const ROWS: u32 = 4_000;

/// A server as a stock container has it, with all sizes an eighth: `/dev/shm` of 8 MB, POSIX shared memory,
/// `maintenance_work_mem` of 4 MB, parallel builds from 1 MB on.
struct Container {
    server: Child,
    url: String,
    _folder: TempDir,
}

impl Container {
    async fn start() -> anyhow::Result<Self> {
        let install = &Assets::prepared().await?.postgres;
        let folder = TempDir::new()?;
        chown(folder.path(), Some(65534), Some(65534))?;
        let data = folder.path().join("data");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let as_nobody = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
        let made = Command::new("setpriv")
            .args(as_nobody)
            .arg(install.join("bin/initdb"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .context("running setpriv")?;
        ensure!(made.success(), "initdb fails");
        let server = Command::new("unshare")
            .args([
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs -o size=8m tmpfs /dev/shm && exec \"$@\"",
                "sh",
                "setpriv",
            ])
            .args(as_nobody)
            .arg(install.join("bin/postgres"))
            .arg("-D")
            .arg(&data)
            .args([
                &format!("--port={port}"),
                "--listen_addresses=127.0.0.1",
                "--unix_socket_directories=",
                "--fsync=off",
                "--shared_buffers=32MB",
                "--dynamic_shared_memory_type=posix",
                "--maintenance_work_mem=4MB",
                "--min_parallel_table_scan_size=1MB",
                "--max_parallel_maintenance_workers=2",
            ])
            .stderr(Stdio::null())
            .spawn()
            .context("running unshare")?;
        let container = Self {
            server,
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            _folder: folder,
        };
        for _ in 0..600 {
            if Sql::connect(&container.url).await.is_ok() {
                return Ok(container);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the server does not start")
    }

    /// The product on it, with `environment`.
    async fn app(&self, environment: &[(&str, &str)]) -> anyhow::Result<App> {
        let variables = [("DATABASE_URL", self.url.as_str())];
        let variables = variables.iter().chain(environment);
        let variables = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Ok(App::through(async |_: &str| Ok(((), variables))).await?.0)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whether this process may mount, which only root on Linux may.
fn may_mount() -> bool {
    let may = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"])
        .output();
    let may = may.is_ok_and(|output| output.status.success());
    if !may {
        println!("skipped: no mount namespace can be made here");
    }
    may
}

/// What the deep health check says of the index.
pub(crate) async fn index_check(app: &App) -> anyhow::Result<Value> {
    let health = app
        .get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
    let mut checks = health["checks"].as_array().into_iter().flatten();
    let index = checks.find(|check| check["name"] == "index").cloned();
    index.context("the index is checked")
}

/// Stores chunks past the product, and takes the index away.
async fn fill(sql: &Sql) -> Outcome {
    sql.run(&format!(
        "DROP INDEX rappel.chunks_embedding_hnsw;
         INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT 'd' || n, '', 'x', '{{}}', '' FROM generate_series(1, {ROWS}) AS n;
         INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
         SELECT 'd' || n, 0, 0, 'x', (
             SELECT array_agg(sin(n * d)::real) FROM generate_series(1, 384) AS d
         )::halfvec
         FROM generate_series(1, {ROWS}) AS n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_with_little_shared_memory_gets_its_index() -> Outcome {
    if !may_mount() {
        return Ok(());
    }
    let container = Container::start().await?;
    let sql = Sql::connect(&container.url).await?;
    let valid = json!({ "state": "valid" });
    {
        let app = container.app(&[]).await?;
        app.invoke("migrate", json!({})).await?;
        fill(&sql).await?;
        // With the server's own memory: nothing raises it unasked.
        let report = app.invoke("migrate", json!({})).await?;
        assert_eq!(report["index"], valid, "{}", app.logged()?);
        assert!(
            !app.logged()?.contains("without parallel workers"),
            "{}",
            app.logged()?
        );
    }
    // Asked for more than there is, and left with the invalid index of an earlier release.
    let app = container.app(&[("INDEX_BUILD_MEMORY", "64MB")]).await?;
    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rappel.chunks_embedding_hnsw'::regclass")
        .await?;
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["index"], valid, "{}", app.logged()?);
    assert!(
        app.logged()?.contains("without parallel workers"),
        "{}",
        app.logged()?
    );
    app.hits(json!({ "query": "x" })).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_built_is_reported_and_stops_nothing() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    sql.run("DROP INDEX rappel.chunks_embedding_hnsw").await?;
    sql.run(NO_ROOM).await?;
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["index"]["state"], "missing", "{report}");
    assert!(
        report["index"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("no room")),
        "{report}"
    );
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 1);

    let url = Some(app.database_url());
    let migrate = Printed::by(&mut rappel(url, &["migrate"]).await?).await?;
    assert!(
        migrate.success && migrate.stderr.contains("cannot build the index"),
        "{migrate:?}"
    );
    let search = Printed::by(&mut rappel(url, &["search", "des crêpes"]).await?).await?;
    assert!(search.success, "{search:?}");
    let folder = open_folder()?;
    let line = json!({ "id": "new", "content": "Une galette." }).to_string();
    let file = write_lines(folder.path(), "new.jsonl", &[line])?;
    let import = Printed::by(&mut rappel(url, &["import", &file]).await?).await?;
    assert!(
        import.success && import.stderr.contains("cannot build the index"),
        "{import:?}"
    );
    sql.run("DROP EVENT TRIGGER no_room").await?;
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["index"], json!({ "state": "valid" }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_roles_build_is_waited_for() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // As CREATE INDEX CONCURRENTLY holds it from beginning to end, seen by a role that may not see its progress.
    let builder = app.sql().await?;
    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rappel.chunks_embedding_hnsw'::regclass")
        .await?;
    builder
        .run("BEGIN; LOCK TABLE rappel.chunks IN SHARE UPDATE EXCLUSIVE MODE")
        .await?;
    let oid = "SELECT 'rappel.chunks_embedding_hnsw'::regclass::oid::bigint";
    let before = sql.number(oid, &[]).await?;
    assert_eq!(index_check(&app).await?["detail"], "wait for the build");
    let waiting = app.invoke("migrate", json!({}));
    let finished = async {
        let looks = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'rappel-migrate' AND query LIKE '%pg_locks%'";
        while sql.number(looks, &[]).await? == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        builder
            .run("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'rappel.chunks_embedding_hnsw'::regclass; COMMIT")
            .await
    };
    let (report, finished) = tokio::join!(waiting, finished);
    finished?;
    assert_eq!(report?["index"], json!({ "state": "valid" }));
    assert_eq!(sql.number(oid, &[]).await?, before, "it was not dropped");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_time_that_the_database_sets_end_no_build() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    let writer = app.sql().await?;
    let database = sql.texts("SELECT current_database()::text", &[]).await?;
    sql.run("DROP INDEX rappel.chunks_embedding_hnsw").await?;
    for limit in ["lock_timeout", "statement_timeout"] {
        let set = format!("ALTER DATABASE {} SET {limit} = '20ms'", database.concat());
        sql.run(&set).await?;
    }
    // The build waits for everybody who may still write without it.
    writer
        .run("BEGIN; LOCK TABLE rappel.chunks IN ROW EXCLUSIVE MODE")
        .await?;
    let waited = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%'";
        while sql.number(waiting, &[]).await? == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        writer.run("COMMIT").await
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), waited);
    let (report, waited) = tokio::join!(app.invoke("migrate", json!({})), waited);
    waited.context("the build does not wait")??;
    assert_eq!(report?["index"], json!({ "state": "valid" }));
    Ok(())
}
