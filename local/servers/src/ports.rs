//! Ports of this machine.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;

/// A port that nobody listens on, from below the range from which the system takes the ports of
/// outgoing connections (32,768 on Linux, 49,152 on macOS): there, a client that retries while the
/// server is down can be given the server's own port, and keep it.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let mut random = File::open("/dev/urandom")?;
    for _ in 0..100 {
        let mut bytes = [0; 2];
        random.read_exact(&mut bytes)?;
        let port = 20_000 + u16::from_ne_bytes(bytes) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("found no free port of 127.0.0.1 between 20000 and 29999")
}
