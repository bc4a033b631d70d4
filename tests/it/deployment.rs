//! A deploy asks for the migration and waits for the answer, as `CloudFormation` does.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{
    App,
    language_model::{Asked, LanguageModel, Reply},
};

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
        Asked {
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
async fn a_deploy_goes_on_when_the_schema_is_there() -> Outcome {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_fails_with_a_constant_reason_when_the_database_is_away() -> Outcome {
    let app = App::alone().await?;
    app.kill_postgres().await?;
    assert_eq!(
        refused(&app).await?,
        "The database is unavailable. The log of the function Migrate has the cause."
    );

    let log = app.logged()?;
    assert!(log.contains("refused"), "the log has the cause: {log}");
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
        "The embedding model cannot be loaded. The log of the function Migrate has the cause."
    );
    assert!(app.logged()?.contains("/opt/lib/nothing.so"));
    let sql = app.sql().await?;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'rappel'";
    assert_eq!(sql.number(schemas, &[]).await?, 0, "nothing was migrated");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_used_stops_the_deploy_at_once_and_not_its_end() -> Outcome {
    let url = (
        "DATABASE_URL".to_owned(),
        "postgres://ada@localhost/rappel?sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(),
    );
    let (app, ()) = App::through(async |_| Ok(((), vec![url]))).await?;
    assert_eq!(
        refused(&app).await?,
        "A setting is missing or cannot be used. The log of the function Migrate has the cause."
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
async fn an_answer_that_does_not_arrive_fails_the_invocation_so_that_lambda_repeats_it() -> Outcome
{
    let app = App::unmigrated().await?;
    let waiting = LanguageModel::replying([Reply::Status(503, None, json!({}))]).await?;
    let outcome = app.invoke("migrate", event(&waiting, &json!({}))?).await;
    let error = outcome.err().context("the answer was refused")?;
    assert!(
        !format!("{error:#}").contains("X-Amz-Signature"),
        "{error:#}"
    );
    Ok(())
}
