//! The embedding model of commands: its folder, and its threads.

use std::{
    path::{Path, PathBuf},
    thread,
};

use anyhow::bail;
use assets::{Cache, Model};
use embedder::{self, Embedder, ModelConfig};

/// Embedding threads: one per core.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The folder of a built-in model, prepared if needed, or the folder `name`.
pub(crate) fn model_folder(cache: &Cache, name: &str, library: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(model) = name.parse::<Model>() {
        return cache.model(model, |folder| check_fidelity(folder, library));
    }
    let folder = PathBuf::from(name);
    if !folder.join("manifest.json").is_file() {
        bail!(
            "--model is {name:?}: expected multilingual-e5-small, all-MiniLM-L6-v2, or a folder with a manifest.json"
        );
    }
    Ok(folder)
}

/// Checks that a converted model gives the same vectors as its package's own engine.
fn check_fidelity(folder: &Path, library: &Path) -> anyhow::Result<()> {
    let config = ModelConfig {
        folder: folder.to_owned(),
        library: library.to_owned(),
        threads: threads(),
    };
    let embedder = Embedder::load(&config)?;
    if let Some(fidelity) = embedder::fidelity(&embedder, folder)?
        && !fidelity.suffices()
    {
        bail!(
            "the converted model's vectors differ from its package's: cosine {:.5}, centred {:.5}; at least {:.5} and \
             {:.5} are required",
            fidelity.lowest,
            fidelity.lowest_centred,
            fidelity.required,
            fidelity.required_centred
        );
    }
    Ok(())
}
