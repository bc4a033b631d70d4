//! The output of `sam build`, as deployed to AWS.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use tokio::{process::Command, sync::OnceCell};

use crate::{Assets, Tools};

/// The artifacts of the functions and of the layer.
#[derive(Clone, Debug)]
pub struct Built {
    /// One folder per function, by its name in the template.
    pub functions: PathBuf,
    /// The layer's folder, which is `/opt` on Lambda.
    pub layer: PathBuf,
}

/// The deploy profile without link-time optimisation, which takes minutes per function. Linker, libraries and layout
/// are unchanged.
const QUICKER: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

impl Built {
    /// The artifacts; the first caller builds them.
    ///
    /// # Errors
    /// When `sam build` fails.
    pub async fn prepared() -> Result<&'static Self> {
        static BUILT: OnceCell<Built> = OnceCell::const_new();
        BUILT.get_or_try_init(|| Self::build("sam")).await
    }

    /// Builds into this folder of `target/`; unchanged code is not compiled again.
    ///
    /// # Errors
    /// When `sam build` fails.
    pub async fn build(name: &str) -> Result<Self> {
        let assets = Assets::prepared().await?;
        let folder = assets.workspace.join("target").join(name);
        writeln!(
            io::stderr(),
            "sam build: compiling the functions for Lambda, minutes the first time"
        )?;
        let mut sam = Tools::installed().await?.command("sam");
        sam.args(["build", "--build-dir"]).arg(&folder);
        Tools::run(settled(&mut sam, assets)).await?;
        Ok(Self {
            layer: folder.join("Onnx"),
            functions: folder,
        })
    }

    /// The executable of a function, by its name in the template.
    #[must_use]
    pub fn executable(&self, function: &str) -> PathBuf {
        self.functions.join(function).join("bootstrap")
    }

    /// The folder of compiled files.
    ///
    /// # Errors
    /// When the workspace cannot be found.
    pub async fn compiled() -> Result<PathBuf> {
        let workspace = &Assets::prepared().await?.workspace;
        Ok(workspace.join("target/x86_64-unknown-linux-gnu/release/deps"))
    }
}

fn settled<'a>(sam: &'a mut Command, assets: &Assets) -> &'a mut Command {
    // The existing `rappel` binary builds the layer.
    let rappel: &Path = &assets.binaries.join("rappel");
    sam.current_dir(&assets.workspace)
        .env("RAPPEL", rappel)
        .env_remove("RAPPEL_MODEL")
        .envs(QUICKER)
}
