//! Listing, reading and deleting documents.

use anyhow::Context;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tests::{App, document_path, samples};

use crate::Outcome;

/// Follows the cursors to the end and answers the ids of each page.
async fn pages(app: &App, query: &[(&str, &str)]) -> anyhow::Result<Vec<Vec<String>>> {
    let mut pages = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut asked = query.to_vec();
        asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = app.get("/documents", &asked).await?.success(200)?;
        let documents = page["documents"]
            .as_array()
            .context("a page has documents")?;
        pages.push(
            documents
                .iter()
                .filter_map(|document| document["id"].as_str().map(str::to_owned))
                .collect(),
        );
        match &page["next_cursor"] {
            Value::Null => return Ok(pages),
            next => cursor = Some(next.as_str().context("a cursor is a text")?.to_owned()),
        }
        anyhow::ensure!(pages.len() <= 100, "the pages do not end");
    }
}

fn sample_ids(language: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<String> = samples()?
        .iter()
        .filter(|sample| language.is_none_or(|language| sample["metadata"]["language"] == language))
        .filter_map(|sample| sample["id"].as_str().map(str::to_owned))
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cover_everything_exactly_once_in_the_order_of_ids() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;

    let by_default = pages(&app, &[]).await?;
    assert_eq!(
        by_default.iter().map(Vec::len).collect::<Vec<_>>(),
        [20, 20, 20]
    );
    for limit in ["1", "7", "59", "60", "100"] {
        let read = pages(&app, &[("limit", limit)]).await?.concat();
        assert_eq!(read, sample_ids(None)?, "limit {limit}");
    }

    let filter = r#"{"language":"en"}"#;
    let english = pages(&app, &[("limit", "7"), ("filter", filter)]).await?;
    assert_eq!(
        english.iter().map(Vec::len).collect::<Vec<_>>(),
        [7, 7, 7, 3]
    );
    assert_eq!(english.concat(), sample_ids(Some("en"))?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_is_one_empty_page() -> Outcome {
    let app = App::start().await?;
    let page = app.get("/documents", &[]).await?.success(200)?;
    let empty = json!({ "documents": [], "next_cursor": null, "total": 0, "total_is_exact": true });
    assert_eq!(page, empty);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_the_outline_of_a_document_and_the_document_all_of_it() -> Outcome {
    let app = App::start().await?;
    let content = "La clé du phare est sous la troisième marche.";
    let document = json!({ "id": "phare", "title": "Le phare", "content": content, "metadata": { "langue": "fr" } });
    app.ingest(vec![document]).await?;

    assert_json_snapshot!(app.get("/documents", &[]).await?.success(200)?, {
        ".documents[].created_at" => "[time]",
        ".documents[].updated_at" => "[time]",
    }, @r#"
    {
      "documents": [
        {
          "chunks": 1,
          "created_at": "[time]",
          "id": "phare",
          "metadata": {
            "langue": "fr"
          },
          "title": "Le phare",
          "updated_at": "[time]"
        }
      ],
      "next_cursor": null,
      "total": 1,
      "total_is_exact": true
    }
    "#);
    assert_json_snapshot!(app.get("/documents/phare", &[]).await?.success(200)?, {
        ".created_at" => "[time]",
        ".updated_at" => "[time]",
    }, @r#"
    {
      "chunks": 1,
      "content": "La clé du phare est sous la troisième marche.",
      "created_at": "[time]",
      "id": "phare",
      "metadata": {
        "langue": "fr"
      },
      "title": "Le phare",
      "updated_at": "[time]"
    }
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_and_metadata_that_were_not_given_read_as_empty() -> Outcome {
    let app = App::start().await?;
    app.ingest(vec![json!({ "id": "nu", "content": "Rien que le texte." })])
        .await?;
    let document = app.get("/documents/nu", &[]).await?.success(200)?;
    assert_eq!(
        (&document["title"], &document["metadata"]),
        (&json!(""), &json!({}))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_created_at_and_moves_updated_at() -> Outcome {
    let app = App::start().await?;
    app.put("/documents/cave", json!({ "content": "Douze degrés." }))
        .await?
        .success(201)?;
    let before = app.get("/documents/cave", &[]).await?.success(200)?;
    app.put("/documents/cave", json!({ "content": "Onze degrés." }))
        .await?
        .success(200)?;
    let after = app.get("/documents/cave", &[]).await?.success(200)?;
    assert_eq!(before["created_at"], after["created_at"]);
    // RFC 3339 in UTC sorts as text.
    assert!(
        before["updated_at"].as_str() < after["updated_at"].as_str(),
        "{before} {after}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_document_is_gone_from_every_view() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["sante-migraine", "health-migraine"])
        .await?;

    assert_eq!(
        app.delete("/documents/sante-migraine")
            .await?
            .success(204)?,
        Value::Null
    );
    app.delete("/documents/sante-migraine")
        .await?
        .problem(404, "not-found")?;
    app.get("/documents/sante-migraine", &[])
        .await?
        .problem(404, "not-found")?;
    assert_eq!(pages(&app, &[]).await?.concat(), ["health-migraine"]);
    let hits = app
        .hits(json!({ "query": "comment soulager une migraine ?" }))
        .await?;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["document_id"], "health-migraine");
    let left = "SELECT count(*) FROM rappel.chunks WHERE document_id = 'sante-migraine'";
    assert_eq!(app.sql().await?.number(left, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_can_be_an_id() -> Outcome {
    let app = App::start().await?;
    let ids = [
        "notes/été/juin 2026",
        "100 % sûr ?",
        "a+b&c=d#e",
        "...",
        "%2F",
        "👩‍🚀",
        "\"guillemets\"\\",
    ];
    for id in ids {
        let path = document_path(id);
        let written = app
            .put(&path, json!({ "content": format!("Le contenu de {id}.") }))
            .await?;
        let written = written.success(201).map_err(|error| error.context(id))?;
        assert_eq!(written["id"], id);
        let read = app
            .get(&path, &[])
            .await?
            .success(200)
            .map_err(|error| error.context(id))?;
        assert_eq!(read["content"], format!("Le contenu de {id}."));
    }
    let mut sorted: Vec<_> = ids.map(str::to_owned).to_vec();
    sorted.sort_unstable();
    assert_eq!(pages(&app, &[("limit", "2")]).await?.concat(), sorted);
    for id in ids {
        app.delete(&document_path(id))
            .await?
            .success(204)
            .map_err(|error| error.context(id))?;
    }
    assert_eq!(pages(&app, &[]).await?, [Vec::<String>::new()]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_tampered_with_is_refused() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["sante-migraine", "health-migraine"])
        .await?;
    let page = app
        .get("/documents", &[("limit", "1")])
        .await?
        .success(200)?;
    let cursor = page["next_cursor"]
        .as_str()
        .context("there is a second page")?;

    let halved = &cursor[..cursor.len() / 2];
    let lengthened = format!("{cursor}AAAA");
    for tampered in ["x", "%%%", "bm9uZQ", halved, &lengthened] {
        let fields = app
            .get("/documents", &[("cursor", tampered)])
            .await?
            .refused();
        assert_eq!(
            fields.map_err(|error| error.context(tampered.to_owned()))?,
            ["cursor"],
            "{tampered}"
        );
    }

    // A cursor belongs to its filter: with another one it would skip documents silently.
    let other_filter = [("cursor", cursor), ("filter", r#"{"language":"fr"}"#)];
    assert_eq!(
        app.get("/documents", &other_filter).await?.refused()?,
        ["cursor"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_s_limits_are_refused_by_name() -> Outcome {
    let app = App::start().await?;
    for (name, value) in [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "x"),
        ("filter", "fr"),
        ("sort", "title"),
        ("sort", "--id"),
        ("count", "roughly"),
        ("page", "2"),
    ] {
        let fields = app.get("/documents", &[(name, value)]).await?.refused()?;
        assert_eq!(fields, [name], "{name}={value}");
    }
    app.get("/documents", &[("limit", "100")])
        .await?
        .success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_has_a_limit_and_an_answer_too() -> Outcome {
    let app = App::start().await?;
    let document = |bytes: usize| json!({ "content": "a", "metadata": { "a": "x".repeat(bytes) } });
    // `{"a":""}` is eight bytes.
    let refused = app.put("/documents/a", document(16 * 1024 - 7)).await?;
    assert_eq!(refused.refused()?, ["metadata"]);
    app.put("/documents/a", document(16 * 1024 - 8))
        .await?
        .success(201)?;

    // An import may have stored a document that no answer can hold.
    let sql = app.sql().await?;
    sql.run("UPDATE rappel.documents SET content = repeat('\"', 3200000)")
        .await?;
    let answer = app.get("/documents/a", &[]).await?;
    answer.problem(422, "answer-too-large")?;
    assert!(answer.text.contains("6275072"), "{}", answer.text);
    Ok(())
}
