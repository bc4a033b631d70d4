//! Cold starts: from exec to the first answered search, over TLS to Postgres.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    database::tls::{Front, Timeline},
    event::Answer,
    process::evict,
    sandbox::Program,
    statistics::Summary,
};

/// Where the files of a program are when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PageCache {
    /// In memory, from the start before.
    Warm,
    /// On the disk.
    Evicted,
}

/// The cold starts of one program. Times are milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Cold {
    /// The program's name.
    pub program: String,
    /// Where its files were.
    pub page_cache: PageCache,
    /// From exec until it asked for its first event: what Lambda calls Init.
    pub ready: Summary,
    /// From the event to the answer of the first search.
    pub first_search: Summary,
    /// From exec to that answer, without the time that the harness took in between.
    pub answered: Summary,
    /// Peak memory in megabytes.
    pub memory_mb: Summary,
    /// Page faults that waited for the disk.
    pub major_faults: Summary,
    /// What happened on the connection.
    pub connection: Connection,
}

/// The parts of a connection's beginning, seen from the server's side.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Connection {
    /// From exec until the server accepted it.
    pub dialled: Summary,
    /// The TLS handshake.
    pub tls: Summary,
    /// The login.
    pub authentication: Summary,
    /// The first statement after it, which asks for the model's name.
    pub statement: Summary,
}

/// One start.
struct Start {
    ready: f64,
    first_search: f64,
    memory: f64,
    faults: f64,
    /// From exec until the connection, its handshake, its login and its first statement.
    connection: [f64; 4],
}

/// Starts a program `runs` times, with one search each.
pub(crate) async fn measure(
    program: &Program,
    page_cache: PageCache,
    front: &Front,
    event: &Bytes,
    runs: usize,
    log: &Path,
    progress: &ProgressBar,
) -> Result<Cold> {
    let mut starts = Vec::with_capacity(runs);
    // The first one brings its files into memory, or finds them where they happen to be.
    for number in 0..=runs {
        if page_cache == PageCache::Evicted {
            evict(&program.files)?;
        }
        let start = once(program, front, event, log)
            .await
            .with_context(|| format!("a cold start of {}", program.name))?;
        if number > 0 {
            starts.push(start);
            progress.inc(1);
        }
    }
    let of = |part: &dyn Fn(&Start) -> f64| Summary::of(starts.iter().map(part));
    let connection = |part: usize| of(&|start: &Start| start.connection[part]);
    Ok(Cold {
        program: program.name.clone(),
        page_cache,
        ready: of(&|start| start.ready),
        first_search: of(&|start| start.first_search),
        answered: of(&|start| start.ready + start.first_search),
        memory_mb: of(&|start| start.memory),
        major_faults: of(&|start| start.faults),
        connection: Connection {
            dialled: connection(0),
            tls: connection(1),
            authentication: connection(2),
            statement: connection(3),
        },
    })
}

async fn once(program: &Program, front: &Front, event: &Bytes, log: &Path) -> Result<Start> {
    front.take();
    let exec = Instant::now();
    let mut sandbox = program.start(log).await?;
    let reply = sandbox.invoke(event.clone()).await?;
    let answer = Answer::read(&reply)?;
    ensure!(answer.hits > 0, "the first search found nothing");
    let memory = sandbox.peak_memory()? as f64 / 1e6;
    let faults = sandbox.usage()?.major_faults as f64;
    let ready = sandbox.ready.as_secs_f64() * 1e3;
    sandbox.stop().await?;
    let timelines = front.take();
    let timeline = timelines.first().context("the function did not use TLS")?;
    Ok(Start {
        ready,
        first_search: answer.total,
        memory,
        faults,
        connection: parts(timeline, exec),
    })
}

fn parts(timeline: &Timeline, exec: Instant) -> [f64; 4] {
    let ms = |from: Instant, to: Option<Instant>| {
        to.map_or(0.0, |to| {
            to.saturating_duration_since(from).as_secs_f64() * 1e3
        })
    };
    let encrypted = timeline.encrypted.unwrap_or(timeline.dialled);
    let logged_in = timeline.logged_in.unwrap_or(encrypted);
    [
        ms(exec, Some(timeline.dialled)),
        ms(timeline.dialled, timeline.encrypted),
        ms(encrypted, timeline.logged_in),
        ms(logged_in, timeline.answered.first().copied()),
    ]
}
