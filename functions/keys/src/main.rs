//! `POST /keys`, `GET /keys` and `DELETE /keys/{id}`: API keys, without a model.

use access::{Caller, KeyRequest, Keys};
use document_store::Tenant;
use lambda_http::{RequestExt as _, http::Method};
use shared::{
    DatabaseState, Error, State as _,
    http::{self, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("keys", handle).await
}

async fn handle(state: DatabaseState, request: Request) -> Result<Response, Error> {
    let database = state.database();
    let caller = http::caller(&request)?;
    let tenant = tenant(caller)?;
    if *request.method() == Method::POST {
        let new = http::json::<KeyRequest>(&request)?;
        let new = new.parse(&caller.visibility.tenant, caller.operates)?;
        return http::created(&access::create(database, &new, &caller.name).await?);
    }
    // An HTTP API turns `/keys/` into an empty id.
    let id = request
        .path_parameters_ref()
        .and_then(|all| all.first("id"));
    if id.is_none_or(str::is_empty) {
        let keys = access::list(database, tenant).await?;
        return http::ok(&Keys { keys });
    }
    let id = http::path_parameter(&request, "id")?;
    if access::revoke(database, tenant, &id, &caller.name).await? {
        return Ok(http::empty());
    }
    Err(Error::NoKey(id))
}

/// The tenant whose keys the caller manages; `None` for all. One who sees only some documents could make a key that sees all.
fn tenant(caller: &Caller) -> Result<Option<&Tenant>, Error> {
    if caller.visibility.filter.is_some() {
        let detail = "a caller with a forced filter cannot manage keys";
        return Err(Error::Forbidden(detail.to_owned()));
    }
    let tenant = &caller.visibility.tenant;
    let all = caller.operates && *tenant == Tenant::default();
    Ok((!all).then_some(tenant))
}
