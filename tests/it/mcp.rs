//! Assistants search and read documents through the Model Context Protocol.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    App, Assets, Clients,
    command::{Printed, rappel},
    keys::Keys,
};

use crate::Outcome;

const BEACH: &str = "La plage ferme à 22 heures en été.";

async fn town() -> Result<App> {
    let app = App::start().await?;
    app.ingest(vec![
        json!({ "id": "plage", "title": "Plage", "content": BEACH,
            "metadata": { "theme": "loisirs", "url": "https://ville.example/plage", "tags": ["mer", "été"] } }),
        json!({ "id": "pain/seigle", "title": "Pain", "content": "Le pain de seigle cuit une heure.",
            "metadata": { "theme": "four", "tags": ["mer"] } }),
    ])
    .await?;
    Ok(app)
}

/// What every client reads of this town, whatever its revision of the protocol and its transport.
fn check(read: &Value) {
    assert_eq!(
        read["tools"],
        json!({
            "search": ["results"],
            "fetch": ["id", "metadata", "next_offset", "text", "title", "url"],
            "list_filters": ["keys"],
        })
    );
    assert_eq!(read["read_only"], true);
    assert!(
        read["instructions"]
            .as_str()
            .is_some_and(|text| text.contains("list_filters"))
    );
    let results = &read["search"]["results"];
    assert_eq!(results.as_array().map(Vec::len), Some(2), "{results}");
    assert_eq!(results[0]["id"], "plage");
    assert_eq!(results[0]["title"], "Plage");
    assert_eq!(results[0]["url"], "https://ville.example/plage");
    assert_eq!(results[0]["text"], BEACH);
    assert_eq!(results[1]["url"], "rappel://documents/pain%2Fseigle");
    assert_eq!(read["same_as_text"], true);
    assert_eq!(read["filtered"], json!(["pain/seigle"]));
    assert_eq!(
        read["fetch"],
        json!({
            "id": "plage", "title": "Plage", "text": BEACH, "url": "https://ville.example/plage",
            "metadata": { "theme": "loisirs", "url": "https://ville.example/plage", "tags": ["mer", "été"] },
        })
    );
    assert_eq!(
        read["filters"]["keys"],
        json!([
            { "name": "tags", "values": 2, "examples": ["mer", "été"] },
            { "name": "theme", "values": 2, "examples": ["four", "loisirs"] },
            { "name": "url", "values": 1, "examples": ["https://ville.example/plage"] },
        ])
    );
    let errors: Vec<&str> = read["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (error, words) in errors.iter().zip([
        ["nobody", "search"],
        ["query", "2000 characters"],
        ["limit", "1 to 20"],
        ["filter", "list_filters"],
        ["question", "query"],
    ]) {
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{error}: {words:?}"
        );
    }
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(
        read["unknown_tool"]
            .as_str()
            .is_some_and(|text| text.contains("list_filters"))
    );
    assert_eq!(
        read["resources"],
        json!([
            ["rappel://documents/pain%2Fseigle", "Pain"],
            ["rappel://documents/plage", "Plage"]
        ])
    );
    assert_eq!(read["resource"], BEACH);
    assert_eq!(read["templates"], json!(["rappel://documents/{id}"]));
}

