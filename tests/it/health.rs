//! `GET /health`, as a load balancer and an operator see it.

use anyhow::{Context, ensure};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

fn statuses(body: &Value) -> anyhow::Result<Vec<(&str, &str)>> {
    body["checks"]
        .as_array()
        .context("health lists its checks")?
        .iter()
        .map(|check| {
            anyhow::ensure!(
                check["took_ms"].is_number(),
                "each check says how long it took: {check}"
            );
            Ok((
                check["name"].as_str().context("each check has a name")?,
                check["status"]
                    .as_str()
                    .context("each check has a status")?,
            ))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_check_asks_the_database_alone() -> Outcome {
    let app = App::start().await?;
    let body = app.get("/health", &[]).await?.success(200)?;
    assert_json_snapshot!(body, { ".checks[].took_ms" => "[ms]" }, @r#"
    {
      "checks": [
        {
          "name": "database",
          "status": "ok",
          "took_ms": "[ms]"
        }
      ],
      "status": "ok"
    }
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_check_names_every_part_of_a_search() -> Outcome {
    let app = App::start().await?;
    let body = app
        .get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
    assert_eq!(body["status"], "ok");
    let parts = [
        "database",
        "extension",
        "migrations",
        "model",
        "index",
        "embedder",
        "search",
    ];
    assert_eq!(statuses(&body)?, parts.map(|part| (part, "ok")));
    Ok(())
}

/// Searches, asks for a deep check, and answers its body; both must say the same of the search.
async fn health_and_search_agree(app: &App) -> anyhow::Result<Value> {
    let search = app
        .post(
            "/search",
            json!({ "query": "comment soulager une migraine ?" }),
        )
        .await?;
    let health = app.get("/health", &[("deep", "true")]).await?;
    let body: Value = serde_json::from_str(&health.text)?;
    let (status, says) = match search.status {
        200 => (200, ["ok", "warning"].as_slice()),
        500.. => (503, ["failed"].as_slice()),
        other => anyhow::bail!("the search is answered with {other}: {}", search.text),
    };
    ensure!(
        health.status == status && says.iter().any(|word| body["status"] == *word),
        "the search: {}; health: {} {body}",
        search.text,
        health.status
    );
    Ok(body)
}

/// The checks that are not ok, each of which has to say what to do unless it was skipped.
fn complaints(body: &Value) -> anyhow::Result<Vec<(&str, &str)>> {
    for check in body["checks"]
        .as_array()
        .context("health lists its checks")?
    {
        let silent = ["ok", "skipped"]
            .iter()
            .any(|word| check["status"] == *word);
        ensure!(silent == check["detail"].is_null(), "{check}");
    }
    let all = statuses(body)?;
    Ok(all
        .into_iter()
        .filter(|(_, status)| *status != "ok")
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_index_searches_work_and_health_warns() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    for damage in [
        "DROP INDEX rappel.chunks_embedding_hnsw",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rappel.chunks_embedding_hnsw'::regclass",
    ] {
        sql.run(damage).await?;
        let body = health_and_search_agree(&app).await?;
        assert_eq!(body["status"], "warning", "{damage}");
        assert_eq!(complaints(&body)?, [("index", "warning")], "{damage}");

        app.invoke("migrate", json!({})).await?;
        let body = health_and_search_agree(&app).await?;
        assert_eq!(body["status"], "ok", "after {damage} and migrate");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_behind_is_red_only_where_searches_fail() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run("DELETE FROM rappel.migrations WHERE version = (SELECT max(version) FROM rappel.migrations)")
        .await?;
    let body = health_and_search_agree(&app).await?;
    assert_eq!(complaints(&body)?, [("migrations", "warning")]);

    sql.run(concat!("DROP FUNCTION ", schema::function!("search")))
        .await?;
    let body = health_and_search_agree(&app).await?;
    assert_eq!(
        complaints(&body)?,
        [("migrations", "failed"), ("search", "failed")]
    );

    sql.run("DROP SCHEMA rappel CASCADE").await?;
    let body = health_and_search_agree(&app).await?;
    let complaints = complaints(&body)?;
    for part in ["migrations", "model", "search"] {
        assert!(complaints.contains(&(part, "failed")), "{body}");
    }
    app.get("/health", &[]).await?.success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_extension_health_is_red_as_searches_fail() -> Outcome {
    let app = App::start().await?;
    health_and_search_agree(&app).await?;
    app.sql()
        .await?
        .run("DROP EXTENSION vector CASCADE")
        .await?;
    let body = health_and_search_agree(&app).await?;
    let complaints = complaints(&body)?;
    for part in ["extension", "search"] {
        assert!(complaints.contains(&(part, "failed")), "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_model_health_is_red_as_searches_fail() -> Outcome {
    let app = App::start().await?;
    health_and_search_agree(&app).await?;
    let sql = app.sql().await?;
    for change in [
        "UPDATE rappel.model SET name = 'someone-elses-model'",
        "DELETE FROM rappel.model",
    ] {
        sql.run(change).await?;
        let body = health_and_search_agree(&app).await?;
        assert_eq!(
            complaints(&body)?,
            [("model", "failed"), ("search", "failed")],
            "{change}"
        );
        ensure!(
            !body.to_string().contains("someone-elses-model"),
            "what was found is in the log alone: {body}"
        );
    }
    assert!(app.logged()?.contains("someone-elses-model"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_503_while_the_database_is_away() -> Outcome {
    let app = App::with_own_server().await?;
    app.get("/health", &[]).await?.success(200)?;
    health_and_search_agree(&app).await?;
    app.kill_postgres().await?;
    let answer = app.get("/health", &[]).await?;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let body = health_and_search_agree(&app).await?;
    let complaints = complaints(&body)?;
    assert_eq!(complaints[0], ("database", "failed"));
    assert!(
        complaints[1..]
            .iter()
            .all(|(_, status)| *status == "skipped"),
        "{body}"
    );
    app.restart_postgres().await?;
    assert_eq!(health_and_search_agree(&app).await?["status"], "ok");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_parameter_is_refused() -> Outcome {
    let app = App::start().await?;
    assert_eq!(
        app.get("/health", &[("deap", "true")]).await?.refused()?,
        ["deap"]
    );
    assert_eq!(
        app.get("/health", &[("deep", "very")]).await?.refused()?,
        ["deep"]
    );
    Ok(())
}
