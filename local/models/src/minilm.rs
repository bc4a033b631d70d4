//! Reads all-MiniLM-L6-v2 from its published safetensors file and quantises it.

use super::{
    blocks::BlockMatrix,
    encoder::{Embeddings, Layer, Norm, Shape, add_to_rows},
    products::Dense,
};
use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{fs, path::Path};

/// The sizes of all-MiniLM-L6-v2 from its published configuration.
pub(super) const SHAPE: Shape = Shape {
    hidden: 384,
    layers: 6,
    heads: 12,
    feed_forward: 1536,
    vocabulary: 30_522,
    positions: 512,
    epsilon: 1e-12,
};

/// The weights, read by name on demand.
pub(super) struct Safetensors<'a> {
    tensors: SafeTensors<'a>,
    shape: Shape,
}

impl<'a> Safetensors<'a> {
    /// Reads the header of a safetensors file; `expected` has the required sizes.
    pub(super) fn read(bytes: &'a [u8], expected: &Shape) -> Result<Self> {
        Ok(Self {
            tensors: SafeTensors::deserialize(bytes)
                .context("it is not a complete safetensors file")?,
            shape: *expected,
        })
    }

    /// The word table, the position table and their normalisation.
    pub(super) fn embeddings(&self) -> Result<Embeddings> {
        let Shape {
            hidden,
            vocabulary,
            positions,
            ..
        } = self.shape;
        let types = self.floats("embeddings.token_type_embeddings.weight", &[2, hidden])?;
        let positions = self.floats(
            "embeddings.position_embeddings.weight",
            &[positions, hidden],
        )?;
        Ok(Embeddings {
            words: self.matrix("embeddings.word_embeddings.weight", vocabulary, hidden)?,
            positions: add_to_rows(positions, &types, hidden),
            norm: self.norm("embeddings.LayerNorm")?,
        })
    }

    /// The layers in order, each read and quantised on demand.
    pub(super) fn layers(&self) -> impl Iterator<Item = Result<Layer>> {
        (0..self.shape.layers).map(|index| self.layer(index))
    }

    fn layer(&self, index: usize) -> Result<Layer> {
        let Shape {
            hidden,
            feed_forward,
            ..
        } = self.shape;
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let dense = |part: &str, outputs, inputs| {
            anyhow::Ok(Dense {
                weights: self.matrix(&name(&format!("{part}.weight")), outputs, inputs)?,
                bias: self.floats(&name(&format!("{part}.bias")), &[outputs])?,
            })
        };
        // With byte products, this model's embeddings drop to a cosine of 0.996.
        Ok(Layer {
            query_key_value: dense("attention.self.query", hidden, hidden)?
                .stack([
                    dense("attention.self.key", hidden, hidden)?,
                    dense("attention.self.value", hidden, hidden)?,
                ])?
                .in_blocks(),
            attention_output: dense("attention.output.dense", hidden, hidden)?.in_blocks(),
            attention_norm: self.norm(&name("attention.output.LayerNorm"))?,
            intermediate: dense("intermediate.dense", feed_forward, hidden)?.in_blocks(),
            output: dense("output.dense", hidden, feed_forward)?.in_blocks(),
            output_norm: self.norm(&name("output.LayerNorm"))?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let hidden = [self.shape.hidden];
        Ok(Norm {
            scale: self.floats(&format!("{name}.weight"), &hidden)?,
            shift: self.floats(&format!("{name}.bias"), &hidden)?,
        })
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<BlockMatrix> {
        let weights = self.floats(name, &[rows, columns])?;
        BlockMatrix::quantise(&weights, rows, columns).with_context(|| format!("its tensor {name}"))
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self
            .tensors
            .tensor(name)
            .with_context(|| format!("it lacks the tensor {name}"))?;
        ensure!(
            tensor.dtype() == Dtype::F32 && tensor.shape() == shape,
            "its tensor {name} is {:?} {:?}, not F32 {shape:?}: it is another model",
            tensor.dtype(),
            tensor.shape()
        );
        // The file decides the header's size and thereby the alignment of values.
        let (values, _) = tensor.data().as_chunks::<4>();
        Ok(values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }
}

/// Copies the published `tokenizer.json` to `folder` without its truncation to 128 tokens and its padding: the loader
/// knows the model's limit.
///
/// Fails unless it is a word-piece tokenizer with `vocabulary` pieces.
pub(super) fn write_tokenizer(source: &[u8], vocabulary: usize, folder: &Path) -> Result<()> {
    let mut tokenizer: Value = serde_json::from_slice(source).context("it is not JSON")?;
    let model = &tokenizer["model"];
    ensure!(
        model["type"] == "WordPiece",
        "its model is {}, not \"WordPiece\"",
        model["type"]
    );
    let pieces = model["vocab"].as_object().map_or(0, serde_json::Map::len);
    ensure!(
        pieces == vocabulary,
        "it has {pieces} pieces of text, and the model {vocabulary} word vectors"
    );
    tokenizer["truncation"] = Value::Null;
    tokenizer["padding"] = Value::Null;
    // Whatever the features of `serde_json` in this build: the bytes are pinned.
    tokenizer.sort_all_objects();
    let path = folder.join("tokenizer.json");
    fs::write(&path, tokenizer.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}