/// Has the SDK of Python use a server, at a URL or by its program.
async fn use_it(server: &str, variables: &[(&str, &str)]) -> Outcome {
    let script = include_str!("clients/mcp.py");
    let read = Clients::installed()
        .await?
        .python(script, server, variables)
        .await?;
    let read: Vec<Value> = read
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    // The older one has a code of its own for what is not there.
    for (read, (version, missing)) in read
        .iter()
        .zip([("2026-07-28", -32602), ("2025-11-25", -32002)])
    {
        assert_eq!(read["version"], version);
        assert_eq!(read["unknown_resource"], missing, "{version}");
        check(read);
    }
    assert_eq!(read.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_python_uses_both_revisions_over_http() -> Outcome {
    let app = town().await?;
    use_it(&format!("{}/mcp", app.url()), &[]).await
}

/// The lines of a session that asks for the tools last.
fn unended_session() -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "story", "version": "1" },
    });
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    format!("{initialize}\n{initialized}\n{list}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_this_machine_uses_both_revisions_over_stdin() -> Outcome {
    let app = town().await?;
    let program = Assets::prepared().await?.binaries.join("rappel");
    let program = program.to_str().context("a path that is text")?;
    // What the program loads is the same that the functions load.
    let telemetry = ("ORT_DISABLE_TELEMETRY", "1");
    use_it(program, &[("DATABASE_URL", app.database_url()), telemetry]).await?;

    // A program may close its side without ending its last line.
    let mut command = rappel(Some(app.database_url()), &["mcp"]).await?;
    let printed = Printed::told(&mut command, &unended_session()).await?;
    let last = printed.answer()?.lines().last().context("an answer")?;
    let last: Value = serde_json::from_str(last)?;
    assert_eq!(last["id"], 2, "{last}");
    assert_eq!(last["result"]["tools"][0]["name"], "search", "{last}");

    // In front of an API it needs no database and no model.
    let keys = Keys::before(&app.url()).await?;
    keys.only("first");
    let url = keys.url();
    let api = ("RAPPEL_API", url.as_str());
    use_it(program, &[api, ("RAPPEL_KEY", "first"), telemetry]).await?;

    // What the API refuses, and what is not a message, is an answer as well.
    let listing = r#"{"jsonrpc": "2.0", "id": "a", "method": "tools/list"}"#;
    let notice = r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
    let mut command = rappel(None, &["mcp", "--api", &url, "--key", "second"]).await?;
    let printed = Printed::told(&mut command, &format!("{listing}\n\n{notice}\n{{\n")).await?;
    let mut answers: Vec<Value> = printed
        .answer()?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    answers.sort_by_key(|answer| answer["id"].is_null());
    assert_eq!(answers.len(), 2, "{printed:?}");
    assert_eq!(answers[0]["id"], "a");
    let text = answers[0]["error"]["message"]
        .as_str()
        .context("a message")?;
    assert!(text.contains("401") && text.contains("--key"), "{text}");
    assert_eq!(answers[1]["error"]["code"], -32700);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_of_the_inspector_lists_and_calls_tools() -> Outcome {
    let app = town().await?;
    let script = include_str!("clients/inspector.mjs");
    let url = format!("{}/mcp", app.url());
    let read = Clients::installed().await?.node(script, &url, &[]).await?;
    let read: Value = serde_json::from_str(&read)?;
    assert_eq!(read["tools"], json!(["search", "fetch", "list_filters"]));
    assert_eq!(read["first"], "plage");
    assert_eq!(read["text"], BEACH);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_typescript_searches_and_fetches() -> Outcome {
    let app = town().await?;
    let script = include_str!("clients/mcp.mjs");
    let url = format!("{}/mcp", app.url());
    let read = Clients::installed().await?.node(script, &url, &[]).await?;
    let read: Value = serde_json::from_str(&read)?;
    assert_eq!(
        read,
        json!({
            "server": "rappel",
            "tools": ["search", "fetch", "list_filters"],
            "first": "plage",
            "text": BEACH,
            "error": [true, "no document has the id \"nobody\": use an id that `search` has found"],
            "resources": 2,
        })
    );
    Ok(())
}

/// Calls a tool as a client of the older revision does.
async fn call(app: &App, name: &str, arguments: Value) -> Result<Value> {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": arguments },
    });
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let body = request.to_string().into_bytes();
    let answer = app.request(Method::POST, "/mcp", &headers, body).await?;
    Ok(answer.success(200)?["result"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_is_read_in_pieces() -> Outcome {
    let app = App::start().await?;
    // Few tokens for many characters, of which some have two bytes.
    let content = "documentation élémentaire, ".repeat(1_700);
    app.ingest(vec![json!({ "id": "long", "content": content })])
        .await?;
    let (mut read, mut offset, mut pieces) = (String::new(), json!(0), 0);
    while !offset.is_null() {
        let piece = call(&app, "fetch", json!({ "id": "long", "offset": offset })).await?;
        let piece = &piece["structuredContent"];
        read += piece["text"].as_str().context("a text")?;
        offset = piece["next_offset"].clone();
        pieces += 1;
    }
    assert!(
        pieces > 1 && read == content,
        "{pieces} pieces of {} bytes",
        read.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_database_is_an_error_that_a_model_can_read() -> Outcome {
    let app = App::with_own_server().await?;
    app.kill_postgres().await?;
    let result = call(&app, "search", json!({ "query": "a" })).await?;
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().context("a text")?;
    assert!(
        text.contains("unavailable") && text.contains("try again"),
        "{text}"
    );
    assert!(
        !text.contains("127.0.0.1"),
        "no cause leaves the process: {text}"
    );
    let log = app.logged()?;
    assert!(log.contains("urn:rappel:problem:database-"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_stream_and_no_session() -> Outcome {
    let app = App::start().await?;
    for method in [Method::GET, Method::DELETE] {
        let answer = app
            .request(
                method,
                "/mcp",
                &[("accept", "text/event-stream")],
                Vec::new(),
            )
            .await?;
        assert_eq!(answer.header("allow"), Some("POST"));
        answer.problem(405, "method-not-allowed")?;
    }
    let notification = br#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let answer = app
        .request(Method::POST, "/mcp", &headers, notification.to_vec())
        .await?;
    assert_eq!((answer.status, answer.text.as_str()), (202, ""));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_with_an_error_of_the_protocol() -> Outcome {
    let app = App::start().await?;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    for (body, id, code) in [
        ("{\"jsonrpc\": ", json!(null), -32700),
        ("{\"id\": 7, \"method\": \"ping\"}", json!(7), -32600),
        ("[]", json!(null), -32600),
    ] {
        let body = body.as_bytes().to_vec();
        let answer = app.request(Method::POST, "/mcp", &headers, body).await?;
        let said: Value = serde_json::from_str(&answer.text)?;
        assert_eq!(answer.status, 400, "{said}");
        assert_eq!((&said["id"], &said["error"]["code"]), (&id, &json!(code)));
    }
    Ok(())
}
