//! Administration: `/keys`, `/tenants`, `/usage` and `/audit`. Links no model.
//!
//! One function: administrators send a few requests a day, and each function has connections, a role and alarms.

mod keys;
mod records;
mod tenants;

use std::sync::Arc;

use access::Caller;
use bulk_imports::Removals;
use database::Database;
use shared::{
    DatabaseState, Error, State,
    http::{self, Request, Response},
};

/// The state between requests.
#[derive(Clone)]
struct KeysState {
    database: DatabaseState,
    /// `None` without a queue.
    removals: Option<Arc<Removals>>,
}

impl State for KeysState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        Ok(Self {
            database: DatabaseState::for_all_tenants(function)?,
            removals: Removals::from_env()?.map(Arc::new),
        })
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        self.database.warm().await
    }

    fn database(&self) -> &Database {
        self.database.database()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("keys", handle).await
}

async fn handle(state: KeysState, request: Request) -> Result<Response, Error> {
    let caller = http::caller(&request)?;
    // One who sees only some documents could make a key that sees all.
    if caller.visibility.filter.is_some() {
        let detail = "a caller with a forced filter cannot manage keys and tenants";
        return Err(Error::Forbidden(detail.to_owned()));
    }
    let route = http::route_key(&request);
    match route.split_once(' ').map_or("", |(_, path)| path) {
        "/usage" => records::usage(&state, caller, &request).await,
        "/audit" => records::audit(&state, caller, &request).await,
        "/tenants" | "/tenants/{id}" => tenants::answer(&state, caller, &request).await,
        _ => keys::answer(&state, caller, &request).await,
    }
}

/// Whether a caller sees what there is of all tenants.
fn sees_all(caller: &Caller) -> bool {
    caller.operates && caller.visibility.tenant.as_str().is_empty()
}
