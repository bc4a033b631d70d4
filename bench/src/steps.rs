//! The steps of a start, timed from outside: processes that run the first step, the first two, and so on.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{process::peak_memory, statistics::Summary};

/// The embedding part of a start: milliseconds until each step is done, and peak memory in megabytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Steps {
    /// Until the program runs.
    pub exec: Summary,
    /// Until ONNX Runtime has its environment: the floor.
    pub runtime: Summary,
    /// Until the model's session is open.
    pub session: Summary,
    /// Until the embedder, tokenizer included, has embedded a first question.
    pub embedder: Summary,
    /// Peak memory of the floor.
    pub runtime_mb: Summary,
    /// Peak memory of the embedder.
    pub embedder_mb: Summary,
}

/// The programs and files.
#[derive(Clone, Debug)]
pub(crate) struct Files<'a> {
    /// The program `bench-probe`.
    pub(crate) program: PathBuf,
    pub(crate) library: &'a Path,
    pub(crate) model: &'a Path,
}

/// One process: milliseconds until it ran and until it was done, and peak memory in megabytes.
struct Sample {
    started: f64,
    done: f64,
    memory: f64,
}

impl Steps {
    /// Runs each process `runs` times, in turn, calling `before` each time.
    pub(crate) fn measure(
        files: &Files<'_>,
        runs: usize,
        before: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut samples: [Vec<Sample>; 3] = Default::default();
        for _ in 0..runs {
            for (step, samples) in ["runtime", "session", "embedder"].iter().zip(&mut samples) {
                before()?;
                samples.push(sample(files, step)?);
            }
        }
        let [runtime, session, embedder] = &samples;
        let of =
            |samples: &[Sample], part: fn(&Sample) -> f64| Summary::of(samples.iter().map(part));
        Ok(Self {
            exec: of(runtime, |sample| sample.started),
            runtime: of(runtime, |sample| sample.done),
            session: of(session, |sample| sample.done),
            embedder: of(embedder, |sample| sample.done),
            runtime_mb: of(runtime, |sample| sample.memory),
            embedder_mb: of(embedder, |sample| sample.memory),
        })
    }
}

fn sample(files: &Files<'_>, step: &str) -> Result<Sample> {
    let mut command = Command::new(&files.program);
    command
        .arg(step)
        .arg(files.library)
        .env("ORT_DISABLE_TELEMETRY", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if step != "runtime" {
        command.arg(files.model);
    }
    let start = Instant::now();
    let mut process = command
        .spawn()
        .with_context(|| format!("cannot start {}", files.program.display()))?;
    let mut lines =
        BufReader::new(process.stdout.take().context("its output is not piped")?).lines();
    let mut said = |word: &str| -> Result<f64> {
        let line = lines.next().transpose()?.unwrap_or_default();
        let at = start.elapsed().as_secs_f64() * 1e3;
        ensure!(
            line == word,
            "bench-probe {step} failed: it printed {line:?} instead of {word:?}"
        );
        Ok(at)
    };
    let (started, done) = (said("started")?, said("done")?);
    let memory = peak_memory(process.id())? as f64 / 1e6;
    drop(process.stdin.take());
    process.wait()?;
    Ok(Sample {
        started,
        done,
        memory,
    })
}
