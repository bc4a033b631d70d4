//! Checks the network: from the host name in the URL to an encrypted connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use database::{Cause, DatabaseError, Dialled, Probe};
use futures_util::future::join_all;
use retrieval::health::finding::{Check, Finding, failed, ok, warning};
use shared::Error;
use sqlx::postgres::PgSslMode;

type Answers = Vec<(SocketAddr, io::Result<Dialled>)>;

/// The checks `addresses`, `dial` and `tls`; those after a failure are left out.
pub(super) async fn examine(probe: &Probe) -> Vec<Check> {
    let mut addresses = None;
    let look = async {
        addresses = probe.addresses().await?;
        Ok(addresses.as_deref().map_or_else(
            || ok(format!("a Unix socket in {}", probe.host())),
            |addresses| ok(families(addresses)),
        ))
    };
    let mut checks = vec![Check::run("addresses", look).await];
    let Some(addresses) = addresses else {
        return checks;
    };
    let mut answers = Vec::new();
    let look = async {
        answers = dial(probe, addresses).await;
        Ok(answered(&answers))
    };
    checks.push(Check::run("dial", look).await);
    let offers = answers
        .iter()
        .find_map(|(address, answer)| Some((address.ip(), answer.as_ref().ok()?.offers_tls)));
    if let Some((ip, offers_tls)) = offers {
        checks.push(Check::run("tls", tls(probe, ip, offers_tls)).await);
    }
    checks
}

fn families(addresses: &[SocketAddr]) -> String {
    let list = |family: &str, wanted: fn(&&SocketAddr) -> bool| {
        let found: Vec<String> = addresses
            .iter()
            .filter(wanted)
            .map(|address| address.ip().to_string())
            .collect();
        if found.is_empty() {
            format!("no {family}")
        } else {
            format!("{family} {}", found.join(", "))
        }
    };
    format!(
        "{}; {}",
        list("IPv4", |address| address.is_ipv4()),
        list("IPv6", |address| address.is_ipv6())
    )
}

async fn dial(probe: &Probe, addresses: Vec<SocketAddr>) -> Answers {
    let dials = addresses
        .into_iter()
        .map(|address| async move { (address, probe.dial(address).await) });
    join_all(dials).await
}

fn answered(answers: &Answers) -> Finding {
    let found = answers.iter().map(|(address, answer)| match answer {
        Ok(dialled) => format!("{address} in {:.1} ms", dialled.took.as_secs_f64() * 1e3),
        Err(error) => format!("{address}: {error}"),
    });
    let found = found.collect::<Vec<_>>().join("; ");
    let any = |wanted: fn(&io::Result<Dialled>) -> bool| answers.iter().any(|(_, a)| wanted(a));
    let silent = |answer: &io::Result<Dialled>| matches!(answer, Err(error) if error.kind() == io::ErrorKind::TimedOut);
    // An address that refuses costs no time: the next one is tried without a pause.
    if any(Result::is_ok) && !any(silent) {
        ok(found)
    } else if any(Result::is_ok) {
        warning(
            found,
            "new connections may have to wait for the address that does not respond: set DATABASE_ADDRESS_FAMILY to \
             ipv4 or ipv6",
        )
    } else {
        failed(
            found,
            "start the server, correct the host and port in DATABASE_URL, or open the firewall",
        )
    }
}

/// The encryption of connections. The time covers TLS and login together: only the server knows when one ends and
/// the other begins.
async fn tls(probe: &Probe, ip: IpAddr, offers_tls: bool) -> Result<Finding, Error> {
    let mode = probe.ssl_mode();
    let login = tokio::time::Instant::now();
    let connection = probe.connect().await;
    let took = format!("login in {:.1} ms", login.elapsed().as_secs_f64() * 1e3);
    match connection {
        Ok(connection) => connection.close().await,
        Err(
            error @ DatabaseError::Unavailable {
                cause: Cause::Tls, ..
            },
        ) => return Err(error.into()),
        // The check `database` reports the cause.
        Err(_) => {}
    }
    let word = format!("sslmode={}", word(mode));
    let encrypted = offers_tls && !matches!(mode, PgSslMode::Disable | PgSslMode::Allow);
    Ok(match mode {
        PgSslMode::VerifyFull => ok(format!(
            "{word}: encrypted, certificate and host name verified; {took}"
        )),
        PgSslMode::VerifyCa => ok(format!("{word}: encrypted, certificate verified; {took}")),
        _ if encrypted => ok(format!(
            "{word}: encrypted; the certificate is not verified; sslmode=verify-full would verify it; {took}"
        )),
        _ if ip.is_loopback() => ok(format!("{word}: not encrypted, on this machine; {took}")),
        _ => warning(
            format!("{word}: passwords and documents cross the network unencrypted; {took}"),
            "set sslmode=verify-full in DATABASE_URL, or at least sslmode=require",
        ),
    })
}

fn word(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}
