//! Where the gateway's messages and the sandboxes' output go.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

use anyhow::Context as _;

/// Where the output of the sandboxes and the gateway's own messages go.
#[derive(Debug, Clone)]
pub enum Logs {
    /// To the standard error of this process.
    Inherit,
    /// Nowhere.
    Discard,
    /// To the end of this file, which is created if it is missing.
    File(PathBuf),
}

/// An open log; clones write to the same place.
#[derive(Debug, Clone)]
pub(super) enum Log {
    Inherit,
    Discard,
    File(Arc<File>),
}

impl Log {
    pub(super) fn open(logs: &Logs) -> anyhow::Result<Self> {
        Ok(match logs {
            Logs::Inherit => Self::Inherit,
            Logs::Discard => Self::Discard,
            Logs::File(path) => {
                let file = File::options().create(true).append(true).open(path);
                let file =
                    file.with_context(|| format!("cannot open the log file {}", path.display()))?;
                Self::File(Arc::new(file))
            }
        })
    }

    /// Writes one line. A log that cannot be written must not fail a request, so errors are ignored.
    pub(super) fn line(&self, text: &str) {
        // One write, so that lines of several sandboxes do not mix.
        let line = format!("{text}\n");
        let _ = match self {
            Self::Inherit => io::stderr().write_all(line.as_bytes()),
            Self::Discard => Ok(()),
            Self::File(file) => (&**file).write_all(line.as_bytes()),
        };
    }

    /// The standard output of a sandbox.
    pub(super) fn stdout(&self) -> io::Result<Stdio> {
        Ok(match self {
            Self::Inherit => io::stderr().into(),
            Self::Discard => Stdio::null(),
            Self::File(file) => file.try_clone()?.into(),
        })
    }
}
