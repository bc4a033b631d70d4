//! From a host name to a TCP connection: both address families, in bounded time, with the real cause of a failure.
//!
//! sqlx tries the addresses in sequence without a timeout (a black-holed first address costs two minutes) and sets
//! none of the socket options that a frozen sandbox needs.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::failure::{Cause, DialError};
use crate::AddressFamily;

/// The pause before dialling the next address in parallel: the Connection Attempt Delay that RFC 8305 recommends. It
/// doubles with every round through the addresses.
const STAGGER: Duration = Duration::from_millis(250);

/// How long sent data may stay unacknowledged before the connection counts as dead (`TCP_USER_TIMEOUT`); the kernel's
/// default is a quarter of an hour. Statements have shorter limits. A short one here would end live connections: to
/// Linux, a server with a full receive buffer, waiting for a lock or a disk during a `COPY`, does not acknowledge.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(30);

/// The address of a database.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) family: AddressFamily,
}

impl Endpoint {
    /// Connects to the first address that answers, within `limit`.
    pub(super) async fn dial(&self, limit: Duration) -> Result<TcpStream, DialError> {
        let deadline = Instant::now() + limit;
        let addresses = self.resolve(deadline).await?;
        let stream = race(&addresses, deadline)
            .await
            .map_err(|failures| self.explain(&addresses, &failures))?;
        prepare(&stream).map_err(|error| DialError {
            cause: Cause::Network,
            detail: error.to_string(),
        })?;
        Ok(stream)
    }

    /// The host's addresses of the configured family, families alternating.
    pub(super) async fn resolve(&self, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
        let failed = |detail: String| DialError {
            cause: Cause::Dns,
            detail,
        };
        let lookup = timeout_at(deadline, lookup_host((self.host.as_str(), self.port)));
        let found = match lookup.await {
            Ok(Ok(found)) => found
                .filter(|address| self.family.admits(address.ip()))
                .collect::<Vec<_>>(),
            Ok(Err(error)) => {
                return Err(failed(format!("{} cannot be resolved: {error}", self.host)));
            }
            Err(_) => return Err(failed(format!("{} was not resolved in time", self.host))),
        };
        if found.is_empty() {
            let family = self.family.name();
            return Err(failed(format!(
                "{} has no {family} address (DATABASE_ADDRESS_FAMILY)",
                self.host
            )));
        }
        Ok(in_turn(found))
    }

    /// One error for all failures: the most important cause, with every address.
    fn explain(&self, addresses: &[SocketAddr], failures: &[(SocketAddr, io::Error)]) -> DialError {
        let unreachable = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable
            )
        };
        let mut detail: Vec<String> = failures
            .iter()
            .map(|(address, error)| format!("{address}: {error}"))
            .collect();
        if addresses.iter().all(SocketAddr::is_ipv6)
            && failures.iter().all(|(_, error)| unreachable(error))
        {
            detail.push(format!(
                "{} has only IPv6 addresses and there is no IPv6 route from here: use its pooler's host, \
                 which has IPv4 addresses",
                self.host
            ));
            return DialError {
                cause: Cause::Ipv6Only,
                detail: detail.join("; "),
            };
        }
        let any = |kind: io::ErrorKind| failures.iter().any(|(_, error)| error.kind() == kind);
        let cause = if any(io::ErrorKind::ConnectionRefused) {
            Cause::Refused
        } else if any(io::ErrorKind::TimedOut) || failures.is_empty() {
            Cause::Timeout
        } else {
            Cause::Network
        };
        DialError {
            cause,
            detail: detail.join("; "),
        }
    }
}

impl AddressFamily {
    fn admits(self, ip: IpAddr) -> bool {
        match self {
            Self::Auto => true,
            Self::Ipv4 => ip.is_ipv4(),
            Self::Ipv6 => ip.is_ipv6(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Auto => "usable",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

/// Dials the addresses, each a [`STAGGER`] after the previous or once that failed; the first to connect wins.
///
/// Silent addresses are redialled in further rounds, in parallel. A listener with a full backlog drops SYNs, as a
/// pooler's does when a thousand sandboxes start at once, and the kernel resends a SYN only after 1, 3 and 7 seconds.
async fn race(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<TcpStream, Vec<(SocketAddr, io::Error)>> {
    let mut waiting: VecDeque<SocketAddr> = addresses.iter().copied().collect();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    let mut started = 0;
    while let Some(address) = waiting.pop_front() {
        attempts.push(TcpStream::connect(address).map(move |outcome| (address, outcome)));
        waiting.push_back(address);
        let round = u32::try_from(started / addresses.len()).unwrap_or(u32::MAX);
        let next = Instant::now() + STAGGER.saturating_mul(2_u32.saturating_pow(round));
        started += 1;
        match timeout_at(next.min(deadline), attempts.next()).await {
            Ok(Some((_, Ok(stream)))) => return Ok(stream),
            Ok(Some((address, Err(error)))) => {
                waiting.retain(|other| *other != address);
                failures.push((address, error));
            }
            Ok(None) | Err(_) if Instant::now() >= deadline => break,
            Ok(None) | Err(_) => {}
        }
    }
    let silent = |address| {
        (
            address,
            io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        )
    };
    failures.extend(waiting.into_iter().map(silent));
    Err(failures)
}

/// Without NODELAY the messages of a TLS connect wait for delayed acknowledgements, 45 ms in all; without the limits
/// a silently dropped connection goes unnoticed for a quarter of an hour.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))?;
    Ok(())
}

/// Alternates the address families, starting with the resolver's first choice.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut sorted = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return sorted,
            pair => sorted.extend([pair.0, pair.1].into_iter().flatten()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port,
            family: AddressFamily::Auto,
        }
    }

    #[test]
    fn the_families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let found = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1", "2.2.2.2:1"]
            .map(address)
            .to_vec();
        let sorted = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
            .map(address)
            .to_vec();
        assert_eq!(in_turn(found), sorted);
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let error = endpoint("127.0.0.1", port)
            .dial(Duration::from_secs(5))
            .await
            .expect_err("nobody listens");
        assert_eq!(error.cause, Cause::Refused);
    }

    #[tokio::test]
    async fn an_unknown_host_is_a_dns_error() {
        let error = endpoint("nowhere.invalid", 5432)
            .dial(Duration::from_secs(5))
            .await
            .expect_err("no such host");
        assert_eq!(error.cause, Cause::Dns);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_keep_a_live_one_waiting() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let live = listener.local_addr().expect("bound");
        // A full backlog drops further SYNs, as a black hole does.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        socket
            .bind(
                &"127.0.0.1:0"
                    .parse::<SocketAddr>()
                    .expect("an address")
                    .into(),
            )
            .expect("a free port");
        socket.listen(0).expect("it listens");
        let dead = socket
            .local_addr()
            .expect("bound")
            .as_socket()
            .expect("IPv4");
        let _fill = [
            std::net::TcpStream::connect(dead),
            std::net::TcpStream::connect_timeout(&dead, STAGGER),
        ];
        let stream = race(&[dead, live], Instant::now() + Duration::from_secs(5))
            .await
            .expect("the live one answers");
        assert_eq!(stream.peer_addr().expect("connected"), live);
    }
}
