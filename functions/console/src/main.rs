//! `GET /` and what its page loads: the console, a few files without a build step; no database, no model.

mod assets;
mod settings;
mod site;

use std::{convert::Infallible, sync::Arc};

use lambda_http::{Request, RequestExt as _, service_fn};
use shared::telemetry::{self, Telemetry};

use crate::{settings::Settings, site::Site};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let telemetry = Telemetry::start("console")?;
    let settings =
        Settings::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let site = Arc::new(Site::new(&settings));
    let handle = service_fn(move |request: Request| {
        let site = Arc::clone(&site);
        async move {
            let id = request.lambda_context().request_id;
            let route = request.raw_http_path();
            let route = if route == "/" {
                "GET /"
            } else {
                "GET /console/{file+}"
            };
            telemetry::asked(route, request.headers());
            let mut response = site.answer(&request);
            telemetry::answered(response.status().as_u16());
            if let Ok(id) = id.parse() {
                response.headers_mut().insert("x-request-id", id);
            }
            Ok::<_, Infallible>(response)
        }
    });
    telemetry.run(lambda_http::runtime(handle)).await
}
