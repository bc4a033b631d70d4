//! What every command stands on: a database and a model.

use std::{
    env,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use local::{
    assets::{Cache, Model},
    postgres::Postgres,
};
use shared::{
    Config, State,
    config::{AddressFamily, ChatConfig, DatabaseConfig, ModelConfig, PoolerSetting, SearchConfig},
    database::Database,
    embedder::{self, Embedder, Manifest},
    migrations,
};

use crate::terminal::note;

/// Where the documents are and what embeds them.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The Postgres to use; without it, an embedded one that keeps its data.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// What stands between here and Postgres: auto, direct, session or transaction.
    #[arg(long, env = "DATABASE_POOLER", default_value = "auto")]
    pooler: PoolerSetting,
    /// Which addresses of its host are dialled: auto, ipv4 or ipv6.
    #[arg(long, env = "DATABASE_ADDRESS_FAMILY", default_value = "auto")]
    address_family: AddressFamily,
    /// The embedding model: multilingual-e5-small, all-MiniLM-L6-v2, or a folder with a manifest.json.
    #[arg(long, env = "RAPPEL_MODEL", default_value = "multilingual-e5-small")]
    model: String,
    /// Where the embedded Postgres keeps its data.
    #[arg(long, env = "RAPPEL_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// A database and a model that are there.
pub(crate) struct Setup {
    /// The database.
    pub(crate) database: DatabaseConfig,
    /// The model.
    pub(crate) model: ModelConfig,
    /// What the model's folder says about it.
    pub(crate) manifest: Manifest,
    /// Whether the database is the embedded one.
    pub(crate) embedded: bool,
    postgres: Option<Postgres>,
}

impl Target {
    /// The model as it was named.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Fetches what is missing, starts the embedded Postgres unless another one is given, and
    /// brings the schema up to date. `suffix` tells the databases of one server apart.
    pub(crate) async fn prepare(&self, suffix: &str) -> anyhow::Result<Setup> {
        let setup = self.prepare_without_migrating(suffix).await?;
        setup.migrate().await?;
        Ok(setup)
    }

    /// The same, and leaves the schema as it is. A database that is given is not even dialled.
    pub(crate) async fn prepare_without_migrating(&self, suffix: &str) -> anyhow::Result<Setup> {
        let is_reference = |url: &String| url.trim_start().starts_with("arn:");
        ensure!(
            !self.database_url.as_ref().is_some_and(is_reference),
            "DATABASE_URL is the ARN of a secret or a parameter, which only the functions follow: this command \
             needs the URL itself"
        );
        let (model, manifest) = self.prepare_model().await?;
        let (postgres, url) = match &self.database_url {
            Some(url) => (None, url.clone()),
            None => self
                .start_postgres(&manifest, suffix)
                .await
                .map(|(postgres, url)| (Some(postgres), url))?,
        };
        Ok(Setup {
            database: DatabaseConfig {
                pooler: self.pooler,
                address_family: self.address_family,
                ..database_config(url)
            },
            model,
            manifest,
            embedded: postgres.is_some(),
            postgres,
        })
    }

    async fn prepare_model(&self) -> anyhow::Result<(ModelConfig, Manifest)> {
        let name = self.model.clone();
        let (folder, library) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let cache = Cache::from_env()?;
            let library = match env::var_os("ORT_DYLIB_PATH") {
                Some(library) => library.into(),
                None => cache.onnxruntime()?,
            };
            Ok((model_folder(&cache, &name, &library)?, library))
        })
        .await??;
        let manifest = Manifest::read(&folder)?;
        Ok((
            ModelConfig {
                folder,
                library,
                threads: threads(),
            },
            manifest,
        ))
    }

    async fn start_postgres(
        &self,
        manifest: &Manifest,
        suffix: &str,
    ) -> anyhow::Result<(Postgres, String)> {
        let data = match &self.data {
            Some(data) => data.clone(),
            None => default_data()?,
        };
        let install = tokio::task::spawn_blocking(|| Cache::from_env()?.postgres()).await??;
        let postgres = Postgres::open(&install, &data).await?;
        // A database holds the embeddings of one model.
        let name = database_name(&format!("rappel_{}{suffix}", manifest.name));
        let server = Database::new(&database_config(postgres.url("postgres")))?;
        server.create_database(&name).await?;
        server.close().await;
        let url = postgres.url(&name);
        Ok((postgres, url))
    }
}

impl Setup {
    /// A function's settings on this database and model.
    pub(crate) fn config(&self) -> Config {
        Config {
            database: self.database.clone(),
            model: Some(self.model.clone()),
            reranker: self.model.reranker(),
            search: SearchConfig::default(),
            language_model: None,
            chat: ChatConfig::default(),
            imports: None,
        }
    }

    /// A function's state on this database and model.
    pub(crate) fn state(&self) -> anyhow::Result<State> {
        Ok(State::new(self.config())?)
    }

    /// Stops the embedded Postgres, if this process started it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self.postgres {
            Some(postgres) => postgres.stop().await,
            None => Ok(()),
        }
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        let database = Database::new(&self.database)?;
        let report = migrations::migrate(&database, &self.manifest).await?;
        if !report.applied.is_empty() {
            note(&format!("schema: applied {}", report.applied.join(", ")));
        }
        database.close().await;
        Ok(())
    }
}

/// Threads that embed: every core.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn database_config(url: String) -> DatabaseConfig {
    DatabaseConfig {
        url,
        credentials: None,
        pooler: PoolerSetting::Auto,
        address_family: AddressFamily::Auto,
        application_name: "rappel-cli".to_owned(),
        // An import writes from several tasks; each has a connection.
        connections: u32::try_from(2 * threads()).unwrap_or(4),
        acquire_timeout: Duration::from_secs(10),
        wake_timeout: Duration::ZERO,
        statement_timeout: Duration::from_mins(1),
    }
}

/// The folder of a built-in model, prepared if need be, or the folder that `name` is.
pub(crate) fn model_folder(cache: &Cache, name: &str, library: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(model) = name.parse::<Model>() {
        return cache.model(model, |folder| check_fidelity(folder, library));
    }
    let folder = PathBuf::from(name);
    if !folder.join("manifest.json").is_file() {
        bail!(
            "--model is {name:?}: neither multilingual-e5-small nor all-MiniLM-L6-v2, nor a folder with a manifest.json"
        );
    }
    Ok(folder)
}

/// A converted model must give the vectors that the engine of its own package gives.
pub(crate) fn check_fidelity(folder: &Path, library: &Path) -> anyhow::Result<()> {
    let config = ModelConfig {
        folder: folder.to_owned(),
        library: library.to_owned(),
        threads: threads(),
    };
    let embedder = Embedder::load(&config)?;
    if let Some(fidelity) = embedder::fidelity(&embedder, folder)?
        && fidelity.lowest < fidelity.required
    {
        bail!(
            "the converted model's vectors differ from its package's: cosine {:.5}, at least {:.5} is required",
            fidelity.lowest,
            fidelity.required
        );
    }
    Ok(())
}

/// Where data belongs that a user would miss: `/var/lib/rappel` for root, whose home the embedded
/// Postgres cannot enter, else the XDG data folder.
fn default_data() -> anyhow::Result<PathBuf> {
    let home = env::var_os("HOME")
        .map(PathBuf::from)
        .context("HOME is not set: give --data FOLDER")?;
    if home == Path::new("/root") {
        return Ok("/var/lib/rappel/postgres".into());
    }
    let data =
        env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    Ok(data.join("rappel/postgres"))
}

/// A name that needs no quotes, within Postgres's 63 bytes.
fn database_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    name.chars().take(63).collect()
}
