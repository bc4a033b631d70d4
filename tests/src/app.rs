//! The whole product: functions, gateway, and a private database.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use gateway::{Gateway, Logs, Options, Route, STALL};
use language_model::LanguageModelConfig;
use reqwest::Client;
use serde_json::{Value, json};
use servers::aws::Resources;
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    Assets, Built, Sql,
    cluster::{self, Server},
    sql,
};

/// Longer than any request: the longest one embeds 50,000 words.
const HANG: Duration = Duration::from_mins(5);

/// A gateway with the built functions and a private database.
///
/// Needs a multi-thread runtime: dropping it waits for its processes to end.
pub struct App {
    gateway: Option<Gateway>,
    pub(crate) client: Client,
    server: Server,
    /// The URL of the server's database `postgres`, used to create and drop the private one.
    server_url: String,
    database: String,
    database_url: String,
    log: PathBuf,
}

impl App {
    /// Starts the product with an empty, migrated database on the shared server.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(2).await
    }

    /// The same with up to `sandboxes` of each function.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn start_with(sandboxes: usize) -> Result<Self> {
        Self::on(cluster::shared().await?, sandboxes)
            .await?
            .migrated()
            .await
    }

    /// The same on a private server, which the test may kill.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_own_server() -> Result<Self> {
        Self::on(cluster::own().await?, 2).await?.migrated().await
    }

    /// Starts the product with an empty database without schema.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn unmigrated() -> Result<Self> {
        Self::on(cluster::shared().await?, 5).await
    }

    /// Starts the product with an empty database without schema, which its functions reach through something of the
    /// test's choice: `reach` gets the database's URL and returns that object and the environment variables that
    /// direct the functions through it.
    ///
    /// # Errors
    /// Names the part that did not start, or the error of `reach`.
    pub async fn through<W>(
        reach: impl AsyncFnOnce(&str) -> Result<(W, Vec<(String, String)>)>,
    ) -> Result<(Self, W)> {
        let assets = Assets::prepared().await?;
        Self::reached(assets, cluster::shared().await?, 2, None, reach).await
    }

    /// Starts the output of `sam build`, with its layer, on an empty, migrated database.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn built() -> Result<Self> {
        let built = Built::prepared().await?;
        let assets = Assets {
            binaries: built.functions.clone(),
            onnxruntime: built.layer.join("lib/libonnxruntime.so"),
            model: built.layer.join("model"),
            ..Assets::prepared().await?.clone()
        };
        let no_way = async |_: &str| Ok(((), Vec::new()));
        let (app, ()) = Self::reached(&assets, cluster::shared().await?, 2, None, no_way).await?;
        app.migrated().await
    }

    async fn on(server: Server, sandboxes: usize) -> Result<Self> {
        let assets = Assets::prepared().await?;
        let no_way = async |_: &str| Ok(((), Vec::new()));
        let (app, ()) = Self::reached(assets, server, sandboxes, None, no_way).await?;
        Ok(app)
    }

    pub(crate) async fn reached<W>(
        assets: &Assets,
        server: Server,
        sandboxes: usize,
        queue: Option<(Resources, &Path)>,
        reach: impl AsyncFnOnce(&str) -> Result<(W, Vec<(String, String)>)>,
    ) -> Result<(Self, W)> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let database = format!("app_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (server_url, database_url) = {
            let postgres = server.lock().await;
            (postgres.url("postgres"), postgres.url(&database))
        };
        sql::create_database(&server_url, &database).await?;
        let (way, variables) = reach(&database_url)
            .await
            .context("preparing the connection to the database")?;
        let mut environment = environment(assets, &database_url);
        // Of duplicate variables the last one wins.
        environment.extend(variables);
        let log = new_log(&assets.workspace, &database)?;
        let (resources, template) = queue.unzip();
        let gateway = Gateway::start(Options {
            template: template
                .map_or_else(|| assets.workspace.join("template.yaml"), Path::to_owned),
            binaries: assets.binaries.clone(),
            environment,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_origins: Vec::new(),
            stall: STALL,
            max_sandboxes: sandboxes,
            idle: HANG,
            logs: Logs::File(log.clone()),
            resources,
            // A story that follows tables runs the worker itself.
            scheduled: None,
        })
        .await
        .context("starting the gateway")?;
        let client = http_client::builder()
            .timeout(HANG)
            .no_proxy()
            .build()
            .context("building the HTTP client")?;
        let app = Self {
            gateway: Some(gateway),
            client,
            server,
            server_url,
            database,
            database_url,
            log,
        };
        Ok((app, way))
    }

    pub(crate) async fn migrated(self) -> Result<Self> {
        self.invoke("migrate", json!({}))
            .await
            .context("migrating the database")?;
        Ok(self)
    }

    /// Invokes a function with `event`, without HTTP, and returns its result.
    ///
    /// # Errors
    /// When the function fails.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        Ok(self.gateway().invoke(function, event).await?.payload)
    }

    /// The log of the functions and the gateway so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn logged(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("reading {}", self.log.display()))
    }

    /// The routes that the gateway serves.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.gateway().routes()
    }

    /// The process ids of a function's sandboxes.
    #[must_use]
    pub fn sandboxes(&self, function: &str) -> Vec<u32> {
        self.gateway().sandboxes(function)
    }

    /// Kills the server with SIGKILL; only for an [`App::with_own_server`].
    ///
    /// # Errors
    /// When it is not running.
    pub async fn kill_postgres(&self) -> Result<()> {
        self.server
            .lock()
            .await
            .kill()
            .await
            .context("killing Postgres")
    }

    /// Starts the killed server again, on the same port and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart_postgres(&self) -> Result<()> {
        self.server
            .lock()
            .await
            .restart()
            .await
            .context("restarting Postgres")
    }

    /// The server's log so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn server_logged(&self) -> Result<String> {
        let log = self.server.lock().await.data().with_extension("log");
        fs::read_to_string(&log).with_context(|| format!("reading {}", log.display()))
    }

    /// A direct connection to the database.
    ///
    /// # Errors
    /// When the server is unavailable.
    pub async fn sql(&self) -> Result<Sql> {
        Sql::connect(&self.database_url).await
    }

    /// The database's URL.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The API's URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.gateway().url()
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway
            .as_ref()
            .expect("the gateway is only taken when the app is dropped")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let gateway = self.gateway.take();
        block_in_place(|| {
            Handle::current().block_on(async {
                if let Some(gateway) = gateway {
                    gateway.stop().await;
                }
                // A test may have killed the server; its databases are gone with it.
                let _ = sql::drop_database(&self.server_url, &self.database).await;
            });
        });
    }
}

/// The environment of the functions.
fn environment(assets: &Assets, database_url: &str) -> Vec<(String, String)> {
    let mut environment = vec![
        ("DATABASE_URL".into(), database_url.to_owned()),
        ("FOLLOW_TABLES".into(), "on".into()),
        // Many stories share two cores.
        ("DATABASE_ACQUIRE_TIMEOUT_MS".into(), "10000".into()),
        ("MODEL_DIR".into(), assets.model.display().to_string()),
        (
            "ORT_DYLIB_PATH".into(),
            assets.onnxruntime.display().to_string(),
        ),
    ];
    // Tests must not use the terminal's language model.
    for variable in LanguageModelConfig::REQUIRED {
        environment.push((variable.to_owned(), String::new()));
    }
    environment
}

/// An empty log, named after the test's thread, so that it can be read after a failure.
fn new_log(workspace: &Path, database: &str) -> Result<PathBuf> {
    let folder = workspace.join("target/test-logs");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let test = thread::current()
        .name()
        .unwrap_or_default()
        .replace("::", ".");
    let log = folder.join(format!("{test}-{database}.log"));
    fs::write(&log, "").with_context(|| format!("emptying {}", log.display()))?;
    Ok(log)
}
