//! What a sandbox keeps between invocations.

use lambda_runtime::Error;
use shared::{
    config::{DatabaseConfig, ModelConfig, SearchConfig},
    database::{Database, DatabaseError},
    embedder::{Embedder, Manifest},
    migrations::{self, Report},
};

/// The database that is brought up to date, and the model that its schema is for.
pub(crate) struct State {
    database: Database,
    model: ModelConfig,
    manifest: Manifest,
    /// The share of the nearest passages that searches are to find.
    recall: f64,
}

impl State {
    /// Reads the settings and the model's manifest.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let model = ModelConfig::from_env()?;
        Ok(Self {
            database: Database::new(&DatabaseConfig::from_env("migrate")?)?,
            manifest: Manifest::read(&model.folder)?,
            recall: SearchConfig::from_env()?.recall,
            model,
        })
    }

    /// Brings the schema up to date, and measures the index.
    pub(crate) async fn migrate(&self) -> Result<Report, DatabaseError> {
        // On the heap: what migrates is large, and is moved through all that wait for it.
        let report = Box::pin(migrations::migrate(&self.database, &self.manifest)).await?;
        migrations::measure_recall(&self.database, self.recall).await?;
        Ok(report)
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
    }
}
