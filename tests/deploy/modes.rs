//! The modes of a deploy: what each adds, and that every reference resolves.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::cloudformation::{Stack, Template};

use crate::Outcome;

const REST: (&str, &str) = ("ChatEndpoint", "rest");
const AURORA: (&str, &str) = ("Database", "aurora");
const TOKENS: [(&str, &str); 3] = [
    ("Authorization", "jwt"),
    ("JwtIssuer", "https://login.example.org/"),
    ("JwtAudience", "rappel"),
];

/// Every name of a resource that a value refers to: `${Search.Arn}`, `${Search}`.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split(['}', '.']).next())
            .filter(|name| !name.starts_with("AWS::"))
            .map(str::to_owned)
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_mode_each_reference_leads_to_a_resource() -> Outcome {
    let template = Template::expanded().await?;
    let subnets = [("SubnetIds", "subnet-1"), ("SecurityGroupIds", "sg-1")];
    let open = ("Authorization", "open");
    let keys = ("ChatRequestsPerDay", "100");
    let releases = [
        ("SearchRelease", "f00"),
        ("SearchTraffic", "Canary10Percent5Minutes"),
    ];
    for parameters in [
        vec![],
        TOKENS.to_vec(),
        vec![open],
        vec![REST, keys],
        vec![
            REST,
            open,
            ("CorsOrigins", "https://a.example"),
            ("Dashboard", "on"),
        ],
        [vec![REST, keys, AURORA], TOKENS.to_vec(), subnets.to_vec()].concat(),
        vec![AURORA, ("AlarmEmail", "ada@example.org")],
        releases.to_vec(),
    ] {
        let stack = template.stack(&parameters)?;
        for (id, resource) in &stack {
            for name in references(resource) {
                assert!(
                    stack.contains_key(&name),
                    "{parameters:?}: {id} refers to {name}"
                );
            }
            let before = resource["DependsOn"].as_str();
            assert!(
                before.is_none_or(|name| stack.contains_key(name)),
                "{id}: {before:?}"
            );
        }
    }
    Ok(())
}

