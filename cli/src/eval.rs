//! `rappel eval`: the quality of the search on a judged set in the BEIR layout.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use shared::search::SearchRequest;

use crate::{
    import,
    metrics::Metrics,
    setup::{Target, note},
};

/// Measure the quality of the search on a judged set.
#[derive(Args)]
pub(crate) struct Eval {
    /// Passages: JSON lines with _id, title, text; .gz and .xz are read too.
    #[arg(long)]
    corpus: PathBuf,
    /// Questions: JSON lines with _id, text.
    #[arg(long)]
    queries: PathBuf,
    /// Judgements: query-id, corpus-id, score, separated by tabs, behind a header line.
    #[arg(long)]
    qrels: PathBuf,
    /// Use only the first N judged questions.
    #[arg(long, value_name = "N")]
    questions: Option<usize>,
    /// Print the measures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Deserialize)]
struct Question {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

/// The measures of one mode, means over all questions.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    mode: &'static str,
    questions: usize,
    ndcg_at_10: f64,
    recall_at_10: f64,
    mrr_at_10: f64,
    /// Milliseconds of a search, embedding and database, at the median.
    p50_ms: f64,
}

impl Eval {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let questions = judged_questions(&self.queries, &self.qrels, self.questions)?;
        // A database of its own for each corpus keeps judged passages out of the user's documents,
        // and the embeddings for the next run.
        let setup = self
            .target
            .prepare(&format!("_eval_{}", corpus_name(&self.corpus)))
            .await?;
        ensure!(
            setup.embedded,
            "eval fills its own database on the embedded Postgres: leave --database-url out"
        );
        let imported = import::import(&setup, &self.corpus, true).await?;
        note(&imported.to_string());
        let state = setup.state()?;
        let progress = ProgressBar::new(questions.len() as u64);
        let (mut measures, mut times) = (Vec::new(), Vec::new());
        for (text, judged) in &questions {
            let request = SearchRequest {
                query: text.clone(),
                limit: Some(10),
                max_distance: None,
                filter: None,
                mode: None,
            };
            let start = Instant::now();
            let response = request.parse()?.run(&state).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            let ranking: Vec<String> = response
                .hits
                .into_iter()
                .map(|hit| hit.document_id)
                .collect();
            measures.push(Metrics::of(&ranking, judged));
            progress.inc(1);
        }
        progress.finish_and_clear();
        times.sort_by(f64::total_cmp);
        let mean = Metrics::mean(&measures);
        let row = Row {
            model: setup.manifest.name.clone(),
            mode: "semantic",
            questions: questions.len(),
            ndcg_at_10: mean.ndcg,
            recall_at_10: mean.recall,
            mrr_at_10: mean.reciprocal_rank,
            p50_ms: times.get(times.len() / 2).copied().unwrap_or_default(),
        };
        print(&row, self.json)?;
        state.database().close().await;
        setup.stop().await
    }
}

#[expect(clippy::print_stdout, reason = "the measures are the command's answer")]
fn print(row: &Row, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(row)?);
        return Ok(());
    }
    println!(
        "{:<24} {:<9} {:>9} {:>8} {:>9} {:>7} {:>7}",
        "model", "mode", "questions", "nDCG@10", "recall@10", "MRR@10", "p50 ms"
    );
    println!(
        "{:<24} {:<9} {:>9} {:>8.3} {:>9.3} {:>7.3} {:>7.1}",
        row.model,
        row.mode,
        row.questions,
        row.ndcg_at_10,
        row.recall_at_10,
        row.mrr_at_10,
        row.p50_ms
    );
    Ok(())
}

/// The questions that have a judged document, each with its judgements, in the order of their file.
fn judged_questions(
    queries: &Path,
    qrels: &Path,
    first: Option<usize>,
) -> anyhow::Result<Vec<(String, HashMap<String, u32>)>> {
    let mut judgements: HashMap<String, HashMap<String, u32>> = HashMap::new();
    for (number, line) in (1..).zip(read(qrels)?.lines()).skip(1) {
        let mut fields = line.split('\t');
        let (Some(query), Some(document), Some(score)) =
            (fields.next(), fields.next(), fields.next())
        else {
            anyhow::bail!(
                "{}, line {number}: not three fields separated by tabs",
                qrels.display()
            );
        };
        let score: u32 = score
            .trim()
            .parse()
            .with_context(|| format!("{}, line {number}: score", qrels.display()))?;
        if score > 0 {
            judgements
                .entry(query.to_owned())
                .or_default()
                .insert(document.to_owned(), score);
        }
    }
    let mut questions = Vec::new();
    for (number, line) in (1..).zip(read(queries)?.lines()) {
        let question: Question = serde_json::from_str(line)
            .with_context(|| format!("{}, line {number}", queries.display()))?;
        if let Some(judged) = judgements.remove(&question.id) {
            questions.push((question.text, judged));
        }
    }
    if !judgements.is_empty() {
        note(&format!(
            "{} judged questions are not in {}",
            judgements.len(),
            queries.display()
        ));
    }
    questions.truncate(first.unwrap_or(usize::MAX));
    ensure!(
        !questions.is_empty(),
        "no question of {} is judged in {}",
        queries.display(),
        qrels.display()
    );
    Ok(questions)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A name for a corpus: the folder it lies in.
fn corpus_name(corpus: &Path) -> String {
    let folder = corpus
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()));
    folder.unwrap_or_else(|| "corpus".to_owned())
}
