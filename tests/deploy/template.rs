//! The template, checked by AWS's own tools.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;
use tests::{
    Assets, Tools,
    cloudformation::{Stack, Template},
};

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn sam_validate_and_cfn_lint_report_nothing() -> Outcome {
    let workspace = &Assets::prepared().await?.workspace;
    let tools = Tools::installed().await?;
    // Each finds what the others miss.
    for (program, arguments) in [
        ("sam", &["validate"][..]),
        ("sam", &["validate", "--lint"]),
        ("cfn-lint", &["template.yaml"]),
    ] {
        Tools::run(
            tools
                .command(program)
                .args(arguments)
                .current_dir(workspace),
        )
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_changes_before_the_schema_has() -> Outcome {
    let stack = Template::expanded().await?.stack(&[])?;
    let mut waiting = 0;
    for (id, resource) in &stack {
        if resource["Type"] == "AWS::Lambda::Function" && !id.starts_with("Migrate") {
            assert_eq!(resource["DependsOn"], "Schema", "{id}");
            waiting += 1;
        }
    }
    assert!(waiting >= 5, "{waiting} functions");

    // The migration runs again with each version of its code, each layer and each database.
    let schema = &stack["Schema"]["Properties"];
    let property = |name: &str| schema[name].as_str().map(str::to_owned);
    let referenced = |name: &str| {
        let id = property(name)?;
        Some(stack[id.strip_prefix("${")?.strip_suffix('}')?]["Type"].clone())
    };
    assert_eq!(schema["ServiceToken"], "${Migrate.Arn}");
    assert_eq!(referenced("Code").context("Code")?, "AWS::Lambda::Version");
    assert_eq!(
        referenced("Model").context("Model")?,
        "AWS::Lambda::LayerVersion"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_database_setting_migrates_again_and_exposes_no_secret() -> Outcome {
    let template = Template::expanded().await?;
    let arn = |name: &str| format!("arn:aws:secretsmanager:eu-west-3:123456789012:secret:{name}");
    let (url, login, owner) = (arn("url#url"), arn("rds!db"), arn("owner"));
    let key = "arn:aws:kms:eu-west-3:123456789012:key/5b1f0c60";
    let passwordless = "postgres://database.example.org:5432/rappel";
    let base = template.stack(&[("DatabaseUrlArn", &url)])?["Schema"].clone();
    for change in [
        ("DatabaseUrlArn", arn("another").as_str()),
        ("DatabaseCredentialsArn", &login),
        ("MigrationDatabaseUrlArn", &owner),
        ("SecretsKeyArn", key),
        ("DatabasePooler", "direct"),
        ("SearchRecall", "0.9"),
        ("IndexBuildMemory", "2GB"),
        ("SubnetIds", "subnet-1,subnet-2"),
        ("SecurityGroupIds", "sg-1"),
        ("Revision", "2"),
    ] {
        // Of two values of a parameter the first one counts.
        let changed = template.stack(&[change, ("DatabaseUrlArn", &url)])?;
        assert_ne!(changed["Schema"], base, "{change:?}");
    }
    let changed = template.stack(&[
        ("DatabaseUrl", passwordless),
        ("DatabaseCredentialsArn", &login),
    ])?;
    assert_eq!(changed["Schema"]["Properties"]["Database"], passwordless);

    let stack = template.stack(&[
        ("DatabaseUrlArn", &url),
        ("MigrationDatabaseUrlArn", &owner),
    ])?;
    for (id, resource) in &stack {
        let variables = &resource["Properties"]["Environment"]["Variables"];
        if id == "Console" {
            assert_eq!(
                variables["DATABASE_URL"],
                Value::Null,
                "it asks no database"
            );
        } else if variables.is_object() {
            assert_eq!(
                variables["DATABASE_URL"], url,
                "{id} gets the reference, not the URL"
            );
            let is_migrate = id == "Migrate";
            assert_eq!(
                variables["MIGRATION_DATABASE_URL"] == *owner,
                is_migrate,
                "{id}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_deploy_can_be_repeated() -> Outcome {
    let stack = Template::expanded().await?.stack(&[])?;
    let mut named = 0;
    for (id, resource) in &stack {
        let name = match resource["Type"].as_str().context("a type")? {
            "AWS::ApiGatewayV2::Api" => "Name",
            "AWS::CloudWatch::Alarm" => "AlarmName",
            "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
            "AWS::IAM::Role" => "RoleName",
            "AWS::Lambda::Function" => "FunctionName",
            "AWS::Lambda::LayerVersion" => "LayerName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::S3::Bucket" => "BucketName",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::SQS::Queue" => "QueueName",
            _ => continue,
        };
        let Some(name) = resource["Properties"][name].as_str() else {
            continue;
        };
        assert!(name.contains("${AWS::StackName}"), "{id}: {name}");
        // Two stacks may have one name one after the other, and a group of logs is what the first one leaves.
        let outlives = resource["DeletionPolicy"] == "Retain";
        assert!(!outlives || id == "Onnx", "{id}: {name}");
        named += 1;
    }
    assert!(named >= 3, "{named} names");
    assert_eq!(
        stack["ImportBucket"]["DeletionPolicy"],
        "RetainExceptOnCreate"
    );
    Ok(())
}

/// The sandboxes that are reserved for each function.
fn reserved(stack: &Stack) -> BTreeMap<&str, String> {
    let mut all = BTreeMap::new();
    for (id, resource) in stack {
        let reserved = &resource["Properties"]["ReservedConcurrentExecutions"];
        if !reserved.is_null() {
            all.insert(id.as_str(), reserved.to_string().replace('"', ""));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_concurrency_matches_the_sizing_check() -> Outcome {
    let template = Template::expanded().await?;
    assert_eq!(reserved(&template.stack(&[])?), BTreeMap::new());
    let stack = template.stack(&[("ReservedConcurrency", "20")])?;
    let reserved = reserved(&stack);
    assert_eq!(reserved["Migrate"], "1");
    assert_eq!(reserved["ImportWorker"], "4", "ImportConcurrency");
    assert_eq!(reserved["Sync"], "2");
    let of_requests = reserved.values().filter(|count| *count == "20").count();
    assert_eq!(
        of_requests, 9,
        "as the parameter's description says: {reserved:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_has_alarms_and_log_retention() -> Outcome {
    let template = Template::expanded().await?;
    let stack = template.stack(&[("AlarmEmail", "ada@example.org"), ("LogRetentionDays", "7")])?;
    let functions: BTreeSet<String> = stack
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Function")
        // Whose failures are a 5xx of the API, which has an alarm too.
        .filter(|(id, _)| *id != "Console")
        .map(|(id, _)| format!("${{{id}}}"))
        .collect();
    let alarms = ["ErrorsAlarm", "BackgroundErrorsAlarm"];
    let metrics = alarms.map(|alarm| stack[alarm]["Properties"]["Metrics"].as_array());
    let watched: BTreeSet<String> = metrics
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|metric| metric.pointer("/MetricStat/Metric/Dimensions/0/Value"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    assert_eq!(watched, functions);
    let mut alarms = 0;
    for (id, resource) in &stack {
        let properties = &resource["Properties"];
        match resource["Type"].as_str() {
            Some("AWS::CloudWatch::Alarm") => {
                assert_eq!(properties["AlarmActions"][0], "${AlarmTopic}", "{id}");
                // AWS takes no more of an alarm on an expression, and its tools do not say so before a deploy.
                let metrics = properties["Metrics"].as_array().into_iter().flatten();
                let read = metrics.filter(|metric| metric["MetricStat"].is_object());
                assert!(read.count() <= 10, "{id}");
                alarms += 1;
            }
            Some("AWS::Lambda::Function") => {
                assert_eq!(properties["LoggingConfig"]["LogGroup"], "${Logs}", "{id}");
                assert_eq!(properties["TracingConfig"]["Mode"], "Active", "{id}");
            }
            Some("AWS::Logs::LogGroup") => assert_eq!(properties["RetentionInDays"], "7", "{id}"),
            _ => {}
        }
    }
    assert!(alarms >= 4, "{alarms} alarms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_have_the_billed_duration_and_those_of_the_api_a_name_that_aws_delivers_to() -> Outcome
{
    let stack = Template::expanded()
        .await?
        .stack(&[("LogLevel", "ERROR")])?;
    let mut functions = 0;
    for (id, resource) in &stack {
        let logging = &resource["Properties"]["LoggingConfig"];
        if logging.is_object() && id != "MigrateFailed" {
            assert_eq!(
                logging["SystemLogLevel"], "INFO",
                "{id}: with the lines REPORT"
            );
            assert_eq!(logging["ApplicationLogLevel"], "ERROR", "{id}");
            functions += 1;
        }
    }
    assert!(functions >= 10, "{functions}");
    // Other names need a resource policy, of which an account has few.
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
    let name = stack["ApiLogs"]["Properties"]["LogGroupName"].as_str();
    assert!(
        name.is_some_and(|name| name.starts_with("/aws/vendedlogs/")),
        "{name:?}"
    );
    let stage = &stack["ApiStage"]["Properties"];
    assert_eq!(
        stage["AccessLogSettings"]["DestinationArn"],
        "${ApiLogs.Arn}"
    );
    Ok(())
}
