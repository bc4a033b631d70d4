//! The permissions of the functions: exactly the documented list.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;
use tests::cloudformation::{Stack, Template};

use crate::Outcome;

const DATABASE_URL: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:db-AbCdEf";
const CREDENTIALS: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:rds!db-GhIjKl";
const OWNER: &str = "arn:aws:ssm:eu-west-3:123456789012:parameter/rappel/owner";
const LLM_KEY: &str = "arn:aws:ssm:eu-west-3:123456789012:parameter/llm/key";
const KMS_KEY: &str = "arn:aws:kms:eu-west-3:123456789012:key/5b1f0c60";

/// The rights of every function, whatever the parameters.
const ALWAYS: [&str; 4] = [
    "Allow logs:CreateLogStream ${Logs.Arn}",
    "Allow logs:PutLogEvents ${Logs.Arn}",
    "Allow xray:PutTelemetryRecords *",
    "Allow xray:PutTraceSegments *",
];

/// What a function in a VPC needs of EC2, through Lambda alone.
const NETWORK: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

/// What the two functions of imports may do with their queue and their bucket.
const IMPORTS: [&str; 5] = [
    "Allow s3:GetObject ${ImportBucket.Arn}",
    "Allow s3:GetObject ${ImportBucket.Arn}/*",
    "Allow s3:ListBucket ${ImportBucket.Arn}",
    "Allow s3:ListBucket ${ImportBucket.Arn}/*",
    "Allow sqs:SendMessage ${ImportQueue.Arn}",
];

/// What the worker may do besides: take messages, and write pieces.
const WORKER: [&str; 5] = [
    "Allow s3:PutObject ${ImportBucket.Arn}/imports/*",
    "Allow sqs:ChangeMessageVisibility ${ImportQueue.Arn}",
    "Allow sqs:DeleteMessage ${ImportQueue.Arn}",
    "Allow sqs:GetQueueAttributes ${ImportQueue.Arn}",
    "Allow sqs:ReceiveMessage ${ImportQueue.Arn}",
];

/// Lambda reports a failed invocation with the role of the function that failed.
const FAILURES: [&str; 1] = ["Allow lambda:InvokeFunction ${MigrateFailed.Arn}"];

type Rights = BTreeMap<String, BTreeSet<String>>;

/// The rights of each function's role; a role serves one function, and names no policy of others.
fn rights(stack: &Stack) -> Result<Rights> {
    let mut rights = Rights::new();
    let mut roles = BTreeSet::new();
    for (id, function) in stack {
        if function["Type"] != "AWS::Lambda::Function" {
            continue;
        }
        let role = function["Properties"]["Role"].as_str().context("a role")?;
        let role = role
            .strip_prefix("${")
            .and_then(|role| role.strip_suffix(".Arn}"));
        let role = role.with_context(|| format!("the role of {id} is the stack's own"))?;
        assert!(roles.insert(role), "{role} serves one function");
        let properties = stack[role]["Properties"].as_object().context("a role")?;
        let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(keys, ["AssumeRolePolicyDocument", "Policies"], "{role}");
        let policies = properties["Policies"].as_array().context("policies")?;
        let statements = policies
            .iter()
            .filter_map(|policy| policy.pointer("/PolicyDocument/Statement")?.as_array())
            .flatten();
        rights.insert(id.clone(), statements.flat_map(lines).collect());
    }
    Ok(rights)
}

