//! `rappel layer`, which `sam build` calls for the layer.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use assets::{
    Cache, Model,
    layer::{self, Architecture, LIMIT, LayerFile},
};
use clap::Args;

use crate::{model::model_folder, terminal};

/// Write the files of the Lambda layer to a folder: ONNX Runtime and the embedding model.
#[derive(Args)]
pub(crate) struct Layer {
    /// The folder.
    folder: PathBuf,
    /// The functions' architecture: `x86_64` or `arm64`.
    #[arg(long, default_value = "x86_64")]
    architecture: Architecture,
    /// The embedding model: multilingual-e5-small, all-MiniLM-L6-v2, or a folder with a manifest.json.
    #[arg(long, env = "RAPPEL_MODEL", default_value = "multilingual-e5-small")]
    model: String,
}

impl Layer {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let entries = tokio::task::spawn_blocking(move || {
            let cache = Cache::from_env()?;
            let model = model_folder(&cache, &self.model, &cache.onnxruntime()?)?;
            let built_in = self.model.parse::<Model>().ok();
            layer::lay(&cache, self.architecture, &model, built_in, &self.folder)
        })
        .await??;
        print(&entries)?;
        Ok(())
    }
}

fn print(entries: &[LayerFile]) -> io::Result<()> {
    let mut out = terminal::out();
    for LayerFile {
        path,
        bytes,
        sha256,
    } in entries
    {
        writeln!(out, "{bytes:>11}  {sha256}  {path}")?;
    }
    let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    writeln!(out, "{bytes:>11}  bytes; the limit of the layer is {LIMIT}")
}
