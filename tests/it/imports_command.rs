//! `rappel import --api`, as a user runs it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{
    App, Pace,
    command::{Printed, rappel},
    eventually,
    language_model::{LanguageModel, Reply},
};

use crate::{Outcome, imports::lines};

/// Imports a file through the queue of a `rappel up` that has just begun to serve, and answers how the
/// import ended. Until the queue is there, the API says that it is not.
pub(crate) async fn import_file(api: &str, file: &str) -> Result<Value> {
    let client = reqwest::Client::new();
    let body = json!({ "source": format!("file://{file}") });
    let import = eventually("the queue is there", async || {
        let request = client.post(format!("{api}/imports")).json(&body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await?;
        ensure!(
            status == 202 || answer["type"] == "urn:rappel:problem:queue-unavailable",
            "the API answered {answer}"
        );
        Ok((status == 202).then_some(answer))
    })
    .await?;
    let url = format!(
        "{api}/imports/{}",
        import["id"].as_str().unwrap_or_default()
    );
    eventually("the import ends", async || {
        let import: Value = reqwest::get(&url).await?.json().await?;
        let ended = import["state"] != "queued" && import["state"] != "running";
        Ok(ended.then_some(import))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_posts_an_import_and_watches_it_to_its_end() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports
        .put("documents.jsonl", lines("command", 3, 10) + "no document\n")
        .await?;
    let url = app.url();
    let run = async |source: &str| {
        Printed::by(&mut rappel(None, &["import", "--api", &url, source]).await?).await
    };
    let printed = run(&source).await?;
    assert_eq!(printed.status, Some(3), "not all was stored: {printed:?}");
    let answer = &printed.stdout;
    assert!(
        answer.starts_with("3 documents, 0 of them unchanged; 1 failed;"),
        "{answer}"
    );
    assert!(answer.contains("line 4: is not JSON"), "{answer}");

    let table = imports.put("table.csv", "nom;prénom\nBlin;Éve\n").await?;
    let printed = run(&table).await?;
    ensure!(
        !printed.success,
        "an import without a document fails: {printed:?}"
    );
    assert!(printed.stderr.contains("the import failed"), "{printed:?}");

    let printed = run(&imports.address("missing.jsonl")).await?;
    ensure!(!printed.success, "there is no such object: {printed:?}");
    assert!(printed.stderr.contains("does not exist"), "{printed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_while_the_api_refuses_it_for_now() -> Outcome {
    let limit = json!({ "title": "Too many requests", "detail": "the key has sent its 60" });
    let queue = json!({
        "type": "urn:rappel:problem:queue-unavailable",
        "title": "The import queue is unavailable",
        "detail": "try again",
    });
    let lost = json!({ "title": "The connection to the database was lost", "detail": "try again" });
    let behind =
        json!({ "title": "The database schema is behind", "detail": "run `rappel migrate`" });
    let counts = json!({ "done": 3, "unchanged": 0, "failed": 0 });
    let done = json!({ "id": "a", "state": "done", "documents": counts, "failures": [] });
    let api = LanguageModel::replying([
        Reply::Status(429, Some(1), limit.clone()),
        Reply::Status(503, Some(1), queue),
        Reply::Status(202, None, json!({ "id": "a" })),
        Reply::Status(429, Some(1), limit.clone()),
        Reply::Status(200, None, done),
        Reply::Status(429, Some(1), limit),
        Reply::Status(200, None, json!({ "sources": [], "next_cursor": null })),
        Reply::Status(503, None, behind),
        Reply::Status(503, Some(1), lost.clone()),
        Reply::Status(503, Some(1), lost),
    ])
    .await?;
    let url = api.url();
    let run = async |arguments: &[&str]| {
        let arguments = [arguments, &["--api", &url]].concat();
        Printed::by(&mut rappel(None, &arguments).await?).await
    };
    let imported = run(&["import", "s3://bucket/key"]).await?;
    assert!(
        imported.answer()?.starts_with("3 documents"),
        "{imported:?}"
    );
    for waited in [
        "waiting 1 s: Too many requests: the key has sent its 60",
        "waiting 1 s: The import queue is unavailable",
    ] {
        assert!(imported.stderr.contains(waited), "{waited}: {imported:?}");
    }
    let listed = run(&["sources", "list"]).await?;
    listed.answer()?;
    assert!(listed.stderr.contains("waiting 1 s"), "{listed:?}");
    // What does not pass names no time.
    let refused = run(&["sources", "list"]).await?;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("rappel migrate") && !refused.stderr.contains("waiting"),
        "{refused:?}"
    );
    // What may have been done already is not done twice.
    let create = ["keys", "create", "--name", "a", "--scope", "search"];
    for arguments in [&["import", "s3://bucket/key"][..], &create] {
        let refused = run(arguments).await?;
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains("was lost") && !refused.stderr.contains("waiting"),
            "{refused:?}"
        );
    }
    let paths: Vec<String> = api.asked().into_iter().map(|asked| asked.path).collect();
    let (import, sources) = ("/imports/a", "/sources?limit=100");
    assert_eq!(
        paths,
        [
            "/imports", "/imports", "/imports", import, import, sources, sources, sources,
            "/imports", "/keys"
        ]
    );
    Ok(())
}
