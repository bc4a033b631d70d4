//! Killing a server with all its processes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// Sends SIGKILL to the process `server` and to all its children at once: no process of Postgres
/// has a chance to tell a client, to write, or to clean up.
pub(super) fn kill_tree(server: i32) -> anyhow::Result<()> {
    // A stopped server starts no child that would be missed.
    signal(server, Signal::STOP)?;
    let children = children(server);
    signal(server, Signal::KILL)?;
    for child in children? {
        signal(child, Signal::KILL)?;
    }
    Ok(())
}

/// A process that has already ended is no error.
fn signal(process: i32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(process).context("a process id is positive")?;
    match kill_process(pid, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot signal process {process}")),
    }
}

/// The processes that `parent` started; those of Postgres start none in turn.
fn children(parent: i32) -> anyhow::Result<Vec<i32>> {
    if !Path::new("/proc/self/stat").exists() {
        let output = Command::new("pgrep")
            .args(["-P", &parent.to_string()])
            .output();
        let output = output.context("cannot run pgrep to find the processes of the server")?;
        let lines = String::from_utf8(output.stdout)?;
        return Ok(lines
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process that ends while we look has no file any more. The second field is the name in
        // parentheses, which may hold anything; the state and the parent follow.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        if fields.split_whitespace().nth(1) == Some(&parent.to_string()) {
            found.push(pid);
        }
    }
    Ok(found)
}
