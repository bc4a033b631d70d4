//! The gate: a change that finds the right passages less often fails here.
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

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the figures are worth a look when they change"
)]
async fn the_default_search_ranks_the_right_passages_first() -> Outcome {
    let app = judged_app().await?;
    let judgements = judgements()?;
    let mut by_kind: HashMap<String, Vec<f64>> = HashMap::new();
    for question in lines(QUESTIONS)? {
        let judged = question["id"].as_str().and_then(|id| judgements.get(id));
        let judged = judged.with_context(|| format!("{question} is not judged"))?;
        let hits = app.hits(json!({ "query": question["question"] })).await?;
        let found = hits.iter().map(|hit| {
            let id = hit["document_id"].as_str().unwrap_or_default();
            judged.get(id).copied().unwrap_or_default()
        });
        let mut ideal: Vec<f64> = judged.values().copied().collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let kind = question["kind"].as_str().unwrap_or_default().to_owned();
        by_kind
            .entry(kind)
            .or_default()
            .push(gain(found) / gain(ideal));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for (kind, values) in &by_kind {
        println!("{kind:<16} {:.3} of {}", mean(values), values.len());
    }
    let all: Vec<f64> = by_kind.into_values().flatten().collect();
    println!("nDCG@10          {:.4} of {}", mean(&all), all.len());
    assert!(
        mean(&all) >= NDCG - TOLERANCE,
        "nDCG@10 is {:.4}; it was {NDCG}, and {TOLERANCE} may be lost",
        mean(&all)
    );
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
        shared::function!("nearest"),
        "(c.embedding, 10) AS n WHERE c.document_id = $1"
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
