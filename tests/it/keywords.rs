//! Keyword search: term statistics stay exact through every change, and hits are scored by BM25.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::{
    App,
    command::{Printed, open_folder, rappel, write_lines},
};

use crate::Outcome;

/// Counts that differ from a recount of what is stored.
const WRONG_COUNTS: &str = "
    SELECT count(*)
    FROM (
        SELECT u.term, count(*) AS chunks, sum(u.frequency) AS occurrences
        FROM rappel.chunk_terms AS t, unnest(t.terms, t.frequencies) AS u (term, frequency)
        GROUP BY u.term
        UNION ALL
        SELECT '', count(*), sum(t.length) FROM rappel.chunk_terms AS t HAVING count(*) > 0
    ) AS recount
    FULL JOIN (
        SELECT s.term, sum(s.chunks) AS chunks, sum(s.occurrences) AS occurrences
        FROM rappel.term_statistics AS s
        GROUP BY s.term
        HAVING sum(s.chunks) <> 0 OR sum(s.occurrences) <> 0
    ) AS kept USING (term)
    WHERE (recount.chunks, recount.occurrences) IS DISTINCT FROM (kept.chunks, kept.occurrences)";

/// A document of invented words, which no stemmer knows.
fn words(id: &str, content: &str) -> Value {
    json!({ "id": id, "title": "", "content": content, "metadata": { "language": "fr" } })
}

