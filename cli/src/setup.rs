//! The database and the model that commands work with.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use assets::Cache;
use clap::Args;
use database::{AddressFamily, Database, DatabaseConfig, PoolerSetting};
use embedder::{Manifest, ModelConfig};
use migrations::{self, Index, IndexConfig, Memory};
use retrieval::{SearchConfig, SearchState};
use servers::postgres::Postgres;

use crate::{
    model::{model_folder, threads},
    terminal::note,
};

/// The options that select database and model.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The Postgres to use; by default an embedded one that keeps its data.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// The pooler in front of Postgres: auto, direct, session or transaction.
    #[arg(long, env = "DATABASE_POOLER", default_value = "auto")]
    pooler: PoolerSetting,
    /// The addresses of its host to dial: auto, ipv4 or ipv6.
    #[arg(long, env = "DATABASE_ADDRESS_FAMILY", default_value = "auto")]
    address_family: AddressFamily,
    /// The embedding model: multilingual-e5-small, all-MiniLM-L6-v2, or a folder with a manifest.json.
    #[arg(long, env = "RAPPEL_MODEL", default_value = "multilingual-e5-small")]
    model: String,
    /// The data folder of the embedded Postgres.
    #[arg(long, env = "RAPPEL_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// The option of commands that write what belongs to the owner of the schema.
#[derive(Args, Clone, Default)]
pub(crate) struct OwnerArgs {
    /// The login that changes the schema, if that of --database-url may not; grants the latter what it needs.
    #[arg(
        long,
        env = "MIGRATION_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    migration_database_url: Option<String>,
}

/// The options of commands that change the schema.
#[derive(Args, Clone, Default)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    /// The memory of an index build, such as 2GB; by default the server's `maintenance_work_mem`.
    #[arg(long, env = "INDEX_BUILD_MEMORY", value_name = "SIZE")]
    index_memory: Option<Memory>,
}

/// A database and a model, ready to use.
pub(crate) struct Setup {
    /// The database.
    pub(crate) database: DatabaseConfig,
    /// The model.
    pub(crate) model: ModelConfig,
    /// The manifest in the model's folder.
    pub(crate) manifest: Manifest,
    /// Whether the database is the embedded one.
    pub(crate) embedded: bool,
    /// How to change the schema.
    schema: SchemaArgs,
    postgres: Option<Postgres>,
}

impl Target {
    /// The model as given by the user.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Fetches what is missing and starts the embedded Postgres, unless another one is given, which is not dialled
    /// yet. Does not touch the schema. `suffix` distinguishes databases of one server.
    pub(crate) async fn prepare(&self, suffix: &str) -> anyhow::Result<Setup> {
        if let Some(url) = &self.database_url {
            require_url(url)?;
        }
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
            schema: SchemaArgs::default(),
            postgres,
        })
    }

    /// Fetches the model if it is missing; no database.
    pub(crate) async fn model_files(&self) -> anyhow::Result<ModelConfig> {
        Ok(self.prepare_model().await?.0)
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
        // The login has the name of Rappel's schema, which is therefore first in sight: tables that users make belong elsewhere.
        let public = format!("ALTER DATABASE {name} SET search_path = public");
        server.run_unlimited(&[], &public).await?;
        server.close().await;
        let url = postgres.url(&name);
        Ok((postgres, url))
    }
}

impl Setup {
    /// A function's state for this database and model.
    pub(crate) fn state(&self) -> anyhow::Result<SearchState> {
        let database = Database::new(&self.database)?;
        Ok(SearchState::new(
            database,
            self.model.clone(),
            SearchConfig::default(),
        )?)
    }

