//! Searches with filters in a large database: milliseconds of SQL and recall, for filters that 0.1 to 90 % of the documents match.
//!
//! `xz -dc paragraphs.jsonl.xz | cargo bench -p tests --bench filters`: twenty minutes, and 3 GB. Each line of the standard
//! input is a document with `title`, `text` and `metadata`. Environment variables:
//!
//! - `FILTERS_DATA`: a folder in which the database is kept. If it has one, the standard input is not read.
//! - `FILTERS_ROWS`: the number of documents, 339,396 if absent.
//! - `FILTERS_EMBEDDED`: the number of documents with an embedding of their own, 4,000 if absent. All take an hour.
//! - `FILTERS_INDEXES`: metadata keys to index before, with commas between.
//! - `FILTERS_SECTIONS`: what to measure, with commas between: `filters`, `hybrid`, `phrases`, `prefixes`. All if absent.
//!
//! Words are those of the documents. Embeddings of so many take an hour, so they are made of real ones: 4,000 evenly spread
//! documents are embedded. Every other has the embedding of the one before it in the file, which is usually of the same article or
//! chapter, plus half of another real one drawn at random, plus noise of length 0.1, normalised. So neighbours are as far from
//! each other as passages on one subject (0.2), and the sum keeps within the part of the space that texts take up.
//!
//! Questions are nine words from the middle of other documents, embedded as questions.
//!
//! `n`, `r…` and `tags` are independent of the text. `place`, `p…` and `zones` depend on the embedding: the documents with a low
//! `place` are those around one document. A filter on them is asked with questions `near` it and `far` from it.

mod corpus;
mod exact;
mod measured;

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use assets::{Cache, Model};
use database::{Database, Statement};
use document_store::Visibility;
use embedder::{Embedder, Manifest, ModelConfig};
use filter::Filter;
use migrations::IndexConfig;
use retrieval::{SearchConfig, SearchRequest};
use serde_json::{Value, json, value::RawValue};
use servers::postgres::Postgres;
use tests::direct;

use self::{
    corpus::{NAME, SHARES, fill},
    exact::Exact,
    measured::Measured,
};

/// Questions of each case, of those that were drawn.
const ASKED: usize = 30;

/// A question, and the document around which it was drawn.
struct Question {
    text: String,
    embedding: Vec<f32>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (install, model) = tokio::task::spawn_blocking(assets).await??;
    let postgres = match env::var("FILTERS_DATA") {
        Ok(folder) => Postgres::open(&install, Path::new(&folder)).await?,
        Err(_) => Postgres::throwaway(&install).await?,
    };
    let manifest = Manifest::read(&model.folder)?;
    let server = Database::new(&direct(postgres.url("postgres")))?;
    let exists = Statement::read("SELECT datname::text FROM pg_database WHERE datname = $1");
    let exists: Option<(String,)> = server.fetch_optional(exists.bind(NAME)).await?;
    if exists.is_none() {
        server.create_database(NAME).await?;
        let embedder = Embedder::load(&model)?;
        fill(&postgres, &manifest, &embedder).await?;
    }
    server.close().await;
    let database = Database::new(&direct(postgres.url(NAME)))?;
    migrations::migrate(&database, &manifest).await?;
    let sections = env::var("FILTERS_SECTIONS").unwrap_or_default();
    let wanted = |section: &str| sections.is_empty() || sections.split(',').any(|it| it == section);
    let bench = Bench {
        database,
        manifest,
        questions: Vec::new(),
    };
    let bench = bench.with_questions().await?;
    for field in env::var("FILTERS_INDEXES").unwrap_or_default().split(',') {
        if !field.is_empty() {
            let path = filter::values_path(field, "FILTERS_INDEXES")?;
            migrations::index_field(&bench.database, &path, &IndexConfig::default()).await?;
        }
    }
    if wanted("filters") {
        bench.filters().await?;
    }
    if wanted("hybrid") {
        bench.hybrid(&postgres.url(NAME)).await?;
    }
    if wanted("phrases") {
        bench.phrases().await?;
    }
    if wanted("prefixes") {
        bench.prefixes().await?;
    }
    bench.database.close().await;
    postgres.stop().await
}

