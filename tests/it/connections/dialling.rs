//! Hosts with several addresses.

use std::{net::Ipv6Addr, time::Instant};

use database::{AddressFamily, Cause, Database};
use servers::skip::skipped;
use tests::{
    App,
    proxy::{Proxy, with_port},
};

use super::{Outcome, cause, echo, server_port, settings};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_address_family_is_dialled() -> Outcome {
    let app = App::unmigrated().await?;
    let mut config = settings(app.database_url());
    config.address_family = AddressFamily::Ipv4;
    assert_eq!(echo(&Database::new(&config)?, 1).await?, 1);
    config.address_family = AddressFamily::Ipv6;
    let (found, said) = cause(&config).await?;
    assert_eq!(found, Cause::Dns);
    assert!(said.contains("DATABASE_ADDRESS_FAMILY"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_in_the_url_is_dialled() -> Outcome {
    let app = App::unmigrated().await?;
    let Ok(proxy) = Proxy::at(Ipv6Addr::LOCALHOST.into(), server_port(&app)?).await else {
        return skipped("this machine has no ::1");
    };
    let url = with_port(app.database_url(), proxy.port())?.replace("127.0.0.1", "[::1]");
    let start = Instant::now();
    assert_eq!(echo(&Database::new(&settings(&url))?, 1).await?, 1);
    println!("[::1]: connected and answered after {:?}", start.elapsed());
    Ok(())
}
