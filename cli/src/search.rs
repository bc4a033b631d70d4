//! `rappel search "question"`.

use std::io::{self, Write as _};

use clap::Args;
use reqwest::Method;
use retrieval::SearchRequest;
use serde_json::{Value, json};

use crate::{
    filter::{fields, filter},
    marks,
    remote::{ApiResponse, Key, address},
    setup::Target,
    terminal::{self, Out, Style},
};

/// Ask a question.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent option of the command"
)]
pub(crate) struct Search {
    /// The question.
    question: String,
    /// Number of hits, 1 to 100.
    #[arg(long, short = 'n', default_value_t = 5)]
    limit: i64,
    /// Hits that come before the first one, 0 to 1,000.
    #[arg(long, default_value_t = 0)]
    offset: i64,
    /// The maximum cosine distance of a hit, 0 to 2.
    #[arg(long)]
    max_distance: Option<f64>,
    /// The minimum relevance of a hit, 0 to 1: the estimated probability that it answers the question.
    #[arg(long, default_value_t = 0.0)]
    min_relevance: f64,
    /// What every hit's document must match: a filter in JSON, or a condition such as lang=fr or year>=2022. Given
    /// several times, all have to hold.
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
    /// The search mode: semantic, keyword or hybrid.
    #[arg(long, default_value = "hybrid")]
    mode: String,
    /// The weight of semantic similarity in a hybrid score, 0 to 1; the rest is that of keywords.
    #[arg(long, value_name = "SHARE")]
    semantic_weight: Option<f64>,
    /// Maximum number of hits per document, 1 to 10; neighbouring passages are merged.
    #[arg(long, default_value_t = 1)]
    passages: i64,
    /// Neighbouring chunks to show on either side of each hit, 0 to 10.
    #[arg(long, default_value_t = 0)]
    expand: i64,
    /// Explain each score (with --json).
    #[arg(long, requires = "json")]
    explain: bool,
    /// Rerank the best candidates with the cross-encoder in the folder `RERANKER_DIR`.
    #[arg(long)]
    rerank: bool,
    /// Take the question's last word for the beginning of a word, in the modes keyword and hybrid.
    #[arg(long)]
    prefix: bool,
    /// Print the response as JSON.
    #[arg(long)]
    json: bool,
    /// An API that is asked, such as `http://127.0.0.1:8000`, instead of the database.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    target: Target,
}

impl Search {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            return self.ask(&address(api)).await;
        }
        let marks = self.marks();
        let request = SearchRequest {
            query: self.question,
            limit: Some(self.limit),
            max_distance: self.max_distance,
            min_relevance: Some(self.min_relevance),
            filter: filter(&self.filter)?,
            mode: Some(self.mode),
            semantic_weight: self.semantic_weight,
            passages: Some(self.passages),
            expand: Some(self.expand),
            explain: Some(self.explain),
            rerank: Some(self.rerank),
            offset: Some(self.offset),
            highlight: Some(marks),
            prefix: Some(self.prefix),
            ..SearchRequest::default()
        };
        let search = request.parse()?;
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let state = setup.state()?;
        let response = state.run(search, &self.key.visibility()).await?;
        if self.json {
            terminal::out().json(&response)?;
        } else {
            print(self.offset, &serde_json::to_value(&response)?)?;
        }
        state.database.close().await;
        setup.stop().await
    }

    /// Whether the question's words are marked.
    fn marks(&self) -> bool {
        !self.json && terminal::out().is_coloured()
    }

    /// Asks an API.
    async fn ask(&self, url: &str) -> anyhow::Result<()> {
        let mut others = vec![
            ("query", json!(self.question)),
            ("limit", json!(self.limit)),
            ("max_distance", json!(self.max_distance)),
            ("min_relevance", json!(self.min_relevance)),
            ("mode", json!(self.mode)),
            ("semantic_weight", json!(self.semantic_weight)),
            ("passages", json!(self.passages)),
            ("expand", json!(self.expand)),
            ("explain", json!(self.explain)),
            ("rerank", json!(self.rerank)),
            ("offset", json!(self.offset)),
            ("prefix", json!(self.prefix)),
        ];
        if self.marks() {
            others.push(("highlight", json!(true)));
        }
        let request = fields(&self.filter, others)?;
        let api = self.key.api()?;
        let posted = api.request(Method::POST, &format!("{url}/search"));
        let response = ApiResponse::of(&api, posted.json(&request), url).await?;
        let response = response.success()?;
        if self.json {
            Ok(terminal::out().json(&response)?)
        } else {
            Ok(print(self.offset, &response)?)
        }
    }
}

/// Prints hits, of which `offset` come before the first one.
fn print(offset: i64, response: &Value) -> io::Result<()> {
    let mut out = terminal::out();
    let hits = response["hits"].as_array().into_iter().flatten();
    for (rank, hit) in (offset + 1..).zip(hits) {
        print_hit(&mut out, rank, hit)?;
    }
    let took = |part: &str| response["took_ms"][part].as_f64();
    let reranked =
        took("rerank").map_or_else(String::new, |ms| format!(", reranked in {ms:.1} ms"));
    writeln!(
        out,
        "embedded in {:.1} ms, found in {:.1} ms{reranked}",
        took("embed").unwrap_or_default(),
        took("database").unwrap_or_default()
    )
}

/// Prints a hit in three lines: rank, title and scores; the passage's beginning; its metadata.
fn print_hit(out: &mut Out, rank: i64, hit: &Value) -> io::Result<()> {
    let text = |field: &str| hit[field].as_str().unwrap_or_default();
    let number = |field: &str| hit[field].as_f64().unwrap_or_default();
    let id = text("document_id");
    let title = Some(text("title")).filter(|title| !title.is_empty());
    write!(out, "{rank:>2}. ")?;
    let ranges = &hit["highlights"];
    match title {
        Some(title) => marks::print(out, Some(Style::Bold), title, &ranges["title"], usize::MAX)?,
        None => out.styled(Style::Bold, &id)?,
    }
    let measures = format!(
        "{id} · relevance {:.0} % · distance {:.3} · words {:.0} %{}",
        number("relevance") * 100.0,
        number("distance"),
        number("coverage") * 100.0,
        hit["rerank_score"]
            .as_f64()
            .map_or_else(String::new, |score| format!(" · reranker {score:.2}"))
    );
    write!(out, "  ")?;
    out.styled(Style::Dim, &measures)?;
    writeln!(out)?;
    if !text("heading").is_empty() {
        write!(out, "    ")?;
        out.styled(Style::Dim, &excerpt(text("heading")))?;
        writeln!(out)?;
    }
    write!(out, "    ")?;
    marks::print(out, None, text("content"), &ranges["content"], EXCERPT)?;
    writeln!(out)?;
    let metadata = &hit["metadata"];
    if metadata
        .as_object()
        .is_some_and(|metadata| !metadata.is_empty())
    {
        write!(out, "    ")?;
        out.styled(Style::Dim, metadata)?;
        writeln!(out)?;
    }
    Ok(())
}

/// The characters of a passage's beginning.
const EXCERPT: usize = 160;

/// The beginning of a passage on one line.
pub(crate) fn excerpt(content: &str) -> String {
    let line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= EXCERPT {
        return line;
    }
    line.chars().take(EXCERPT).chain(['…']).collect()
}
