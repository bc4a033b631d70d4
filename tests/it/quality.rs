//! The quality gate: a change that lowers the retrieval quality fails here.
//!
//! `tests/judged` holds passages and questions that were written to be hard for words and for
//! embeddings alike: synonyms, negations, numbers of articles, missing accents, typing errors, questions
//! in the other language.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// nDCG@10 of the default search over the whole set, as measured when the defaults were last changed.
const NDCG: f64 = 0.850;
/// What a change may lose of it.
const TOLERANCE: f64 = 0.02;
/// What the default search may lose of the better one of its two halves.
const LOST_TOGETHER: f64 = 0.005;
/// The least share of the true ten nearest passages that the index must find.
const RECALL: f64 = 0.98;

const PASSAGES: &str = include_str!("../judged/passages.jsonl");
const QUESTIONS: &str = include_str!("../judged/questions.jsonl");
const JUDGEMENTS: &str = include_str!("../judged/judgements.tsv");

fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).context("a line of the judged set"))
        .collect()
}

/// The grades of each question's passages.
fn judgements() -> anyhow::Result<HashMap<&'static str, HashMap<&'static str, f64>>> {
    let mut all: HashMap<_, HashMap<_, _>> = HashMap::new();
    for line in JUDGEMENTS.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [question, passage, grade] = fields[..] else {
            anyhow::bail!("{line:?} is no judgement");
        };
        all.entry(question)
            .or_default()
            .insert(passage, grade.parse()?);
    }
    Ok(all)
}

fn gain(grades: impl IntoIterator<Item = f64>) -> f64 {
    let discounted = |(rank, grade): (usize, f64)| grade / (rank as f64 + 2.0).log2();
    grades
        .into_iter()
        .take(10)
        .enumerate()
        .map(discounted)
        .sum()
}

async fn judged_app() -> anyhow::Result<App> {
    let app = App::start().await?;
    for batch in lines(PASSAGES)?.chunks(20) {
        app.ingest(batch.to_vec()).await?;
    }
    Ok(app)
}

/// nDCG@10 of each question in a mode, with its kind.
async fn ndcg(app: &App, mode: &str) -> anyhow::Result<Vec<(String, f64)>> {
    let judgements = judgements()?;
    let mut all = Vec::new();
    for question in lines(QUESTIONS)? {
        let judged = question["id"].as_str().and_then(|id| judgements.get(id));
        let judged = judged.with_context(|| format!("{question} is not judged"))?;
        let request = json!({ "query": question["question"], "mode": mode });
        let hits = app.hits(request).await?;
        let found = hits.iter().map(|hit| {
            let id = hit["document_id"].as_str().unwrap_or_default();
            judged.get(id).copied().unwrap_or_default()
        });
        let mut ideal: Vec<f64> = judged.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let kind = question["kind"].as_str().unwrap_or_default().to_owned();
        all.push((kind, gain(found) / gain(ideal)));
    }
    Ok(all)
}

/// The mean of the questions whose kind is of interest, and their number.
fn mean(all: &[(String, f64)], is_meant: impl Fn(&str) -> bool) -> (f64, usize) {
    let meant = all.iter().filter(|(kind, _)| is_meant(kind));
    let values: Vec<f64> = meant.map(|(_, value)| *value).collect();
    (
        values.iter().sum::<f64>() / values.len() as f64,
        values.len(),
    )
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the figures are worth a look when they change"
)]
async fn the_default_search_ranks_the_right_passages_first() -> Outcome {
    let app = judged_app().await?;
    let hybrid = ndcg(&app, "hybrid").await?;
    let kinds: HashSet<&str> = hybrid.iter().map(|(kind, _)| kind.as_str()).collect();
    for kind in kinds {
        let (mean, questions) = mean(&hybrid, |other| other == kind);
        println!("{kind:<16} {mean:.3} of {questions}");
    }
    let (all, questions) = mean(&hybrid, |_| true);
    println!("nDCG@10          {all:.4} of {questions}");
    assert!(
        all >= NDCG - TOLERANCE,
        "nDCG@10 is {all:.4}; it was {NDCG}, and {TOLERANCE} may be lost"
    );

    // In one language, and across two, both together lose next to nothing of what the better one finds alone.
    let (semantic, keyword) = (ndcg(&app, "semantic").await?, ndcg(&app, "keyword").await?);
    for (which, across) in [("in one language", false), ("across languages", true)] {
        let is_meant = |kind: &str| (kind == "other-language") == across;
        let [hybrid, semantic, keyword] =
            [&hybrid, &semantic, &keyword].map(|mode| mean(mode, is_meant).0);
        println!("{which}: hybrid {hybrid:.4}, semantic {semantic:.4}, keyword {keyword:.4}");
        assert!(
            hybrid >= semantic.max(keyword) - LOST_TOGETHER,
            "{which} hybrid has {hybrid:.4}, semantic {semantic:.4}, keyword {keyword:.4}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_finds_the_true_neighbours() -> Outcome {
    let app = judged_app().await?;
    let sql = app.sql().await?;
    let passages = sql
        .texts("SELECT document_id FROM rappel.chunks ORDER BY 1", &[])
        .await?;
    // Each passage asks for its own neighbours, by the index alone and by reading everything.
    let nearest = concat!(
        "SELECT n.document_id || '/' || n.ordinal FROM rappel.chunks AS c, ",
        schema::function!("nearest"),
        "('', c.embedding, 10) AS n WHERE c.document_id = $1"
    );
    let mut found = 0;
    for passage in &passages {
        sql.run("SET enable_seqscan = off; SET enable_sort = off")
            .await?;
        let by_index: HashSet<String> = sql.texts(nearest, &[passage]).await?.into_iter().collect();
        sql.run("SET enable_indexscan = off; SET enable_sort = on; SET enable_seqscan = on")
            .await?;
        let exact = sql.texts(nearest, &[passage]).await?;
        sql.run("SET enable_indexscan = on").await?;
        found += exact
            .iter()
            .filter(|chunk| by_index.contains(*chunk))
            .count();
    }
    let recall = found as f64 / (10 * passages.len()) as f64;
    assert!(recall >= RECALL, "recall@10 is {recall:.3}, not {RECALL}");
    Ok(())
}
