//! A connection without the limits that functions have.

use std::time::Duration;

use database::{AddressFamily, DatabaseConfig, PoolerSetting};

/// One direct connection to the database with this URL, whose statements may take an hour and see all tenants.
#[must_use]
pub fn direct(url: String) -> DatabaseConfig {
    DatabaseConfig {
        url,
        credentials: None,
        pooler: PoolerSetting::Direct,
        address_family: AddressFamily::Auto,
        application_name: "rappel-bench".to_owned(),
        connections: 1,
        acquire_timeout: Duration::from_secs(30),
        wake_timeout: Duration::ZERO,
        statement_timeout: Duration::from_hours(1),
        settings: document_store::ALL_TENANTS,
    }
}
