//! `PUT`, `GET` and `DELETE /sources/{name}`, `GET /sources` and `POST /sources/{name}/resync`: followed tables,
//! without a model.

use access::{Caller, Scope};
use database::Database;
use followed_tables::{Removed, SourceDefinition, SourceError};
use lambda_http::http::{Method, StatusCode};
use settings::optional;
use shared::{
    DatabaseState, Error, State,
    http::{self, Parameters, Request, Response},
};

/// The state between requests.
#[derive(Clone)]
struct SourcesState {
    database: DatabaseState,
    /// Whether the worker runs.
    follows: bool,
}

impl State for SourcesState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        Ok(Self {
            database: DatabaseState::for_all_tenants(function)?,
            follows: optional("FOLLOW_TABLES").is_some_and(|value| value == "on"),
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
    http::serve("sources", handle).await
}

async fn handle(state: SourcesState, request: Request) -> Result<Response, Error> {
    let database = state.database();
    let caller = http::caller(&request)?;
    // Documents of followed tables are not compared with a caller's filter.
    if caller.visibility.filter.is_some() {
        let detail = "a caller with a forced filter cannot manage sources";
        return Err(Error::Forbidden(detail.to_owned()));
    }
    let tenant = &caller.visibility.tenant;
    let Some(name) = http::optional_path_parameter(&request, "name")? else {
        let page = http::list_request(&request)?.parse()?;
        return http::ok(&followed_tables::sources(database, tenant, page).await?);
    };
    match *request.method() {
        Method::PUT => {
            may_follow(caller)?;
            if !state.follows {
                return Err(Error::NotFollowing);
            }
            let definition: SourceDefinition = http::json(&request)?;
            let followed = followed_tables::follow(database, tenant, &name, &definition)
                .await
                .map_err(api_error)?;
            let source = followed_tables::source(database, tenant, &name)
                .await
                .map_err(api_error)?;
            if followed.created {
                http::created(&source)
            } else {
                http::ok(&source)
            }
        }
        Method::POST => {
            followed_tables::resync(database, tenant, &name)
                .await
                .map_err(api_error)?;
            let source = followed_tables::source(database, tenant, &name)
                .await
                .map_err(api_error)?;
            http::respond(StatusCode::ACCEPTED, &source)
        }
        Method::DELETE => {
            let mut parameters = Parameters::of(&request);
            let keep = parameters.parsed("keep", "true or false").unwrap_or(false);
            parameters.finish()?;
            let left_to_owner = followed_tables::remove(database, tenant, &name, keep)
                .await
                .map_err(api_error)?;
            http::ok(&Removed { left_to_owner })
        }
        _ => http::ok(
            &followed_tables::source(database, tenant, &name)
                .await
                .map_err(api_error)?,
        ),
    }
}

/// The database reads any table, and evaluates expressions, with the functions' rights: an administrator of one tenant may
/// not have that done.
fn may_follow(caller: &Caller) -> Result<(), Error> {
    caller.require(Scope::Admin)?;
    if caller.operates || caller.visibility.tenant.as_str().is_empty() {
        return Ok(());
    }
    let detail = "only a caller with admin of all tenants may follow a table";
    Err(Error::Forbidden(detail.to_owned()))
}

fn api_error(error: SourceError) -> Error {
    match error {
        SourceError::Invalid(errors) => errors.into(),
        SourceError::Unknown(name) => Error::NoSource(name),
        SourceError::Database(error) => error.into(),
    }
}
