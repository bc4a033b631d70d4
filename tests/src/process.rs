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
    let (_, times) = name_and_times(&stat).context("a process has a name and times")?;
    Ok(times[..2].iter().sum())
}

/// The processor time of all processes with a name, and of their children that have ended, in ticks of some ten milliseconds.
///
/// # Errors
/// When processes cannot be listed.
pub fn cpu_time_of_all(name: &str) -> Result<u64> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc").context("listing processes")? {
        // A process may end meanwhile.
        let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        if let Some((found, times)) = name_and_times(&stat)
            && found == name
        {
            ticks += times.iter().sum::<u64>();
        }
    }
    Ok(ticks)
}

/// Fields 2 and 14 to 17 of proc(5): the name, its own time in user and kernel mode, and that of its children.
fn name_and_times(stat: &str) -> Option<(&str, [u64; 4])> {
    // The name, which may contain anything, ends at the last bracket.
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut times = fields.split_whitespace().skip(11);
    let mut next = || times.next()?.parse().ok();
    Some((name, [next()?, next()?, next()?, next()?]))
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
