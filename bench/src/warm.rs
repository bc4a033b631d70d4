//! Warm searches: latency of a warm sandbox, and throughput of many.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use database::Database;
use embedder::{Embedder, Kind};
use futures_util::future::try_join_all;
use hyper::body::Bytes;
use indicatif::ProgressBar;
use retrieval::{SearchConfig, SearchRequest, Visibility};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use servers::pooler::{self, PgBouncer};

use crate::{
    database::{MARKS, Scratch},
    event::{self, TimedResponse},
    load::{self, Arrivals, Load},
    sandbox::{Program, Sandbox},
    statistics::Summary,
};

/// The fixed rates, as shares of the maximum throughput.
const RATES: [f64; 3] = [0.3, 0.6, 0.9];

/// A named load.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The program.
    pub program: String,
    /// What was asked, or through which pooler.
    pub name: String,
    /// The result.
    pub load: Load,
}

/// Rappel, its parts alone, and the peer, with each question in turn.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InTurn {
    /// End-to-end milliseconds by program.
    pub programs: Vec<(String, Summary)>,
    /// Embedding milliseconds, measured alone.
    pub embed_alone: Summary,
    /// SQL milliseconds, measured alone on the same kind of connection.
    pub database_alone: Summary,
    /// Milliseconds of Rappel's search beyond those two, per question.
    pub overhead: Summary,
    /// Milliseconds that Rappel's search waits for a connection, from its log.
    pub acquire: Summary,
}

/// Inputs of the warm measurements.
pub(crate) struct Warm<'a> {
    pub(crate) questions: &'a [String],
    pub(crate) log: &'a Path,
    pub(crate) progress: &'a ProgressBar,
}

