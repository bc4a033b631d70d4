//! The log line of a request, and the metrics that `CloudWatch` derives from it.

use serde_json::{Value, json};
use tests::{
    document_path,
    language_model::{LanguageModel, Reply, Step},
};

use super::{answered, app, app_with, lines};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn each_request_leaves_one_line_with_its_times() -> Outcome {
    let app = app(&[]).await?;
    let migrated = lines(&app, "migrate", 1).await?.remove(0);
    assert_eq!(
        (&migrated["route"], &migrated["status"]),
        (&json!("invoke"), &json!(200))
    );

    app.ingest_samples(&["sante-migraine", "health-migraine"])
        .await?;
    let ingested = lines(&app, "ingest", 1).await?.remove(0);
    assert_eq!(ingested["route"], "POST /documents");
    assert!(ingested["embed"].as_f64() > Some(0.0), "{ingested}");

    // A question asked again would not be embedded.
    let ask = |query| app.post("/search", json!({ "query": query, "limit": 2 }));
    for query in ["une migraine", "des maux de tête"] {
        ask(query).await?.success(200)?;
    }
    let answer = ask("comment soulager une migraine ?").await?;
    let searched = lines(&app, "search", 3).await?;
    assert_eq!(searched.len(), 3, "one line a request");
    let (first, last) = (&searched[0], &searched[2]);
    assert_eq!(first["cold_start"], true);
    assert_eq!(first["cold_starts"], 1);
    assert!(first["init"].as_f64() > Some(0.0), "{first}");
    assert_eq!(last["cold_start"], false);
    assert_eq!(last["init"], Value::Null);
    assert_eq!(last["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(
        (
            &last["route"],
            &last["status"],
            &last["rows"],
            &last["pooler"],
            &last["errors"]
        ),
        (
            &json!("POST /search"),
            &json!(200),
            // The hits, and their total.
            &json!(3),
            &json!("direct"),
            &json!(0)
        )
    );
    let time = |name: &str| last[name].as_f64().unwrap_or(f64::NAN);
    let parts = time("embed") + time("acquire") + time("database");
    assert!(time("embed") > 0.0 && time("database") > 0.0, "{last}");
    assert!(time("acquire") >= 0.0 && parts <= time("total"), "{last}");
    for line in [&migrated, &ingested, first, last] {
        is_embedded_metric(line);
    }
    Ok(())
}

/// As the specification of the embedded metric format asks.
fn is_embedded_metric(line: &Value) {
    assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Rappel");
    assert_eq!(directive["Dimensions"], json!([["function", "route"]]));
    for dimension in ["function", "route"] {
        assert!(line[dimension].is_string(), "{dimension}: {line}");
    }
    let metrics = directive["Metrics"].as_array().expect("they are a list");
    assert!(!metrics.is_empty());
    for metric in metrics {
        let name = metric["Name"].as_str().expect("a metric has a name");
        assert!(line[name].is_number(), "{name}: {line}");
        let unit = match name {
            "rows" | "errors" | "cold_starts" | "question_cache_hits" => "Count",
            _ => "Milliseconds",
        };
        assert_eq!(metric["Unit"], unit, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_failures_name_their_problem_and_no_path() -> Outcome {
    let app = app(&[]).await?;
    app.get(&document_path("les-congés"), &[])
        .await?
        .problem(404, "not-found")?;
    let line = lines(&app, "documents", 1).await?.remove(0);
    assert_eq!(line["route"], "GET /documents/{id+}");
    assert_eq!((&line["status"], &line["errors"]), (&json!(404), &json!(0)));
    assert_eq!(line["problem"], "urn:rappel:problem:not-found");
    assert_eq!(line["rows"], 0);

    app.sql().await?.run("DROP SCHEMA rappel CASCADE").await?;
    app.get("/documents", &[])
        .await?
        .problem(503, "not-migrated")?;
    let line = lines(&app, "documents", 2).await?.remove(1);
    assert_eq!((&line["status"], &line["errors"]), (&json!(503), &json!(1)));
    // The cause is a line of its own, under the same id.
    let logged = app.logged()?;
    let id = line["request_id"].as_str().expect("it has an id");
    let cause = logged
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut cause = cause.filter(|line| line["level"] == "ERROR");
    assert!(
        cause.any(|line| line["span"]["request_id"] == id && line["cause"].is_string()),
        "{logged}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_stream_is_written_at_its_end() -> Outcome {
    let steps = |end| vec![Step::Text("À"), Step::Wait, end];
    let replies = [
        Reply::Stream(steps(Step::Finish("stop"))),
        Reply::Stream(steps(Step::Cut)),
    ];
    let model = LanguageModel::replying(replies).await?;
    let app = app_with(&model, &[]).await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let question = json!({ "question": "Comment soulager une migraine ?" });
    for (number, end) in [(1, "done"), (2, "failure")] {
        let mut events = app.events("/chat", &question).await?;
        events.expect("sources").await?;
        events.expect("delta").await?;
        assert_eq!(
            answered(&app, "chat")?.len(),
            number - 1,
            "it is not over yet"
        );
        model.go_on();
        events.expect(end).await?;
        lines(&app, "chat", number).await?;
    }
    let ended = lines(&app, "chat", 2).await?;
    assert_eq!(ended[0]["route"], "$default");
    assert_eq!(
        (&ended[0]["problem"], &ended[0]["errors"]),
        (&Value::Null, &json!(0))
    );
    // The status had been sent when it failed.
    assert_eq!(
        (&ended[1]["status"], &ended[1]["errors"]),
        (&json!(200), &json!(1))
    );
    assert_eq!(ended[1]["problem"], "urn:rappel:problem:language-model-cut");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_json_can_be_switched_off() -> Outcome {
    let without = app(&[("METRICS", "off")]).await?;
    let line = lines(&without, "migrate", 1).await?.remove(0);
    assert_eq!(line["_aws"], Value::Null);
    assert!(line["total"].is_number());

    let text = [("METRICS", "off"), ("AWS_LAMBDA_LOG_FORMAT", "Text")];
    let text = app(&text).await?;
    text.get("/documents", &[]).await?.success(200)?;
    // The next answer comes from the same sandbox, after the line of the one before.
    text.get("/documents", &[]).await?.success(200)?;
    let logged = text.logged()?;
    let line = logged.lines().find(|line| line.contains("GET /documents"));
    let line = line.expect("there is a line");
    assert!(
        line.contains("answered") && line.contains("status=200"),
        "{line}"
    );

    let quiet = app(&[("AWS_LAMBDA_LOG_LEVEL", "WARN")]).await?;
    quiet.get("/documents", &[]).await?.success(200)?;
    quiet.get("/documents", &[]).await?.success(200)?;
    assert!(!quiet.logged()?.contains("answered"));

    let odd = app(&[("METRICS", "loud")]).await;
    assert!(
        odd.is_err(),
        "a function does not start with a setting that it does not know"
    );
    Ok(())
}
