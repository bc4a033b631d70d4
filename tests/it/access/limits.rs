//! Limits of keys and tenants, what they have used, and what administrators have done.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, App, eventually,
    language_model::{LanguageModel, Reply},
};

use super::{app, found, key, send, store};
use crate::Outcome;

const KEYS: [(&str, &str); 1] = [("AUTHORIZATION", "keys")];

/// Asks until a request is refused: the number of those that were answered, and the refusal.
async fn exhausted(app: &App, bearer: &str, policy: &str) -> Result<(u32, Answer)> {
    for answered in 0..300 {
        let answer = send(app, bearer, Method::GET, "/documents?limit=1", json!(null)).await?;
        if answer.status == 429 {
            return Ok((answered, answer));
        }
        answer.success(200)?;
        // A tenant's limit is known after the first response.
        if answered > 0 {
            assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        }
    }
    anyhow::bail!("300 requests were answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixty_first_request_of_a_minute_is_refused_with_the_time_to_wait() -> Outcome {
    let app = app(&KEYS).await?;
    let limited = [
        "--scope",
        "search",
        "--tenant",
        "acme",
        "--requests-per-minute",
        "60",
    ];
    let limited = key(&app, &limited).await?;
    // More if a minute ends meanwhile, or if a second sandbox helps.
    let (answered, refused) = exhausted(&app, &limited, "\"key\";q=60;w=60").await?;
    assert!(answered >= 60, "{answered}");
    refused.problem(429, "too-many-requests")?;
    let wait = refused.header("retry-after").context("a time to wait")?;
    assert!((1..=60).contains(&wait.parse::<u32>()?), "{wait}");
    let left = refused.header("ratelimit").context("what is left")?;
    assert_eq!(left, format!("\"key\";r=0;t={wait}"));

    let operator = key(&app, &["--scope", "admin"]).await?;
    let limits = json!({ "requests_per_minute": 5.0 });
    let state = send(&app, &operator, Method::PUT, "/tenants/acme", limits)
        .await?
        .success(200)?;
    assert_eq!(
        state["limits"],
        json!({ "requests_per_minute": 5, "max_documents": null })
    );
    let free = key(&app, &["--scope", "search", "--tenant", "acme"]).await?;
    let (_, refused) = exhausted(&app, &free, "\"tenant\";q=5;w=60").await?;
    refused.problem(429, "too-many-requests")?;
    assert!(
        refused.text.contains("the tenant may send 5"),
        "{}",
        refused.text
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_acts_for_many_tenants_has_one_limit() -> Outcome {
    let app = app(&KEYS).await?;
    let limited = ["--scope", "search,admin", "--requests-per-minute", "5"];
    let bearer = format!("Bearer {}", key(&app, &limited).await?);
    // More than 5 if a minute ends meanwhile, or if a second sandbox helps.
    for number in 0..60 {
        let tenant = format!("tenant-{number}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("rappel-tenant", tenant.as_str()),
        ];
        let path = "/documents?limit=1";
        let answer = app.request(Method::GET, path, &headers, Vec::new()).await?;
        if answer.status == 429 {
            assert!(number >= 5, "{number}");
            let policy = answer.header("ratelimit-policy");
            assert_eq!(policy, Some("\"key\";q=5;w=60"));
            return Ok(());
        }
        answer.success(200)?;
    }
    anyhow::bail!("the key acts for 60 tenants in a minute")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_too_many_is_refused_before_anything_is_stored() -> Outcome {
    let app = app(&KEYS).await?;
    let two = [
        "--scope",
        "search,write",
        "--tenant",
        "acme",
        "--max-documents",
        "2",
    ];
    let two = key(&app, &two).await?;
    let post = async |bearer: &str, ids: &[&str]| {
        let document = |id: &&str| json!({ "id": id, "content": "La recette des crêpes." });
        let documents: Vec<Value> = ids.iter().map(document).collect();
        let body = json!({ "documents": documents });
        send(&app, bearer, Method::POST, "/documents", body).await
    };
    post(&two, &["a"]).await?.success(200)?;
    let refused = post(&two, &["b", "a", "c"]).await?;
    refused.problem(403, "too-many-documents")?;
    let detail =
        "the tenant has 1 documents, 2 more would exceed its limit of 2; nothing was stored";
    assert!(refused.text.contains(detail), "{}", refused.text);
    assert_eq!(found(&app, &two).await?, ["a"]);
    post(&two, &["a", "b"]).await?.success(200)?;
    // A document that is there may change.
    store(&app, &two, "a", json!({ "k": 1 })).await?;
    post(&two, &["c"])
        .await?
        .problem(403, "too-many-documents")?;

    // The limit of the tenant holds for all of its keys, and that of a key for it alone.
    let free = key(&app, &["--scope", "write", "--tenant", "acme"]).await?;
    post(&free, &["c"]).await?.success(200)?;
    let operator = key(&app, &["--scope", "admin"]).await?;
    let limit = async |body: Value| send(&app, &operator, Method::PUT, "/tenants/acme", body).await;
    limit(json!({ "max_documents": 3 })).await?.success(200)?;
    post(&free, &["d"])
        .await?
        .problem(403, "too-many-documents")?;
    limit(json!({})).await?.success(200)?;
    post(&free, &["d"]).await?.success(200)?;
    let wrong = limit(json!({ "max_documents": 0, "requests_per_minute": 1_000_001 })).await?;
    assert_eq!(wrong.refused()?, ["requests_per_minute", "max_documents"]);
    let own = key(&app, &["--scope", "admin", "--tenant", "acme"]).await?;
    let raised = send(&app, &own, Method::PUT, "/tenants/acme", json!({})).await?;
    raised.problem(403, "forbidden")?;
    Ok(())
}

/// Documents of one passage each, past the product.
const CROWD: &str = "
    INSERT INTO rappel.documents (tenant, id, title, content, metadata, content_hash)
    SELECT 'acme', 'crowd-' || n, '', 'text', '{}', '' FROM generate_series(1, 10099) AS n;
    INSERT INTO rappel.chunk_terms (tenant, document_id, ordinal, length, terms, frequencies)
    SELECT 'acme', 'crowd-' || n, 0, 0, '{}', '{}' FROM generate_series(1, 10099) AS n";

#[tokio::test(flavor = "multi_thread")]
async fn many_documents_are_counted_once_for_each_hundredth_of_their_limit() -> Outcome {
    let app = app(&KEYS).await?;
    let limited = ["--scope", "write", "--tenant", "acme", "--max-documents"];
    let below = key(&app, &[&limited[..], &["10001"]].concat()).await?;
    let above = key(&app, &[&limited[..], &["10200"]].concat()).await?;
    let sql = app.sql().await?;
    sql.run(CROWD).await?;
    let post = async |bearer: &str, id: &str| {
        let document = json!({ "id": id, "content": "La recette des crêpes." });
        let body = json!({ "documents": [document] });
        send(&app, bearer, Method::POST, "/documents", body).await
    };
    // The next passage is the 10,100th.
    let refused = post(&below, "a").await?;
    refused.problem(403, "too-many-documents")?;
    let detail = "the tenant has 10099 documents, 1 more would exceed its limit of 10001";
    assert!(refused.text.contains(detail), "{}", refused.text);
    let remove = "DELETE FROM rappel.documents WHERE id = 'crowd-1'";
    sql.run(remove).await?;
    post(&below, "a").await?.success(200)?;
    for _ in 0..2 {
        post(&below, "b")
            .await?
            .problem(403, "too-many-documents")?;
    }
    post(&above, "b").await?.success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_counted_by_key_and_day_and_acts_are_audited() -> Outcome {
    let app = app(&KEYS).await?;
    let of = async |tenant: &'static str| {
        key(&app, &["--scope", "search,write,admin", "--tenant", tenant]).await
    };
    let (acme, other) = (of("acme").await?, of("other").await?);
    let operator = key(&app, &["--scope", "admin"]).await?;
    for bearer in [&acme, &other] {
        store(&app, bearer, "a", json!({ "old": true })).await?;
    }
    assert_eq!(found(&app, &acme).await?, ["a"]);
    let change = json!({ "filter": { "old": true }, "metadata": { "seen": true } });
    send(&app, &acme, Method::PATCH, "/documents", change)
        .await?
        .success(200)?;
    let ask =
        async |bearer: &str, path: &str| send(&app, bearer, Method::GET, path, Value::Null).await;
    // The search embedded tokens, too, in another sandbox: its counts are added.
    let own = eventually("all requests are counted", async || {
        let usage = ask(&acme, "/usage").await?.success(200)?["usage"][0].clone();
        let all = usage["requests"].as_i64() >= Some(3) && usage["documents"].as_i64() >= Some(2);
        Ok(all.then_some(usage))
    })
    .await?;
    assert_eq!(
        (&own["tenant"], &own["documents"]),
        (&json!("acme"), &json!(2))
    );
    assert!(own["embedded_tokens"].as_i64() > Some(10), "{own}");
    let counted_tenants = async |path: &str| {
        let page = ask(&operator, path).await?.success(200)?;
        let rows = page["usage"].as_array().context("rows")?.clone();
        let tenants = rows.iter().filter_map(|row| row["tenant"].as_str());
        let mut tenants: Vec<String> = tenants.map(str::to_owned).collect();
        tenants.dedup();
        anyhow::Ok(tenants)
    };
    assert_eq!(counted_tenants("/usage?tenant=other").await?, ["other"]);
    assert_eq!(counted_tenants("/usage?to=2020-12-31").await?, [""; 0]);
    let all = counted_tenants("/usage?from=2020-01-01").await?;
    assert!(
        all.contains(&"acme".to_owned()) && all.contains(&"other".to_owned()),
        "{all:?}"
    );
    ask(&acme, "/usage?tenant=other")
        .await?
        .problem(403, "forbidden")?;
    let wrong = ask(&acme, "/usage?from=2026-02-30").await?;
    assert_eq!(wrong.refused()?, ["from"]);

    let path = "/documents?filter=%7B%22old%22%3Atrue%7D&confirm=true";
    let deleted = send(&app, &acme, Method::DELETE, path, Value::Null).await?;
    assert_eq!(deleted.success(200)?["deleted"], 1);
    let acts = async |bearer: &str, path: &str| {
        let page = ask(bearer, path).await?.success(200)?;
        let acts = page["acts"].as_array().context("acts")?.clone();
        let name = |act: &Value| format!("{} {}", act["act"], act["tenant"]).replace('"', "");
        let names: Vec<String> = acts.iter().map(name).collect();
        anyhow::Ok((names, acts, page["next_cursor"].clone()))
    };
    let (names, rows, _) = acts(&acme, "/audit").await?;
    assert_eq!(names, ["documents.delete acme", "key.create acme"]);
    assert_eq!(rows[0]["detail"], json!({ "documents": 1 }));
    assert!(
        !json!(rows).to_string().contains("old"),
        "texts are not audited"
    );
    let (newest, _, cursor) = acts(&operator, "/audit?limit=4").await?;
    let expected = [
        "documents.delete acme",
        "key.create ",
        "key.create other",
        "key.create acme",
    ];
    assert_eq!(newest, expected);
    let path = format!("/audit?cursor={}", cursor.as_str().context("a cursor")?);
    assert_eq!(acts(&operator, &path).await?.0, ["schema.migrate "]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_openai_are_refused_in_its_words_and_their_tokens_counted() -> Outcome {
    let model = LanguageModel::replying(vec![Reply::text(&["Une crêpe", " [1]."]); 3]).await?;
    let mut settings = model.environment();
    settings.push(("AUTHORIZATION".to_owned(), "keys".to_owned()));
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let app = app(&settings).await?;
    let reader = key(&app, &["--scope", "search,write,admin"]).await?;
    store(&app, &reader, "a", json!({})).await?;
    let once = ["--scope", "chat", "--requests-per-minute", "1"];
    let once = key(&app, &once).await?;
    let chat = async |bearer: &str| {
        let body =
            json!({ "messages": [{ "role": "user", "content": "La recette des crêpes ?" }] });
        send(&app, bearer, Method::POST, "/v1/chat/completions", body).await
    };
    let error = |answer: &Answer| -> Result<Value> {
        let body: Value = serde_json::from_str(&answer.text)?;
        anyhow::ensure!(body["error"]["message"].is_string(), "{body}");
        Ok(json!([body["error"]["type"], body["error"]["code"]]))
    };
    let invalid = |code: &str| json!(["invalid_request_error", code]);
    let wrong = chat("nothing").await?;
    assert_eq!(
        (wrong.status, error(&wrong)?),
        (401, invalid("invalid_api_key"))
    );
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    let forbidden = chat(&reader).await?;
    assert_eq!(
        (forbidden.status, error(&forbidden)?),
        (403, invalid("forbidden"))
    );
    let answered = chat(&once).await?.success(200)?;
    assert_eq!(answered["usage"]["prompt_tokens"], 7, "{answered}");
    // Twice, because a minute may end between.
    let refused = match chat(&once).await? {
        answer if answer.status == 429 => answer,
        _ => chat(&once).await?,
    };
    assert_eq!(
        (refused.status, error(&refused)?),
        (429, invalid("rate_limit_exceeded"))
    );
    assert!(refused.header("retry-after").is_some() && refused.header("ratelimit").is_some());
    let counted = eventually("the tokens are counted", async || {
        let usage = send(&app, &reader, Method::GET, "/usage", Value::Null)
            .await?
            .success(200)?;
        let rows = usage["usage"].as_array().context("rows")?;
        let spent = rows
            .iter()
            .find(|row| row["prompt_tokens"].as_i64() > Some(0));
        Ok(spent.cloned())
    })
    .await?;
    assert_eq!(
        (&counted["prompt_tokens"], &counted["completion_tokens"]),
        (&json!(7), &json!(5))
    );
    Ok(())
}