/// Who may chat, by the REST API's definition.
fn security(stack: &Stack) -> Result<Value> {
    let paths = stack["ChatApi"]["Properties"]["Body"]["paths"].as_object();
    let paths = paths.context("paths")?;
    let asked = &paths["/chat"]["post"]["security"];
    assert!(paths.len() >= 5, "{paths:?}");
    for (path, methods) in paths {
        let methods = methods.as_object().context("methods")?;
        for (method, described) in methods {
            let integration = &described["x-amazon-apigateway-integration"];
            assert_eq!(integration["responseTransferMode"], "STREAM", "{path}");
            let uri = integration["uri"].as_str().context("a function")?;
            // Of the date and the action that stream.
            assert!(
                uri.contains("/2021-11-15/functions/${Chat.Arn}/response-streaming-invocations")
            );
            // A browser asks first without a token.
            let expected = if method == "options" {
                &Value::Null
            } else {
                asked
            };
            assert_eq!(described["security"], *expected, "{method} {path}");
        }
        assert!(
            methods.contains_key("options") && methods.len() == 2,
            "{path}"
        );
    }
    Ok(asked.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_on_a_rest_api_is_authorized_like_the_other_routes() -> Outcome {
    let template = Template::expanded().await?;
    let keys = ("ChatRequestsPerDay", "100");
    for (parameters, expected) in [
        (vec![REST], json!([{ "sigv4": [] }])),
        (vec![REST, keys], json!([{ "key": [], "sigv4": [] }])),
        (vec![REST, ("Authorization", "open")], json!([])),
        (
            [vec![REST], TOKENS.to_vec()].concat(),
            json!([{ "tokens": [] }]),
        ),
        (
            [vec![REST, keys], TOKENS.to_vec()].concat(),
            json!([{ "key": [], "tokens": [] }]),
        ),
    ] {
        let stack = template.stack(&parameters)?;
        assert_eq!(security(&stack)?, expected, "{parameters:?}");
        // The URL is still there, and lets in nobody who has no right to it.
        assert_eq!(stack["ChatUrl"]["Properties"]["AuthType"], "AWS_IAM");
        assert!(!stack.contains_key("OpenChat") && !stack.contains_key("OpenChatUrl"));
        let limits = &stack["ChatApiliveStage"]["Properties"]["MethodSettings"][0];
        assert_eq!(limits["ThrottlingRateLimit"], "100", "{parameters:?}");
    }
    let stack = template.stack(&[vec![REST], TOKENS.to_vec()].concat())?;
    let variables = &stack["Authorizer"]["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["JWT_ISSUER"], "https://login.example.org/");
    assert_eq!(variables["JWT_SCOPE"], "rappel/read");
    assert!(
        !template.stack(&[])?.contains_key("ChatApi"),
        "the URL is the default"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_on_a_rest_api_supports_keys_a_firewall_and_browsers() -> Outcome {
    let acl = "arn:aws:wafv2:eu-west-3:123456789012:regional/webacl/mine/1a2b";
    let parameters = [
        REST,
        ("ChatRequestsPerDay", "100"),
        ("ChatWebAclArn", acl),
        ("CorsOrigins", "https://a.example,https://b.example"),
    ];
    let stack = Template::expanded().await?.stack(&parameters)?;
    assert_eq!(
        stack["ChatPlan"]["Properties"]["Quota"],
        json!({ "Period": "DAY", "Limit": "100" })
    );
    assert_eq!(stack["ChatFirewall"]["Properties"]["WebACLArn"], acl);
    let variables = &stack["Chat"]["Properties"]["Environment"]["Variables"];
    assert_eq!(
        variables["CORS_ORIGINS"],
        "https://a.example,https://b.example"
    );
    let access = serde_json::to_string(&stack["ChatAccess"])?;
    assert!(access.contains("${ChatApi}/live/POST/chat"), "{access}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_database_is_one_parameter() -> Outcome {
    let stack = Template::expanded().await?.stack(&[AURORA])?;
    let cluster = &stack["AuroraCluster"]["Properties"];
    assert_eq!(cluster["MasterUserAuthenticationType"], "iam-db-auth");
    assert_eq!(
        cluster["MasterUserPassword"],
        Value::Null,
        "nobody has a password"
    );
    assert_eq!(
        cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"], 0,
        "it may pause"
    );
    assert_eq!(cluster["BackupRetentionPeriod"], 7);
    assert_eq!(stack["AuroraCluster"]["DeletionPolicy"], "Snapshot");
    assert_eq!(
        stack["Schema"]["Properties"]["Instance"], "${AuroraInstance}",
        "Migrate waits for it"
    );
    let login = "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${AuroraCluster.DBClusterResourceId}/rappel";
    for (id, resource) in &stack {
        let properties = &resource["Properties"];
        let variables = &properties["Environment"]["Variables"];
        if !variables["DATABASE_URL"].is_string() {
            continue;
        }
        let url =
            "postgres://rappel@${AuroraCluster.Endpoint.Address}:5432/rappel?sslmode=verify-full";
        assert_eq!(variables["DATABASE_URL"], url, "{id}");
        assert_eq!(variables["DATABASE_CREDENTIALS"], "iam", "{id}");
        assert_eq!(
            properties["VpcConfig"]["SubnetIds"],
            json!(["${SubnetA}", "${SubnetB}"]),
            "{id}"
        );
        let rights = serde_json::to_string(&stack[format!("{id}Role").as_str()])?;
        assert!(rights.contains(login), "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_database_may_be_in_existing_subnets() -> Outcome {
    let parameters = [
        AURORA,
        ("SubnetIds", "subnet-1,subnet-2"),
        ("SecurityGroupIds", "sg-1"),
    ];
    let stack = Template::expanded().await?.stack(&parameters)?;
    assert!(!stack.contains_key("Vpc"), "{:?}", stack.keys());
    let subnets = &stack["AuroraSubnets"]["Properties"]["SubnetIds"];
    assert_eq!(*subnets, json!(["subnet-1", "subnet-2"]));
    assert_eq!(
        stack["AuroraCluster"]["Properties"]["VpcSecurityGroupIds"],
        json!(["sg-1"])
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_is_created_on_request() -> Outcome {
    let template = Template::expanded().await?;
    assert!(!template.stack(&[])?.contains_key("Page"), "it costs money");
    let stack = template.stack(&[("Dashboard", "on")])?;
    let body = stack["Page"]["Properties"]["DashboardBody"].as_str();
    let body: Value = serde_json::from_str(body.context("a body")?).context("it is JSON")?;
    let widgets = body["widgets"].as_array().context("widgets")?;
    assert!(widgets.len() >= 5, "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_release_searches_use_a_version_that_may_be_provisioned() -> Outcome {
    let template = Template::expanded().await?;
    let target = |stack: &Stack| stack["SearchIntegration"]["Properties"]["IntegrationUri"].clone();
    assert_eq!(target(&template.stack(&[])?), "${Search.Arn}");
    let stack = template.stack(&[("SearchRelease", "f00"), ("SearchProvisioned", "2")])?;
    assert_eq!(target(&stack), "${SearchAlias}");
    assert_eq!(
        stack["SearchPermission"]["Properties"]["FunctionName"],
        "${SearchAlias}"
    );
    // Another description makes another version.
    assert_eq!(stack["SearchVersion"]["Properties"]["Description"], "f00");
    let ready = &stack["SearchAlias"]["Properties"]["ProvisionedConcurrencyConfig"];
    assert_eq!(*ready, json!({ "ProvisionedConcurrentExecutions": "2" }));
    Ok(())
}
