//! A deploy invokes the migration and waits for its response, as `CloudFormation` does.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    App,
    endpoint::Endpoint,
    language_model::{LanguageModel, ModelRequest, Reply},
    secrets::Secrets,
};
use tokio::time::sleep;

use crate::Outcome;

/// The golden event with the address of the one who waits, and with these fields.
fn event(waiting: &LanguageModel, fields: &Value) -> Result<Value> {
    let mut event: Value = serde_json::from_str(include_str!("../events/migrate-deploy.json"))?;
    event["ResponseURL"] = json!(format!("{}/answer?X-Amz-Signature=0f3a", waiting.url()));
    let fields = fields.as_object().context("fields")?;
    for (name, value) in fields {
        event[name] = value.clone();
    }
    Ok(event)
}

/// Somebody who takes one answer.
async fn waiting() -> Result<LanguageModel> {
    LanguageModel::replying([Reply::Status(200, None, json!({}))]).await
}

/// The one answer, which has the form that S3 and `CloudFormation` insist on.
fn answer(waiting: &LanguageModel) -> Result<Value> {
    let asked = waiting.asked();
    let [
        ModelRequest {
            method,
            path,
            content_type,
            body,
            ..
        },
    ] = &asked[..]
    else {
        anyhow::bail!("there must be one answer: {asked:?}");
    };
    assert_eq!(
        (method.as_str(), path.as_str()),
        ("PUT", "/answer?X-Amz-Signature=0f3a")
    );
    assert_eq!(
        content_type.as_deref(),
        None,
        "the signature is of a PUT without one"
    );
    assert_eq!(
        body["StackId"],
        "arn:aws:cloudformation:eu-west-3:123456789012:stack/rappel/5b1f0c60-c95e-11f0-8f7c-0a3f5d2e6b11"
    );
    assert_eq!(body["RequestId"], "8f4b0a5e-2b0c-4c9d-9a52-3d6f0f1f7c22");
    assert_eq!(body["LogicalResourceId"], "Schema");
    Ok(body.clone())
}