    /// Stops the embedded Postgres, if this process started it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self.postgres {
            Some(postgres) => postgres.stop().await,
            None => Ok(()),
        }
    }

    /// Migrates the schema with the options of `schema`, after printing its status.
    pub(crate) async fn migrate(&mut self, schema: &SchemaArgs) -> anyhow::Result<()> {
        self.set_schema(schema);
        let database = self.schema_database()?;
        let status = migrations::status(&database).await?;
        if !status.is_ready() {
            note(&format!("{status}: migrating"));
        }
        let report = migrations::migrate(&database, &self.manifest).await?;
        if !report.newer.is_empty() {
            note(&format!("{status}; leaving it as it is"));
        }
        if self.schema.owner.migration_database_url.is_some() {
            let served = Database::new(&self.database)?;
            migrations::grant(&database, &migrations::role(&served).await?).await?;
            // Verifies that both logins reach the same database and that the grants suffice.
            migrations::require(&served).await?;
            served.close().await;
        }
        database.close().await;
        Ok(())
    }

    /// Fails unless the schema fits this command; changes nothing.
    pub(crate) async fn require_schema(&self) -> anyhow::Result<()> {
        let database = Database::new(&self.database)?;
        let outcome = migrations::require(&database).await;
        database.close().await;
        Ok(outcome?)
    }

    /// The database with the login that may change schema and index.
    pub(crate) fn schema_database(&self) -> anyhow::Result<Database> {
        Ok(Database::new(&self.schema_config())?)
    }

    /// Its settings.
    pub(crate) fn schema_config(&self) -> DatabaseConfig {
        let url = self.schema.owner.migration_database_url.as_ref();
        DatabaseConfig {
            url: url.unwrap_or(&self.database.url).clone(),
            ..self.database.clone()
        }
    }

    /// Sets how to change the schema.
    pub(crate) fn set_schema(&mut self, schema: &SchemaArgs) {
        self.schema = schema.clone();
    }

    /// Sets who owns the schema.
    pub(crate) fn set_owner(&mut self, owner: &OwnerArgs) {
        self.schema.owner = owner.clone();
    }

    /// The settings of index builds.
    pub(crate) fn index_config(&self) -> IndexConfig {
        IndexConfig {
            memory: self.schema.index_memory.clone(),
        }
    }

    /// Merges the term statistics.
    pub(crate) async fn tidy(&self) -> anyhow::Result<()> {
        let database = self.schema_database()?;
        let outcome = migrations::tidy_statistics(&database).await;
        database.close().await;
        Ok(outcome?)
    }

    /// Builds the index if it is missing. Searches work without it, so a failed build is only reported.
    pub(crate) async fn build_index(&self) -> anyhow::Result<()> {
        let config = self.index_config();
        let database = self.schema_database()?;
        let index = migrations::build_index(&database, &config).await?;
        if index == Index::Valid {
            migrations::measure_recall(&database, SearchConfig::from_env()?.recall, false).await?;
        }
        database.close().await;
        if let Index::Missing { reason } = index {
            note(&format!(
                "warning: cannot build the index ({reason}): searches compare every passage until `rappel migrate` \
                 has built it"
            ));
        }
        Ok(())
    }
}

/// The database at `url`, for a command without a model.
pub(crate) fn external(url: String) -> anyhow::Result<DatabaseConfig> {
    require_url(&url)?;
    Ok(database_config(url))
}

fn require_url(url: &str) -> anyhow::Result<()> {
    ensure!(
        !url.trim_start().starts_with("arn:"),
        "DATABASE_URL is the ARN of a secret or a parameter, which only the functions resolve: this command needs the \
         URL itself"
    );
    Ok(())
}

fn database_config(url: String) -> DatabaseConfig {
    DatabaseConfig {
        url,
        credentials: None,
        pooler: PoolerSetting::Auto,
        address_family: AddressFamily::Auto,
        application_name: "rappel-cli".to_owned(),
        // An import writes from several tasks, each with a connection.
        connections: u32::try_from(2 * threads()).unwrap_or(4),
        acquire_timeout: Duration::from_secs(10),
        wake_timeout: Duration::ZERO,
        statement_timeout: Duration::from_mins(1),
        settings: document_store::ALL_TENANTS,
    }
}

/// The default folder for persistent data: `/var/lib/rappel` for root, because the embedded Postgres cannot enter
/// root's home, else the XDG data folder.
fn default_data() -> anyhow::Result<PathBuf> {
    let home = env::var_os("HOME")
        .map(PathBuf::from)
        .context("HOME is not set: use --data FOLDER")?;
    if home == Path::new("/root") {
        return Ok("/var/lib/rappel/postgres".into());
    }
    let data =
        env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    Ok(data.join("rappel/postgres"))
}

/// A name that needs no quotes, within Postgres' limit of 63 bytes.
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