/// One line for each action on each resource.
fn lines(statement: &Value) -> Vec<String> {
    let effect = statement["Effect"].as_str().unwrap_or_default();
    let mut lines = Vec::new();
    for action in texts(&statement["Action"]) {
        for resource in texts(&statement["Resource"]) {
            lines.push(format!("{effect} {action} {resource}"));
        }
    }
    lines
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn set(lines: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    lines.into_iter().collect()
}

/// The rights of the function with this name, beside those that every function has.
fn own(function: &str) -> BTreeSet<String> {
    let (imports, worker) = match function {
        "Imports" => (IMPORTS.as_slice(), [].as_slice()),
        "ImportWorker" => (IMPORTS.as_slice(), WORKER.as_slice()),
        // Removals of tenants.
        "Keys" => ([].as_slice(), &IMPORTS[4..]),
        "Migrate" => (FAILURES.as_slice(), [].as_slice()),
        _ => ([].as_slice(), [].as_slice()),
    };
    set(imports
        .iter()
        .chain(worker)
        .map(|right| (*right).to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_only_the_permissions_that_it_needs() -> Outcome {
    let stack = Template::expanded().await?.stack(&[])?;
    for (function, rights) in rights(&stack)? {
        let mut expected = set(ALWAYS.map(str::to_owned));
        expected.extend(own(&function));
        assert_eq!(rights, expected, "{function}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_option_a_function_reads_its_own_secrets_and_no_other() -> Outcome {
    let url = format!("{DATABASE_URL}#url");
    let stack = Template::expanded().await?.stack(&[
        ("DatabaseUrlArn", &url),
        ("DatabaseCredentialsArn", CREDENTIALS),
        ("MigrationDatabaseUrlArn", OWNER),
        ("SecretsKeyArn", KMS_KEY),
        ("LlmApiKeyArn", LLM_KEY),
        ("SubnetIds", "subnet-1,subnet-2"),
        ("SecurityGroupIds", "sg-1"),
        (
            "RerankerLayer",
            "arn:aws:lambda:eu-west-3:123456789012:layer:reranker:1",
        ),
        ("ReservedConcurrency", "20"),
        (
            "ImportSources",
            "arn:aws:s3:::archive,arn:aws:s3:::archive/*",
        ),
        ("Authorization", "jwt"),
        ("AlarmEmail", "ada@example.org"),
    ])?;
    let mut everybody = set(ALWAYS.map(str::to_owned));
    everybody.insert(format!(
        "Allow secretsmanager:GetSecretValue {DATABASE_URL}"
    ));
    everybody.insert(format!("Allow ssm:GetParameter {DATABASE_URL}"));
    everybody.insert(format!("Allow secretsmanager:GetSecretValue {CREDENTIALS}"));
    everybody.insert(format!("Allow kms:Decrypt {KMS_KEY}"));
    for action in NETWORK {
        everybody.insert(format!("Allow {action} *"));
        // The denial is for the function's own code, which the next story looks at.
        everybody.insert(format!("Deny {action} *"));
    }
    let mut expected: Rights = [
        "Chat",
        "Documents",
        "Health",
        "ImportWorker",
        "Imports",
        "Ingest",
        "Keys",
        "Mcp",
        "Migrate",
        "Search",
        "Sources",
        "Sync",
    ]
    .map(|function| {
        let mut rights = everybody.clone();
        rights.extend(own(function));
        for (only, secret) in [("Chat", LLM_KEY), ("Migrate", OWNER)] {
            if function == only {
                rights.insert(format!("Allow secretsmanager:GetSecretValue {secret}"));
                rights.insert(format!("Allow ssm:GetParameter {secret}"));
            }
        }
        if function.starts_with("Import") {
            for action in ["s3:GetObject", "s3:ListBucket"] {
                rights.insert(format!("Allow {action} arn:aws:s3:::archive"));
                rights.insert(format!("Allow {action} arn:aws:s3:::archive/*"));
            }
        }
        (function.to_owned(), rights)
    })
    .into();
    for without_a_database in ["Console", "MigrateFailed"] {
        expected.insert(
            without_a_database.to_owned(),
            set(ALWAYS.map(str::to_owned)),
        );
    }
    assert_eq!(rights(&stack)?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_decrypts_secrets_and_nothing_else() -> Outcome {
    let stack = Template::expanded()
        .await?
        .stack(&[("SecretsKeyArn", KMS_KEY)])?;
    let text = serde_json::to_string(&stack["SearchRole"])?;
    let condition = r#""Condition":{"StringEquals":{"kms:ViaService":["secretsmanager.${AWS::Region}.${AWS::URLSuffix}","ssm.${AWS::Region}.${AWS::URLSuffix}"]}}"#;
    assert!(text.contains(condition), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_stays_within_a_boundary_that_is_given() -> Outcome {
    let boundary = "arn:aws:iam::123456789012:policy/developers";
    let parameters = [("PermissionsBoundaryArn", boundary)];
    let stack = Template::expanded().await?.stack(&parameters)?;
    let roles = stack
        .iter()
        .filter(|(_, it)| it["Type"] == "AWS::IAM::Role");
    let mut bound = 0;
    for (id, role) in roles {
        assert_eq!(role["Properties"]["PermissionsBoundary"], boundary, "{id}");
        bound += 1;
    }
    assert!(bound >= 9, "{bound} roles");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_lambda_may_change_the_network_interfaces_of_a_vpc() -> Outcome {
    let stack = Template::expanded()
        .await?
        .stack(&[("SubnetIds", "subnet-1")])?;
    let mut denials = 0;
    for (id, role) in &stack {
        let policies = role["Properties"]["Policies"].as_array();
        let statements = policies.into_iter().flatten();
        for statement in statements
            .filter_map(|policy| policy.pointer("/PolicyDocument/Statement")?.as_array())
            .flatten()
        {
            // Only the one that allows has no condition: a denial with one that never holds is none.
            assert_eq!(
                statement["Effect"] == "Deny",
                statement["Condition"].is_object(),
                "{id}"
            );
            if statement["Effect"] == "Deny" {
                let function = &statement["Condition"]["ArnLike"]["lambda:SourceFunctionArn"];
                assert!(
                    function
                        .as_str()
                        .is_some_and(|arn| arn.ends_with(":function:*")),
                    "{id}"
                );
                denials += 1;
            }
        }
    }
    let outside = ["Console", "MigrateFailed"];
    assert_eq!(denials, rights(&stack)?.len() - outside.len());
    for function in outside {
        assert!(
            stack[function]["Properties"]["VpcConfig"].is_null(),
            "{function} is in no VPC"
        );
    }
    Ok(())
}