impl Warm<'_> {
    /// Search events for all questions in mode `semantic`, with additional fields.
    fn events(&self, more: &Value) -> Vec<Bytes> {
        let event = |question: &String| {
            let mut body = json!({ "query": question, "limit": 10, "mode": "semantic" });
            if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
                body.extend(more.clone());
            }
            event::search(&body)
        };
        self.questions.iter().map(event).collect()
    }

    /// Starts sandboxes and warms each up with a few searches.
    async fn sandboxes(
        &self,
        program: &Program,
        number: usize,
        events: &[Bytes],
    ) -> Result<Vec<Sandbox>> {
        let starts = (0..number).map(|_| program.start(self.log));
        let mut sandboxes = try_join_all(starts).await?;
        let hidden = ProgressBar::hidden();
        load::run(
            &mut sandboxes,
            events,
            Arrivals::Saturation,
            8 * number,
            &hidden,
        )
        .await?;
        Ok(sandboxes)
    }

    /// Measures one load on new sandboxes.
    pub(crate) async fn case(
        &self,
        program: &Program,
        name: &str,
        more: &Value,
        number: usize,
        arrivals: Arrivals,
    ) -> Result<Case> {
        let events = self.events(more);
        let mut sandboxes = self.sandboxes(program, number, &events).await?;
        let count = self.questions.len();
        self.progress.inc_length(count as u64);
        let load = load::run(&mut sandboxes, &events, arrivals, count, self.progress)
            .await
            .with_context(|| format!("{}: {name}", program.name))?;
        stop(sandboxes).await?;
        Ok(Case {
            program: program.name.clone(),
            name: name.to_owned(),
            load,
        })
    }

    /// Saturation of one and several sandboxes, then fixed rates on one and two.
    pub(crate) async fn loads(&self, program: &Program, most: usize) -> Result<Vec<Case>> {
        let plain = json!({});
        let mut cases = Vec::new();
        let mut number = 1;
        while number <= most {
            let name = format!("saturation of {number}");
            cases.push(
                self.case(program, &name, &plain, number, Arrivals::Saturation)
                    .await?,
            );
            number *= 2;
        }
        let saturated: Vec<Load> = cases.iter().map(|case| case.load.clone()).collect();
        for load in saturated.iter().take(2) {
            let number = load.sandboxes;
            for share in RATES {
                let name = format!("{:.0} % of what {number} can do", share * 100.0);
                let arrivals = Arrivals::Rate(load.throughput * share);
                let case = self.case(program, &name, &plain, number, arrivals);
                cases.push(case.await?);
            }
        }
        Ok(cases)
    }

    /// Each mode, each filter, and a maximum distance.
    pub(crate) async fn kinds(&self, program: &Program) -> Result<Vec<Case>> {
        let mut kinds = ["semantic", "keyword", "hybrid"]
            .map(|mode| (mode.to_owned(), json!({ "mode": mode })))
            .to_vec();
        for (mark, share) in MARKS {
            let filter = json!({ mark: true });
            let percent = share * 100.0;
            kinds.push((
                format!("semantic, filter of {percent:.0} %"),
                json!({ "filter": filter }),
            ));
            let hybrid = json!({ "filter": filter, "mode": "hybrid" });
            kinds.push((format!("hybrid, filter of {percent:.0} %"), hybrid));
        }
        kinds.push((
            "semantic, max_distance 0.15".to_owned(),
            json!({ "max_distance": 0.15 }),
        ));
        let mut cases = Vec::new();
        for (name, more) in kinds {
            cases.push(
                self.case(program, &name, &more, 1, Arrivals::Saturation)
                    .await?,
            );
        }
        Ok(cases)
    }

    /// Each pooler mode; without `PgBouncer` those that need it are skipped and listed in `notes`.
    pub(crate) async fn poolers(
        &self,
        program: &Program,
        database: &Scratch,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Case>> {
        let mut cases = Vec::new();
        for mode in ["direct", "session", "transaction"] {
            let pgbouncer = match mode {
                "direct" => None,
                _ => match PgBouncer::before(&database.config.url, &pooler(mode)).await? {
                    None => {
                        notes.push(format!(
                            "pooler mode {mode}: skipped, there is no PgBouncer"
                        ));
                        continue;
                    }
                    started => started,
                },
            };
            let url = match &pgbouncer {
                Some(pgbouncer) => pgbouncer.url()?,
                None => database.config.url.clone(),
            };
            let through = program
                .clone()
                .with("DATABASE_URL", url)
                .with("DATABASE_POOLER", mode);
            let name = format!("pooler {mode}");
            cases.push(
                self.case(&through, &name, &json!({}), 1, Arrivals::Saturation)
                    .await?,
            );
        }
        Ok(cases)
    }

    /// Sends each question to every program and the parts alone in turn, so that fluctuations of the machine affect all.
    pub(crate) async fn in_turn(
        &self,
        programs: &[Program],
        embedder: &Embedder,
        database: &Database,
    ) -> Result<InTurn> {
        let events = self.events(&json!({}));
        let mut sandboxes = Vec::new();
        for program in programs {
            sandboxes.extend(self.sandboxes(program, 1, &events).await?);
        }
        let mut times = vec![Vec::new(); programs.len()];
        let (mut embeds, mut statements, mut overheads) = (Vec::new(), Vec::new(), Vec::new());
        for (question, event) in self.questions.iter().zip(&events) {
            for (sandbox, times) in sandboxes.iter_mut().zip(&mut times) {
                sandbox.settle().await?;
                times.push(TimedResponse::read(&sandbox.invoke(event.clone()).await?)?.total);
            }
            let (embed, statement) = measure_parts(question, embedder, database).await?;
            let first = times.first().and_then(|times| times.last());
            overheads.push(first.copied().unwrap_or_default() - embed - statement);
            embeds.push(embed);
            statements.push(statement);
            self.progress.inc(1);
        }
        stop(sandboxes).await?;
        let names = programs.iter().map(|program| program.name.clone());
        Ok(InTurn {
            programs: names.zip(times.into_iter().map(Summary::of)).collect(),
            embed_alone: Summary::of(embeds),
            database_alone: Summary::of(statements),
            overhead: Summary::of(overheads),
            ..InTurn::default()
        })
    }

    /// The time that searches wait for a connection. Only the log has it, so the function writes one.
    pub(crate) async fn acquire(&self, program: &Program, log: &Path) -> Result<Summary> {
        let program = program.clone().with("AWS_LAMBDA_LOG_LEVEL", "INFO");
        let logged = Warm { log, ..*self };
        let plain = json!({});
        let case = logged.case(&program, "acquire", &plain, 1, Arrivals::Saturation);
        case.await?;
        let lines = fs::read_to_string(log)?;
        let waits = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<LogLine>(line).ok()?.acquire);
        Ok(Summary::of(waits))
    }
}

/// The fields read from the log line of a request.
#[derive(Deserialize)]
struct LogLine {
    acquire: Option<f64>,
}

/// Milliseconds of embedding a question, and of its search statement.
async fn measure_parts(
    question: &str,
    embedder: &Embedder,
    database: &Database,
) -> Result<(f64, f64)> {
    let start = Instant::now();
    let embedding = embedder.embed_one(Kind::Query, question)?;
    let embed = start.elapsed();
    let request = SearchRequest {
        query: question.to_owned(),
        limit: Some(10),
        mode: Some("semantic".to_owned()),
        ..SearchRequest::default()
    };
    let search = request.parse()?;
    let start = Instant::now();
    search
        .find(
            database,
            &Visibility::default(),
            embedder.manifest(),
            embedding,
            &SearchConfig::default(),
        )
        .await?;
    Ok((
        embed.as_secs_f64() * 1e3,
        start.elapsed().as_secs_f64() * 1e3,
    ))
}

/// A `PgBouncer` with more clients than sandboxes, over 20 server connections.
fn pooler(mode: &'static str) -> pooler::Settings {
    pooler::Settings {
        mode,
        servers: 20,
        clients: 1000,
        certificate: None,
    }
}

async fn stop(sandboxes: Vec<Sandbox>) -> Result<()> {
    for sandbox in sandboxes {
        sandbox.stop().await?;
    }
    Ok(())
}
