//! Exact phrases in quotes and exclusions with a hyphen.

use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

fn document(id: &str, title: &str, content: &str) -> Value {
    json!({ "id": id, "title": title, "content": content, "metadata": { "kind": "clause" } })
}

fn contracts() -> Vec<Value> {
    vec![
        document(
            "cadre",
            "Contrat d’un cadre",
            "Une Clause de Non‑Concurrence lie le salarié pendant un an.",
        ),
        document(
            "agent",
            "Contrat d’un agent",
            "La clause d’exclusivité et l’obligation de non-concurrence lient l’agent.",
        ),
        document(
            "vente",
            "Clause de non-concurrence",
            "Le vendeur d’un fonds ne s’installe pas dans la même rue.",
        ),
        document(
            "travaux",
            "Marché de travaux",
            "La clause de non-concurrence ne vaut pas pour les travaux publics.",
        ),
        document(
            "stage",
            "Convention de stage",
            "La concurrence entre écoles n’a pas de clause.",
        ),
    ]
}

/// The ids of the hits, in the order of the alphabet.
async fn found(app: &App, query: &str, mode: &str) -> anyhow::Result<Vec<String>> {
    let request = json!({ "query": query, "mode": mode, "limit": 100 });
    let mut ids: Vec<String> = app
        .hits(request)
        .await?
        .iter()
        .filter_map(|hit| hit["document_id"].as_str().map(str::to_owned))
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phrase_in_quotes_is_in_every_hit_and_an_excluded_word_in_none() -> Outcome {
    let app = App::start().await?;
    app.ingest(contracts()).await?;
    for mode in ["keyword", "hybrid"] {
        for (query, expected) in [
            (
                r#""clause de non-concurrence""#,
                &["cadre", "travaux", "vente"][..],
            ),
            (
                r#""CLAUSE DE NON CONCURRENCE" salarié"#,
                &["cadre", "travaux", "vente"],
            ),
            (r#""clause de non-concurrence" "un an""#, &["cadre"]),
            (r#""de clause""#, &["stage"]),
            (r#""ne vaut pas""#, &["travaux"]),
            (r#""concurrences""#, &[]),
            // Any form of the word is excluded, and a phrase as it is written.
            (
                r#""clause de non-concurrence" -travail"#,
                &["cadre", "travaux", "vente"],
            ),
            (
                r#""clause de non-concurrence" -travaux"#,
                &["cadre", "vente"],
            ),
            (
                r"clause concurrence -salariés",
                &["agent", "stage", "travaux", "vente"],
            ),
            (
                r#"clause concurrence -"clause de non-concurrence""#,
                &["agent", "stage"],
            ),
            (
                r#"concurrence -"d'exclusivité" -école"#,
                &["cadre", "travaux", "vente"],
            ),
        ] {
            assert_eq!(found(&app, query, mode).await?, expected, "{mode}, {query}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_semantic_searches_and_in_prose_quotes_and_hyphens_are_punctuation() -> Outcome {
    let app = App::start().await?;
    app.ingest(contracts()).await?;
    let everything = found(&app, "clause", "semantic").await?;
    assert_eq!(everything.len(), 5);
    for (query, mode) in [
        (r#""clause de non-concurrence" -travaux"#, "semantic"),
        ("clause - concurrence", "hybrid"),
        ("clause –concurrence «de clause»", "hybrid"),
        ("la clause -elle- de concurrence", "hybrid"),
        (r#"une clause de 27" sans fin "concurrence"#, "hybrid"),
        ("clause -5 % de concurrence", "hybrid"),
    ] {
        assert_eq!(
            found(&app, query, mode).await?,
            everything,
            "{mode}, {query}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excluded_word_anywhere_in_a_document_excludes_it() -> Outcome {
    let app = App::start().await?;
    let filler = "Le loyer est payable le premier jour de chaque mois. ".repeat(60);
    app.ingest(vec![
        document(
            "long",
            "",
            &format!("Le bail est écrit. {filler}Le zorglub est interdit."),
        ),
        document("court", "", "Le bail est verbal."),
    ])
    .await?;
    assert_eq!(found(&app, "bail", "keyword").await?, ["court", "long"]);
    for query in ["bail -zorglub", r#"bail -"zorglub est interdit""#] {
        for mode in ["keyword", "hybrid"] {
            assert_eq!(
                found(&app, query, mode).await?,
                ["court"],
                "{mode}, {query}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_full_where_a_phrase_is_rare_and_where_it_is_common() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // More passages with the phrase than are listed, and so many more without that the nearest are of those.
    sql.run(
        "INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT n::text, '', CASE WHEN n % 3 = 0 THEN 'le vent gris souffle' ELSE 'le gris vent souffle' END
                             || CASE WHEN n % 1000 = 0 THEN ' ce soir' ELSE '' END,
                jsonb_build_object('even', n % 2 = 0), ''
         FROM generate_series(1, 9000) AS n;
         INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
         SELECT d.id, 0, 0, d.content, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) WHERE d.id <> '')::halfvec
         FROM rappel.documents AS d;
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT d.id, 0, 3, terms, array_fill(1::smallint, ARRAY[cardinality(terms)])
         FROM rappel.documents AS d,
              LATERAL (SELECT CASE WHEN d.content LIKE '% soir' THEN ARRAY['gris', 'soir', 'souffl', 'vent']
                                   ELSE ARRAY['gris', 'souffl', 'vent'] END) AS of (terms);",
    )
    .await?;
    for mode in ["keyword", "hybrid"] {
        for (query, filter, expected) in [
            (r#""vent gris""#, json!({}), 100),
            (r#""vent gris""#, json!({ "even": true }), 100),
            (r#""souffle ce soir""#, json!({}), 9),
            (r#""vent gris" "souffle ce soir""#, json!({}), 3),
            (
                r#""vent gris" "souffle ce soir""#,
                json!({ "even": false }),
                0,
            ),
            (r#"vent -"vent gris""#, json!({}), 100),
            (
                r#"vent -"ce soir" -"gris vent""#,
                json!({ "even": true }),
                100,
            ),
        ] {
            let request = json!({ "query": query, "filter": filter, "mode": mode, "limit": 100 });
            let hits = app.hits(request).await?;
            assert_eq!(hits.len(), expected, "{mode}, {query}, {filter}");
            let (asked, is_excluded) = match query.split_once("-\"") {
                Some((_, excluded)) => (excluded.split('"').next(), true),
                None => (query.split('"').nth(1), false),
            };
            for hit in hits {
                let content = hit["content"].as_str().unwrap_or_default();
                assert_ne!(
                    content.contains(asked.unwrap_or_default()),
                    is_excluded,
                    "{query}: {hit}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_question_cannot_demand_is_refused() -> Outcome {
    let app = App::start().await?;
    for (query, named) in [
        ("-travaux", "add what to search for".to_owned()),
        (
            &format!("\"{}\"", "mot ".repeat(40).trim()),
            "40 words".to_owned(),
        ),
        (&"clause -mot ".repeat(11), "at most 10".to_owned()),
    ] {
        let answer = app.post("/search", json!({ "query": query })).await?;
        let fields = answer.refused()?;
        assert_eq!(fields, ["query"], "{query}");
        assert!(answer.text.contains(&named), "{}", answer.text);
    }
    Ok(())
}
