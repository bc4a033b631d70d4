//! Networks that only a namespace of our own can offer: hosts by name with chosen addresses, no route
//! for IPv6, packets that vanish.
//!
//! Each story starts itself again in a namespace, and runs there. Only root on Linux may create one;
//! elsewhere the reason is printed.

use std::{
    env, fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use assets::Cache;
use database::{AddressFamily, Cause, Database};
use servers::{postgres::Postgres, skip::skipped};
use tests::proxy::{Proxy, with_port};
use tokio::{net::TcpSocket, task::spawn_blocking, time::sleep};

use super::{LONG_IDLE, Outcome, cause, causes, echo, settings};

/// Set inside a namespace.
const INSIDE: &str = "RAPPEL_TESTS_NAMESPACE";

/// A namespace has its own network, with nothing but `lo`, and its own /etc/hosts. Its mounts end
/// with it.
const ENTER: &str = "set -e
    ip link set lo up
    cp /etc/hosts \"$1/hosts\"
    mount --bind \"$1/hosts\" /etc/hosts
    exec \"$2\" --exact \"$3\" --nocapture";

/// Whether this process is in the namespace of the story `name`. If not, runs the story in one.
fn inside(name: &str) -> Result<bool> {
    if env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    let may = Command::new("unshare")
        .args(["--net", "--mount", "ip", "link", "set", "lo", "up"])
        .output();
    match may {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            skipped(&format!("no network namespace can be made here: {said}"))?;
            return Ok(false);
        }
        Err(error) => {
            skipped(&format!(
                "no network namespace can be made here: unshare: {error}"
            ))?;
            return Ok(false);
        }
    }
    let folder = tempfile::tempdir().context("making a folder")?;
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", ENTER, "sh"])
        .arg(folder.path())
        .arg(env::current_exe().context("finding this program")?)
        .arg(format!("connections::namespace::{name}"))
        .env(INSIDE, "1")
        .output()
        .context("running unshare")?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the story failed in its namespace");
    ensure!(said.contains("1 passed"), "the story was not told");
    Ok(false)
}

/// Makes `database.test` the name of `addresses`, in this namespace.
fn name(addresses: &[&str]) -> Result<()> {
    let lines: String = addresses
        .iter()
        .map(|address| [address, " database.test\n"].concat())
        .collect();
    fs::write("/etc/hosts", lines).context("writing /etc/hosts of the namespace")
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .context("running ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments}: {said}");
    Ok(())
}

async fn postgres() -> Result<Postgres> {
    let install = spawn_blocking(|| Cache::from_env()?.postgres()).await??;
    Postgres::throwaway(&install).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_first_address_does_not_keep_the_second_waiting() -> Outcome {
    if !inside("a_dead_first_address_does_not_keep_the_second_waiting")? {
        return Ok(());
    }
    let postgres = postgres().await?;
    let proxy = Proxy::to(postgres.port()).await?;
    // The same port of ::1 answers nothing, and ::1 is the resolver's first choice.
    let dead = SocketAddr::from((Ipv6Addr::LOCALHOST, proxy.port()));
    let (_full, _) = causes::fill(TcpSocket::new_v6()?, dead).await?;
    name(&["::1", "127.0.0.1"])?;
    let url =
        with_port(&postgres.url("postgres"), proxy.port())?.replace("127.0.0.1", "database.test");
    let mut config = settings(&url);
    let start = Instant::now();
    assert_eq!(echo(&Database::new(&config)?, 1).await?, 1);
    println!(
        "with a dead first address: an answer after {:?}",
        start.elapsed()
    );

    config.address_family = AddressFamily::Ipv4;
    let start = Instant::now();
    assert_eq!(echo(&Database::new(&config)?, 1).await?, 1);
    println!("with IPv4 alone: an answer after {:?}", start.elapsed());

    config.address_family = AddressFamily::Ipv6;
    let (found, said) = cause(&config).await?;
    assert_eq!(found, Cause::Timeout, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_only_ipv6_is_named_as_the_cause() -> Outcome {
    if !inside("a_host_with_only_ipv6_is_named_as_the_cause")? {
        return Ok(());
    }
    name(&["2001:db8::1", "2001:db8::2"])?;
    let start = Instant::now();
    let (found, said) = cause(&settings("postgres://someone@database.test/postgres")).await?;
    println!("after {:?}: {said}", start.elapsed());
    assert_eq!(found, Cause::Ipv6Only);
    assert!(said.contains("pooler"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_packets_fail_no_request() -> Outcome {
    if !inside("lost_packets_fail_no_request")? {
        return Ok(());
    }
    let postgres = postgres().await?;
    let proxy = Proxy::at(Ipv4Addr::UNSPECIFIED.into(), postgres.port()).await?;
    ip("link add out type veth peer name nowhere")?;
    ip("link set out up")?;
    ip("link set nowhere up")?;
    let url =
        with_port(&postgres.url("postgres"), proxy.port())?.replace("127.0.0.1", "database.test");
    let mut config = settings(&url);
    config.statement_timeout = Duration::from_secs(3);
    for idle in [Duration::ZERO, LONG_IDLE] {
        ip("address add 10.9.9.9/32 dev lo")?;
        name(&["10.9.9.9"])?;
        // A connection to the address that is about to vanish.
        let database = Database::new(&config)?;
        assert_eq!(echo(&database, 1).await?, 1);
        sleep(idle).await;

        // From now on its packets leave through a cable with nobody at the other end; the name leads
        // elsewhere, as after a failover.
        ip("address del 10.9.9.9/32 dev lo")?;
        ip("address add 10.9.9.8/24 dev out")?;
        ip("neighbour replace 10.9.9.9 lladdr 02:00:00:00:00:09 dev out nud permanent")?;
        name(&["127.0.0.1"])?;
        for n in 0..3 {
            let start = Instant::now();
            assert_eq!(echo(&database, n).await?, n);
            println!(
                "idle for {idle:?}, then packets vanish: answer {n} after {:?}",
                start.elapsed()
            );
        }
        ip("address del 10.9.9.8/24 dev out")?;
    }
    Ok(())
}
