//! The server's settings, given on its command line so that they also apply to existing data.

use std::{fs, thread};

use crate::guardian::Scratch;

/// The options of initdb, without folder and password.
pub(super) const INITDB: [&str; 5] = [
    "--username=rappel",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    // Full-text search classifies letters by LC_CTYPE: with plain C, `l’employé` is one word.
    if cfg!(target_os = "macos") {
        "--lc-ctype=en_US.UTF-8"
    } else {
        "--lc-ctype=C.UTF-8"
    },
];

/// Those of version 17 and later: code point order with Unicode case mapping, the same on every machine.
pub(super) const INITDB_BUILTIN: [&str; 2] =
    ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"];

/// Settings of every server. It listens on TCP only: a Unix socket would need a folder that two users may
/// write, and its path is limited to 107 bytes.
const ALWAYS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    // This build has no JIT compiler.
    "jit=off",
    // As in hosted databases.
    "timezone=UTC",
    "wal_level=minimal",
    "max_wal_senders=0",
];

/// Minimum and maximum of `max_connections`, and how many there are for each core: `rappel up` starts two sandboxes of each
/// of twelve functions with a database for each core, and an import beside it has two connections for each.
const CONNECTIONS: (usize, usize) = (200, 2_000);
const CONNECTIONS_OF_CORE: usize = 30;

/// For persistent data: commits are durable.
const KEPT: &[&str] = &[
    // Fewer checkpoints during a bulk load.
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
];

/// For data that is deleted with its server.
const THROWAWAY: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// Minimum and maximum of `shared_buffers` for persistent data, in megabytes. Memory beyond the size of the
/// data is never touched.
const BUFFERS: (u64, u64) = (256, 2048);

/// Minimum of `maintenance_work_mem`, in megabytes. The graph of 300,000 halfvec(384) is built in 47 s in memory,
/// and in 216 s if it does not fit.
const LEAST_FOR_INDEX: u64 = 1024;

/// The purpose of a data folder.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Persistent.
    Keep,
    /// Deleted with the server, including this folder around it.
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
    let (least, most) = CONNECTIONS;
    let connections = (CONNECTIONS_OF_CORE * cores).clamp(least, most);
    let own = [
        format!("max_connections={connections}"),
        format!("port={port}"),
        format!("shared_buffers={buffers}MB"),
        format!("maintenance_work_mem={index}MB"),
        // Postgres allows 8 workers in total.
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

/// `shared_buffers` in megabytes: a quarter of the machine's memory, as Postgres' manual advises. A search reads
/// some 5,000 pages of the index; copying them from the system's page cache makes a search over 340,000 chunks
/// take 10 ms instead of 6.
fn buffers() -> u64 {
    let (least, most) = BUFFERS;
    let information = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = information
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.map_or(least, |kilobytes| (kilobytes / 1024 / 4).clamp(least, most))
}

/// The location of shared memory of parallel workers: the data folder, which leaves nothing behind when the
/// server is killed, or for persistent data POSIX shared memory, which is never written to disk. A container has
/// 64 MB of the latter by default, too little for an index build, which may take twice its memory of `index`
/// megabytes.
fn shared_memory(purpose: &Purpose, index: u64) -> &'static str {
    let roomy = match rustix::fs::statvfs("/dev/shm") {
        Ok(shm) => shm.f_bavail.saturating_mul(shm.f_frsize) >= (2 * index) << 20,
        // macOS has neither this folder nor this limit.
        Err(_) => cfg!(target_os = "macos"),
    };
    match purpose {
        Purpose::Keep if roomy => "posix",
        Purpose::Keep | Purpose::Throwaway(_) => "mmap",
    }
}
