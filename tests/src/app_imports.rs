//! The product with a queue and a bucket, and the imports that it is sent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    App, Assets, cluster,
    imports::{HANG, Imports, Pace},
};

impl App {
    /// Starts the product with a queue and a bucket of its own.
    ///
    /// # Errors
    /// Says which part did not start.
    pub async fn with_imports(pace: Pace) -> Result<(Self, Imports)> {
        let imports = Imports::new(pace).await?;
        Ok((Self::importing(&imports, false).await?, imports))
    }

    /// The same on a Postgres of its own, which the test may kill.
    ///
    /// # Errors
    /// Says which part did not start.
    pub async fn alone_with_imports(pace: Pace) -> Result<(Self, Imports)> {
        let imports = Imports::new(pace).await?;
        Ok((Self::importing(&imports, true).await?, imports))
    }

    /// Posts an import and answers its id.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn import(&self, source: &str) -> Result<String> {
        let import = self
            .post("/imports", json!({ "source": source }))
            .await?
            .success(202)?;
        ensure!(
            import["source"] == source,
            "the answer names the source: {import}"
        );
        Ok(import["id"]
            .as_str()
            .context("the answer has the id")?
            .to_owned())
    }

    /// The state of an import.
    ///
    /// # Errors
    /// When there is no such import.
    pub async fn import_state(&self, id: &str) -> Result<Value> {
        self.get(&format!("/imports/{id}"), &[]).await?.success(200)
    }

    /// The state of an import once it has ended.
    ///
    /// # Errors
    /// When it does not end in four minutes.
    pub async fn ended(&self, id: &str) -> Result<Value> {
        let mut last = Value::Null;
        let watch = async {
            loop {
                last = self.import_state(id).await?;
                if last["state"] == "done" || last["state"] == "failed" {
                    return anyhow::Ok(());
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let watched = timeout(HANG, watch).await;
        watched.with_context(|| format!("the import does not end: {last}"))??;
        Ok(last)
    }

    /// Starts the product with an empty, migrated database and the queue and bucket of `imports`, on the
    /// shared server or on one of its own, which the test may kill.
    ///
    /// # Errors
    /// Says which part did not start.
    async fn importing(imports: &Imports, alone: bool) -> Result<Self> {
        let server = if alone {
            cluster::own().await?
        } else {
            cluster::shared().await?
        };
        let queue = Some((imports.resources(), imports.template()));
        let reach = async |_: &str| Ok(((), imports.environment()));
        let assets = Assets::prepared().await?;
        let (app, ()) = Self::reached(assets, server, 2, queue, reach).await?;
        app.migrated().await
    }
}
