//! `GET /usage` and `GET /audit`: what was used, and done.

use access::{Caller, UsageRequest};
use shared::{
    Error, State as _,
    http::{self, Parameters, Request, Response},
};

use crate::{KeysState, sees_all};

pub(crate) async fn usage(
    state: &KeysState,
    caller: &Caller,
    request: &Request,
) -> Result<Response, Error> {
    let mut parameters = Parameters::of(request);
    let page = UsageRequest {
        from: parameters.text("from"),
        to: parameters.text("to"),
        tenant: parameters.text("tenant"),
        cursor: parameters.text("cursor"),
        limit: parameters.whole("limit"),
    };
    parameters.finish()?;
    let mut query = page.parse()?;
    if !sees_all(caller) {
        let own = &caller.visibility.tenant;
        let named = query.tenant.replace(own.clone());
        if named.is_some_and(|named| named != *own) {
            let detail = "only a caller with admin of all tenants sees the usage of others";
            return Err(Error::Forbidden(detail.to_owned()));
        }
    }
    http::ok(&query.read(state.database()).await?)
}

pub(crate) async fn audit(
    state: &KeysState,
    caller: &Caller,
    request: &Request,
) -> Result<Response, Error> {
    let page = http::list_request(request)?.parse()?;
    let tenant = (!sees_all(caller)).then_some(&caller.visibility.tenant);
    http::ok(&access::acts(state.database(), tenant, page).await?)
}
