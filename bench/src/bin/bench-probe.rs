//! Measurements that need their own process: the steps of a search function's start, without a clock in the
//! function, and ONNX Runtime alone.
//!
//! It prints `started`, does what its argument names, prints `done`, and exits when its standard input closes:
//!
//! `runtime LIBRARY`          loads ONNX Runtime and creates its environment: the floor
//! `session LIBRARY MODEL`    the same, and opens the session of the model's folder
//! `embedder LIBRARY MODEL`   loads the embedder as the functions do, and embeds a question
//!
//! `rate LIBRARY MODEL PASSAGES THREADS` prints the texts per second of ONNX Runtime alone.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use bench::raw::{self, Tokens};
use embedder::{Embedder, Kind, Manifest, ModelConfig};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["rate", library, model, passages, threads] = arguments.as_slice() {
        let rate = rate(
            Path::new(library),
            Path::new(model),
            passages,
            threads.parse()?,
        )?;
        return Ok(say(&rate.to_string())?);
    }
    say("started")?;
    match arguments.as_slice() {
        ["runtime", library] => {
            let _environment = raw::environment(Path::new(library))?;
            wait()
        }
        ["session", library, model] => {
            let environment = raw::environment(Path::new(library))?;
            let _session = raw::session(&environment, Path::new(model))?;
            wait()
        }
        ["embedder", library, model] => {
            let embedder = Embedder::load(&ModelConfig {
                folder: PathBuf::from(model),
                library: PathBuf::from(library),
                threads: 1,
            })?;
            embedder.embed_one(Kind::Query, raw::QUESTION)?;
            wait()
        }
        _ => anyhow::bail!("see the top of bench-probe.rs for its arguments"),
    }
}

fn rate(library: &Path, model: &Path, passages: &str, threads: usize) -> anyhow::Result<f64> {
    let passages: Vec<(String, String)> = serde_json::from_slice(&fs::read(passages)?)?;
    let tokens = Tokens::of(model, &Manifest::read(model)?, &passages)?;
    tokens.rate(&raw::environment(library)?, model, threads)
}

/// Reports that the work is done, and keeps the process while its memory is measured.
fn wait() -> anyhow::Result<()> {
    say("done")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn say(word: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{word}")?;
    out.flush()
}
