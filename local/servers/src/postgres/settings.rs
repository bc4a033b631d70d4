//! The server's settings, given on its command line so that they hold for older data too.

use std::{fs, thread};

use crate::guardian::Scratch;

/// How a database is made, apart from its place and its password.
pub(super) const INITDB: [&str; 7] = [
    "--username=rappel",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // Code point order, with Unicode's upper and lower case, the same on every machine.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    // Full-text search asks the C library what a letter is: with plain C, `l’employé` is one word.
    if cfg!(target_os = "macos") {
        "--lc-ctype=en_US.UTF-8"
    } else {
        "--lc-ctype=C.UTF-8"
    },
];

/// Settings for every server. Its only door is a TCP port of this machine: a Unix socket would need
/// a folder that two users may write, and its path may have 107 bytes at most.
const ALWAYS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    // There is no JIT compiler in this build.
    "jit=off",
    // As hosted databases have it.
    "timezone=UTC",
    "wal_level=minimal",
    "max_wal_senders=0",
];

/// For data that is kept: what a commit says it wrote is on disk.
const KEPT: &[&str] = &[
    // A bulk load should not be one checkpoint after another.
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
];

/// For data that dies with its server.
const THROWAWAY: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// The least and the most memory for pages of kept data, in megabytes. What is beyond the size of the data
/// is never touched.
const BUFFERS: (u64, u64) = (256, 2048);

/// The least memory for building an index of kept data, in megabytes. The graph of 300,000 halfvec(384) is built in
/// 47 s in memory, and in 216 s if it does not fit.
const LEAST_FOR_INDEX: u64 = 1024;

/// What a data folder is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The data stays.
    Keep,
    /// The data, and this folder around it, go with the server.
    Throwaway(Scratch),
}

/// The command line after `postgres -D DATA`.
pub(super) fn arguments(purpose: &Purpose, port: u16) -> Vec<String> {
    let (special, buffers, least_for_index) = match purpose {
        Purpose::Keep => (KEPT, buffers(), LEAST_FOR_INDEX),
        Purpose::Throwaway(_) => (THROWAWAY, 64, 64),
    };
    let index = buffers.max(least_for_index);
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let own = [
        format!("port={port}"),
        format!("shared_buffers={buffers}MB"),
        format!("maintenance_work_mem={index}MB"),
        // Postgres allows 8 workers in all.
        format!("max_parallel_maintenance_workers={}", cores.clamp(2, 8)),
        format!(
            "dynamic_shared_memory_type={}",
            shared_memory(purpose, index)
        ),
    ];
    let settings = ALWAYS
        .iter()
        .chain(special)
        .map(ToString::to_string)
        .chain(own);
    settings
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect()
}

/// The memory for pages, in megabytes: a quarter of the machine's, as Postgres's manual advises. A search
/// reads some 5,000 pages of the index. Those that are not there are copied from the system's cache, which
/// makes a search over 340,000 chunks take 10 ms instead of 6.
fn buffers() -> u64 {
    let (least, most) = BUFFERS;
    let information = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = information
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.map_or(least, |kilobytes| (kilobytes / 1024 / 4).clamp(least, most))
}

/// Where parallel workers share memory: in the data folder, which leaves nothing behind when the
/// server is killed, or for kept data in POSIX shared memory, which is never written to disk. A
/// container has 64 MB of the latter by default, too little for an index build: that may take twice its
/// memory of `index` megabytes.
fn shared_memory(purpose: &Purpose, index: u64) -> &'static str {
    let roomy = match rustix::fs::statvfs("/dev/shm") {
        Ok(shm) => shm.f_bavail.saturating_mul(shm.f_frsize) >= (2 * index) << 20,
        // macOS has no such folder, and no such limit.
        Err(_) => cfg!(target_os = "macos"),
    };
    match purpose {
        Purpose::Keep if roomy => "posix",
        Purpose::Keep | Purpose::Throwaway(_) => "mmap",
    }
}
