//! The stack, created and deleted as far as moto supports it: functions with their roles and variables, layers, queues,
//! buckets, log groups, policies. moto ignores API Gateway's HTTP APIs, alarms, function URLs and the destinations of
//! failed invocations, runs no custom resource, and supports neither the definition of a REST API nor the attributes of
//! an Aurora cluster: `modes.rs` checks these in the template itself.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tests::{
    Account,
    cloudformation::{Stack, Template},
};

use crate::Outcome;

/// What moto makes, besides what it passes over.
const MADE: [&str; 8] = [
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
];

/// The stack as a template: what refers to a resource is a `Fn::Sub` again.
fn template(stack: &Stack) -> Value {
    let resources: Map<String, Value> = stack
        .iter()
        .map(|(id, resource)| {
            let mut resource = resource.clone();
            if let Some(fields) = resource.as_object_mut() {
                fields.remove("Condition");
                let properties = fields.get("Properties").map(referring);
                fields.extend(properties.map(|properties| ("Properties".to_owned(), properties)));
            }
            (id.clone(), resource)
        })
        .collect();
    json!({ "Resources": resources })
}

fn referring(value: &Value) -> Value {
    match value {
        // moto passes over function URLs, so they have no address.
        Value::String(text) if text.contains(".FunctionUrl}") => json!("https://url.example.org/"),
        Value::String(text) if text.contains("${") => json!({ "Fn::Sub": text }),
        Value::Array(items) => items.iter().map(referring).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), referring(field)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

async fn made(parameters: &[(&str, &str)]) -> Result<()> {
    let stack = Template::expanded().await?.stack(parameters)?;
    let account = Account::open().await?;
    let printed = account
        .python_with("create.py", &template(&stack).to_string())
        .await?;
    let printed: Value = serde_json::from_str(&printed).context("what was made")?;
    let made = printed["made"].as_array().context("resources")?;
    for (id, resource) in &stack {
        let kind = resource["Type"].as_str().context("a type")?;
        if MADE.contains(&kind) {
            assert!(made.contains(&json!(id)), "{id} was not made");
        }
        if kind != "AWS::Lambda::Function" {
            continue;
        }
        let (function, properties) = (&printed["functions"][id], &resource["Properties"]);
        assert_eq!(function["Handler"], properties["Handler"], "{id}");
        assert_eq!(function["Timeout"], properties["Timeout"], "{id}");
        let given = properties["Environment"]["Variables"].as_object();
        let got = &function["Environment"]["Variables"];
        for (name, value) in given.into_iter().flatten() {
            let value = value.as_str().context("a variable is a text")?;
            let got = got[name]
                .as_str()
                .with_context(|| format!("{id} has no {name}"))?;
            // What referred to a resource is its name by now.
            assert!(
                value == got || value.contains("${") && !got.contains("${"),
                "{id}: {name} is {got}"
            );
            assert!(got.len() < 4096, "{id}: {name}");
        }
    }
    assert_eq!(
        printed["left"],
        json!([]),
        "the stack is gone, though its database never was there"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_created_and_deleted_in_each_mode() -> Outcome {
    let url = (
        "DatabaseUrlArn",
        "arn:aws:ssm:eu-west-1:123456789012:parameter/rappel/url",
    );
    made(&[url]).await?;
    made(&[
        url,
        ("Authorization", "jwt"),
        ("JwtIssuer", "https://login.example.org/"),
        ("JwtAudience", "rappel"),
    ])
    .await?;
    made(&[url, ("Authorization", "open"), ("Dashboard", "on")]).await?;
    made(&[url, ("Authorization", "keys"), ("FollowTables", "on")]).await?;
    made(&[
        url,
        ("Authorization", "jwt+keys"),
        ("JwtIssuer", "https://login.example.org/"),
        ("JwtAudience", "rappel"),
        ("SubnetIds", "subnet-1"),
        ("SecurityGroupIds", "sg-1"),
    ])
    .await
}
