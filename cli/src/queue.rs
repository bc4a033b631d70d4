//! The import queue and bucket on this machine.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assets::Cache;
use database::{Database, DatabaseConfig};
use gateway::binaries;
use servers::aws::{self, Overrides, Resources, Server};

use crate::terminal::note;

/// Their logical ids in the template.
const QUEUE: &str = "ImportQueue";
const BUCKET: &str = "ImportBucket";

/// The template's `maxReceiveCount`.
const MAX_RECEIVES: i32 = 5;

/// The place of queue and bucket, chosen before anything is started.
pub(crate) struct QueueConfig {
    port: u16,
    /// The folder whose files may be imported.
    root: Option<PathBuf>,
    /// Queue and bucket names.
    pub(crate) resources: Resources,
}

impl QueueConfig {
    /// Chooses a free port; files below `root` may be imported.
    pub(crate) fn choose(root: Option<&Path>) -> anyhow::Result<Self> {
        let resolved = |root: &Path| {
            let folder = root.canonicalize().ok().filter(|root| root.is_dir());
            folder.with_context(|| {
                format!("--import-root is {}, which is not a folder", root.display())
            })
        };
        let root = root.map(resolved).transpose()?;
        let port = Server::port()?;
        let resources = Resources {
            endpoint: aws::endpoint(port),
            prefix: String::new(),
        };
        Ok(Self {
            port,
            root,
            resources,
        })
    }

    /// The environment that directs the functions there.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = self.resources.environment();
        for (name, value) in [
            ("IMPORT_QUEUE_URL", self.resources.queue_url(QUEUE)),
            ("IMPORT_BUCKET", self.resources.bucket(BUCKET)),
            ("IMPORT_MAX_RECEIVES", MAX_RECEIVES.to_string()),
        ] {
            variables.push((name.to_owned(), value));
        }
        let root = self.root.iter().map(|root| root.display().to_string());
        variables.extend(root.map(|root| ("IMPORT_ROOT".to_owned(), root)));
        variables
    }

    /// Starts the server with queue and bucket, and resumes imports that an earlier run left unfinished. `None` if
    /// that fails: everything else works without it.
    pub(crate) async fn serve(self, database: DatabaseConfig) -> Option<Server> {
        match self.start(&database).await {
            Ok(server) => Some(server),
            Err(error) => {
                note(&format!(
                    "warning: POST /imports is not available: {error:#}"
                ));
                None
            }
        }
    }

    async fn start(&self, database: &DatabaseConfig) -> anyhow::Result<Server> {
        let install = tokio::task::spawn_blocking(|| Cache::from_env()?.moto()).await??;
        let server = Server::start(&install, self.port).await?;
        let template: PathBuf = binaries::workspace()?.join("template.yaml");
        self.resources
            .create(&template, Overrides::default())
            .await?;
        let database = Database::new(database)?;
        let queue = self.resources.queue_url(QUEUE);
        for message in bulk_imports::reopen(&database, &queue, MAX_RECEIVES).await? {
            self.resources.send(QUEUE, &message).await?;
        }
        database.close().await;
        Ok(server)
    }
}
