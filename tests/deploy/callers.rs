//! Who gets in, in each mode of `Authorization`: requests without credentials, with wrong and with right ones, through what
//! the template renders, to the functions as it starts them.
//!
//! API Gateway and the authentication of function URLs do not run here: [`admit`] imitates them from the routes, authorizers
//! and policies of the stack. It verifies no signature, neither that of AWS nor a token's, no expiry and no condition of a policy,
//! and caches nothing. What the functions verify is the real code: keys, tokens wherever the template has no authorizer, and
//! all of `Authorizer`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tests::{
    App,
    cloudformation::Stack,
    command::{Printed, rappel},
    issuer::{claims_of, issuer_with, new_key, signed_with},
};

use crate::{Outcome, rendered::Rendered};

/// A route that reads, one that writes, and the administrators' one. None needs the model.
const ROUTES: [(&str, &str); 3] = [
    ("GET /documents", "/documents"),
    ("DELETE /documents/{id+}", "/documents/nobody"),
    ("GET /keys", "/keys"),
];

/// The answers to whoever may do all: there is no such document, and no language model.
const ALL: [u16; 4] = [200, 404, 200, 501];

const URL: (&str, &str) = (
    "DatabaseUrlArn",
    "arn:aws:ssm:eu-west-3:123456789012:parameter/rappel/database-url",
);

/// What a request presents.
#[derive(Clone, Debug)]
enum Credential {
    Nothing,
    /// A signature by a principal with these policies of the stack.
    Signed(&'static [&'static str]),
    /// A key or a token.
    Bearer(String),
}
use Credential::{Bearer, Nothing, Signed};

/// What API Gateway and function URLs do before a function is invoked: the authorizer's part of the event's context, or the
/// status of a refusal. `kind` is the type of authorization, `action` and `resource` what a signature asks for.
fn admit(
    stack: &Stack,
    (kind, action, resource): (&str, &str, &str),
    scopes: &Value,
    credential: &Credential,
) -> Result<Result<Value, u16>> {
    Ok(match (kind, credential) {
        ("NONE", _) => Ok(Value::Null),
        ("AWS_IAM", Signed(policies)) => {
            let mut policies = policies.iter();
            let arn = "arn:aws:iam::123456789012:user/ada";
            let allowed = policies.any(|policy| allows(&stack[*policy], action, resource));
            allowed
                .then(|| json!({ "iam": { "accountId": "123456789012", "userArn": arn } }))
                .ok_or(403)
        }
        ("AWS_IAM", _) => Err(403),
        ("JWT", Bearer(token)) => {
            let authorizer = &stack["TokenAuthorizer"]["Properties"];
            assert_eq!(
                authorizer["IdentitySource"],
                json!(["$request.header.Authorization"])
            );
            token_context(&authorizer["JwtConfiguration"], scopes, token)?
        }
        ("JWT", _) => Err(401),
        _ => anyhow::bail!("no door has the authorization {kind}"),
    })
}

/// Whether a policy allows an action on a resource.
fn allows(policy: &Value, action: &str, resource: &str) -> bool {
    let one_of = |allowed: &Value, wanted: &str| match allowed {
        Value::Array(all) => all
            .iter()
            .any(|it| fits(it.as_str().unwrap_or_default(), wanted)),
        one => fits(one.as_str().unwrap_or_default(), wanted),
    };
    let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array();
    statements.into_iter().flatten().any(|statement| {
        statement["Effect"] == "Allow"
            && one_of(&statement["Action"], action)
            && one_of(&statement["Resource"], resource)
    })
}

/// Whether a text fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| fits(rest, &text[at..]))
        }),
    }
}

/// What an HTTP API's JWT authorizer makes of a token.
fn token_context(authorizer: &Value, scopes: &Value, token: &str) -> Result<Result<Value, u16>> {
    let Some(claims) = token.split('.').nth(1) else {
        return Ok(Err(401));
    };
    let claims: Map<String, Value> =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
    let words = |name: &str| -> BTreeSet<String> {
        match claims.get(name) {
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
            _ => BTreeSet::new(),
        }
    };
    let listed = |list: &Value, words: &BTreeSet<String>| {
        let mut list = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        list.any(|it| words.contains(it))
    };
    if claims.get("iss") != Some(&authorizer["Issuer"])
        || !listed(&authorizer["Audience"], &words("aud"))
    {
        return Ok(Err(401));
    }
    if scopes.is_array() && !listed(scopes, &words("scope")) {
        return Ok(Err(403));
    }
    // All claims are texts there.
    let claims = claims.iter().map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), Value::String(text))
    });
    let claims: Map<String, Value> = claims.collect();
    Ok(Ok(json!({ "jwt": { "claims": claims, "scopes": scopes } })))
}

