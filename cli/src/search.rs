//! `rappel search "question"`.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::Args;
use retrieval::{Hit, SearchRequest, SearchState};
use serde_json::Value;

use crate::{
    setup::Target,
    terminal::{self, Out, Style},
};

/// Ask a question.
#[derive(Args)]
pub(crate) struct Search {
    /// The question.
    question: String,
    /// Hits wanted, 1 to 100.
    #[arg(long, short = 'n', default_value_t = 5)]
    limit: i64,
    /// The greatest cosine distance of a hit, 0 to 2.
    #[arg(long)]
    max_distance: Option<f64>,
    /// The least relevance of a hit, 0 to 1: the estimated probability that it answers the question.
    #[arg(long, default_value_t = 0.0)]
    min_relevance: f64,
    /// Metadata that every hit must contain, as a JSON object.
    #[arg(long)]
    filter: Option<String>,
    /// How hits are found: semantic, keyword or hybrid.
    #[arg(long, default_value = "hybrid")]
    mode: String,
    /// The share of meaning in a hybrid score, 0 to 1; the rest is the words'.
    #[arg(long, value_name = "SHARE")]
    semantic_weight: Option<f64>,
    /// The most hits of one document, 1 to 10; neighbouring passages are merged.
    #[arg(long, default_value_t = 1)]
    passages: i64,
    /// Neighbouring chunks on either side to show with each hit, 0 to 10.
    #[arg(long, default_value_t = 0)]
    expand: i64,
    /// Say how each score came about (with --json).
    #[arg(long, requires = "json")]
    explain: bool,
    /// Let a cross-encoder, whose folder `RERANKER_DIR` names, order the best candidates anew.
    #[arg(long)]
    rerank: bool,
    /// Print the response as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Search {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let filter = self.filter.as_deref().map(serde_json::from_str).transpose();
        let request = SearchRequest {
            query: self.question,
            limit: Some(self.limit),
            max_distance: self.max_distance,
            min_relevance: Some(self.min_relevance),
            filter: filter.context("--filter must be a JSON object")?,
            mode: Some(self.mode),
            semantic_weight: self.semantic_weight,
            passages: Some(self.passages),
            expand: Some(self.expand),
            explain: Some(self.explain),
            rerank: Some(self.rerank),
        };
        let search = request.parse()?;
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let state = setup.state()?;
        let SearchState {
            database,
            embedder,
            reranker,
            config,
        } = &state;
        let response = search.run(database, embedder, reranker, config).await?;
        let mut out = terminal::out();
        if self.json {
            out.json(&response)?;
        } else {
            for (rank, hit) in (1..).zip(&response.hits) {
                print_hit(&mut out, rank, hit)?;
            }
            let took = response.took_ms;
            let reranked = took
                .rerank
                .map_or_else(String::new, |ms| format!(", reranked in {ms:.1} ms"));
            writeln!(
                out,
                "embedded in {:.1} ms, found in {:.1} ms{reranked}",
                took.embed, took.database
            )?;
        }
        state.database.close().await;
        setup.stop().await
    }
}

/// Prints a hit in three lines: rank, title and measures; the passage's beginning; its metadata.
fn print_hit(out: &mut Out, rank: usize, hit: &Hit) -> io::Result<()> {
    let title = if hit.title.is_empty() {
        &hit.document_id
    } else {
        &hit.title
    };
    write!(out, "{rank:>2}. ")?;
    out.styled(Style::Bold, title)?;
    let measures = format!(
        "{} · relevance {:.0} % · distance {:.3} · words {:.0} %{}",
        hit.document_id,
        hit.relevance * 100.0,
        hit.distance,
        hit.coverage * 100.0,
        hit.rerank_score
            .map_or_else(String::new, |score| format!(" · reranker {score:.2}"))
    );
    write!(out, "  ")?;
    out.styled(Style::Dim, &measures)?;
    writeln!(out)?;
    if !hit.heading.is_empty() {
        write!(out, "    ")?;
        out.styled(Style::Dim, &excerpt(&hit.heading))?;
        writeln!(out)?;
    }
    writeln!(out, "    {}", excerpt(&hit.content))?;
    if let Ok(Value::Object(metadata)) = serde_json::from_str(hit.metadata.get())
        && !metadata.is_empty()
    {
        write!(out, "    ")?;
        out.styled(Style::Dim, &Value::Object(metadata))?;
        writeln!(out)?;
    }
    Ok(())
}

/// The beginning of a passage on one line.
pub(crate) fn excerpt(content: &str) -> String {
    const CHARACTERS: usize = 160;
    let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CHARACTERS {
        return line;
    }
    line.chars().take(CHARACTERS).chain(['…']).collect()
}
