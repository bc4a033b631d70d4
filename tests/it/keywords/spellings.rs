//! Words that are spelled or inflected otherwise than in the documents, or have only begun.

use serde_json::{Value, json};
use tests::{
    App,
    command::{Printed, rappel},
};

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_question_finds_what_is_spelled_or_inflected_otherwise() -> Outcome {
    let app = App::start().await?;
    let texts = [
        (
            "oms",
            "The ITU and the WHO publish a joint report on clinics.",
        ),
        (
            "who",
            "Those who come late, whoever they are, wait outside.",
        ),
        (
            "list",
            "Nurseries, bakeries, surgeries. Fees, opening hours.",
        ),
        ("taxi", "Le taxi-brousse part du marché le dimanche."),
        ("tür", "Die Tür zum Hof bleibt im Winter geschlossen."),
        ("opera", "Il biglietto dell’opera costa venti euro."),
        (
            "hidden",
            "La sub\u{ad}ven\u{200b}tion \u{2067}communale\u{2069} est versée en mai.",
        ),
        ("thai", "สระว่ายน้ำปิดวันจันทร์"),
        ("japanese", "郵便局は九時に開きます。"),
        ("greek", "Ο σταθμός είναι κοντά στο λιμάνι."),
    ];
    let documents = texts.map(|(id, content)| json!({ "id": id, "content": content }));
    app.ingest(documents.to_vec()).await?;
    for (question, wanted) in [
        ("WHO", "oms"),
        ("the nursery", "list"),
        ("taxibrousse", "taxi"),
        ("taxi brousse", "taxi"),
        ("Tuer", "tür"),
        ("opera", "opera"),
        ("subvention communale", "hidden"),
        ("วันจันทร์", "thai"),
        ("郵便", "japanese"),
        ("ΣΤΑΘΜΟΣ", "greek"),
    ] {
        let hits = app
            .hits(json!({ "query": question, "mode": "keyword" }))
            .await?;
        assert_eq!(hits.len(), 1, "{question}: {hits:#?}");
        assert_eq!(hits[0]["document_id"], wanted, "{question}");
    }
    the_last_word_of_a_question_may_have_only_begun(&app).await
}

async fn the_last_word_of_a_question_may_have_only_begun(app: &App) -> Outcome {
    let lease = |id: &str, content: &str| json!({ "id": id, "content": content, "metadata": { "language": "fr" } });
    app.ingest(vec![
        lease("bail", "Le bail commercial et son licenciement."),
        lease(
            "travaux",
            "Le bail prévoit des travaux, et le travail du bailleur.",
        ),
        lease("trave", "Le bail et la travée du pont, travée par travée."),
    ])
    .await?;
    for (question, wanted) in [
        ("comm", vec!["bail", "hidden"]),
        // Of two forms, the better one counts: `travée` stands twice. The rarer is not worth more.
        ("bail trav", vec!["trave", "travaux", "bail"]),
        ("le bail commer", vec!["bail", "trave", "travaux"]),
        // Longer than the stem.
        ("licencieme", vec!["bail"]),
        ("LICENCIEM", vec!["bail"]),
        // Whole: another letter would follow.
        ("comm ", vec![]),
        ("taxi-bro", vec!["taxi"]),
        ("\"comm\"", vec![]),
        ("bail -comm", vec!["trave", "travaux", "bail"]),
        ("σταθ", vec!["greek"]),
        ("c", vec![]),
    ] {
        let search =
            json!({ "query": question, "mode": "keyword", "prefix": true, "fields": ["score"] });
        let mut found: Vec<String> = ids(&app.hits(search).await?);
        let mut wanted = wanted;
        if question != "bail trav" {
            found.sort_unstable();
            wanted.sort_unstable();
        }
        assert_eq!(found, wanted, "{question}");
    }
    let plain = json!({ "query": "comm", "mode": "keyword" });
    assert_eq!(app.hits(plain).await?.len(), 0);
    let hybrid = json!({ "query": "comm", "prefix": true, "limit": 2 });
    let hits = app.hits(hybrid).await?;
    let covers = |hit: &Value| hit["coverage"].as_f64().is_some_and(|share| share > 0.3);
    assert!(hits.iter().all(covers), "{hits:?}");
    let parameters = [("q", "comm"), ("mode", "keyword"), ("prefix", "true")];
    let found = app.get("/search", &parameters).await?.success(200)?;
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(2));
    let command = ["search", "comm", "--mode", "keyword", "--prefix", "--json"];
    let printed = Printed::by(&mut rappel(Some(app.database_url()), &command).await?).await?;
    assert_eq!(printed.json()?["hits"].as_array().map(Vec::len), Some(2));
    Ok(())
}

fn ids(hits: &[Value]) -> Vec<String> {
    let ids = hits.iter().filter_map(|hit| hit["document_id"].as_str());
    ids.map(str::to_owned).collect()
}
