//! API Gateway and the laptop's gateway serve the same routes, and each function works with what its resource gives it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tests::cloudformation::Template;

use crate::{Outcome, rendered::Rendered};

/// The default, with all that it may do.
const PARAMETERS: [(&str, &str); 2] = [
    (
        "DatabaseUrlArn",
        "arn:aws:ssm:eu-west-3:123456789012:parameter/rappel/database-url",
    ),
    ("FollowTables", "on"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_template_answers_and_no_other_is_served() -> Outcome {
    let template = Template::expanded().await?;
    let stack = template.stack(&[])?;
    let mut expected = BTreeSet::new();
    for resource in stack.values() {
        match resource["Type"].as_str() {
            Some("AWS::ApiGatewayV2::Route") => {
                let key = resource["Properties"]["RouteKey"].as_str();
                expected.insert(key.context("a route has a key")?.to_owned());
            }
            // A URL has a host of its own; here it is the path with the function's name.
            Some("AWS::Lambda::Url") => {
                let function = resource["Properties"]["TargetFunctionArn"].as_str();
                let name = function.and_then(|name| name.strip_prefix("${")?.strip_suffix('}'));
                let name = name.context("a URL has a function")?.to_lowercase();
                expected.insert(format!("ANY /{name}"));
            }
            _ => {}
        }
    }
    // It takes every path there is; here, those that the REST API has in its place.
    let rest = template.stack(&[("ChatEndpoint", "rest")])?;
    let paths = rest["ChatApi"]["Properties"]["Body"]["paths"].as_object();
    expected.extend(
        paths
            .context("the REST API has paths")?
            .keys()
            .map(|path| format!("ANY {path}")),
    );

    let product = Rendered::start(&PARAMETERS, Vec::new()).await?;
    let app = &product.app;
    app.invoke("migrate", json!({})).await?;
    let served: BTreeSet<String> = app
        .routes()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(served, expected);

    for route in &served {
        let (method, path) = route.split_once(' ').context("a method and a path")?;
        let method = if method == "ANY" { "POST" } else { method };
        let method: Method = method.parse().context("a method")?;
        let path = path
            .replace("{id}", "nobody")
            .replace("{id+}", "no/body")
            .replace("{name}", "nobody");
        let answer = app
            .send(method, &path, "application/json", b"{}".to_vec())
            .await?;
        // The gateway's own refusals do not have it: a function has answered, if only that an empty
        // request is not enough.
        let answered = answer.header("apigw-requestid").is_some();
        assert!(
            answered && answer.status < 502,
            "{route}: {} {}",
            answer.status,
            answer.text
        );
    }
    product.works().await
}
