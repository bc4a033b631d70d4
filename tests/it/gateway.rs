//! Requests before they reach a function: routes, bodies, and the events that AWS documents.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_or_method_reaches_no_function() -> Outcome {
    let app = App::start().await?;
    for path in ["/nowhere", "/search/deeper", "/imports/a/b"] {
        app.get(path, &[])
            .await?
            .problem(404, "unknown-path")
            .map_err(|error| error.context(path))?;
    }
    let method = app.delete("/search").await?;
    method.problem(405, "method-not-allowed")?;
    assert_eq!(method.header("allow"), Some("GET, HEAD, POST"));
    assert!(
        app.sandboxes("search").is_empty(),
        "no sandbox was started for a request without a route"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_carries_its_own_request_id() -> Outcome {
    let app = App::start().await?;
    let mut ids = Vec::new();
    for answer in [
        app.get("/health", &[]).await?,
        app.get("/documents", &[]).await?,
        app.get("/documents/nobody", &[]).await?,
        app.post("/search", json!({ "query": "" })).await?,
        app.send(Method::POST, "/documents", "text/plain", b"?".to_vec())
            .await?,
    ] {
        ids.push(
            answer
                .header("x-request-id")
                .context(answer.text.clone())?
                .to_owned(),
        );
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
    Ok(())
}

/// Sends a golden event and answers the status and the body that API Gateway would send on.
async fn replay(app: &App, function: &str, event: &str) -> Result<(u64, Value)> {
    let event: Value = serde_json::from_str(event)?;
    let response = app.invoke(function, event).await?;
    let status = response["statusCode"]
        .as_u64()
        .with_context(|| format!("no statusCode: {response}"))?;
    let body = match response["body"].as_str() {
        None | Some("") => Value::Null,
        Some(body) => {
            serde_json::from_str(body).with_context(|| format!("the body is not JSON: {body}"))?
        }
    };
    Ok((status, body))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_that_aws_sends_are_understood() -> Outcome {
    let app = App::unmigrated().await?;
    app.invoke(
        "migrate",
        serde_json::from_str(include_str!("../events/migrate.json"))?,
    )
    .await?;

    let (status, body) = replay(&app, "ingest", include_str!("../events/ingest-post.json")).await?;
    assert_eq!(
        (status, &body["documents"][1]["id"]),
        (200, &json!("recette-oeufs-cocotte")),
        "{body}"
    );
    // Its body is in base64.
    let (status, body) = replay(&app, "ingest", include_str!("../events/ingest-put.json")).await?;
    assert_eq!(
        (status, &body["id"]),
        (201, &json!("garden-compost")),
        "{body}"
    );

    let (status, body) = replay(&app, "search", include_str!("../events/search-post.json")).await?;
    assert_eq!(
        (status, body["hits"].as_array().map(Vec::len)),
        (200, Some(2)),
        "{body}"
    );
    assert_eq!(body["hits"][0]["document_id"], "sante-migraine");
    let (status, body) = replay(&app, "search", include_str!("../events/search-get.json")).await?;
    assert_eq!(
        (status, body["hits"].as_array().map(Vec::len)),
        (200, Some(2)),
        "{body}"
    );
    assert_eq!(body["hits"][0]["document_id"], "sante-migraine");

    let (status, body) = replay(
        &app,
        "documents",
        include_str!("../events/documents-list.json"),
    )
    .await?;
    assert_eq!(
        (status, body["documents"].as_array().map(Vec::len)),
        (200, Some(2)),
        "{body}"
    );
    let (status, body) = replay(
        &app,
        "documents",
        include_str!("../events/documents-get.json"),
    )
    .await?;
    assert_eq!(
        (status, &body["title"]),
        (200, &json!("Soulager une migraine")),
        "{body}"
    );
    let (status, _) = replay(
        &app,
        "documents",
        include_str!("../events/documents-delete.json"),
    )
    .await?;
    assert_eq!(status, 204);
    let (status, _) = replay(
        &app,
        "documents",
        include_str!("../events/documents-get.json"),
    )
    .await?;
    assert_eq!(status, 404);

    let (status, body) = replay(&app, "health", include_str!("../events/health-get.json")).await?;
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    let (status, body) = replay(&app, "health", include_str!("../events/health-deep.json")).await?;
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    Ok(())
}
