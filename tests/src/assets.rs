//! What has to be on the disk before a test can start: Postgres, ONNX Runtime, the model, the
//! built functions.

use std::path::PathBuf;

use anyhow::{Context, Result};
use assets::{Cache, Model};
use gateway::binaries::{self, Profile};
use tokio::{sync::OnceCell, task::spawn_blocking};

/// The folders and files, prepared once in a process.
#[derive(Clone, Debug)]
pub struct Assets {
    /// The workspace's root, where `template.yaml` is.
    pub workspace: PathBuf,
    /// The folder with one executable a function.
    pub binaries: PathBuf,
    /// The folder of the Postgres installation.
    pub postgres: PathBuf,
    /// ONNX Runtime's shared library.
    pub onnxruntime: PathBuf,
    /// The folder of the default model.
    pub model: PathBuf,
}

impl Assets {
    /// The assets; the first caller fetches and builds what is missing.
    ///
    /// # Errors
    /// Says which of them could not be prepared.
    pub async fn prepared() -> Result<&'static Self> {
        static PREPARED: OnceCell<Assets> = OnceCell::const_new();
        PREPARED
            .get_or_try_init(|| async {
                spawn_blocking(prepare)
                    .await
                    .context("preparing the assets panicked")?
            })
            .await
    }
}

/// Downloads, conversions and the build all block.
fn prepare() -> Result<Assets> {
    let cache = Cache::from_env().context("finding the cache folder")?;
    let workspace = binaries::workspace().context("finding the workspace")?;
    Ok(Assets {
        binaries: binaries::build(&workspace, Profile::Dev).context("building the functions")?,
        workspace,
        postgres: cache.postgres().context("preparing Postgres")?,
        onnxruntime: cache.onnxruntime().context("preparing ONNX Runtime")?,
        // `rappel up` checks a model that it has just converted; the story `embedder` does it here.
        model: cache
            .model(Model::MultilingualE5Small, |_| Ok(()))
            .context("preparing the model")?,
    })
}