/// The folder of Postgres, and the model.
fn assets() -> Result<(PathBuf, ModelConfig)> {
    let cache = Cache::from_env()?;
    let model = ModelConfig {
        folder: cache.model(Model::MultilingualE5Small, |_| Ok(()))?,
        library: cache.onnxruntime()?,
        threads: 2,
    };
    Ok((cache.postgres()?, model))
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

struct Bench {
    database: Database,
    manifest: Manifest,
    /// In the order of their places.
    questions: Vec<Question>,
}

/// A filter, and which questions are asked with it.
struct Case {
    kind: &'static str,
    relation: &'static str,
    filter: Option<Value>,
}

impl Bench {
    async fn with_questions(mut self) -> Result<Self> {
        let statement =
            Statement::read("SELECT text, embedding FROM public.questions ORDER BY place, n");
        let questions: Vec<(String, Vec<f32>)> = self.database.fetch_all(statement).await?;
        let questions = questions.into_iter();
        self.questions = questions
            .map(|(text, embedding)| Question { text, embedding })
            .collect();
        Ok(self)
    }

    /// The questions of a relation to the documents with a low `place`.
    fn asked(&self, relation: &str) -> Vec<&Question> {
        let all = self.questions.len();
        match relation {
            "near" => self.questions.iter().take(ASKED).collect(),
            "far" => self.questions[all - ASKED..].iter().collect(),
            _ => self
                .questions
                .iter()
                .step_by(all / ASKED)
                .take(ASKED)
                .collect(),
        }
    }

    async fn filters(&self) -> Result<()> {
        print("share  relation filter    mode      least p50 p95 ms  hits  recall@10")?;
        let all = Case {
            kind: "none",
            relation: "random",
            filter: None,
        };
        self.case(1_000, &all).await?;
        for share in SHARES {
            for relation in ["random", "near", "far"] {
                for case in cases(share, relation) {
                    self.case(share, &case).await?;
                }
            }
        }
        Ok(())
    }

    async fn case(&self, share: i64, case: &Case) -> Result<()> {
        let questions = self.asked(case.relation);
        for mode in ["semantic", "hybrid"] {
            let mut measured = Measured::default();
            // Once before, so that all is in memory.
            for warm in [true, false] {
                for question in &questions {
                    let (ids, time) = self.search(mode, question, case.filter.as_ref()).await?;
                    if warm {
                        continue;
                    }
                    measured.times.push(time);
                    measured.fewest = measured.fewest.min(ids.len());
                    if mode == "semantic" {
                        let exact = self.exact(question, case.filter.as_ref()).await?;
                        measured.wanted += exact.len();
                        measured.found += ids.iter().filter(|id| exact.contains(id)).count();
                    }
                }
            }
            let Case { kind, relation, .. } = case;
            let share = share as f64 / 10.0;
            let measured = measured.line();
            print(&format!(
                "{share:4} %  {relation:8} {kind:8}  {mode:8} {measured}"
            ))?;
        }
        Ok(())
    }

    /// The ids found, and milliseconds.
    async fn search(
        &self,
        mode: &str,
        question: &Question,
        filter: Option<&Value>,
    ) -> Result<(Vec<String>, f64)> {
        let filter = filter.map(|filter| RawValue::from_string(filter.to_string()));
        let (mode, prefix) = match mode {
            "prefix" => ("keyword", true),
            mode => (mode, false),
        };
        let request = SearchRequest {
            query: question.text.clone(),
            limit: Some(10),
            mode: Some(mode.to_owned()),
            filter: filter.transpose()?,
            count: Some("none".to_owned()),
            prefix: Some(prefix),
            ..SearchRequest::default()
        };
        let search = request.parse()?;
        let (visibility, config) = (Visibility::default(), SearchConfig::default());
        let embedding = question.embedding.clone();
        let start = Instant::now();
        let hits = search
            .find(
                &self.database,
                &visibility,
                &self.manifest,
                embedding,
                &config,
            )
            .await?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        Ok((hits.into_iter().map(|hit| hit.document_id).collect(), time))
    }

    async fn exact(&self, question: &Question, filter: Option<&Value>) -> Result<Vec<String>> {
        let embedding = question.embedding.clone();
        let statement = match filter {
            None => Statement::read(concat!(
                "SELECT document_id FROM ",
                schema::function!("nearest_of_tenant"),
                "('', $1::real[]::halfvec, 10, 1)"
            ))
            .bind(embedding),
            Some(filter) => Statement::read(concat!(
                "SELECT document_id FROM ",
                schema::function!("nearest_exact"),
                "('', $1::real[]::halfvec, 10, 1, $2::jsonb)"
            ))
            .bind(embedding)
            .bind(Filter::parse(&filter.to_string())?.compile().to_json()),
        };
        let rows: Vec<(String,)> = self.database.fetch_all(statement).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// How many of the ten best by their scores a hybrid search finds.
    async fn hybrid(&self, url: &str) -> Result<()> {
        let exact = Exact::connect(url).await?;
        let mut measured = Measured::default();
        for question in self.questions.iter().step_by(self.questions.len() / 100) {
            let (ids, time) = self.search("hybrid", question, None).await?;
            let best = exact.hybrid(&question.text, &question.embedding).await?;
            measured.times.push(time);
            measured.fewest = measured.fewest.min(ids.len());
            measured.wanted += 10;
            measured.found += ids.iter().filter(|id| best.contains(id)).count();
        }
        print("hybrid against the scores of all passages")?;
        print(&measured.line())
    }

    async fn phrases(&self) -> Result<()> {
        let questions = [
            "\"code du travail\"",
            "\"de la\"",
            "\"il y a\" bail",
            "\"dans les conditions\" bail",
            "\"conseil de prud'hommes\"",
            "bail -commercial",
            "de la",
            "article code travail",
        ];
        self.questions(&questions, &["keyword", "hybrid"]).await
    }

    /// As they are typed.
    async fn prefixes(&self) -> Result<()> {
        let questions = [
            "co",
            "con",
            "cont",
            "contr",
            "contrat",
            "contrat de tr",
            "contrat de trav",
            "contrat de travail à durée dét",
            "rupture du contrat de travail pour faute gr",
            "licenciem",
        ];
        self.questions(&questions, &["prefix", "keyword"]).await
    }

    async fn questions(&self, questions: &[&str], modes: &[&str]) -> Result<()> {
        print("question                        mode      least p50 p95 ms  hits")?;
        let embedding = self.questions.first().context("a question")?;
        for text in questions {
            let question = Question {
                text: (*text).to_owned(),
                embedding: embedding.embedding.clone(),
            };
            for mode in modes {
                let mut measured = Measured::default();
                for _ in 0..5 {
                    let (ids, time) = self.search(mode, &question, None).await?;
                    measured.times.push(time);
                    measured.fewest = measured.fewest.min(ids.len());
                }
                print(&format!("{text:30}  {mode:8} {}", measured.line()))?;
            }
        }
        Ok(())
    }
}

/// The filters of a share: equality, range and list.
fn cases(share: i64, relation: &'static str) -> Vec<Case> {
    let (flag, number, list, tag) = match relation {
        "random" => ("r", "n", "tags", "t"),
        _ => ("p", "place", "zones", "z"),
    };
    let case = |kind, filter| Case {
        kind,
        relation,
        filter: Some(filter),
    };
    vec![
        case("equality", json!({ format!("{flag}{share}"): true })),
        case("range", json!({ number: { "$gte": 0, "$lt": share } })),
        case(
            "list",
            json!({ list: { "$in": [format!("{tag}{share}0"), format!("{tag}{share}1")] } }),
        ),
    ]
}
