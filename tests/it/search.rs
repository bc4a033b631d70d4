//! Searching: hits, their order, and the forms of a request.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tests::{App, samples};

use crate::Outcome;

const LIBRARY_AND_HEALTH: [&str; 5] = [
    "sante-migraine",
    "health-migraine",
    "bibliotheque-horaires",
    "recette-crepes",
    "astronomie-marees",
];

fn ids(hits: &[Value]) -> Vec<&str> {
    hits.iter()
        .filter_map(|hit| hit["document_id"].as_str())
        .collect()
}

fn distances(hits: &[Value]) -> Vec<f64> {
    hits.iter()
        .filter_map(|hit| hit["distance"].as_f64())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_french_question_finds_the_french_document_that_answers_it() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&LIBRARY_AND_HEALTH).await?;

    let hits = app
        .hits(json!({ "query": "que faire quand j'ai très mal à la tête ?" }))
        .await?;
    assert_eq!(hits[0]["document_id"], "sante-migraine", "{hits:#?}");

    let hits = app
        .hits(json!({ "query": "à quelle heure puis-je aller lire le samedi ?" }))
        .await?;
    assert_eq!(hits[0]["document_id"], "bibliotheque-horaires", "{hits:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_finds_its_answer_in_the_other_language_too() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&LIBRARY_AND_HEALTH).await?;

    let hits = app
        .hits(json!({ "query": "how do I get rid of a migraine?", "limit": 2 }))
        .await?;
    let mut found = ids(&hits);
    found.sort_unstable();
    assert_eq!(found, ["health-migraine", "sante-migraine"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_carries_the_document_its_chunk_and_how_near_it_is() -> Outcome {
    let app = App::start().await?;
    app.ingest(vec![json!({
        "id": "phare",
        "title": "Le phare",
        "content": "La clé du phare est sous la troisième marche.",
        "metadata": { "langue": "fr", "année": 1904 },
    })])
    .await?;

    let body = app
        .post("/search", json!({ "query": "où est la clé du phare ?" }))
        .await?
        .success(200)?;
    assert_json_snapshot!(body, {
        ".hits[].distance" => "[distance]",
        ".hits[].keyword_score" => "[score]",
        ".hits[].coverage" => "[coverage]",
        ".hits[].relevance" => "[relevance]",
        ".hits[].score" => "[score]",
        ".took_ms.embed" => "[ms]",
        ".took_ms.database" => "[ms]",
        ".took_ms.total" => "[ms]",
    }, @r#"
    {
      "hits": [
        {
          "chunk": 0,
          "content": "La clé du phare est sous la troisième marche.",
          "coverage": "[coverage]",
          "distance": "[distance]",
          "document_id": "phare",
          "keyword_score": "[score]",
          "metadata": {
            "année": 1904,
            "langue": "fr"
          },
          "relevance": "[relevance]",
          "score": "[score]",
          "title": "Le phare"
        }
      ],
      "took_ms": {
        "database": "[ms]",
        "embed": "[ms]",
        "total": "[ms]"
      },
      "total": 1,
      "total_is_exact": true
    }
    "#);
    for part in ["embed", "database", "total"] {
        assert!(body["took_ms"][part].is_number(), "{part}: {body}");
    }
    let hit = &body["hits"][0];
    assert!(hit["score"].is_number(), "{hit}");
    assert!(
        hit["distance"]
            .as_f64()
            .is_some_and(|distance| (0.0..=2.0).contains(&distance)),
        "{hit}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_sorted_by_distance_and_limit_counts_documents() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;

    let ten = app
        .hits(json!({ "query": "Pourquoi la Lune devient-elle rouge ?", "mode": "semantic" }))
        .await?;
    assert_eq!(ten.len(), 10, "the default limit is 10");
    assert_eq!(ten[0]["document_id"], "astronomie-eclipse-lune");
    assert!(distances(&ten).is_sorted(), "{:?}", distances(&ten));

    let all = app
        .hits(json!({ "query": "Pourquoi la Lune devient-elle rouge ?", "limit": 100, "mode": "semantic" }))
        .await?;
    let mut found = ids(&all);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 60, "every document appears, and once");
    assert_eq!(all.len(), 60);

    let one = app
        .hits(json!({ "query": "Pourquoi la Lune devient-elle rouge ?", "limit": 1 }))
        .await?;
    assert_eq!(ids(&one), ["astronomie-eclipse-lune"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_asked_again_is_not_embedded_again_and_finds_what_came_in_between() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    let ask = |query: &'static str| app.post("/search", json!({ "query": query }));
    let cached = |body: &Value| body["took_ms"].get("embedding_cached").cloned();

    let first = ask("à quelle heure puis-je aller lire le samedi ?")
        .await?
        .success(200)?;
    assert_eq!(cached(&first), None, "{first}");
    app.ingest_samples(&["bibliotheque-horaires"]).await?;
    let again = ask("à quelle heure puis-je aller lire le samedi ?")
        .await?
        .success(200)?;
    assert_eq!(cached(&again), Some(json!(true)), "{again}");
    assert_eq!(again["hits"][0]["document_id"], "bibliotheque-horaires");
    assert_eq!(
        again["hits"][1]["distance"], first["hits"][0]["distance"],
        "the kept embedding is the same"
    );

    let another = ask("à quelle heure puis-je aller lire le dimanche ?")
        .await?
        .success(200)?;
    assert_eq!(cached(&another), None, "{another}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_that_matches_many_times_is_one_hit_with_its_best_chunk() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&[
        "travail-reglement-atelier",
        "travail-horaires",
        "recette-crepes",
    ])
    .await?;
    let chunks = app
        .get("/documents/travail-reglement-atelier", &[])
        .await?
        .success(200)?;
    assert!(
        chunks["chunks"].as_u64() > Some(1),
        "the long sample has several chunks: {}",
        chunks["chunks"]
    );

    let hits = app
        .hits(json!({ "query": "équipements obligatoires à l’atelier de menuiserie", "limit": 3 }))
        .await?;
    assert_eq!(
        hits.len(),
        3,
        "the other chunks of the long document take nobody's place"
    );
    assert_eq!(hits[0]["document_id"], "travail-reglement-atelier");

    let hits = app
        .hits(json!({ "query": "où jeter un chiffon imprégné d’huile de lin ?", "limit": 1 }))
        .await?;
    let content = hits[0]["content"].as_str().unwrap_or_default();
    assert!(
        content.contains("huile de lin"),
        "the chunk shown is the one that answers: {content}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_still_fills_the_limit() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;

    // The best answers are French; asking for English ones must not leave the page short.
    let request =
        json!({ "query": "règles du télétravail", "limit": 20, "filter": { "language": "en" } });
    let hits = app.hits(request).await?;
    assert_eq!(hits.len(), 20);
    assert!(
        hits.iter().all(|hit| hit["metadata"]["language"] == "en"),
        "{hits:#?}"
    );
    assert_eq!(hits[0]["document_id"], "work-remote-days");

    let request =
        json!({ "query": "télétravail", "filter": { "language": "fr", "theme": "droit" } });
    assert_eq!(
        app.hits(request).await?.len(),
        3,
        "all fields of a filter have to match"
    );

    let request = json!({ "query": "télétravail", "filter": { "language": "de" } });
    assert!(app.hits(request).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn max_distance_keeps_only_what_is_near_enough() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&LIBRARY_AND_HEALTH).await?;
    let query = "comment soulager une migraine ?";

    let all = app
        .hits(json!({ "query": query, "max_distance": 2, "mode": "semantic" }))
        .await?;
    assert_eq!(
        all.len(),
        LIBRARY_AND_HEALTH.len(),
        "2 is the greatest distance there is"
    );

    let all_distances = distances(&all);
    let between = f64::midpoint(all_distances[1], all_distances[2]);
    let near = app
        .hits(json!({ "query": query, "max_distance": between, "mode": "semantic" }))
        .await?;
    assert_eq!(ids(&near), ids(&all)[..2]);

    assert!(
        app.hits(json!({ "query": query, "max_distance": 0 }))
            .await?
            .is_empty()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_post_answer_the_same() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&LIBRARY_AND_HEALTH).await?;

    let post = app
        .post(
            "/search",
            json!({
                "query": "l’heure d’été & la mer : 100 % ?",
                "limit": 2,
                "max_distance": 1.5,
                "filter": { "language": "fr" },
                "mode": "hybrid",
                "semantic_weight": 0.4,
                "expand": 1,
                "explain": true,
            }),
        )
        .await?
        .success(200)?;
    let get = app
        .get(
            "/search",
            &[
                ("q", "l’heure d’été & la mer : 100 % ?"),
                ("limit", "2"),
                ("max_distance", "1.5"),
                ("filter", r#"{"language":"fr"}"#),
                ("mode", "hybrid"),
                ("semantic_weight", "0.4"),
                ("expand", "1"),
                ("explain", "true"),
            ],
        )
        .await?
        .success(200)?;
    assert_eq!(post["hits"].as_array().map(Vec::len), Some(2));
    assert_eq!(get["hits"], post["hits"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_has_no_hits() -> Outcome {
    let app = App::start().await?;
    assert!(
        app.hits(json!({ "query": "personne n’a encore rien écrit" }))
            .await?
            .is_empty()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_any_script_goes_in_and_comes_out_unchanged() -> Outcome {
    let app = App::start().await?;
    // An emoji of several code points, an accent as a combining character, right-to-left text.
    let content = "👩‍🚀🧑🏽‍🌾 cafe\u{301} au lait, naïve œuvre, 東京の図書館, مكتبة المدينة";
    app.ingest(vec![
        json!({ "id": "unicode", "title": "Ünï 🎉", "content": content }),
    ])
    .await?;

    let hits = app.hits(json!({ "query": "👩‍🚀 cafe\u{301}" })).await?;
    assert_eq!(hits[0]["content"], content);
    assert_eq!(hits[0]["title"], "Ünï 🎉");
    let document = app.get("/documents/unicode", &[]).await?.success(200)?;
    assert_eq!(document["content"], content);

    let astronauts = "👩‍🚀".repeat(600);
    assert_eq!(
        app.hits(json!({ "query": astronauts })).await?.len(),
        1,
        "1,800 characters in 6,600 bytes are allowed"
    );
    Ok(())
}
