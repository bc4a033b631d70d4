//! The default model's prepared vocabulary beside its `tokenizer.json`: whether each line of standard input has the
//! same tokens in both, how long each takes to load, and how fast it works.
//!
//! `cargo bench -p tests --bench tokens < texts.txt`

use std::{
    io::{self, BufRead as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Error, Result, ensure};
use embedder::{Embedder, ModelConfig};
use tests::Assets;
use tokenizers::{Tokenizer, TruncationParams};

#[tokio::main]
async fn main() -> Result<()> {
    let assets = Assets::prepared().await?;
    let config = ModelConfig {
        folder: assets.model.clone(),
        library: assets.onnxruntime.clone(),
        threads: 1,
    };
    let start = Instant::now();
    let embedder = Embedder::load(&config)?;
    let model = start.elapsed();
    let start = Instant::now();
    let json = assets.model.join("tokenizer.json");
    let mut reference = Tokenizer::from_file(json).map_err(Error::from_boxed)?;
    let parsed = start.elapsed();
    reference
        .with_truncation(Some(TruncationParams {
            max_length: embedder.manifest().max_tokens,
            ..TruncationParams::default()
        }))
        .map_err(Error::from_boxed)?;

    let (mut texts, mut tokens, mut different) = (0_u64, 0_usize, 0_u64);
    let (mut prepared_time, mut reference_time) = (Duration::ZERO, Duration::ZERO);
    for line in io::stdin().lock().lines() {
        let text = line?;
        let start = Instant::now();
        let expected = reference
            .encode_fast(text.as_str(), true)
            .map_err(Error::from_boxed)?;
        reference_time += start.elapsed();
        let start = Instant::now();
        let found = embedder.tokenize(&text)?;
        prepared_time += start.elapsed();
        texts += 1;
        tokens += found.len();
        if found != expected.get_ids() {
            different += 1;
            writeln!(io::stderr(), "different: {text:?}")?;
        }
    }
    writeln!(
        io::stdout(),
        "{texts} texts, {tokens} tokens, {different} texts with other tokens\n\
         the whole embedder loads in {model:.1?}, tokenizer.json alone in {parsed:.1?}\n\
         tokens a millisecond: prepared {:.0}, tokenizer.json {:.0}",
        rate(tokens, prepared_time),
        rate(tokens, reference_time),
    )?;
    ensure!(different == 0, "{different} texts have other tokens");
    Ok(())
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(1e-9) / 1e3
}