/// BM25 with k1 = 1.2 and b = 0.75, as the formula reads, over texts of words apart by blanks.
fn bm25(texts: &HashMap<&str, &str>, id: &str, question: &str) -> f64 {
    let (k1, b) = (1.2, 0.75);
    let length = |text: &str| text.split(' ').count() as f64;
    let average = texts.values().map(|text| length(text)).sum::<f64>() / texts.len() as f64;
    let text = texts[id];
    let score = |word: &str| {
        let having = texts
            .values()
            .filter(|text| text.split(' ').any(|w| w == word));
        let (all, having) = (texts.len() as f64, having.count() as f64);
        let idf = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
        let frequency = text.split(' ').filter(|w| *w == word).count() as f64;
        idf * frequency * (k1 + 1.0) / (frequency + k1 * (1.0 - b + b * length(text) / average))
    };
    question.split(' ').map(score).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_counts_once_whatever_the_number_of_its_stems() -> Outcome {
    let app = App::start().await?;
    // Too short to tell their language, so that each word has the stems of several, in the question as well.
    let short = |id: &str, content: &str| json!({ "id": id, "title": "", "content": content });
    app.ingest(vec![
        short("conges", "congés"),
        short("payes", "salaires payés"),
    ])
    .await?;
    let request = json!({ "query": "congés payés", "mode": "keyword" });
    let hits = app.hits(request).await?;
    assert_eq!(hits.len(), 2, "{hits:#?}");
    for hit in &hits {
        let coverage = hit["coverage"].as_f64();
        assert!(coverage.is_some_and(|share| share < 0.5), "{hit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_with_both_words_is_found_before_many_with_all_stems_of_one() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // Past the product: so many that not all of them are scored.
    sql.run(
        "CREATE TEMP TABLE made AS
             SELECT 'stems-' || n AS id, '{rarea,rareb}'::text[] AS terms FROM generate_series(1, 200) AS n
             UNION ALL SELECT 'both', '{common,rarea}'
             UNION ALL SELECT 'common-' || n, '{common}' FROM generate_series(1, 700) AS n;
         INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT m.id, '', '', '{}', '' FROM made AS m;
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT m.id, 0, 2, m.terms, array_fill(1::smallint, ARRAY[cardinality(m.terms)]) FROM made AS m",
    )
    .await?;
    let found = format!(
        "SELECT k.ids[1]
         FROM {schema}.term_weights('', '{{common,rarea,rareb}}', '{{0,1,1}}', '{{0,1,1}}') AS w,
              LATERAL {schema}.keyword_candidates(
                  '', w.terms, w.weights, w.pieces, {schema}.bm25_expression(w.terms, w.weights, w.pieces, 1.2),
                  1.2, 0.75, 2, 10, 1, NULL, NULL, NULL, false, 1000) AS k",
        schema = migrations::FUNCTIONS
    );
    assert_eq!(sql.texts(&found, &[]).await?, ["both"]);
    Ok(())
}

async fn assert_scores(app: &App, texts: &HashMap<&str, &str>, question: &str) -> Outcome {
    let request = json!({ "query": question, "mode": "keyword", "limit": 100 });
    let hits = app.hits(request).await?;
    let mut expected: Vec<(&str, f64)> = texts
        .keys()
        .map(|id| (*id, bm25(texts, id, question)))
        .filter(|(_, score)| *score > 0.0)
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    assert_eq!(hits.len(), expected.len(), "{question}: {hits:#?}");
    for (hit, (id, score)) in hits.iter().zip(expected) {
        assert_eq!(hit["document_id"], id, "{question}: {hits:#?}");
        let found = hit["keyword_score"].as_f64().unwrap_or_default();
        assert!((found - score).abs() < 1e-9, "{id}: {found}, not {score}");
        assert_eq!(hit["score"], hit["coverage"]);
        assert!(hit["distance"].is_number(), "{hit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keyword_scores_are_bm25_as_documents_come_change_and_go() -> Outcome {
    let app = App::start().await?;
    let mut texts = HashMap::from([
        ("a", "zorglub bulgroz zorglub fantax"),
        ("b", "bulgroz"),
        (
            "c",
            "zorglub klaxmur klaxmur klaxmur klaxmur bulgroz vrotch",
        ),
        ("d", "vrotch vrotch"),
    ]);
    let documents = texts.iter().map(|(id, text)| words(id, text)).collect();
    app.ingest(documents).await?;
    let questions = [
        "zorglub",
        "bulgroz vrotch",
        "klaxmur zorglub fantax bulgroz",
    ];
    for question in questions {
        assert_scores(&app, &texts, question).await?;
    }

    texts.insert("a", "fantax fantax vrotch");
    app.ingest(vec![words("a", texts["a"])]).await?;
    texts.remove("c");
    app.delete("/documents/c").await?;
    for question in questions {
        assert_scores(&app, &texts, question).await?;
    }
    assert_eq!(app.sql().await?.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_share_words_neither_deadlock_nor_lose_a_count() -> Outcome {
    let app = App::start_with(4).await?;
    let round = |round: usize| {
        let app = &app;
        try_join_all((0..8).map(move |writer| async move {
            // Every second writer stores the same documents as its neighbour, with other words.
            let documents = (0..5).map(|n| {
                let text = format!("zorglub bulgroz klaxmur{} vrotch{round}", (writer + n) % 3);
                words(&format!("{}-{n}", writer / 2), &text)
            });
            app.ingest(documents.collect()).await
        }))
    };
    round(0).await?;
    let sql = app.sql().await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    round(1).await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.chunk_terms", &[])
            .await?,
        20
    );

    sql.run("DELETE FROM rappel.documents WHERE id LIKE '1-%'")
        .await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    sql.run("TRUNCATE rappel.documents CASCADE").await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_counts_words_as_the_api_does() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let endings = ["b", "c", "d", "f", "g", "k", "m"];
    let text = |n: usize| format!("zorglub bulgroz{}", endings[n % 7]);
    let lines: Vec<String> = (0..300)
        .map(|n| words(&format!("d{n}"), &text(n)).to_string())
        .collect();
    let file = write_lines(folder.path(), "words.jsonl", &lines)?;
    Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?)
        .await?
        .answer()?;
    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.chunk_terms", &[])
            .await?,
        300
    );
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    let request = json!({ "query": "bulgrozf", "mode": "keyword", "limit": 100 });
    assert_eq!(app.hits(request).await?.len(), 300 / 7 + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accents_without_a_letter_are_no_word() -> Outcome {
    let app = App::start().await?;
    // U+0345 and U+0363 count as letters.
    app.put(
        "/documents/accents",
        json!({ "content": "\u{345}\n\u{363} zorglub \u{363}" }),
    )
    .await?
    .success(201)?;
    for query in ["\u{345}", "zorglub \u{363}\n\u{363}"] {
        app.post("/search", json!({ "query": query }))
            .await?
            .success(200)?;
    }
    let sql = app.sql().await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}

/// A leaflet that differs from its neighbours in one thing only.
fn leaflet(kind: &str, value: &str) -> Value {
    let content = format!(
        "Fiche du service technique. Elle décrit le matériel, son entretien et les délais de remplacement. \
         Conservez-la près de l'appareil et signalez toute panne à l'accueil. Mention : {value}."
    );
    json!({ "id": leaflet_id(kind, value), "title": "Fiche", "content": content, "metadata": { "kind": kind } })
}

/// A path carries no `#`, so no id may have one.
fn leaflet_id(kind: &str, value: &str) -> String {
    format!("{kind} {}", value.replace('#', " sharp"))
}

/// Twelve look-alikes of each kind of identifier, and how people ask for the first of them.
const LOOK_ALIKES: [(&str, &str, &[&str]); 9] = [
    (
        "version",
        "v3.9.14 v3.9.1 v3.9.4 v3.9.140 v3.19.4 v9.3.14 v13.9.14 v3.14.9 v3.9.41 v3.0.14 v4.9.13 v3.9.15",
        &["v3.9.14", "3.9.14", "Que change la version 3.9.14 ?"],
    ),
    (
        "product",
        "Quartz2.6 Quartz2.5 Quartz6.2 Quartz2.7 Quartz3.6 Quartz1.6 Quartz2.8 Quartz26.0 Quartz5.2 Quartz7.2 Quartz8.6 Quartz9.6",
        &[
            "quartz2.6",
            "quartz 2.6",
            "Comment entretenir le Quartz 2.6 ?",
        ],
    ),
    (
        "telephone",
        "05_61_40_72_19 05_61_40_72_91 05_61_40_27_19 06_61_40_72_19 05_16_40_72_19 05_61_04_72_19 \
         05_61_40_72_18 01_61_40_72_19 05_61_40_79_12 05_62_40_72_19 05_61_41_72_19 05_60_40_72_19",
        &[
            "05 61 40 72 19",
            "0561407219",
            "05.61.40.72.19",
            "+33 5 61 40 72 19",
            "À qui est le 05-61-40-72-19 ?",
        ],
    ),
    (
        "amount",
        "6_305,80_€ 6_350,80_€ 6_305,08_€ 305,80_€ 16_305,80_€ 63_058,00_€ 6_503,80_€ 6_305,00_€ 6_308,50_€ 5_306,80_€ \
         6_305,90_€ 605,80_€",
        &[
            "6305,80",
            "6,305.80",
            "6.305,80 €",
            "6305.80 euros",
            "La facture de 6 305,80 € ?",
        ],
    ),
    (
        "capacity",
        "48_Go 4_Go 8_Go 480_Go 84_Go 16_Go 32_Go 64_Go 96_Go 24_Go 128_Go 12_Go",
        &["48Go", "48 GB", "un appareil avec 48Go de mémoire"],
    ),
    (
        "code",
        "VT-6093-E VT-6093-F VT-6039-E TV-6093-E VT-6093-EE VT-093-E VT-6903-E VX-6093-E VT-6094-E VT-9063-E VT-6093-A VT-3096-E",
        &["VT-6093-E", "VT6093E", "Avez-vous la pièce VT 6093 E ?"],
    ),
    (
        "file",
        "20220914_devis_toiture.pdf 20220914_devis_facade.pdf 20220914_facture_toiture.pdf 20210914_devis_garage.pdf \
         20220915_plan_cave.pdf 2022_liste_artisans.pdf 20220914_photo_nord.jpg 20220914_photo_sud.jpg \
         20220916_contrat_bail.odt 20220101_budget.xlsx 20220914_note_service.txt 20220914_avis_voisin.pdf",
        &[
            "devis toiture",
            "20220914_devis_toiture.pdf",
            "Où est le devis de la toiture ?",
        ],
    ),
    (
        "day",
        "23/08/2019 24/08/2019 23/09/2019 23/08/2018 22/08/2019 28/03/2019 13/08/2019 23/07/2019 23/08/2009 21/08/2019 \
         03/08/2019 23/10/2019",
        &[
            "23/08/2019",
            "2019-08-23",
            "23 août 2019",
            "August 23, 2019",
        ],
    ),
    (
        "language",
        "C++ C C# F# .NET Java Go R Rust Perl Ruby Ada",
        &["C++", "c++", "Que faut-il savoir de C++ ?"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn among_look_alikes_the_one_that_was_asked_for_is_first() -> Outcome {
    let app = App::start().await?;
    for (kind, values, questions) in LOOK_ALIKES {
        let values: Vec<String> = values
            .split_whitespace()
            .map(|value| match kind {
                "file" => value.to_owned(),
                _ => value.replace('_', " "),
            })
            .collect();
        app.ingest(values.iter().map(|value| leaflet(kind, value)).collect())
            .await?;
        let wanted = leaflet_id(kind, &values[0]);
        for question in questions {
            for mode in ["keyword", "hybrid"] {
                let request =
                    json!({ "query": question, "mode": mode, "filter": { "kind": kind } });
                let hits = app.hits(request).await?;
                assert_eq!(
                    hits[0]["document_id"], wanted,
                    "{question} ({mode}): {hits:#?}"
                );
            }
        }
    }
    Ok(())
}

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

#[tokio::test(flavor = "multi_thread")]
async fn term_counts_of_many_writers_are_merged_by_later_ones() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    app.post(
        "/documents",
        json!({ "documents": [words("a", "zamir zamir tolvak"), words("b", "zamir")] }),
    )
    .await?
    .success(200)?;
    // As eight writers at a time leave it, and a document that is gone.
    sql.run(
        "INSERT INTO rappel.term_statistics
         SELECT s.term, n, sign * 3, sign * 5 FROM rappel.term_statistics AS s, generate_series(1, 4) AS n,
                unnest('{1,-1}'::int[]) WITH ORDINALITY AS u (sign, place)
         WHERE n % 2 = place - 1;
         INSERT INTO rappel.term_statistics VALUES ('parti', 1, 0, 0)",
    )
    .await?;
    // Both documents have the first word, however it is stemmed.
    let stripes = "SELECT count(*) FROM rappel.term_statistics WHERE term = (
        SELECT term FROM rappel.term_statistics WHERE term <> '' GROUP BY term ORDER BY sum(chunks) DESC LIMIT 1)";
    assert_eq!(sql.number(stripes, &[]).await?, 5);
    for place in 0..4 {
        app.put(
            &format!("/documents/c{place}"),
            json!({ "content": "zamir", "metadata": { "language": "fr" } }),
        )
        .await?
        .success(201)?;
    }
    assert_eq!(sql.number(stripes, &[]).await?, 1);
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);

    app.invoke("migrate", json!({})).await?;
    let untidy = "SELECT count(*) FROM rappel.term_statistics AS s WHERE s.chunks = 0 OR EXISTS (
        SELECT FROM rappel.term_statistics AS o WHERE o.term = s.term AND o.stripe <> s.stripe)";
    assert_eq!(sql.number(untidy, &[]).await?, 0);
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}
