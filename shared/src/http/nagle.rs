//! The runtime's own connection, without the pauses that the kernel would make in a stream.
//!
//! `lambda_runtime` leaves Nagle's algorithm on: a small piece of a streamed answer then waits until the
//! one before it is acknowledged, which Linux delays by 40 ms. Its client has the option but passes no
//! connector on, so the option is set on the socket behind its back. Without that an answer is late, not
//! wrong.

use std::{env, fs, io, net::SocketAddr};

use rustix::{
    net::{getpeername, sockopt::set_tcp_nodelay},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

/// Switches Nagle's algorithm off on every connection of this process to the Runtime API: some twenty
/// system calls.
///
/// # Errors
/// When the kernel does not let a process look at its own descriptors.
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
        // A copy of the descriptor, which leads to the same socket. One that was closed meanwhile is
        // no connection any more.
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
