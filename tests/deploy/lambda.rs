//! `cargo lambda watch` and `cargo lambda invoke`: functions run locally.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tests::{
    App, Assets, Tools,
    language_model::{LanguageModel, Reply},
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::Child,
    time::{sleep, timeout},
};

use crate::Outcome;

/// The golden events of HTTP with the function that each is for, and the status of its answer.
const EVENTS: [(&str, &str, u64); 12] = [
    ("console", "console-get", 200),
    ("ingest", "ingest-post", 200),
    ("ingest", "ingest-put", 201),
    ("search", "search-post", 200),
    ("search", "search-get", 200),
    ("documents", "documents-list", 200),
    ("documents", "documents-get", 200),
    ("documents", "documents-delete", 204),
    ("health", "health-get", 200),
    ("health", "health-deep", 200),
    // There is no queue, and nothing was imported.
    ("imports", "imports-post", 503),
    ("imports", "imports-get", 404),
];

/// A function may have to be linked before it answers.
const HANG: Duration = Duration::from_mins(10);

/// `cargo lambda watch`, and all that it started.
struct Watch {
    child: Child,
    port: u16,
}

impl Watch {
    async fn start(app: &App, model: &LanguageModel) -> Result<Self> {
        let assets = Assets::prepared().await?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = free.local_addr()?.port();
        drop(free);
        let log = assets.workspace.join("target/test-logs");
        fs::create_dir_all(&log)?;
        let mut watch = Tools::installed().await?.command("cargo-lambda");
        watch
            .args([
                "lambda",
                "watch",
                "--ignore-changes",
                "--invoke-address",
                "127.0.0.1",
            ])
            .args(["--invoke-port", &port.to_string()])
            .current_dir(&assets.workspace)
            .env("DATABASE_URL", app.database_url())
            .env("MODEL_DIR", &assets.model)
            .env("ORT_DYLIB_PATH", &assets.onnxruntime)
            .env("ORT_DISABLE_TELEMETRY", "1")
            // No server listens there.
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("AWS_REGION", "eu-west-3")
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("IMPORT_QUEUE_URL", "http://127.0.0.1:9/imports")
            .env("IMPORT_BUCKET", "pieces")
            .envs(model.environment())
            .stdout(Stdio::null())
            .stderr(File::create(log.join("cargo-lambda-watch.log"))?)
            .process_group(0);
        let child = watch.spawn().context("starting cargo lambda watch")?;
        let watch = Self { child, port };
        timeout(HANG, watch.listening())
            .await
            .context("it does not listen")?;
        Ok(watch)
    }

    async fn listening(&self) {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_err()
        {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is printed for a golden event.
    async fn invoke(&self, function: &str, event: &str) -> Result<String> {
        let assets = Assets::prepared().await?;
        let mut invoke = Tools::installed().await?.command("cargo-lambda");
        invoke
            .args([
                "lambda",
                "invoke",
                function,
                "--invoke-address",
                "127.0.0.1",
            ])
            .args(["--invoke-port", &self.port.to_string()])
            .args(["--data-file", &format!("tests/events/{event}.json")])
            .current_dir(&assets.workspace);
        let printed = timeout(HANG, Tools::run(&mut invoke)).await;
        printed.with_context(|| format!("{event} is not answered"))?
    }

    fn signal(&self, signal: Signal) {
        let group = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            // The one error is that it has just ended.
            let _ = kill_process_group(group, signal);
        }
    }

    async fn stop(mut self) -> Result<()> {
        self.signal(Signal::INT);
        let ended = timeout(Duration::from_secs(10), self.child.wait()).await;
        ended.context("cargo lambda watch does not end")??;
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_answers_its_golden_event() -> Outcome {
    let app = App::start().await?;
    let model =
        LanguageModel::replying([Reply::text(&["La plage ferme à 22 heures [1]."])]).await?;
    let watch = Watch::start(&app, &model).await?;
    for (function, event, status) in EVENTS {
        let printed = watch.invoke(function, event).await?;
        let answer: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
        assert_eq!(answer["statusCode"], status, "{event}: {answer}");
    }
    let chat = watch.invoke("chat", "chat-post").await?;
    assert!(chat.contains("La plage ferme à 22 heures [1]."), "{chat}");
    let kept: Value =
        serde_json::from_str(&watch.invoke("import-worker", "import-worker-sqs").await?)?;
    assert!(kept["batchItemFailures"].is_array(), "{kept}");
    let report: Value = serde_json::from_str(&watch.invoke("migrate", "migrate").await?)?;
    assert!(report["version"].is_u64(), "{report}");
    watch.stop().await
}
