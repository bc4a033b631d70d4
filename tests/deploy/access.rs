//! Access: by default, every route requires IAM authorization.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::cloudformation::{Stack, Template};

use crate::Outcome;

const TOKENS: [(&str, &str); 3] = [
    ("Authorization", "jwt"),
    ("JwtIssuer", "https://login.example.org/"),
    ("JwtAudience", "rappel"),
];

/// Who may invoke a function by default: API Gateway for the routes, and `EventBridge` for the schedule of Sync.
const SERVICES: [&str; 2] = [r#""apigateway.amazonaws.com""#, r#""events.amazonaws.com""#];

/// The console's page and files, which hold nothing: a browser loads them before it can say who it is.
const CONSOLE: [&str; 6] = [
    "GET /",
    "GET /console/{file+}",
    "GET /openapi.json",
    "HEAD /",
    "HEAD /console/{file+}",
    "HEAD /openapi.json",
];

/// The properties of the routes, by their keys, but those of the console.
fn routes(stack: &Stack) -> Result<BTreeMap<&str, &Value>> {
    let resources = stack.values();
    let routes = resources.filter(|resource| resource["Type"] == "AWS::ApiGatewayV2::Route");
    let keyed = routes.map(|route| {
        let properties = &route["Properties"];
        Ok((
            properties["RouteKey"].as_str().context("a route key")?,
            properties,
        ))
    });
    let mut keyed: BTreeMap<_, _> = keyed.collect::<Result<_>>()?;
    keyed.retain(|key, _| !CONSOLE.contains(key));
    assert!(keyed.len() >= 8, "{keyed:?}");
    Ok(keyed)
}

/// Everybody whom a function lets invoke it.
fn principals(stack: &Stack) -> BTreeSet<String> {
    let permissions = stack
        .values()
        .filter(|r| r["Type"] == "AWS::Lambda::Permission");
    permissions
        .map(|permission| permission["Properties"]["Principal"].to_string())
        .collect()
}

/// Whether a route, or an ARN of one, is the administrators'.
fn administers(route: &str) -> bool {
    [
        "/keys",
        "/tenants",
        "/usage",
        "/audit",
        "PUT /sources",
        "PUT/sources",
    ]
    .iter()
    .any(|path| route.contains(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_every_route_requires_iam() -> Outcome {
    let stack = Template::expanded().await?.stack(&[])?;
    for (key, route) in routes(&stack)? {
        assert_eq!(route["AuthorizationType"], "AWS_IAM", "{key}");
    }
    assert_eq!(stack["ChatUrl"]["Properties"]["AuthType"], "AWS_IAM");
    assert_eq!(principals(&stack), SERVICES.map(str::to_owned).into());
    for permission in stack
        .values()
        .filter(|r| r["Type"] == "AWS::Lambda::Permission")
    {
        let source = permission["Properties"]["SourceArn"].as_str();
        assert!(
            source.is_some_and(|arn| arn.contains("${Api}/") || arn == "${SyncEachMinute.Arn}"),
            "{permission}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_jwt_every_route_requires_a_token_with_its_scope() -> Outcome {
    let stack = Template::expanded().await?.stack(&TOKENS)?;
    for (key, route) in routes(&stack)? {
        assert_eq!(route["AuthorizationType"], "JWT", "{key}");
        assert_eq!(route["AuthorizerId"], "${TokenAuthorizer}", "{key}");
        let looks = ["GET ", "HEAD "]
            .iter()
            .any(|method| key.starts_with(method));
        let of_writers = key.contains("/imports") || key.contains("/sources");
        let asks = ["POST /search", "POST /mcp", "DELETE /mcp"].contains(&key);
        let reads = asks || (looks && !of_writers);
        let scope = match (administers(key), reads) {
            (true, _) => "rappel/admin",
            (false, true) => "rappel/read",
            (false, false) => "rappel/write",
        };
        assert_eq!(route["AuthorizationScopes"], json!([scope]), "{key}");
    }
    let authorizer = &stack["TokenAuthorizer"]["Properties"]["JwtConfiguration"];
    assert_eq!(
        *authorizer,
        json!({ "Issuer": "https://login.example.org/", "Audience": ["rappel"] })
    );
    assert_eq!(
        stack["ChatUrl"]["Properties"]["AuthType"], "NONE",
        "a URL knows no tokens; the function does"
    );
    let variables = &stack["Chat"]["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["AUTHORIZATION"], "jwt");
    assert_eq!(variables["JWT_ISSUER"], "https://login.example.org/");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_scope_any_token_of_the_audience_is_accepted() -> Outcome {
    let none = [
        ("JwtReadScope", ""),
        ("JwtWriteScope", ""),
        ("JwtAdminScope", ""),
    ];
    let parameters = [TOKENS.as_slice(), &none].concat();
    let stack = Template::expanded().await?.stack(&parameters)?;
    for (key, route) in routes(&stack)? {
        assert_eq!(route["AuthorizationType"], "JWT", "{key}");
        // An empty scope is one that no token has.
        assert_eq!(route["AuthorizationScopes"], Value::Null, "{key}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keys_every_function_is_told_to_ask_for_them() -> Outcome {
    let template = Template::expanded().await?;
    let both = TOKENS.map(|(name, value)| {
        let is_mode = name == "Authorization";
        (name, if is_mode { "jwt+keys" } else { value })
    });
    for (mode, parameters) in [
        ("keys", vec![("Authorization", "keys")]),
        ("jwt+keys", both.to_vec()),
    ] {
        let stack = template.stack(&parameters)?;
        for (key, route) in routes(&stack)? {
            assert_eq!(route["AuthorizationType"], "NONE", "{key}");
        }
        assert_eq!(stack["ChatUrl"]["Properties"]["AuthType"], "NONE");
        // Only an answer to CloudFormation serves nobody.
        let functions = stack
            .iter()
            .filter(|(id, it)| it["Type"] == "AWS::Lambda::Function" && *id != "MigrateFailed");
        for (id, function) in functions {
            let variables = &function["Properties"]["Environment"]["Variables"];
            assert_eq!(variables["AUTHORIZATION"], mode, "{id}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_open_access_needs_no_credentials() -> Outcome {
    let stack = Template::expanded()
        .await?
        .stack(&[("Authorization", "open")])?;
    for (key, route) in routes(&stack)? {
        assert_eq!(route["AuthorizationType"], "NONE", "{key}");
    }
    assert_eq!(stack["ChatUrl"]["Properties"]["AuthType"], "NONE");
    // Lambda asks for both of anybody who calls a URL.
    assert_eq!(
        stack["OpenChatUrl"]["Properties"]["Action"],
        "lambda:InvokeFunctionUrl"
    );
    assert_eq!(
        stack["OpenChat"]["Properties"]["Action"],
        "lambda:InvokeFunction"
    );
    assert_eq!(
        stack["OpenChat"]["Properties"]["InvokedViaFunctionUrl"],
        true
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_needs_no_credentials_and_can_be_disabled() -> Outcome {
    let template = Template::expanded().await?;
    for parameters in [&[][..], &TOKENS, &[("Authorization", "open")]] {
        let stack = template.stack(parameters)?;
        let open = stack.values().filter(|resource| {
            let key = resource["Properties"]["RouteKey"].as_str();
            key.is_some_and(|key| CONSOLE.contains(&key))
        });
        let open: Vec<_> = open.map(|route| &route["Properties"]).collect();
        assert_eq!(open.len(), CONSOLE.len(), "{open:?}");
        for route in open {
            assert_eq!(route["AuthorizationType"], "NONE", "{route}");
            assert_eq!(route["Target"], "integrations/${ConsoleIntegration}");
        }
    }
    let without = template.stack(&[("WebConsole", "off")])?;
    let named = without.keys().filter(|id| id.contains("Console"));
    assert_eq!(named.count(), 0, "nothing of it is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_chats_only_where_a_browser_can() -> Outcome {
    const API: &str = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}";
    const REST: (&str, &str) = ("ChatEndpoint", "rest");
    let template = Template::expanded().await?;
    let told = |parameters: &[(&str, &str)]| -> Result<_> {
        let stack = template.stack(parameters)?;
        let console = stack.get("Console").cloned().unwrap_or_default();
        let variables = console["Properties"]["Environment"]["Variables"].clone();
        let by_url = stack["ChatUrl"]["Properties"]["Cors"]["AllowOrigins"].clone();
        let by_rest =
            stack["Chat"]["Properties"]["Environment"]["Variables"]["CORS_ORIGINS"].clone();
        Ok((variables, by_url, by_rest))
    };
    // It says who may chat, and from where it may ask.
    for (parameters, authorization, chat, by_url, by_rest) in [
        (vec![], "iam", "iam", Value::Null, ""),
        (TOKENS.to_vec(), "jwt", "jwt", json!([API]), ""),
        (
            vec![("Authorization", "open")],
            "open",
            "open",
            json!([API]),
            "",
        ),
        (
            [TOKENS.as_slice(), &[REST]].concat(),
            "jwt",
            "jwt",
            Value::Null,
            API,
        ),
    ] {
        let (variables, url, rest) = told(&parameters)?;
        assert_eq!(
            variables["CONSOLE_AUTHORIZATION"], authorization,
            "{parameters:?}"
        );
        // That of the API.
        assert_eq!(
            variables["CONSOLE_CHAT_AUTHORIZATION"],
            Value::Null,
            "{parameters:?}"
        );
        assert_eq!(authorization, chat, "{parameters:?}");
        let address = if parameters.contains(&REST) {
            "https://${ChatApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live/chat"
        } else {
            "${ChatUrl.FunctionUrl}"
        };
        assert_eq!(variables["CONSOLE_CHAT_URL"], address, "{parameters:?}");
        assert_eq!(rest, by_rest, "{parameters:?}");
        if !parameters.contains(&REST) {
            assert_eq!(url, by_url, "{parameters:?}");
        }
    }
    let others = ("CorsOrigins", "https://a.example,https://b.example");
    let (_, url, _) = told(&[("Authorization", "open"), others])?;
    assert_eq!(url, json!(["https://a.example", "https://b.example", API]));
    let (_, url, _) = told(&[("Authorization", "open"), ("WebConsole", "off")])?;
    assert_eq!(url, Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_web_origins_may_call() -> Outcome {
    let template = Template::expanded().await?;
    let cors = |stack: &Stack| {
        let api = stack["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"].clone();
        (
            api,
            stack["ChatUrl"]["Properties"]["Cors"]["AllowOrigins"].clone(),
        )
    };
    assert_eq!(cors(&template.stack(&[])?), (Value::Null, Value::Null));
    let named = template.stack(&[("CorsOrigins", "https://a.example,https://b.example")])?;
    let origins = json!(["https://a.example", "https://b.example"]);
    assert_eq!(cors(&named), (origins.clone(), origins));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_in_the_access_policy_of_its_scope() -> Outcome {
    let template = Template::expanded().await?;
    let stack = template.stack(&TOKENS)?;
    for (policy, scope) in [
        ("ReadAccess", "rappel/read"),
        ("WriteAccess", "rappel/write"),
    ] {
        let expected: BTreeSet<String> = routes(&stack)?
            .into_iter()
            .filter(|(_, route)| route["AuthorizationScopes"] == json!([scope]))
            .map(|(key, _)| {
                key.replace("{id}", "*")
                    .replace("{id+}", "*")
                    .replace("{name}", "*")
                    .replacen(' ', "", 1)
            })
            .collect();
        let statement = &stack[policy]["Properties"]["PolicyDocument"]["Statement"][0];
        assert_eq!(statement["Action"], "execute-api:Invoke");
        let allowed: BTreeSet<String> = statement["Resource"]
            .as_array()
            .context("resources")?
            .iter()
            .filter_map(|resource| Some(resource.as_str()?.split_once("${Api}/*/")?.1.to_owned()))
            .collect();
        assert_eq!(allowed, expected, "{policy}");
    }
    // Whoever may read may not spend money on the language model.
    let reading = serde_json::to_string(&stack["ReadAccess"])?;
    assert!(!reading.contains("Chat"), "{reading}");
    let chat = &stack["ChatAccess"]["Properties"]["PolicyDocument"]["Statement"];
    assert_eq!(chat[0]["Action"], "lambda:InvokeFunctionUrl");
    assert_eq!(chat[0]["Resource"], "${Chat.Arn}");
    let admin = &stack["AdminAccess"]["Properties"]["PolicyDocument"]["Statement"];
    assert_eq!(
        admin[0],
        json!({ "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "${Migrate.Arn}" })
    );
    let administration = admin[1]["Resource"].as_array().context("resources")?;
    let mut all = administration.iter().filter_map(Value::as_str);
    assert!(all.all(administers), "{administration:?}");
    Ok(())
}
