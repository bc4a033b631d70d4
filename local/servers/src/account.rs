//! The user a server runs as: ourselves, or `nobody` if we are root, which Postgres and `PgBouncer` refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// The id of the user and of the group `nobody`; initdb wants one that is in the passwd file.
const NOBODY: u32 = if cfg!(target_os = "macos") {
    u32::MAX - 1
} else {
    65534
};

/// The user and group a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    Ourselves,
    Nobody,
}

impl Account {
    pub(crate) fn current() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Nobody
        } else {
            Self::Ourselves
        }
    }

    /// `program` under this account, with an environment of its own: the `PG...` variables and the
    /// locale of the user must not change what the server does.
    pub(crate) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // Our own folder may be closed to the account.
            .current_dir("/");
        self.enter(&mut command);
        command
    }

    /// Has `command` run under this account.
    pub(crate) fn enter(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    /// Gives `path` to this account.
    pub(crate) fn own(self, path: &Path) -> anyhow::Result<()> {
        if self == Self::Ourselves {
            return Ok(());
        }
        chown(path, Some(NOBODY), Some(NOBODY))
            .with_context(|| format!("cannot give {} to user {NOBODY}", path.display()))
    }

    /// Fails, and says what to do, unless this account may enter `folder` and all above it.
    pub(crate) fn check_reach(self, folder: &Path) -> anyhow::Result<()> {
        if self == Self::Ourselves {
            return Ok(());
        }
        for ancestor in folder.ancestors() {
            let metadata = fs::metadata(ancestor)
                .with_context(|| format!("cannot look at {}", ancestor.display()))?;
            let enter = match metadata.uid() {
                NOBODY => 0o100,
                _ => 0o001,
            };
            if metadata.mode() & enter == 0 {
                let (folder, ancestor) = (folder.display(), ancestor.display());
                bail!(
                    "Postgres refuses to run as root, so it runs as user {NOBODY} (nobody), who may \
                     not enter {ancestor} and so cannot use {folder}. Choose a folder elsewhere, such \
                     as below /var/lib or /tmp, or `chmod o+x {ancestor}`, or do not run as root"
                );
            }
        }
        Ok(())
    }
}
