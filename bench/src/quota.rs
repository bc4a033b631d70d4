//! Warm searches at the processor shares of Lambda's memory sizes. Lambda shows a function more cores than its share
//! and throttles it when the quota of a period is used up; a control group does the same here.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    cost::{DOLLARS_PER_GB_SECOND, DOLLARS_PER_MILLION_REQUESTS, MEGABYTES_OF_ONE_CORE},
    sandbox::{Program, Sandbox},
    statistics::Summary,
};

/// Memory sizes in megabytes: less than a vCPU, one, and two.
pub const SIZES: [u32; 4] = [512, 1024, 1769, 3538];

/// The period in microseconds, as Lambda seems to have; unused quota is not carried over.
const PERIOD: u32 = 20_000;

/// Searches that are not counted, for plans and other one-time work.
const WARMING: usize = 8;

/// Warm searches at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// The memory size in megabytes.
    pub megabytes: u32,
    /// Milliseconds from the event to the response.
    pub took: Summary,
    /// Mean processor time of a search, in milliseconds.
    pub processor_ms: f64,
    /// Dollars per million searches on Lambda, requests included.
    pub dollars: f64,
}

/// A control group with a processor quota.
struct Group(PathBuf);

impl Group {
    /// Creates one for a share of `cores`.
    fn of(cores: f64) -> Result<Self> {
        let quota = (f64::from(PERIOD) * cores).round();
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("rappel-bench-{}", process::id());
        // cgroup v2 has `cgroup.controllers` at its root; v1 has a folder per controller.
        let unified = root.join("cgroup.controllers").exists();
        let folder = if unified {
            root.join(name)
        } else {
            root.join("cpu").join(name)
        };
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let group = Self(folder);
        if unified {
            group.write("cpu.max", &format!("{quota} {PERIOD}"))?;
        } else {
            group.write("cpu.cfs_period_us", &PERIOD.to_string())?;
            group.write("cpu.cfs_quota_us", &quota.to_string())?;
        }
        Ok(group)
    }

    fn add(&self, process: u32) -> Result<()> {
        self.write("cgroup.procs", &process.to_string())
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.0.join(file);
        fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // This fails while a process is left in it; it is empty once that ends.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Why no group can be created here, if so.
pub(crate) fn obstacle() -> Option<String> {
    Group::of(1.0).err().map(|error| format!("{error:#}"))
}

/// Sends each event to a sandbox of this size.
pub(crate) async fn measure(
    program: &Program,
    megabytes: u32,
    events: &[Bytes],
    log: &Path,
    progress: &ProgressBar,
) -> Result<Share> {
    ensure!(!events.is_empty(), "there are no questions");
    let group = Group::of(f64::from(megabytes) / MEGABYTES_OF_ONE_CORE)?;
    let program = program
        .clone()
        .with("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes.to_string())
        // As many threads as the function takes by default.
        .with("EMBEDDING_THREADS", "");
    let mut sandbox = program.start(log).await?;
    group.add(sandbox.id()?)?;
    let outcome = asked(&mut sandbox, events, progress).await;
    sandbox.stop().await?;
    let (times, processor) = outcome?;
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    Ok(Share {
        megabytes,
        processor_ms: processor / times.len() as f64,
        dollars: dollars(megabytes, mean),
        took: Summary::of(times),
    })
}

/// The milliseconds of each search, and the total processor time in milliseconds.
async fn asked(
    sandbox: &mut Sandbox,
    events: &[Bytes],
    progress: &ProgressBar,
) -> Result<(Vec<f64>, f64)> {
    for event in events.iter().cycle().take(WARMING) {
        sandbox.invoke(event.clone()).await?;
    }
    sandbox.settle().await?;
    let before = sandbox.usage()?.processor;
    let mut times = Vec::with_capacity(events.len());
    for event in events {
        sandbox.settle().await?;
        let reply = sandbox.invoke(event.clone()).await?;
        times.push(reply.took.as_secs_f64() * 1e3);
        progress.inc(1);
    }
    let processor = sandbox.usage()?.processor.saturating_sub(before);
    Ok((times, processor.as_secs_f64() * 1e3))
}

/// Lambda rounds up to whole milliseconds: on average half a millisecond more.
fn dollars(megabytes: u32, mean: f64) -> f64 {
    let gigabytes = f64::from(megabytes) / 1024.0;
    (mean + 0.5) / 1e3 * gigabytes * DOLLARS_PER_GB_SECOND * 1e6 + DOLLARS_PER_MILLION_REQUESTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_billed_by_its_time_and_its_memory() {
        // 9.5 ms are on the average billed as 10: 10 ms * 1,769 / 1,024 GB * 0.0000166667 $ * a million = 0.2879 $.
        assert!((dollars(1769, 9.5) - 0.4879).abs() < 1e-4);
        assert!((dollars(3538, 9.5) - 0.7759).abs() < 1e-4);
    }
}
