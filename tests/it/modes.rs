//! The search modes: semantic, keyword and hybrid.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tests::{App, samples};

use crate::Outcome;

fn number(hit: &Value, name: &str) -> f64 {
    hit[name].as_f64().unwrap_or(f64::NAN)
}

fn articles() -> Vec<Value> {
    let article = |id: &str, number: &str, text: &str| {
        json!({
            "id": id,
            "title": format!("Code du travail, article {number}"),
            "content": text,
            "metadata": { "language": "fr", "article": number },
        })
    };
    vec![
        article(
            "a",
            "L3121-27",
            "La durée légale de travail effectif des salariés est de trente-cinq heures par semaine.",
        ),
        article(
            "b",
            "L3121-28",
            "Toute heure accomplie au delà de la durée légale ouvre droit à une majoration salariale.",
        ),
        article(
            "c",
            "L3121-33",
            "Une convention prévoit le taux de majoration des heures supplémentaires.",
        ),
        article(
            "d",
            "L3141-1",
            "Tout salarié a droit chaque année à un congé payé à la charge de l’employeur.",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_found_by_its_characters_however_it_is_written() -> Outcome {
    let app = App::start().await?;
    app.ingest(articles()).await?;
    for query in [
        "L3121-33",
        "article L. 3121-33",
        "que dit l’article L 3121-33 ?",
    ] {
        for mode in ["keyword", "hybrid"] {
            let hits = app.hits(json!({ "query": query, "mode": mode })).await?;
            assert_eq!(hits[0]["document_id"], "c", "{mode}, {query}: {hits:#?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_is_the_default_and_its_weight_leads_from_words_to_meaning() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;
    let query = "douleur à la tête et nausées";
    let ids = async |request: Value| -> anyhow::Result<Vec<Value>> {
        let hits = app.hits(request).await?;
        Ok(hits
            .into_iter()
            .map(|hit| hit["document_id"].clone())
            .collect())
    };

    let default = ids(json!({ "query": query })).await?;
    assert_eq!(
        default,
        ids(json!({ "query": query, "mode": "hybrid" })).await?
    );
    let meaning = ids(json!({ "query": query, "semantic_weight": 1 })).await?;
    assert_eq!(
        meaning,
        ids(json!({ "query": query, "mode": "semantic" })).await?
    );
    let words = ids(json!({ "query": query, "semantic_weight": 0, "limit": 3 })).await?;
    let keyword = ids(json!({ "query": query, "mode": "keyword", "limit": 3 })).await?;
    assert_eq!(words[..keyword.len()], keyword[..]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_max_distance_mean_the_same_in_every_mode() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;
    let query = "combien de jours de télétravail par semaine ?";
    for mode in ["semantic", "keyword", "hybrid"] {
        let all = app
            .hits(json!({ "query": query, "mode": mode, "limit": 100 }))
            .await?;
        let filter = json!({ "language": "fr" });
        let french = app
            .hits(json!({ "query": query, "mode": mode, "limit": 100, "filter": filter }))
            .await?;
        let expected = all.iter().filter(|hit| hit["metadata"]["language"] == "fr");
        assert_eq!(french.len(), expected.count(), "{mode}");
        assert!(!french.is_empty(), "{mode}");

        let limit = number(&all[all.len() / 2], "distance");
        let near = app
            .hits(json!({ "query": query, "mode": mode, "limit": 100, "max_distance": limit }))
            .await?;
        let expected = all.iter().filter(|hit| number(hit, "distance") <= limit);
        assert_eq!(near.len(), expected.count(), "{mode}");
        assert!(
            near.iter().all(|hit| number(hit, "distance") <= limit),
            "{mode}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_explains_itself_when_asked() -> Outcome {
    let app = App::start().await?;
    app.ingest(articles()).await?;
    let request = json!({ "query": "congé payé du salarié", "limit": 1, "explain": true });
    let hits = app.hits(request).await?;
    assert_json_snapshot!(hits, {
        "[].distance" => "[distance]",
        "[].keyword_score" => "[keyword score]",
        "[].coverage" => "[coverage]",
        "[].relevance" => "[relevance]",
        "[].score" => "[score]",
        "[].explanation.semantic" => "[similarity]",
        "[].explanation.keyword" => "[coverage]",
        "[].explanation.average_length" => "[length]",
        "[].explanation.terms[].weight" => "[weight]",
    }, @r#"
    [
      {
        "chunk": 0,
        "content": "Tout salarié a droit chaque année à un congé payé à la charge de l’employeur.",
        "coverage": "[coverage]",
        "distance": "[distance]",
        "document_id": "d",
        "explanation": {
          "average_length": "[length]",
          "effort": 200,
          "keyword": "[coverage]",
          "length": 11,
          "semantic": "[similarity]",
          "semantic_weight": 0.65,
          "terms": [
            {
              "frequency": 1,
              "term": "cong",
              "weight": "[weight]"
            },
            {
              "frequency": 1,
              "term": "pay",
              "weight": "[weight]"
            },
            {
              "frequency": 1,
              "term": "salar",
              "weight": "[weight]"
            }
          ]
        },
        "keyword_score": "[keyword score]",
        "metadata": {
          "article": "L3141-1",
          "language": "fr"
        },
        "relevance": "[relevance]",
        "score": "[score]",
        "title": "Code du travail, article L3141-1"
      }
    ]
    "#);
    let explanation = &hits[0]["explanation"];
    let weight = number(explanation, "semantic_weight");
    let score =
        weight * number(explanation, "semantic") + (1.0 - weight) * number(explanation, "keyword");
    assert!((score - number(&hits[0], "score")).abs() < 1e-9);

    // What is measured of a passage does not depend on how it was found, nor on what else was.
    for mode in ["semantic", "keyword"] {
        let request = json!({ "query": "congé payé du salarié", "limit": 1, "mode": mode });
        let plain = app.hits(request).await?;
        assert!(plain[0].get("explanation").is_none());
        for measure in ["distance", "keyword_score", "coverage", "relevance"] {
            let difference = number(&plain[0], measure) - number(&hits[0], measure);
            assert!(
                difference.abs() < 1e-6,
                "{mode}, {measure}: {plain:#?} {hits:#?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_may_bring_its_neighbours_merged_without_a_seam() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["travail-reglement-atelier", "recette-crepes"])
        .await?;
    let document = app
        .get("/documents/travail-reglement-atelier", &[])
        .await?
        .success(200)?;
    let content = document["content"].as_str().unwrap_or_default();
    let query = "où jeter un chiffon imprégné d’huile de lin ?";

    let hit = |expand: u32| {
        let app = &app;
        async move {
            let request = json!({ "query": query, "limit": 1, "expand": expand });
            let hits = app.hits(request).await?;
            anyhow::Ok(hits[0]["content"].as_str().unwrap_or_default().to_owned())
        }
    };
    let alone = hit(0).await?;
    let merged = hit(1).await?;
    assert!(merged.len() > alone.len());
    assert!(merged.contains(&alone));
    assert!(
        content.contains(&merged),
        "nothing is repeated where chunks overlap"
    );
    assert_eq!(hit(10).await?.trim(), content.trim());
    Ok(())
}
