//! Spans, sent to a collector that accepts or refuses them.

use serde_json::json;
use tests::{
    App,
    collector::{Collector, Mood, Seen},
};

use super::{app, lines};
use crate::Outcome;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

async fn search(app: &App, traceparent: &str) -> Outcome {
    let query = json!({ "query": "comment soulager une migraine ?" });
    let answer = app
        .post_with(("traceparent", traceparent), "/search", query)
        .await?;
    answer.success(200)?;
    Ok(())
}

fn named<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    let span = spans.iter().find(|span| span.name == name);
    span.unwrap_or_else(|| panic!("there is a span {name}: {spans:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_of_its_callers_trace_with_its_parts() -> Outcome {
    let collector = Collector::start(Mood::Takes).await?;
    let url = collector.url();
    let app = app(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    search(&app, &format!("00-{TRACE}-{PARENT}-01")).await?;

    let spans = collector.spans("rappel-search", "POST /search").await?;
    let root = named(&spans, "POST /search");
    assert_eq!((root.trace.as_str(), root.parent.as_str()), (TRACE, PARENT));
    assert_eq!(root.attribute("http.route"), Some("/search"));
    assert_eq!(root.attribute("http.response.status_code"), Some("200"));
    assert_eq!(root.attribute("faas.coldstart"), Some("true"));
    assert!(!root.failed);
    for part in ["init", "embed", "acquire", "database"] {
        let span = named(&spans, part);
        assert_eq!(
            (&span.trace, &span.parent),
            (&root.trace, &root.id),
            "{part}"
        );
        assert!(
            span.time.0 <= span.time.1 && span.time.1 <= root.time.1,
            "{part}"
        );
        // Init came before the request that it was made for.
        assert!(part == "init" || span.time.0 >= root.time.0, "{part}");
    }
    // Invocations without a trace of their caller's begin one.
    let ingested = collector.spans("rappel-ingest", "POST /documents").await?;
    let ingested = named(&ingested, "POST /documents");
    assert_eq!(ingested.parent, "");
    assert_ne!(ingested.trace, TRACE);
    collector.spans("rappel-migrate", "invoke").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unsampled_traces_are_not_sent_and_a_failure_is_recorded() -> Outcome {
    let collector = Collector::start(Mood::Takes).await?;
    let url = format!("{}/v1/traces", collector.url());
    let settings = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url.as_str()),
        ("OTEL_SERVICE_NAME", "ours"),
    ];
    let app = app(&settings).await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    search(&app, &format!("00-{TRACE}-{PARENT}-00")).await?;
    app.sql().await?.run("DROP SCHEMA rappel CASCADE").await?;
    let answer = app.get("/documents", &[]).await?;
    answer.problem(503, "not-migrated")?;
    let spans = collector.spans("ours", "GET /documents").await?;
    assert!(spans.iter().all(|span| span.trace != TRACE), "{spans:?}");
    let failed = named(&spans, "GET /documents");
    assert!(failed.failed);
    assert_eq!(
        failed.attribute("error.type"),
        Some("urn:rappel:problem:not-migrated")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_collector_fails_no_request_and_is_not_retried_for_a_while() -> Outcome {
    for mood in [Mood::Fails, Mood::Hangs] {
        let collector = Collector::start(mood).await?;
        let url = collector.url();
        let app = app(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await?;
        for _ in 0..5 {
            app.get("/documents", &[]).await?.success(200)?;
        }
        // The lines are written before the spans are sent, so the last but one has done both.
        lines(&app, "documents", 5).await?;
        // Migrate's only invocation, and the first one of documents.
        assert_eq!(collector.asked(), 2, "{mood:?}");
        let logged = app.logged()?;
        assert!(logged.contains("did not accept the spans"), "{logged}");
    }
    // Nobody listens at port 1.
    let app = app(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await?;
    for _ in 0..2 {
        app.get("/documents", &[]).await?.success(200)?;
    }
    Ok(())
}
