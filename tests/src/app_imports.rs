//! The product with a queue and a bucket, for import tests.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    App, Assets, cluster,
    imports::{HANG, Imports, Pace},
};

impl App {
    /// Starts the product with a private queue and bucket.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_imports(pace: Pace) -> Result<(Self, Imports)> {
        let imports = Imports::new(pace).await?;
        Ok((Self::importing(&imports, false, Vec::new()).await?, imports))
    }

    /// The same with more environment variables of the functions.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_imports_and(
        pace: Pace,
        variables: Vec<(String, String)>,
    ) -> Result<(Self, Imports)> {
        let imports = Imports::new(pace).await?;
        Ok((Self::importing(&imports, false, variables).await?, imports))
    }

    /// The same through what `reach` makes of the database's URL, as in [`App::through`].
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_imports_through<W>(
        pace: Pace,
        reach: impl AsyncFnOnce(&str) -> Result<(W, Vec<(String, String)>)>,
    ) -> Result<(Self, Imports, W)> {
        let imports = Imports::new(pace).await?;
        let queue = Some((imports.resources(), imports.template()));
        let with_queue = async |url: &str| {
            let (way, variables) = reach(url).await?;
            Ok((way, [imports.environment(), variables].concat()))
        };
        let (assets, server) = (Assets::prepared().await?, cluster::shared().await?);
        let (app, way) = Self::reached(assets, server, 2, queue, with_queue).await?;
        Ok((app.migrated().await?, imports, way))
    }

    /// The same on a private Postgres, which the test may kill.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_own_server_and_imports(pace: Pace) -> Result<(Self, Imports)> {
        let imports = Imports::new(pace).await?;
        Ok((Self::importing(&imports, true, Vec::new()).await?, imports))
    }

    /// Starts the programs of a folder, named as the functions' binaries, in place of these, with a private queue and bucket
    /// and an empty database without schema.
    ///
    /// # Errors
    /// Names the part that did not start.
    pub async fn with_programs(
        programs: &Path,
        variables: Vec<(String, String)>,
    ) -> Result<(Self, Imports)> {
        let imports = Imports::new(Pace::default()).await?;
        let assets = Assets {
            binaries: programs.to_owned(),
            ..Assets::prepared().await?.clone()
        };
        let queue = Some((imports.resources(), imports.template()));
        let reach = async |_: &str| Ok(((), [imports.environment(), variables].concat()));
        let server = cluster::shared().await?;
        let (app, ()) = Self::reached(&assets, server, 2, queue, reach).await?;
        Ok((app, imports))
    }

    /// Posts an import and returns its id.
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

    /// The state of an import once it has finished.
    ///
    /// # Errors
    /// When it does not end in four minutes.
    pub async fn finished(&self, id: &str) -> Result<Value> {
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
        watched.with_context(|| format!("the import does not finish: {last}"))??;
        Ok(last)
    }

    /// Starts the product with an empty, migrated database and the queue and bucket of `imports`, on the shared
    /// server or on a private one, which the test may kill.
    ///
    /// # Errors
    /// Names the part that did not start.
    async fn importing(
        imports: &Imports,
        own_server: bool,
        variables: Vec<(String, String)>,
    ) -> Result<Self> {
        let server = if own_server {
            cluster::own().await?
        } else {
            cluster::shared().await?
        };
        let queue = Some((imports.resources(), imports.template()));
        let reach = async |_: &str| {
            let mut environment = imports.environment();
            environment.extend(variables);
            Ok(((), environment))
        };
        let assets = Assets::prepared().await?;
        let (app, ()) = Self::reached(assets, server, 2, queue, reach).await?;
        app.migrated().await
    }
}
