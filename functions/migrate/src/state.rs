//! What a sandbox keeps between invocations.

use lambda_runtime::Error;
use shared::{
    config::{DatabaseConfig, IndexConfig, ModelConfig},
    database::{Database, DatabaseError},
    embedder::{Embedder, Manifest},
    migrations::{self, Index, Report},
};

/// The database that is brought up to date, and the model that its schema is for.
pub(crate) struct State {
    database: Database,
    /// The functions' own login, if another one changes the schema.
    served: Option<Database>,
    index: IndexConfig,
    model: ModelConfig,
    manifest: Manifest,
}

impl State {
    /// Reads the settings and the model's manifest.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let model = ModelConfig::from_env()?;
        let functions = DatabaseConfig::from_env("migrate")?;
        let (database, served) = match functions.for_migration() {
            Some(migration) => (Database::new(&migration)?, Some(Database::new(&functions)?)),
            None => (Database::new(&functions)?, None),
        };
        Ok(Self {
            database,
            served,
            index: IndexConfig::from_env()?,
            manifest: Manifest::read(&model.folder)?,
            model,
        })
    }

    /// Brings the schema up to date, and lets the functions' role use it.
    pub(crate) async fn migrate(&self) -> Result<Report, DatabaseError> {
        // On the heap: what migrates is large, and is moved through all that wait for it.
        let report = Box::pin(migrations::migrate(&self.database, &self.manifest)).await?;
        if let Some(served) = &self.served {
            let role = migrations::role(served).await?;
            migrations::grant(&self.database, &role).await?;
            // Both logins lead to one database, and the grants suffice.
            migrations::require(served).await?;
        }
        migrations::tidy_statistics(&self.database).await?;
        Ok(report)
    }

    /// Builds the index unless it is there.
    pub(crate) async fn build_index(&self) -> Result<Index, DatabaseError> {
        Box::pin(migrations::build_index(&self.database, &self.index)).await
    }

    /// Loads the model as the functions will: a layer that does not work on Lambda's machines must stop the
    /// deploy before they have it.
    pub(crate) async fn try_model(&self) -> Result<(), shared::Error> {
        let model = self.model.clone();
        let loading = tokio::task::spawn_blocking(move || Embedder::load(&model));
        loading.await.map_err(shared::Error::unfinished)??;
        Ok(())
    }

    /// Ends its connections.
    pub(crate) async fn close(&self) {
        self.database.close().await;
        if let Some(served) = &self.served {
            served.close().await;
        }
    }
}
