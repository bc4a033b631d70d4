//! `GET /tenants`, and `GET`, `PUT` and `DELETE /tenants/{id}`.

use access::Caller;
use document_store::{Limits, Tenant};
use lambda_http::http::{Method, StatusCode};
use shared::{
    Error, State as _,
    http::{self, Request, Response},
};

use crate::KeysState;

pub(crate) async fn answer(
    state: &KeysState,
    caller: &Caller,
    request: &Request,
) -> Result<Response, Error> {
    let Some(id) = http::optional_path_parameter(request, "id")? else {
        require(caller.operates)?;
        let page = http::list_request(request)?.parse()?;
        return http::ok(&document_store::list_tenants(state.database(), page).await?);
    };
    let tenant = Tenant::parse(&id, "id")?;
    if *request.method() == Method::DELETE {
        require(caller.operates)?;
        let removals = state.removals.as_ref().ok_or(Error::NoQueue)?;
        removals
            .begin(state.database(), &tenant, &caller.name)
            .await?;
        return respond(state, &tenant, StatusCode::ACCEPTED).await;
    }
    if *request.method() == Method::PUT {
        require(caller.operates)?;
        let limits: Limits = http::json(request)?;
        limits.check()?;
        document_store::limit_tenant(state.database(), &tenant, limits, &caller.name).await?;
        return respond(state, &tenant, StatusCode::OK).await;
    }
    require(caller.operates || tenant == caller.visibility.tenant)?;
    respond(state, &tenant, StatusCode::OK).await
}

/// Of a foreign tenant not even the existence shows.
fn require(permitted: bool) -> Result<(), Error> {
    if permitted {
        return Ok(());
    }
    let detail =
        "only a caller with admin of all tenants sees other tenants, limits and removes them";
    Err(Error::Forbidden(detail.to_owned()))
}

async fn respond(
    state: &KeysState,
    tenant: &Tenant,
    status: StatusCode,
) -> Result<Response, Error> {
    let found = document_store::tenant_state(state.database(), tenant).await?;
    let found = found.ok_or_else(|| Error::Internal("a tenant has no state".to_owned()))?;
    http::respond(status, &found)
}