/// Why a first deploy fails.
async fn refused(app: &App) -> Result<String> {
    let waiting = waiting().await?;
    app.invoke("migrate", event(&waiting, &json!({}))?).await?;
    let failed = answer(&waiting)?;
    assert_eq!(failed["Status"], "FAILED", "{failed}");
    let physical = failed["PhysicalResourceId"].as_str();
    assert!(physical.is_some_and(|id| !id.is_empty()), "{failed}");
    let reason = failed["Reason"].as_str();
    Ok(reason.context("a failure has a reason")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_continues_once_the_schema_is_migrated() -> Outcome {
    let app = App::unmigrated().await?;
    let first = waiting().await?;
    app.invoke("migrate", event(&first, &json!({}))?).await?;
    let created = answer(&first)?;
    assert_eq!(created["Status"], "SUCCESS", "{created}");
    app.post("/search", json!({ "query": "à l’heure" }))
        .await?
        .success(200)?;

    // The next deploy finds nothing to do, and the same schema.
    let second = waiting().await?;
    let schema = &created["PhysicalResourceId"];
    let fields = json!({ "RequestType": "Update", "PhysicalResourceId": schema, "OldResourceProperties": {} });
    app.invoke("migrate", event(&second, &fields)?).await?;
    let updated = answer(&second)?;
    assert_eq!(updated["Status"], "SUCCESS", "{updated}");
    assert_eq!(&updated["PhysicalResourceId"], schema);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stack_leaves_the_documents() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let waiting = waiting().await?;
    let fields = json!({ "RequestType": "Delete", "PhysicalResourceId": "schema" });
    app.invoke("migrate", event(&waiting, &fields)?).await?;
    assert_eq!(answer(&waiting)?["Status"], "SUCCESS");
    let sql = app.sql().await?;
    let documents = "SELECT count(*) FROM rappel.documents";
    assert_eq!(sql.number(documents, &[]).await?, 1);
    Ok(())
}

/// How long a deploy waits for a database, instead of two minutes.
fn patience(milliseconds: u32) -> (String, String) {
    (
        "DATABASE_WAKE_TIMEOUT_MS".to_owned(),
        milliseconds.to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_fails_with_a_constant_reason_when_the_database_is_unavailable() -> Outcome {
    let nowhere = (
        "DATABASE_URL".to_owned(),
        "postgres://ada:s3cret@127.0.0.1:9/rappel".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![nowhere, patience(1_000)]))).await?;
    assert_eq!(
        refused(&app).await?,
        "The database is unavailable. See the log of the function Migrate for the cause."
    );

    let log = app.logged()?;
    assert!(log.contains("refused"), "the log has the cause: {log}");
    assert!(log.contains("retrying"), "{log}");
    assert!(
        !log.contains("X-Amz-Signature"),
        "whoever knows the URL can answer"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_load_stops_the_deploy() -> Outcome {
    let library = (
        "ORT_DYLIB_PATH".to_owned(),
        "/opt/lib/nothing.so".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![library]))).await?;
    assert_eq!(
        refused(&app).await?,
        "The embedding model cannot be loaded. See the log of the function Migrate for the cause."
    );
    assert!(app.logged()?.contains("/opt/lib/nothing.so"));
    let sql = app.sql().await?;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'rappel'";
    assert_eq!(sql.number(schemas, &[]).await?, 0, "nothing was migrated");
    Ok(())
}

/// A library whose loading does this to its process.
fn library(folder: &TempDir, does: &str) -> Result<(String, String)> {
    let (code, library) = (
        folder.path().join("library.c"),
        folder.path().join("library.so"),
    );
    let constructor = format!(
        "#include <signal.h>\n#include <unistd.h>\n__attribute__((constructor)) static void load(void) {{ {does}; }}\n"
    );
    fs::write(&code, constructor)?;
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &code])
        .status()
        .context("running the C compiler")?;
    ensure!(status.success(), "cc: {status}");
    Ok(("ORT_DYLIB_PATH".to_owned(), library.display().to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_process_ends_stops_the_deploy_and_says_how() -> Outcome {
    let folder = TempDir::new()?;
    for (does, reason) in [
        (
            "kill(getpid(), SIGILL)",
            "an instruction that this processor does not support",
        ),
        // What the kernel does if there is no memory left.
        ("kill(getpid(), SIGKILL)", "most likely out of memory"),
    ] {
        let library = library(&folder, does)?;
        let (app, ()) = App::through(async |_| Ok(((), vec![library]))).await?;
        let refusal = refused(&app).await?;
        assert!(refusal.contains(reason), "{refusal}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_waits_for_a_database_that_wakes_and_for_a_right_that_is_seconds_old() -> Outcome {
    const ARN: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:db-AbCdEf";
    let (app, (secrets, url)) = App::through(async |url| {
        let secrets = Secrets::new().await?;
        let mut variables = secrets.environment();
        variables.push(("DATABASE_URL".to_owned(), ARN.to_owned()));
        variables.push(patience(60_000));
        Ok(((secrets, url.to_owned()), variables))
    })
    .await?;
    let waiting = waiting().await?;
    let deploying = app.invoke("migrate", event(&waiting, &json!({}))?);
    let granting = async {
        // Nobody may read it yet; then it says where a server will be.
        while secrets.asked() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
        secrets.keep(ARN, url.as_str());
    };
    tokio::join!(deploying, granting).0?;
    assert_eq!(answer(&waiting)?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_rolled_back_leaves_the_schema_as_it_is() -> Outcome {
    let nowhere = (
        "DATABASE_URL".to_owned(),
        "postgres://ada:s3cret@127.0.0.1:9/rappel".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![nowhere, patience(0)]))).await?;
    let function = "arn:aws:lambda:eu-west-3:123456789012:function:rappel-Migrate-4hT0yQ6bKcXe";
    let layer = "arn:aws:lambda:eu-west-3:123456789012:layer:rappel-onnx";
    for (now, before, status) in [
        ((9, 3), (10, 3), "SUCCESS"),
        ((9, 3), (9, 4), "SUCCESS"),
        // Not a way back: the database is needed, and away.
        ((10, 3), (9, 3), "FAILED"),
        ((9, 3), (9, 3), "FAILED"),
    ] {
        let versions = |(code, model): (u32, u32)| json!({ "Code": format!("{function}:{code}"), "Model": format!("{layer}:{model}") });
        let waiting = waiting().await?;
        let fields = json!({
            "RequestType": "Update", "PhysicalResourceId": "schema",
            "ResourceProperties": versions(now), "OldResourceProperties": versions(before),
        });
        app.invoke("migrate", event(&waiting, &fields)?).await?;
        assert_eq!(
            answer(&waiting)?["Status"],
            status,
            "{now:?} after {before:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_setting_fails_a_deploy_at_once_but_not_a_deletion() -> Outcome {
    let url = (
        "DATABASE_URL".to_owned(),
        "postgres://ada@localhost/rappel?sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![url]))).await?;
    assert_eq!(
        refused(&app).await?,
        "A setting is missing or invalid. See the log of the function Migrate for the cause."
    );
    assert!(app.logged()?.contains("/nowhere.pem"));

    // What was begun can be taken back.
    let deleted = waiting().await?;
    let fields = json!({ "RequestType": "Delete", "PhysicalResourceId": "schema" });
    app.invoke("migrate", event(&deleted, &fields)?).await?;
    assert_eq!(answer(&deleted)?["Status"], "SUCCESS");
    let refusal = app.invoke("migrate", json!({})).await.err();
    let refusal = format!("{:#}", refusal.context("it cannot migrate")?);
    assert!(!refusal.contains("ada"), "{refusal}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_time_that_no_server_takes_is_named() -> Outcome {
    let limit = (
        "DATABASE_STATEMENT_TIMEOUT_MS".to_owned(),
        "2147483648".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![limit]))).await?;
    let said = refused(&app).await?;
    assert!(
        said.starts_with("A setting is missing or invalid"),
        "{said}"
    );
    assert!(app.logged()?.contains("DATABASE_STATEMENT_TIMEOUT_MS"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_does_not_arrive_is_sent_again() -> Outcome {
    let app = App::unmigrated().await?;
    let replies = [503, 200].map(|status| Reply::Status(status, None, json!({})));
    let waiting = LanguageModel::replying(replies).await?;
    app.invoke("migrate", event(&waiting, &json!({}))?).await?;
    assert_eq!(waiting.asked().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_never_arrives_fails_the_invocation_so_that_migrate_failed_responds()
-> Outcome {
    let app = App::unmigrated().await?;
    // Nothing comes back, as where a VPC has no way to S3.
    let silent = Endpoint::answering(|_| None).await?;
    let mut event = event(&waiting().await?, &json!({}))?;
    event["ResponseURL"] = json!(format!("{}/answer?X-Amz-Signature=0f3a", silent.url()));
    let outcome = app.invoke("migrate", event).await;
    let error = format!("{:#}", outcome.err().context("the answer was never taken")?);
    assert!(
        error.contains("cannot send the response to CloudFormation"),
        "{error}"
    );
    assert!(!error.contains("X-Amz-Signature"), "{error}");
    Ok(())
}
