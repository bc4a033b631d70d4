//! Process information of the kernel.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

/// The peak memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn peak_memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .with_context(|| format!("reading the status of process {process}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next());
    Ok(kilobytes.context("a process has VmHWM")?.parse::<u64>()? * 1024)
}

/// The processor time of a process, in ticks of some ten milliseconds.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(process: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("reading the times of process {process}"))?;
    // The name, which may contain anything, ends at the last bracket. Fields 14 and 15 of proc(5).
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || -> Result<u64> { Ok(ticks.next().context("a process has times")?.parse()?) };
    Ok(next()? + next()?)
}

/// Kills a process with SIGKILL.
///
/// # Errors
/// When there is no such process.
pub fn kill(process: u32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .status()
        .context("running kill")?;
    ensure!(status.success(), "kill -KILL {process}: {status}");
    Ok(())
}
