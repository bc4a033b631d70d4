//! Relevance: hits that answer a question score higher than hits that are merely the nearest.

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// A village's notices, some in English.
fn notices() -> Vec<Value> {
    let notice = |id: &str, title: &str, content: &str| json!({ "id": id, "title": title, "content": content });
    vec![
        notice(
            "bibliotheque",
            "La bibliothèque",
            "La bibliothèque prête cinq livres pour trois semaines. Les retards coûtent dix centimes par jour et par livre.",
        ),
        notice(
            "dechets",
            "Bac jaune",
            "Le bac jaune est vidé le mercredi des semaines paires. Les bouteilles, boîtes de conserve et cartons y vont sans sac.",
        ),
        notice(
            "tennis",
            "Courts de tennis",
            "Les courts se réservent la veille à partir de dix-huit heures. L'éclairage s'éteint de lui-même à vingt-deux heures.",
        ),
        notice(
            "passeport",
            "Passeports",
            "Une demande de passeport se dépose sur rendez-vous, avec une photo de moins de six mois et un timbre fiscal de 86 euros.",
        ),
        notice(
            "cantine",
            "Cantine scolaire",
            "Le repas coûte 3,40 euros. Une absence signalée avant neuf heures n'est pas facturée.",
        ),
        notice(
            "bus",
            "Ligne 4",
            "Le bus de la ligne 4 passe toutes les vingt minutes, et toutes les quarante le dimanche.",
        ),
        notice(
            "wifi",
            "Guest network",
            "Guests use the network Osprey. Its password changes every Monday and is printed on the back of the badge.",
        ),
        notice(
            "coffee",
            "Coffee machine",
            "The coffee machine on the second floor is cleaned at four. Until then, take the one in the hall.",
        ),
        notice(
            "bikes",
            "Bicycle shed",
            "The shed is locked at nine in the evening. Whoever comes later rings for the porter.",
        ),
    ]
}

/// Questions and the notice that answers each; some in the language that it is not in.
const ANSWERED: [(&str, &str); 7] = [
    ("Combien de livres peut-on emprunter ?", "bibliotheque"),
    ("quand passe la poubelle jaune", "dechets"),
    (
        "Jusqu'à quelle heure peut-on jouer au tennis le soir ?",
        "tennis",
    ),
    ("quel timbre pour un passeport", "passeport"),
    ("What does a school lunch cost?", "cantine"),
    ("How often does the bus run on Sundays?", "bus"),
    ("what is the guest wifi called", "wifi"),
];

const NOT_ANSWERED: [&str; 8] = [
    "Qui a peint la Joconde ?",
    "How do whales sleep?",
    "Quelle est la formule du sulfate de cuivre ?",
    "Which king lost the battle of Hastings?",
    "Bonjour",
    "merci !",
    "?",
    "photosynthesis",
];

async fn app() -> anyhow::Result<App> {
    let app = App::start().await?;
    app.ingest(notices()).await?;
    Ok(app)
}

fn relevance(hit: &Value) -> anyhow::Result<f64> {
    hit["relevance"]
        .as_f64()
        .with_context(|| format!("{hit} has no relevance"))
}

