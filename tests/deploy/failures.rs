//! The response to `CloudFormation` after a migration that did not respond: the template's `MigrateFailed`, run with
//! the event that Lambda sends it.

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::{
    Tools,
    cloudformation::Template,
    language_model::{LanguageModel, Reply},
};

use crate::Outcome;

/// Runs the function's code as Lambda does.
const RUN: &str = "
import json, sys, types
names = {}
exec(sys.argv[1], names)
names['handler'](json.loads(sys.argv[2]), types.SimpleNamespace(log_group_name='rappel-Logs-4hT0y'))
";

/// An event of Lambda's: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
fn failed(waiting: &LanguageModel, asked: &Value) -> anyhow::Result<Value> {
    let mut request: Value = serde_json::from_str(include_str!("../events/migrate-deploy.json"))?;
    request["ResponseURL"] = json!(format!("{}/answer?X-Amz-Signature=0f3a", waiting.url()));
    for (name, value) in asked.as_object().context("fields")? {
        request[name] = value.clone();
    }
    Ok(json!({
        "version": "1.0",
        "requestContext": { "condition": "RetriesExhausted", "approximateInvokeCount": 1 },
        "requestPayload": request,
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        "responsePayload": {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: 8f4b0a5e Error: fork/exec /var/task/bootstrap: exec format error",
        },
    }))
}

async fn reported(
    event: impl AsyncFnOnce(&LanguageModel) -> anyhow::Result<Value>,
) -> anyhow::Result<Value> {
    let stack = Template::expanded().await?.stack(&[])?;
    let code = stack["MigrateFailed"]["Properties"]["Code"]["ZipFile"].as_str();
    let waiting = LanguageModel::replying([Reply::Status(200, None, json!({}))]).await?;
    let event = event(&waiting).await?;
    let mut python = Tools::installed().await?.command("python");
    python.args(["-c", RUN, code.context("its code")?, &event.to_string()]);
    Tools::run(&mut python).await?;
    let mut asked = waiting.asked();
    let answer = asked.pop().context("CloudFormation is answered")?;
    assert_eq!(
        (answer.method.as_str(), answer.path.as_str()),
        ("PUT", "/answer?X-Amz-Signature=0f3a")
    );
    // The URL is signed for a request without one.
    assert_eq!(answer.content_type.unwrap_or_default(), "");
    Ok(answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_fails_at_once_when_migrate_does_not_start() -> Outcome {
    let answer = reported(async |waiting| failed(waiting, &json!({}))).await?;
    assert_eq!(
        answer,
        json!({
            "Status": "FAILED",
            "Reason": "Migrate ended without an answer: RequestId: 8f4b0a5e Error: fork/exec /var/task/bootstrap: exec \
                       format error. The log group rappel-Logs-4hT0y has more.",
            "PhysicalResourceId": "schema",
            "StackId": "arn:aws:cloudformation:eu-west-3:123456789012:stack/rappel/5b1f0c60-c95e-11f0-8f7c-0a3f5d2e6b11",
            "RequestId": "8f4b0a5e-2b0c-4c9d-9a52-3d6f0f1f7c22",
            "LogicalResourceId": "Schema",
        })
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_can_be_deleted_when_migrate_does_not_respond() -> Outcome {
    let fields = json!({ "RequestType": "Delete", "PhysicalResourceId": "schema" });
    let answer = reported(async |waiting| failed(waiting, &fields)).await?;
    assert_eq!(answer["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_invocation_is_reported_with_its_condition() -> Outcome {
    let answer = reported(async |waiting| {
        let mut event = failed(waiting, &json!({}))?;
        event["requestContext"]["condition"] = json!("EventAgeExceeded");
        event
            .as_object_mut()
            .context("an object")?
            .remove("responsePayload");
        Ok(event)
    })
    .await?;
    let reason = answer["Reason"].as_str().context("a reason")?;
    assert!(reason.contains("EventAgeExceeded"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_is_invoked_once_and_its_failure_invokes_migrate_failed() -> Outcome {
    let stack = Template::expanded().await?.stack(&[])?;
    let invocations = &stack["MigrateInvocations"]["Properties"];
    assert_eq!(invocations["Qualifier"], "$LATEST");
    assert_eq!(invocations["MaximumRetryAttempts"], 0);
    let destination = &invocations["DestinationConfig"]["OnFailure"]["Destination"];
    assert_eq!(*destination, "${MigrateFailed.Arn}");
    assert_eq!(stack["Schema"]["DependsOn"], "MigrateInvocations");
    Ok(())
}
