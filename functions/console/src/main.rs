//! `GET /` and the files of its page: the console, without a build step, a database or a model.

mod api;
mod assets;
mod site;

use std::{convert::Infallible, sync::Arc};

use lambda_http::{Request, RequestExt as _, request::RequestContext, service_fn};
use telemetry::Telemetry;

use crate::{api::Api, site::Site};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = Telemetry::start("console")?;
    let api = Api::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let site = Arc::new(Site::new(&api));
    let handle = service_fn(move |request: Request| {
        let site = Arc::clone(&site);
        async move {
            telemetry::asked(&route(&request), request.headers());
            let mut response = site.answer(&request);
            if let Ok(id) = request.lambda_context().request_id.parse() {
                response.headers_mut().insert("x-request-id", id);
            }
            telemetry::answered(response.status().as_u16());
            Ok::<_, Infallible>(response)
        }
    });
    telemetry.run(lambda_http::runtime(handle)).await
}

/// The key of the request's route, such as `GET /console/{file+}`.
fn route(request: &Request) -> String {
    let key = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.clone(),
        _ => None,
    };
    key.unwrap_or_else(|| "$default".to_owned())
}
