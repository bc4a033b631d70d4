//! Who a request is from, and whether its route is within that caller's scopes.

use std::sync::{Arc, OnceLock};

use access::{Access, Caller, Presented, Quota, Scope};
use lambda_http::{
    Request, RequestExt as _,
    http::{HeaderMap, Method, header::AUTHORIZATION},
    request::RequestContext,
};

use crate::{Error, State};

/// What a route requires of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requirement {
    /// Nothing: a monitor or a browser cannot say who it is.
    Nothing,
    /// Valid credentials with any scope.
    Credentials,
    /// A scope.
    Scope(Scope),
}

/// The header with the tenant that a caller acts for.
const TENANT: &str = "rappel-tenant";

/// Who the request is from.
///
/// # Errors
/// On a route that requires nothing of its caller: a mistake in the function.
pub fn caller(request: &Request) -> Result<&Caller, Error> {
    let caller = request.extensions().get::<Arc<Caller>>();
    let caller = caller.map(AsRef::as_ref);
    caller.ok_or_else(|| Error::Internal("the route requires no caller".to_owned()))
}

/// Finds out who the request is from, keeps that with the request, and counts it: what is left of the caller's limits is in
/// `quotas`.
///
/// # Errors
/// 401 without valid credentials, 403 without the scope of the route, 429 beyond a limit; 429 and 503 if it cannot be found
/// out now.
pub(super) async fn authorize<S: State>(
    function: &str,
    state: &S,
    access: &Arc<Access>,
    quotas: &OnceLock<Vec<Quota>>,
    request: &mut Request,
) -> Result<(), Error> {
    let required = requirement(function, request);
    if required == Requirement::Nothing {
        return Ok(());
    }
    let context = request.request_context_ref();
    // To follow a table, which evaluates SQL, takes the scope admin as well.
    let follows = function == "sources" && *request.method() == Method::PUT;
    let presented = Presented {
        authorization: text(request.headers(), AUTHORIZATION.as_str())?,
        tenant: text(request.headers(), TENANT)?,
        token_verified: is_token_verified(context),
        principal: principal(context),
        administers: follows || required == Requirement::Scope(Scope::Admin),
    };
    let caller = access.caller(state.database(), presented).await?;
    if let Requirement::Scope(scope) = required {
        caller.require(scope)?;
    }
    let (limits, admitted) = access.admit(&caller);
    quotas.get_or_init(|| limits);
    admitted?;
    let caller = Arc::new(caller);
    let (state, access, counted) = (state.clone(), Arc::clone(access), Arc::clone(&caller));
    telemetry::afterwards(async move {
        let usage = telemetry::usage();
        access.settle(state.database(), &counted, usage).await;
    });
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The requirement of a request to a function. A function that is not listed is the administrators'.
fn requirement(function: &str, request: &Request) -> Requirement {
    let reads = *request.method() == Method::GET;
    match function {
        // A browser asks for permission without credentials; what follows has them.
        "chat" if *request.method() == Method::OPTIONS => Requirement::Nothing,
        "chat" => Requirement::Scope(Scope::Chat),
        "search" | "mcp" => Requirement::Scope(Scope::Search),
        "documents" if reads => Requirement::Scope(Scope::Search),
        "documents" | "ingest" | "imports" | "sources" => Requirement::Scope(Scope::Write),
        "health" if is_deep(request) => Requirement::Credentials,
        "health" => Requirement::Nothing,
        _ => Requirement::Scope(Scope::Admin),
    }
}

/// Whether a health check asks for more than whether the function runs: whatever else it says than `deep=false`.
fn is_deep(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let mut parameters = query.split('&').filter(|pair| !pair.is_empty());
    parameters.any(|pair| pair != "deep=false")
}

fn text<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map(Some);
    text.map_err(|_| Error::Unauthorized(format!("the header {name} is not ASCII")))
}

/// Whether an HTTP API has verified the token of the request.
fn is_token_verified(context: Option<&RequestContext>) -> bool {
    let Some(RequestContext::ApiGatewayV2(context)) = context else {
        return false;
    };
    let authorizer = context.authorizer.as_ref();
    authorizer.is_some_and(|authorizer| authorizer.jwt.is_some())
}

/// The ARN of the principal that signed the request.
fn principal(context: Option<&RequestContext>) -> Option<&str> {
    match context? {
        RequestContext::ApiGatewayV2(context) => context
            .authorizer
            .as_ref()?
            .iam
            .as_ref()?
            .user_arn
            .as_deref(),
        RequestContext::ApiGatewayV1(context) => context.identity.user_arn.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::Body;

    use super::*;

    fn required(function: &str, method: Method, uri: &str) -> Requirement {
        let mut request = Request::new(Body::Empty);
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().expect("a URI");
        requirement(function, &request)
    }

    #[test]
    fn each_function_requires_its_scope_and_an_unlisted_one_the_highest() {
        for (function, method, scope) in [
            ("search", Method::POST, Scope::Search),
            ("mcp", Method::POST, Scope::Search),
            ("documents", Method::GET, Scope::Search),
            ("documents", Method::DELETE, Scope::Write),
            ("documents", Method::PATCH, Scope::Write),
            ("ingest", Method::PUT, Scope::Write),
            ("imports", Method::GET, Scope::Write),
            ("sources", Method::GET, Scope::Write),
            ("chat", Method::POST, Scope::Chat),
            ("keys", Method::GET, Scope::Admin),
            ("unlisted", Method::GET, Scope::Admin),
        ] {
            let found = required(function, method, "https://api.example/");
            assert_eq!(found, Requirement::Scope(scope), "{function}");
        }
    }

    #[test]
    fn only_a_shallow_health_check_and_a_preflight_require_nothing() {
        let health = |query| {
            required(
                "health",
                Method::GET,
                &format!("https://a.example/health{query}"),
            )
        };
        assert_eq!(health(""), Requirement::Nothing);
        assert_eq!(health("?deep=false"), Requirement::Nothing);
        for query in [
            "?deep=true",
            "?deep=%74rue",
            "?deep=1",
            "?deep=false&deep=true",
        ] {
            assert_eq!(health(query), Requirement::Credentials, "{query}");
        }
        let preflight = required("chat", Method::OPTIONS, "https://a.example/chat");
        assert_eq!(preflight, Requirement::Nothing);
    }
}
