//! No log at any level contains texts, ids or secrets.

use reqwest::Method;
use serde_json::json;
use tests::{
    App, document_path,
    language_model::{LanguageModel, Reply, Step},
    secrets::Secrets,
};

use super::lines;
use crate::Outcome;

/// Every text, id and secret of these stories has it in it, and nothing else has.
const MARKER: &str = "zwiebelkuchen";

const KEY: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf";
const URL: &str = "arn:aws:ssm:eu-west-3:123456789012:parameter/database";

/// The most verbose log level of the functions.
const LOUD: [(&str, &str); 2] = [("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")];

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    settings.iter().map(own).collect()
}

/// An app that logs everything and whose every secret is a marker.
async fn app(model: &LanguageModel) -> anyhow::Result<(App, Secrets)> {
    App::through(async |database_url| {
        let url: reqwest::Url = database_url.parse()?;
        let role = format!("loud_{}", url.path().trim_start_matches('/'));
        let sql = tests::Sql::connect(database_url).await?;
        sql.run(&format!(
            "CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{MARKER}'"
        ))
        .await?;
        let mut url = url;
        url.set_username(&role).expect("the URL has a host");
        url.set_password(Some(MARKER)).expect("the URL has a host");
        // A parameter that nobody knows: the driver warns of it, with its value.
        url.query_pairs_mut().append_pair("pasword", MARKER);
        let secrets = Secrets::new().await?;
        secrets.keep(KEY, MARKER);
        secrets.keep(URL, url);
        let mut settings = model.environment();
        settings.extend(secrets.environment());
        settings.extend(owned(&[("LLM_API_KEY", KEY), ("DATABASE_URL", URL)]));
        settings.extend(owned(&LOUD));
        Ok((secrets, settings))
    })
    .await
}

fn holds_nothing(app: &App) -> Outcome {
    let logged = app.logged()?;
    for line in logged.lines() {
        assert!(!line.to_lowercase().contains(MARKER), "{line}");
    }
    Ok(())
}

/// A request to every route with a marker in every place that takes a text.
async fn ask_everything(app: &App) -> Outcome {
    let id = format!("{MARKER}-1");
    let path = document_path(&id);
    let document = json!({ "title": MARKER, "content": format!("Le {MARKER} est une tarte."),
        "metadata": { MARKER: MARKER } });
    app.put(&path, document).await?;
    let batch = json!({ "documents": [{ "id": format!("{MARKER}-2"), "content": MARKER }] });
    app.post("/documents", batch).await?;
    let filter = json!({ MARKER: MARKER });
    let query = json!({ "query": MARKER, "filter": filter, "explain": true });
    app.post("/search", query).await?;
    let filter = filter.to_string();
    app.get("/search", &[("q", MARKER), ("filter", &filter)])
        .await?;
    app.get("/documents", &[("cursor", MARKER), ("filter", &filter)])
        .await?;
    app.get(&path, &[]).await?;
    app.get("/health", &[("deep", "true")]).await?;
    let chat = json!({ "question": format!("Le {MARKER} ?"), "filter": { MARKER: MARKER } });
    app.post("/chat", chat).await?;
    let turns = json!({ "stream": false, "messages": [
        { "role": "user", "content": MARKER }, { "role": "assistant", "content": MARKER },
        { "role": "user", "content": format!("Et le {MARKER} ?") }] });
    app.post("/chat", turns).await?;
    app.delete(&path).await?;
    app.delete(&path).await?;
    Ok(())
}

