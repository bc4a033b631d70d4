//! `GET /health`, as a load balancer and an operator see it.

use anyhow::Context;
use insta::assert_json_snapshot;
use serde_json::Value;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_fails_its_check_and_no_other() -> Outcome {
    let app = App::start().await?;
    app.sql()
        .await?
        .run("DROP INDEX rappel.chunks_embedding_hnsw")
        .await?;
    let answer = app.get("/health", &[("deep", "true")]).await?;
    assert_eq!(answer.status, 503);
    let body: Value = serde_json::from_str(&answer.text)?;
    assert_eq!(body["status"], "failed");
    let failed: Vec<_> = statuses(&body)?
        .into_iter()
        .filter(|(_, status)| *status == "failed")
        .collect();
    assert_eq!(failed, [("index", "failed")]);
    app.get("/health", &[]).await?.success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_503_while_the_database_is_away() -> Outcome {
    let app = App::alone().await?;
    app.get("/health", &[]).await?.success(200)?;
    app.kill_postgres().await?;
    for query in [&[][..], &[("deep", "true")]] {
        let answer = app.get("/health", query).await?;
        assert_eq!(answer.status, 503, "{}", answer.text);
        let body: Value = serde_json::from_str(&answer.text)?;
        assert_eq!(body["status"], "failed");
        assert!(statuses(&body)?.contains(&("database", "failed")), "{body}");
    }
    app.restart_postgres().await?;
    app.get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
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