/// The header that a credential is in.
fn header(credential: &Credential) -> Option<String> {
    match credential {
        Nothing => None,
        Signed(_) => Some("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261128/eu-west-3".to_owned()),
        Bearer(token) => Some(format!("Bearer {token}")),
    }
}

impl Rendered {
    /// The status of a request to a route of the HTTP API.
    async fn route(&self, key: &str, path: &str, credential: &Credential) -> Result<u16> {
        let mut resources = self.stack.values();
        let route = resources.find(|resource| resource["Properties"]["RouteKey"] == key);
        let route = &route.with_context(|| format!("no route {key}"))?["Properties"];
        let (method, _) = key.split_once(' ').context("a method")?;
        let arn = format!(
            "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{Api}}/$default/{method}{path}"
        );
        let kind = route["AuthorizationType"].as_str().context("a type")?;
        let asked = (kind, "execute-api:Invoke", arn.as_str());
        let admitted = admit(
            &self.stack,
            asked,
            &route["AuthorizationScopes"],
            credential,
        )?;
        let context = match admitted {
            Ok(context) => context,
            Err(status) => return Ok(status),
        };
        let target = route["Target"].as_str().context("a target")?;
        let integration = target
            .trim_start_matches("integrations/${")
            .trim_end_matches('}');
        let function = self.stack[integration]["Properties"]["IntegrationUri"].as_str();
        let function = function.and_then(|arn| arn.strip_prefix("${")?.strip_suffix(".Arn}"));
        let mut event: Value = serde_json::from_str(include_str!("../events/documents-list.json"))?;
        event["routeKey"] = json!(key);
        event["rawPath"] = json!(path);
        event["rawQueryString"] = json!("");
        event["queryStringParameters"] = Value::Null;
        event["requestContext"]["routeKey"] = json!(key);
        event["requestContext"]["http"]["method"] = json!(method);
        event["requestContext"]["http"]["path"] = json!(path);
        if let Some((_, id)) = path.split_once("/documents/") {
            event["pathParameters"] = json!({ "id": id });
        }
        if !context.is_null() {
            event["requestContext"]["authorizer"] = context;
        }
        if let Some(value) = header(credential) {
            event["headers"]["authorization"] = json!(value);
        }
        let answer = self
            .app
            .invoke(function.context("a function")?, event)
            .await?;
        let status = answer["statusCode"].as_u64();
        Ok(u16::try_from(status.with_context(|| answer.to_string())?)?)
    }

    /// The status of a chat, at the function's URL or through the REST API.
    async fn chat(&self, credential: &Credential) -> Result<u16> {
        if self.stack.contains_key("ChatApi") {
            if let Err(status) = self.authorizer(credential).await? {
                return Ok(status);
            }
        } else {
            let kind = self.stack["ChatUrl"]["Properties"]["AuthType"].as_str();
            let asked = (
                kind.context("a type")?,
                "lambda:InvokeFunctionUrl",
                "${Chat.Arn}",
            );
            if let Err(status) = admit(&self.stack, asked, &Value::Null, credential)? {
                return Ok(status);
            }
        }
        let header = header(credential);
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(header.as_deref().map(|value| ("authorization", value)));
        let body = json!({ "question": "Quand ferme la plage ?" }).to_string();
        let answer = self
            .app
            .request(Method::POST, "/chat", &headers, body.into());
        Ok(answer.await?.status)
    }

    /// What the REST API does with tokens: the function `Authorizer` decides.
    async fn authorizer(&self, credential: &Credential) -> Result<Result<(), u16>> {
        let body = &self.stack["ChatApi"]["Properties"]["Body"];
        let security = &body["paths"]["/chat"]["post"]["security"];
        assert_eq!(*security, json!([{ "tokens": [] }]));
        let Some(value) = header(credential) else {
            // Without the header the function is not asked.
            return Ok(Err(401));
        };
        let method = "arn:aws:execute-api:eu-west-3:123456789012:a1b2c3d4e5/live/POST/chat";
        let event = json!({ "type": "TOKEN", "authorizationToken": value, "methodArn": method });
        Ok(match self.app.invoke("authorizer", event).await {
            Ok(answer) if answer["policyDocument"]["Statement"][0]["Effect"] == "Allow" => Ok(()),
            Ok(_) => Err(403),
            Err(error) if error.to_string().contains("Unauthorized") => Err(401),
            Err(error) => return Err(error),
        })
    }