/// The greatest relevance of a search's hits.
async fn best(app: &App, query: &str, mode: &str) -> anyhow::Result<f64> {
    let hits = app.hits(json!({ "query": query, "mode": mode })).await?;
    let mut best = 0.0_f64;
    for hit in &hits {
        let relevance = relevance(hit)?;
        assert!((0.0..=1.0).contains(&relevance), "{hit}");
        best = best.max(relevance);
    }
    Ok(best)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_first_in_either_language() -> Outcome {
    let app = app().await?;
    for (question, answer) in ANSWERED {
        let hits = app.hits(json!({ "query": question })).await?;
        assert_eq!(hits[0]["document_id"], answer, "{question}: {hits:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relevance_tells_answered_questions_from_others() -> Outcome {
    let app = app().await?;
    for mode in ["semantic", "hybrid"] {
        let mut worst_answer = (1.0, "");
        for (question, _) in ANSWERED {
            let relevance = best(&app, question, mode).await?;
            if relevance < worst_answer.0 {
                worst_answer = (relevance, question);
            }
        }
        for question in NOT_ANSWERED {
            let relevance = best(&app, question, mode).await?;
            assert!(
                relevance < worst_answer.0,
                "{mode}: {question:?} has {relevance}, and {worst_answer:?} is answered"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn min_relevance_leaves_out_what_is_below_it_in_every_mode() -> Outcome {
    let app = app().await?;
    let query = "Combien de livres peut-on emprunter ?";
    for mode in ["semantic", "keyword", "hybrid"] {
        let all = app
            .hits(json!({ "query": query, "mode": mode, "limit": 100 }))
            .await?;
        let least = relevance(&all[all.len() / 2])?;
        let request = json!({ "query": query, "mode": mode, "limit": 100, "min_relevance": least });
        let kept = app.hits(request).await?;
        let mut expected = 0;
        for hit in &all {
            expected += usize::from(relevance(hit)? >= least);
        }
        assert_eq!(kept.len(), expected, "{mode}");
        let none = app
            .hits(json!({ "query": query, "mode": mode, "min_relevance": 1 }))
            .await?;
        assert_eq!(none, [] as [Value; 0], "{mode}");
    }
    let parameters = [("q", query), ("min_relevance", "1")];
    let got = app.get("/search", &parameters).await?.success(200)?;
    assert_eq!(got["hits"], json!([]));
    let refused = app
        .post("/search", json!({ "query": query, "min_relevance": 1.5 }))
        .await?;
    assert_eq!(refused.problem(422, "invalid-request")?, ["min_relevance"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_does_not_depend_on_what_else_is_found() -> Outcome {
    let app = app().await?;
    let score = async |limit: u32, filter: Value| -> anyhow::Result<f64> {
        let request = json!({ "query": "prêt de livres", "limit": limit, "filter": filter });
        let hits = app.hits(request).await?;
        hits[0]["score"].as_f64().context("a hit has a score")
    };
    let alone = score(1, json!({})).await?;
    let among = score(100, json!({})).await?;
    assert!((alone - among).abs() < 1e-9, "{alone} {among}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_manual_gives_several_passages_and_neighbours_are_one() -> Outcome {
    let app = App::start().await?;
    let chapter = |number: u32, about: &str| {
        let filler = "Les consignes générales de sécurité s'appliquent ici comme ailleurs, et chacun les relit. ";
        format!(
            "## {number}. {about}\n\n{about} : {}\n\n{}",
            about.to_lowercase().repeat(3),
            filler.repeat(16)
        )
    };
    let manual: String = [
        "La chaudière",
        "Le brûleur de la chaudière",
        "Les volets",
        "Le portail",
        "La sonde de la chaudière",
    ]
    .into_iter()
    .zip(1..)
    .map(|(about, number)| chapter(number, about))
    .collect();
    app.ingest(vec![
        json!({ "id": "manuel", "title": "Manuel", "content": manual }),
    ])
    .await?;
    let query = "entretien de la chaudière";
    let one = app.hits(json!({ "query": query })).await?;
    assert_eq!(
        one.len(),
        1,
        "one hit a document, unless more are asked for"
    );
    let several = app.hits(json!({ "query": query, "passages": 3 })).await?;
    assert!((2..=3).contains(&several.len()), "{several:#?}");
    let all = app.hits(json!({ "query": query, "passages": 10 })).await?;
    assert_eq!(
        all.len(),
        1,
        "passages that are all neighbours are one hit: {all:#?}"
    );
    let content = all[0]["content"].as_str().unwrap_or_default();
    assert!(manual.contains(content.trim()) && content.contains("Les volets"));
    let refused = app
        .post("/search", json!({ "query": query, "passages": 11 }))
        .await?;
    assert_eq!(refused.problem(422, "invalid-request")?, ["passages"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_asked_for_is_in_the_first_hit_of_a_long_table() -> Outcome {
    let app = App::start().await?;
    let towns = [
        "Ambreuil", "Corvanne", "Deluze", "Estivray", "Fauchon", "Grinval",
    ];
    let trades = [
        "boulangerie",
        "serrurerie",
        "pharmacie",
        "menuiserie",
        "fromagerie",
    ];
    let row = |n: usize| {
        let (town, trade) = (towns[n % towns.len()], trades[n / 30 % trades.len()]);
        format!(
            "| {trade} {town} n° {n} | rue des Tilleuls {n} | {} h |\n",
            7 + n % 5
        )
    };
    let rows: String = (0..150).map(row).collect();
    let content =
        format!("# Commerces\n\n| Enseigne | Adresse | Ouverture |\n|---|---|---|\n{rows}");
    app.ingest(vec![
        json!({ "id": "commerces", "title": "Annuaire", "content": content }),
        json!({ "id": "autre", "title": "Phare", "content": "Le phare d’Ouessant éclaire la mer d’Iroise." }),
    ])
    .await?;
    let wanted = row(97);
    let query = "adresse de la menuiserie Corvanne n° 97";
    for mode in ["semantic", "keyword", "hybrid"] {
        let hits = app.hits(json!({ "query": query, "mode": mode })).await?;
        let content = hits[0]["content"].as_str().unwrap_or_default();
        assert!(content.contains(wanted.trim()), "{mode}: {hits:#?}");
        assert_eq!(
            hits[0]["heading"], "Commerces\n| Enseigne | Adresse | Ouverture |",
            "{mode}"
        );
    }
    Ok(())
}
