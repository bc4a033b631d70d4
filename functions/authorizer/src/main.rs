//! The authorizer of the REST API of `/chat`, which unlike an HTTP API cannot validate JWTs itself.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html>

mod issuer;
mod key;
mod token;

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn, tracing};
use serde::{Deserialize, Serialize};
use telemetry::{self, Telemetry};

use crate::{
    issuer::Issuer,
    token::{Refusal, Rules},
};

/// The request of API Gateway.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    /// The header `Authorization`.
    authorization_token: String,
    method_arn: String,
}

/// The answer: a policy for this one request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
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

/// The error that API Gateway answers with 401; any other one is a 500.
const UNAUTHORIZED: &str = "Unauthorized";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("authorizer")?;
    let rules = Rules::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let issuer = Issuer::new(&rules.issuer)?;
    let state = Arc::new((rules, issuer));
    let handle = service_fn(move |event| {
        let state = Arc::clone(&state);
        telemetry::outcome(async move { answer(&state.0, &state.1, event).await })
    });
    telemetry.run(Runtime::new(handle)).await
}

async fn answer(
    rules: &Rules,
    issuer: &Issuer,
    event: LambdaEvent<Asked>,
) -> Result<Answer, Error> {
    let asked = event.payload;
    let (principal_id, effect) = match rules.check(&asked.authorization_token, issuer).await {
        Ok(subject) => (subject, "Allow"),
        // A valid token without the scope gets 403, as from an HTTP API.
        Err(Refusal::Scope(subject)) => (subject, "Deny"),
        Err(Refusal::Invalid(reason)) => {
            tracing::info!(reason, "token rejected");
            return Err(UNAUTHORIZED.into());
        }
        Err(Refusal::Issuer(error)) => return Err(error.into()),
    };
    Ok(Answer {
        principal_id,
        policy_document: Policy {
            version: "2012-10-17",
            statement: [Statement {
                action: "execute-api:Invoke",
                effect,
                resource: asked.method_arn,
            }],
        },
    })
}
