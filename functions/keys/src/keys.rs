//! `POST /keys`, `GET /keys` and `DELETE /keys/{id}`.

use access::{Caller, KeyRequest};
use lambda_http::http::Method;
use shared::{
    Error, State as _,
    http::{self, Request, Response},
};

use crate::{KeysState, sees_all};

pub(crate) async fn answer(
    state: &KeysState,
    caller: &Caller,
    request: &Request,
) -> Result<Response, Error> {
    let database = state.database();
    if *request.method() == Method::POST {
        let new = http::json::<KeyRequest>(request)?;
        let new = new.parse(&caller.visibility.tenant, caller.operates)?;
        return http::created(&access::create(database, &new, &caller.name).await?);
    }
    let tenant = (!sees_all(caller)).then_some(&caller.visibility.tenant);
    let Some(id) = http::optional_path_parameter(request, "id")? else {
        let page = http::list_request(request)?.parse()?;
        return http::ok(&access::list(database, tenant, page).await?);
    };
    if access::revoke(database, tenant, &id, &caller.name).await? {
        return Ok(http::empty());
    }
    Err(Error::NoKey(id))
}
