//! Process statistics of the kernel, and the page cache. `/proc` and `posix_fadvise` are Linux only: elsewhere the
//! benchmark reports that it cannot measure.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// The peak resident memory of a process, in bytes (`VmHWM`).
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub fn peak_memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .with_context(|| format!("cannot read the memory of process {process}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next());
    Ok(kilobytes.context("a process has VmHWM")?.parse::<u64>()? * 1024)
}

/// The resource usage of a process so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) processor: Duration,
    /// Major page faults.
    pub(crate) major_faults: u64,
}

impl Usage {
    /// Reads it. Processor time has a resolution of 10 ms: take differences over many ticks.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))
            .with_context(|| format!("cannot read the times of process {process}"))?;
        // After the program's name, which may contain blanks, comes the third field.
        let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| -> Result<u64> {
            let text = fields.get(field - 3).context("the fields of proc(5)")?;
            Ok(text.parse()?)
        };
        let ticks = number(14)? + number(15)?;
        let second = rustix::param::clock_ticks_per_second();
        Ok(Self {
            processor: Duration::from_secs_f64(ticks as f64 / second as f64),
            major_faults: number(12)?,
        })
    }
}

/// Evicts `files`, and all files in folders among them, from the page cache, except pages that are mapped by a
/// process or dirty.
pub(crate) fn evict(files: &[PathBuf]) -> Result<()> {
    for file in files {
        evict_one(file).with_context(|| format!("cannot evict {}", file.display()))?;
    }
    Ok(())
}

fn evict_one(path: &Path) -> Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        return entries
            .iter()
            .try_for_each(|entry| evict_one(&entry.path()));
    }
    if path.is_file() {
        drop_pages(&File::open(path)?)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn drop_pages(file: &File) -> Result<()> {
    Ok(rustix::fs::fadvise(
        file,
        0,
        None,
        rustix::fs::Advice::DontNeed,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_: &File) -> Result<()> {
    anyhow::bail!("pages can be dropped from the page cache on Linux only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_and_times_are_known() {
        let own = std::process::id();
        let peak = peak_memory(own).expect("this process is running");
        assert!(peak > 1 << 20, "{peak} bytes");
        let usage = Usage::of(own).expect("this process is running");
        assert!(usage.processor < Duration::from_hours(1), "{usage:?}");
    }
}
