//! The user's own browser.

use std::process::Stdio;

use tokio::process::Command;

use crate::terminal::note;

/// What opens an address on this system.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// Opens an address. That it cannot be opened, as on a machine without a screen, is only told.
pub(crate) fn open(url: &str) {
    let mut command = Command::new(OPENER);
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let url = url.to_owned();
    // Some openers last as long as the browser.
    tokio::spawn(async move {
        match command.status().await {
            Ok(status) if status.success() => {}
            Ok(status) => note(&format!("{url} was not opened: {OPENER}: {status}")),
            Err(error) => note(&format!("{url} was not opened: {OPENER}: {error}")),
        }
    });
}
