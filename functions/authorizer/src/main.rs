//! The authorizer of the REST API of `/chat`, which unlike an HTTP API cannot validate JWTs itself.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html>

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn, tracing};
use serde::{Deserialize, Serialize};
use telemetry::{self, Telemetry};
use tokens::{StartError, TokenError, Verifier};

/// The request of API Gateway.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerRequest {
    /// The header `Authorization`.
    authorization_token: String,
    method_arn: String,
}

/// The response: a policy for this one request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    principal_id: String,
    policy_document: Policy,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: String,
}

/// The tokens to accept.
struct Rules {
    verifier: Verifier,
    /// The scope that a token must have, if any.
    scope: Option<String>,
}

/// The error that API Gateway answers with 401; any other one is a 500.
const UNAUTHORIZED: &str = "Unauthorized";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("authorizer")?;
    let rules = Rules::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let rules = Arc::new(rules);
    let handle = service_fn(move |event| {
        let rules = Arc::clone(&rules);
        telemetry::outcome(async move { answer(&rules, event).await })
    });
    telemetry.run(Runtime::new(handle)).await
}

impl Rules {
    /// Reads `JWT_SCOPE` and what [`Verifier::from_env`] reads.
    fn from_env() -> Result<Self, StartError> {
        Ok(Self {
            verifier: Verifier::from_env()?,
            scope: settings::optional("JWT_SCOPE"),
        })
    }
}

async fn answer(
    rules: &Rules,
    event: LambdaEvent<AuthorizerRequest>,
) -> Result<AuthorizerResponse, Error> {
    let request = event.payload;
    let header = request.authorization_token.as_str();
    let token = tokens::bearer(header).unwrap_or(header);
    let claims = match rules.verifier.verify(token).await {
        Ok(claims) => claims,
        Err(TokenError::Invalid(reason)) => {
            tracing::info!(reason, "token rejected");
            return Err(UNAUTHORIZED.into());
        }
        Err(error @ TokenError::Issuer(_)) => return Err(error.into()),
    };
    let mut scopes = claims.words("scope").chain(claims.words("scp"));
    // A valid token without the scope gets 403, as from an HTTP API.
    let allowed = match &rules.scope {
        None => true,
        Some(required) => scopes.any(|scope| scope == required),
    };
    Ok(AuthorizerResponse {
        principal_id: claims.subject().to_owned(),
        policy_document: Policy {
            version: "2012-10-17",
            statement: [Statement {
                action: "execute-api:Invoke",
                effect: if allowed { "Allow" } else { "Deny" },
                resource: request.method_arn,
            }],
        },
    })
}
