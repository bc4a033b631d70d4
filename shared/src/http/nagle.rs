//! Switches off Nagle's algorithm on the runtime's connection, for streams without pauses.
//!
//! `lambda_runtime` leaves it on: a small chunk of a stream then waits for the acknowledgement of the previous
//! chunk, which Linux delays by 40 ms. Its client has the option but accepts no connector, so this module sets
//! the option on the socket itself. If that fails, responses are late, not wrong.

use std::{env, fs, io, net::SocketAddr};

use rustix::{
    net::{getpeername, sockopt::set_tcp_nodelay},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

/// Switches Nagle's algorithm off on every connection of this process to the Runtime API: some twenty
/// system calls.
///
/// # Errors
/// When the kernel denies a process access to its own descriptors.
pub(super) fn off() -> io::Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").ok();
    let Some(api) = api.and_then(|api| api.parse::<SocketAddr>().ok()) else {
        return Ok(());
    };
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if !is_socket {
            continue;
        }
        // A duplicate descriptor of the same socket. Skip a descriptor that was closed meanwhile.
        let Ok(socket) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        let peer = getpeername(&socket).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(api) {
            set_tcp_nodelay(&socket, true)?;
        }
    }
    Ok(())
}
