//! The results as files: JSON for programs, HTML for people.

mod figures;
mod page;
mod plot;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::results::Results;

/// The page's file name.
pub(crate) const PAGE: &str = "index.html";

/// Writes `results.json` and the page into `folder`.
pub(crate) fn write(folder: &Path, results: &Results) -> Result<()> {
    let write = |name: &str, content: String| {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    };
    write("results.json", serde_json::to_string_pretty(results)?)?;
    write(PAGE, page::of(results))
}
