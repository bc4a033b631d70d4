//! The Postgres servers of the tests.

use std::sync::{Arc, Weak};

use anyhow::{Context, Result};
use servers::postgres::Postgres;
use tokio::sync::Mutex;

use crate::Assets;

/// A server that some tests hold; only one that alone holds it kills it.
pub(crate) type Server = Arc<Mutex<Postgres>>;

/// The server that all tests of this process share.
///
/// Only the tests that use it hold it: a static would never be dropped, and the server would
/// outlive the process.
pub(crate) async fn shared() -> Result<Server> {
    static SHARED: Mutex<Weak<Mutex<Postgres>>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return Ok(running);
    }
    let started = own().await?;
    *shared = Arc::downgrade(&started);
    Ok(started)
}

/// A server for one test, which may kill it.
pub(crate) async fn own() -> Result<Server> {
    let assets = Assets::prepared().await?;
    let postgres = Postgres::throwaway(&assets.postgres)
        .await
        .context("starting a throwaway Postgres")?;
    Ok(Arc::new(Mutex::new(postgres)))
}