    /// Fails unless each credential gets these statuses: to read, to write, to administer, to chat.
    async fn answers(&self, mode: &str, expected: &[(Credential, [u16; 4])]) -> Outcome {
        for (credential, statuses) in expected {
            let mut got = Vec::new();
            for (key, path) in ROUTES {
                got.push(self.route(key, path, credential).await?);
            }
            got.push(self.chat(credential).await?);
            assert_eq!(got, statuses, "{mode}: {credential:?}");
        }
        Ok(())
    }
}

/// A new key with these scopes.
async fn key(app: &App, scopes: &str) -> Result<String> {
    let create = ["keys", "create", "--name", "story", "--scope", scopes];
    let printed = Printed::by(&mut rappel(Some(app.database_url()), &create).await?).await?;
    Ok(printed.answer()?.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_each_mode_only_the_right_credentials_get_in() -> Outcome {
    let signed = Rendered::start(&[URL], Vec::new()).await?;
    signed.app.invoke("migrate", json!({})).await?;
    let all: &[&str] = &["ReadAccess", "ChatAccess", "WriteAccess", "AdminAccess"];
    let expected = [
        (Nothing, [403; 4]),
        (Signed(&[]), [403; 4]),
        (Signed(&["ReadAccess"]), [200, 403, 403, 403]),
        (Signed(&["ChatAccess"]), [403, 403, 403, 501]),
        (Signed(all), ALL),
    ];
    signed.answers("iam", &expected).await?;

    // The other modes on the same database.
    let url = signed.app.database_url().to_owned();
    let mode = async |parameters: &[(&str, &str)]| {
        let url = ("DATABASE_URL".to_owned(), url.clone());
        Rendered::start(&[&[URL][..], parameters].concat(), vec![url]).await
    };
    let open = mode(&[("Authorization", "open")]).await?;
    open.answers("open", &[(Nothing, ALL)]).await?;
    drop(open);

    let (searching, full) = (
        key(&signed.app, "search").await?,
        key(&signed.app, "search,chat,write,admin").await?,
    );
    let of_keys = [
        (Nothing, [401; 4]),
        (Bearer("rpl_wrong".to_owned()), [401; 4]),
        (Bearer(searching), [200, 403, 403, 403]),
        (Bearer(full), ALL),
    ];
    let keys = mode(&[("Authorization", "keys")]).await?;
    keys.answers("keys", &of_keys).await?;
    drop(keys);

    let (ours, foreign) = (new_key()?, new_key()?);
    let issuer = issuer_with(&ours).await?;
    let issuer_url = issuer.url();
    let token = |claims: Value| -> Result<Credential> {
        Ok(Bearer(signed_with(&ours, &claims_of(&issuer, &claims)?)?))
    };
    let forged = Bearer(signed_with(&foreign, &claims_of(&issuer, &json!({}))?)?);
    let scopes = "rappel/read rappel/write rappel/admin";
    let of_tokens = [
        (Nothing, [401; 4]),
        (token(json!({ "aud": "another" }))?, [401; 4]),
        (token(json!({ "scope": "openid" }))?, [403; 4]),
        (token(json!({}))?, [200, 403, 403, 501]),
        (token(json!({ "scope": scopes }))?, ALL),
    ];
    let tokens = |kind| {
        [
            ("Authorization", kind),
            ("JwtIssuer", issuer_url.as_str()),
            ("JwtAudience", "rappel"),
        ]
    };
    let jwt = mode(&tokens("jwt")).await?;
    jwt.answers("jwt", &of_tokens).await?;
    // The imitation verifies no signature; the function behind the URL does.
    assert_eq!(jwt.chat(&forged).await?, 401);
    drop(jwt);
    let rest = mode(&[&[("ChatEndpoint", "rest")][..], &tokens("jwt")].concat()).await?;
    rest.answers("jwt, rest", &of_tokens).await?;
    assert_eq!(rest.chat(&forged).await?, 401);
    drop(rest);

    let both = mode(&tokens("jwt+keys")).await?;
    both.answers("jwt+keys", &of_tokens).await?;
    both.answers("jwt+keys", &of_keys).await?;
    both.answers("jwt+keys", &[(forged, [401; 4])]).await
}