/// Requests that are wrong, each with a marker at the place that is.
async fn ask_wrongly(app: &App) -> Outcome {
    for path in ["/search", "/documents", "/chat"] {
        for body in [
            format!("{{\"query\": \"{MARKER}"),
            format!("{{\"limit\": \"{MARKER}\"}}"),
            format!("{{\"{MARKER}\": 1}}"),
            format!("\"{MARKER}\""),
            format!(
                "{{\"documents\": [{{\"content\": 7, \"id\": \"{MARKER}\"}}], \"query\": {{\"{MARKER}\": 1}}}}"
            ),
        ] {
            let sent = app.send(Method::POST, path, "application/json", body.into());
            let answer = sent.await?;
            assert!(
                (400..500).contains(&answer.status),
                "{path}: {}",
                answer.text
            );
        }
        let media = format!("text/{MARKER}");
        let sent = app.send(Method::POST, path, &media, MARKER.into());
        sent.await?.problem(415, "unsupported-media-type")?;
    }
    let wrong = [("limit", MARKER), ("filter", MARKER), (MARKER, MARKER)];
    for path in ["/search", "/documents"] {
        let answer = app.get(path, &wrong).await?;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_at_any_level_holds_a_text_an_id_or_a_secret() -> Outcome {
    let model = LanguageModel::replying([
        Reply::Stream(vec![Step::Text("Un zwiebelkuchen."), Step::Finish("stop")]),
        Reply::text(&["Le zwiebelkuchen ?"]),
        Reply::text(&["Un zwiebelkuchen."]),
    ])
    .await?;
    let (app, _secrets) = app(&model).await?;
    app.invoke("migrate", json!({})).await?;
    ask_everything(&app).await?;
    assert_eq!(model.asked().len(), 3, "the markers have gone everywhere");
    let key = model.asked()[0].authorization.clone();
    assert_eq!(key, Some(format!("Bearer {MARKER}")));
    ask_wrongly(&app).await?;
    lines(&app, "documents", 5).await?;
    holds_nothing(&app)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_them_when_requests_fail() -> Outcome {
    let error = json!({ "error": { "message": MARKER, "code": 7, "param": MARKER } });
    let model = LanguageModel::replying([
        Reply::Status(403, None, error.clone()),
        Reply::Stream(vec![Step::Data("{\"choices\": \"zwiebelkuchen\"}")]),
        Reply::Stream(vec![Step::Text("zwiebelkuchen"), Step::Cut]),
    ])
    .await?;
    let (app, secrets) = app(&model).await?;
    app.invoke("migrate", json!({})).await?;
    let document = json!({ "content": format!("Le {MARKER} est une tarte.") });
    app.put("/documents/tarte", document).await?.success(201)?;
    for _ in 0..3 {
        app.post("/chat", json!({ "question": MARKER, "mode": "semantic" }))
            .await?;
    }
    assert_eq!(model.asked().len(), 3);

    // Of values that the database does not take, Postgres quotes what it got.
    let nul = json!({ "content": MARKER, "metadata": { MARKER: format!("\0{MARKER}") } });
    let answer = app.put(&document_path(MARKER), nul).await?;
    assert!(answer.status >= 400, "{}", answer.text);
    let sql = app.sql().await?;
    sql.run(
        "CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION 'refused: %', NEW; END$$;
         CREATE TRIGGER quote BEFORE INSERT OR UPDATE ON rappel.documents
             FOR EACH ROW EXECUTE FUNCTION quote()",
    )
    .await?;
    let document = json!({ "content": format!("Un autre {MARKER}.") });
    app.put(&document_path(MARKER), document)
        .await?
        .problem(500, "internal")?;
    assert!(app.logged()?.contains("P0001"), "its code is told");

    // The whole schema is gone, then the password is another one, then the server is away.
    sql.run("DROP SCHEMA rappel CASCADE").await?;
    ask_everything(&app).await?;
    secrets.keep(
        URL,
        format!("postgres://{MARKER}:{MARKER}@127.0.0.1:{MARKER}/{MARKER}"),
    );
    sql.run(
        "DO $$BEGIN EXECUTE (SELECT 'ALTER ROLE ' || rolname || ' PASSWORD NULL' FROM pg_roles
             WHERE rolname = 'loud_' || current_database()); END$$;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE usename = 'loud_' || current_database()",
    )
    .await?;
    ask_everything(&app).await?;
    lines(&app, "documents", 8).await?;
    holds_nothing(&app)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_them_when_the_database_is_unavailable_or_its_url_invalid() -> Outcome {
    for url in [
        format!("postgres://u:{MARKER}@127.0.0.1:1/d?pasword={MARKER}"),
        format!("postgres://u:{MARKER}@127.0.0.1:{MARKER}/d"),
        format!("postgres://u:{MARKER}@127.0.0.1:1/d?sslcert=/nowhere&sslkey={MARKER}"),
        format!("{{\"password\": \"{MARKER}\"}}"),
    ] {
        let settings = owned(&[LOUD[0], LOUD[1], ("DATABASE_URL", &url)]);
        let (app, ()) = App::through(async |_| Ok(((), settings))).await?;
        ask_everything(&app).await?;
        let logged = app.logged()?;
        assert!(
            logged.contains("documents"),
            "something is logged: {logged}"
        );
        holds_nothing(&app)?;
    }
    Ok(())
}
