//! Ingesting documents: what is stored, the outcome of each document, and concurrent writers.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::{App, document_path, samples};

use crate::Outcome;

fn statuses(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line["status"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_created_then_unchanged_then_updated() -> Outcome {
    let app = App::start().await?;
    let mut document = json!({
        "id": "phare", "title": "Le phare", "content": "La clé est sous la marche.", "metadata": { "ville": "Brest" },
    });

    let lines = app.ingest(vec![document.clone()]).await?;
    insta::assert_json_snapshot!(lines, @r#"
    [
      {
        "chunks": 1,
        "id": "phare",
        "status": "created"
      }
    ]
    "#);
    assert_eq!(
        statuses(&app.ingest(vec![document.clone()]).await?),
        ["unchanged"]
    );

    // Every part of a document counts, not its content alone.
    for (part, value) in [
        ("content", json!("La clé est chez le gardien.")),
        ("title", json!("Le vieux phare")),
        ("metadata", json!({ "ville": "Ouessant" })),
    ] {
        document[part] = value.clone();
        assert_eq!(
            statuses(&app.ingest(vec![document.clone()]).await?),
            ["updated"],
            "{part}"
        );
        let stored = app.get("/documents/phare", &[]).await?.success(200)?;
        assert_eq!(stored[part], value);
    }
    let hits = app.hits(json!({ "query": "qui a la clé ?" })).await?;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["content"], "La clé est chez le gardien.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_shrinks_leaves_no_chunk_behind() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["travail-reglement-atelier"]).await?;
    let path = document_path("travail-reglement-atelier");
    app.put(&path, json!({ "content": "Fermé pour l’été." }))
        .await?
        .success(200)?;

    let left = app
        .sql()
        .await?
        .texts("SELECT content FROM rappel.chunks", &[])
        .await?;
    assert_eq!(left, ["Fermé pour l’été."]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_id_gets_one_from_its_content_and_stays_one() -> Outcome {
    let app = App::start().await?;
    let anonymous = json!({ "content": "Personne ne m’a donné de nom." });
    let first = app.ingest(vec![anonymous.clone()]).await?;
    let second = app.ingest(vec![anonymous]).await?;

    assert_eq!(
        (statuses(&first), statuses(&second)),
        (vec!["created"], vec!["unchanged"])
    );
    assert_eq!(first[0]["id"], second[0]["id"]);
    let id = first[0]["id"].as_str().unwrap_or_default();
    let stored = app.get(&document_path(id), &[]).await?.success(200)?;
    assert_eq!(stored["content"], "Personne ne m’a donné de nom.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_hundred_is_stored_in_order() -> Outcome {
    let app = App::start().await?;
    let documents = (0..100)
        .map(|n| json!({ "id": format!("n-{n}"), "content": format!("Le numéro {n}.") }))
        .collect();

    let lines = app.ingest(documents).await?;
    let ids: Vec<_> = lines.iter().map(|line| line["id"].clone()).collect();
    assert_eq!(
        ids,
        (0..100)
            .map(|n| json!(format!("n-{n}")))
            .collect::<Vec<_>>()
    );
    assert!(statuses(&lines).iter().all(|status| *status == "created"));
    assert_eq!(
        app.sql()
            .await?
            .number("SELECT count(*) FROM rappel.documents", &[])
            .await?,
        100
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_document_twice_in_a_batch_is_stored_once() -> Outcome {
    let app = App::start().await?;
    let document = json!({ "id": "double", "content": "Deux fois la même chose." });
    let lines = app.ingest(vec![document.clone(), document]).await?;
    assert_eq!(statuses(&lines), ["created", "unchanged"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_documents_are_accepted_and_the_long_ones_are_split() -> Outcome {
    let app = App::start().await?;
    let lines = app.ingest(samples()?).await?;
    assert_eq!(lines.len(), 60);
    let split: HashSet<_> = lines
        .iter()
        .filter(|line| line["chunks"].as_u64() > Some(1))
        .filter_map(|line| line["id"].as_str())
        .collect();
    assert!(split.is_superset(&HashSet::from([
        "travail-reglement-atelier",
        "astronomy-telescope-history"
    ])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn put_creates_then_replaces_one_document() -> Outcome {
    let app = App::start().await?;
    let created = app
        .put(
            "/documents/cave",
            json!({ "content": "Il y fait douze degrés." }),
        )
        .await?
        .success(201)?;
    assert_eq!(
        created,
        json!({ "id": "cave", "status": "created", "chunks": 1 })
    );
    let body = json!({ "id": "cave", "content": "Il y fait douze degrés." });
    let unchanged = app.put("/documents/cave", body).await?.success(200)?;
    assert_eq!(unchanged["status"], "unchanged");
    let body = json!({ "title": "Cave", "content": "Il y fait onze degrés." });
    let updated = app.put("/documents/cave", body).await?.success(200)?;
    assert_eq!(updated["status"], "updated");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_of_one_document_leave_the_work_of_one() -> Outcome {
    let app = App::start_with(4).await?;
    // Each writer's text has its own number of chunks, and its mark in each of them.
    let contents: Vec<String> = (0..20)
        .map(|writer| {
            format!("Le rédacteur {writer:02} tient la plume et la garde bien. ")
                .repeat(4 + writer * 3)
        })
        .collect();
    let writes = contents.iter().map(async |content| {
        let answer = app
            .put("/documents/disputed", json!({ "content": content }))
            .await?;
        anyhow::ensure!(
            [200, 201].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text
        );
        Ok(answer.status)
    });
    let answers = try_join_all(writes).await?;
    assert_eq!(
        answers.iter().filter(|status| **status == 201).count(),
        1,
        "only one of them created it: {answers:?}"
    );

    let sql = app.sql().await?;
    let stored = sql
        .texts("SELECT content FROM rappel.documents", &[])
        .await?;
    let winner = contents
        .iter()
        .position(|content| content.trim() == stored[0].trim());
    let winner = winner.expect("the document is the work of one writer");
    let chunks = sql
        .texts("SELECT content FROM rappel.chunks ORDER BY ordinal", &[])
        .await?;
    let mark = format!("rédacteur {winner:02}");
    let marks = |text: &str| text.matches("rédacteur ").count();
    assert!(
        chunks
            .iter()
            .all(|chunk| marks(chunk) == chunk.matches(&mark).count()),
        "{mark}: {chunks:#?}"
    );
    assert!(
        chunks.iter().map(|chunk| marks(chunk)).sum::<usize>() >= marks(&stored[0]),
        "the chunks cover the document"
    );

    let said = app.get("/documents/disputed", &[]).await?.success(200)?;
    assert_eq!(said["chunks"], chunks.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_fifty_thousand_words_is_found_by_one_of_its_sentences() -> Outcome {
    let app = App::start().await?;
    let mut sentences: Vec<String> = (0..6_250)
        .map(|n| format!("En {n} le chat dort sur le lit. "))
        .collect();
    sentences[4_000].push_str("La clé du phare est cachée sous la troisième marche. ");
    let content = sentences.concat();
    assert!(content.split_whitespace().count() >= 50_000);

    let written = app
        .put("/documents/roman", json!({ "content": content }))
        .await?
        .success(201)?;
    assert!(written["chunks"].as_u64() > Some(100), "{written}");

    let hits = app
        .hits(json!({ "query": "où est la clé du phare ?" }))
        .await?;
    assert_eq!(hits.len(), 1);
    let found = hits[0]["content"].as_str().unwrap_or_default();
    assert!(found.contains("clé du phare"), "{found}");
    assert!(hits[0]["chunk"].as_u64() > Some(0), "{}", hits[0]["chunk"]);
    Ok(())
}
