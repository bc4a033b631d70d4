//! Cold starts: from exec to the first search response, over TLS to Postgres.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    database::tls::{Timeline, TlsProxy},
    event::TimedResponse,
    process::evict,
    sandbox::Program,
    statistics::Summary,
};

/// Whether a program's files are in the page cache at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PageCache {
    /// In memory, from an earlier start.
    Warm,
    /// On disk.
    Evicted,
}

/// The cold starts of one program, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Cold {
    /// The program's name.
    pub program: String,
    /// The state of the page cache.
    pub page_cache: PageCache,
    /// From exec until it requests its first event: Lambda's Init.
    pub ready: Summary,
    /// From the event to the response of the first search.
    pub first_search: Summary,
    /// From exec to that response, without the harness's time in between.
    pub answered: Summary,
    /// Peak memory, in megabytes.
    pub memory_mb: Summary,
    /// Major page faults.
    pub major_faults: Summary,
    /// The connection's timeline.
    pub connection: Connection,
}

/// The phases of opening a connection, as seen by the server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Connection {
    /// From exec until it was accepted.
    pub dialled: Summary,
    /// The TLS handshake.
    pub tls: Summary,
    /// The login.
    pub authentication: Summary,
    /// The first statement, which reads the model's name.
    pub statement: Summary,
}

/// One start.
struct Start {
    ready: f64,
    first_search: f64,
    memory: f64,
    faults: f64,
    /// From exec to connection, handshake, login and first statement.
    connection: [f64; 4],
}

/// Starts a program `runs` times with one search each.
pub(crate) async fn measure(
    program: &Program,
    page_cache: PageCache,
    proxy: &TlsProxy,
    event: &Bytes,
    runs: usize,
    log: &Path,
    progress: &ProgressBar,
) -> Result<Cold> {
    let mut starts = Vec::with_capacity(runs);
    // A first start fills the page cache.
    for number in 0..=runs {
        if page_cache == PageCache::Evicted {
            evict(&program.files)?;
        }
        let start = once(program, proxy, event, log)
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

async fn once(program: &Program, proxy: &TlsProxy, event: &Bytes, log: &Path) -> Result<Start> {
    proxy.take();
    let exec = Instant::now();
    let mut sandbox = program.start(log).await?;
    let reply = sandbox.invoke(event.clone()).await?;
    let answer = TimedResponse::read(&reply)?;
    ensure!(answer.hits > 0, "the first search found nothing");
    let memory = sandbox.peak_memory()? as f64 / 1e6;
    let faults = sandbox.usage()?.major_faults as f64;
    let ready = sandbox.ready.as_secs_f64() * 1e3;
    sandbox.stop().await?;
    let timelines = proxy.take();
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
