//! The benchmark: not how fast anything is, but that every section measures what it says.

use std::fs;

use anyhow::Context as _;
use serde_json::Value;
use servers::skip::skipped;
use tests::command::{Printed, open_folder, rappel};

use crate::Outcome;

/// The numbers that `path` leads to in every element of an array.
fn numbers(array: &Value, path: &str) -> Vec<f64> {
    let elements = array.as_array().into_iter().flatten();
    let number = |element: &Value| element.pointer(path).and_then(Value::as_f64);
    elements.filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_measures_every_section_and_renders_a_report() -> Outcome {
    let (data, out) = (open_folder()?, open_folder()?);
    let data = data.path().join("postgres").display().to_string();
    let folder = out.path().display().to_string();
    let few = ["--runs", "1", "--questions", "20", "--imports", "20"];
    let arguments = [
        &["bench", "--quick", "--data", &data, "--out", &folder],
        &few[..],
    ]
    .concat();
    let printed = Printed::by(&mut rappel(None, &arguments).await?).await?;
    let page = printed.answer()?.trim();
    assert_eq!(page, out.path().join("index.html").display().to_string());

    let results = fs::read(out.path().join("results.json"))?;
    let results: Value = serde_json::from_slice(&results).context("results.json is JSON")?;
    assert_eq!(results["setting"]["documents"], 60, "{results}");
    let (programs, in_turn) = if let Some(note) = skipped_peer(&results) {
        skipped(note)?;
        (1, 1)
    } else {
        (4, 3)
    };
    // Each program from memory and from the disk.
    for part in [
        "/ready/p50",
        "/answered/p50",
        "/memory_mb/p50",
        "/connection/tls/p50",
    ] {
        let values = numbers(&results["cold"], part);
        assert_eq!(values.len(), 2 * programs, "{part}: {results}");
        assert!(
            values.iter().all(|value| *value > 0.0),
            "{part}: {values:?}"
        );
    }
    let steps = &results["steps"][0][1];
    let step = |name: &str| steps[name]["p50"].as_f64().unwrap_or_default();
    // One run beside other work: which one is the longest says nothing.
    assert!(
        ["exec", "runtime", "embedder"]
            .iter()
            .all(|name| step(name) > 0.0),
        "{steps}"
    );
    assert_eq!(
        results["in_turn"]["programs"].as_array().map(Vec::len),
        Some(in_turn)
    );
    assert_ne!(
        results["in_turn"]["acquire"]["count"], 0,
        "the log tells of connections"
    );
    for part in [
        "/load/throughput",
        "/load/latency/p99",
        "/load/embed/p50",
        "/load/database/p50",
    ] {
        let values = numbers(&results["warm"], part);
        assert!(
            values.len() >= 14 && values.iter().all(|value| *value > 0.0),
            "{part}: {values:?}"
        );
    }
    // Sixty documents are all found.
    assert_eq!(numbers(&results["recall"], "/at_10"), [1.0, 1.0]);
    assert_eq!(numbers(&results["bulk"], "/documents"), [20.0]);
    assert!(
        numbers(&results["bulk"], "/raw_rate")
            .iter()
            .all(|rate| *rate > 0.0),
        "{results}"
    );
    let sizes = numbers(&results["scaling"], "/passages");
    let made = numbers(&results["scaling"], "/synthetic");
    assert_eq!(sizes.len(), 4, "{results}");
    assert!(
        made[2] == 0.0 && (made[3] * 2.0 - sizes[3]).abs() < 1e-9,
        "{sizes:?} {made:?}"
    );
    let page = fs::read_to_string(page)?;
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 10, "{page}");
    Ok(())
}

/// Why there is no peer, if this machine has no Python for it.
fn skipped_peer(results: &Value) -> Option<&str> {
    let notes = results["notes"].as_array().into_iter().flatten();
    let mut notes = notes.filter_map(Value::as_str);
    notes.find(|note| note.starts_with("the peer: skipped"))
}
