//! The graph both models share: a BERT encoder with quantised weights.
//!
//! Weights stay quantised in memory and in the computation (see [`products`](super::products)).
//! Each model says how each of its products is computed.

use super::{
    blocks::{BLOCK, BlockMatrix},
    graph::{Dimension, GraphBuilder, int64},
    onnx::{AttributeProto, INT32},
    products::{Dense, write_matmul, write_quantisation},
};
use anyhow::{Result, ensure};
use std::path::Path;

/// The sizes of an encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Length of a token's vector, and of an embedding.
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Length of the vector inside the feed-forward part of a layer.
    pub(super) feed_forward: usize,
    /// Rows of the word table.
    pub(super) vocabulary: usize,
    /// The longest text, in tokens.
    pub(super) positions: usize,
    /// Added to the variance by layer normalisation.
    pub(super) epsilon: f32,
}

/// Scale and shift of a layer normalisation: `hidden` numbers each.
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

/// What turns token ids into the input of the first layer.
pub(super) struct Embeddings {
    /// `vocabulary` x `hidden`.
    pub(super) words: BlockMatrix,
    /// `positions` x `hidden`, with the vector of token type 0 added (see [`add_to_rows`]).
    pub(super) positions: Vec<f32>,
    pub(super) norm: Norm,
}

/// The weights of one layer.
pub(super) struct Layer {
    /// Query, key and value stacked: one multiplication quantises their common input once.
    pub(super) query_key_value: Dense,
    pub(super) attention_output: Dense,
    pub(super) attention_norm: Norm,
    pub(super) intermediate: Dense,
    pub(super) output: Dense,
    pub(super) output_norm: Norm,
}

/// Adds the first vector of `types` to each row of `positions`: a text to embed is one segment, so
/// the token type is always 0, and the graph needs neither that input nor the addition.
pub(super) fn add_to_rows(mut positions: Vec<f32>, types: &[f32], hidden: usize) -> Vec<f32> {
    for row in positions.chunks_exact_mut(hidden) {
        for (position, token_type) in row.iter_mut().zip(types) {
            *position += token_type;
        }
    }
    positions
}

/// Writes `model.onnx` and `model.data` to `folder`. Inputs `input_ids` and `attention_mask`
/// (`[batch, sequence]`, 64-bit), output `last_hidden_state` (`[batch, sequence, hidden]`, 32-bit).
///
/// `layers` is read one layer at a time, so that only one is in memory.
pub(super) fn write(
    folder: &Path,
    name: &str,
    shape: &Shape,
    embeddings: &Embeddings,
    layers: impl Iterator<Item = Result<Layer>>,
) -> Result<()> {
    let mut graph = GraphBuilder::create(folder, name)?;
    let tokens = [Dimension::Free("batch"), Dimension::Free("sequence")];
    graph.input("input_ids", &tokens);
    graph.input("attention_mask", &tokens);
    let [batch, sequence] = tokens;
    graph.output(
        "last_hidden_state",
        &[batch, sequence, Dimension::Fixed(shape.hidden)],
    );

    write_embeddings(&mut graph, shape, embeddings, "embeddings")?;
    write_constants(&mut graph, shape)?;
    let mut state = String::from("layer0");
    graph.standard("Reshape", &["embeddings", "rows"], &[&state], vec![]);
    let mut count = 0;
    for layer in layers {
        count += 1;
        let output = format!("layer{count}");
        write_layer(&mut graph, shape, &layer?, &state, &output)?;
        state = output;
    }
    ensure!(
        count == shape.layers,
        "the encoder needs {} layers, not {count}",
        shape.layers
    );
    let output = [state.as_str(), "batches_of_hidden"];
    graph.standard("Reshape", &output, &["last_hidden_state"], vec![]);
    graph.finish()
}

/// Writes what every layer reads: the mask as attention wants it, the shapes between which a layer
/// changes (one row a token for products, batches of texts for attention), and the constants of
/// quantisation.
fn write_constants(graph: &mut GraphBuilder, shape: &Shape) -> Result<()> {
    graph.standard(
        "Cast",
        &["attention_mask"],
        &["mask"],
        vec![AttributeProto::int("to", i64::from(INT32))],
    );
    graph.sizes("thirds", &[shape.hidden; 3])?;
    graph.standard("Shape", &["input_ids"], &["batches"], vec![]);
    for (name, columns) in [("hidden", shape.hidden), ("joined", 3 * shape.hidden)] {
        graph.sizes(name, &[columns])?;
        graph.standard(
            "Concat",
            &["batches", name],
            &[&format!("batches_of_{name}")],
            vec![AttributeProto::int("axis", 0)],
        );
    }
    // One row for each token of all texts.
    graph.shape("rows", &[-1, int64(shape.hidden)])?;
    graph.standard("ReduceProd", &["batches"], &["tokens"], vec![]);
    write_quantisation(graph, "tokens")
}

/// Looks up words, adds positions, normalises.
fn write_embeddings(
    graph: &mut GraphBuilder,
    shape: &Shape,
    embeddings: &Embeddings,
    output: &str,
) -> Result<()> {
    write_words(graph, &embeddings.words)?;
    let table = [shape.positions, shape.hidden];
    graph.floats("positions.table", &table, &embeddings.positions)?;
    graph.sizes("first", &[0])?;
    graph.standard(
        "Shape",
        &["input_ids"],
        &["length"],
        vec![
            AttributeProto::int("start", 1),
            AttributeProto::int("end", 2),
        ],
    );
    graph.standard(
        "Slice",
        &["positions.table", "first", "length", "first"],
        &["positions"],
        vec![],
    );
    graph.standard("Add", &["words", "positions"], &["placed_words"], vec![]);
    let (scale, shift) = write_norm(graph, "embeddings.norm", &embeddings.norm)?;
    graph.standard(
        "LayerNormalization",
        &["placed_words", &scale, &shift],
        &[output],
        vec![AttributeProto::float("epsilon", shape.epsilon)],
    );
    Ok(())
}

/// Looks up the vectors of the tokens; only the rows that a text uses are dequantised.
fn write_words(graph: &mut GraphBuilder, words: &BlockMatrix) -> Result<()> {
    let row_bytes = words.columns * words.bits / 8;
    graph.bytes("words.values", &[words.rows, row_bytes], &words.values)?;
    let row_scales = words.columns / BLOCK;
    graph.floats("words.scales", &[words.rows, row_scales], &words.scales)?;
    graph.contrib(
        "GatherBlockQuantized",
        &["words.values", "input_ids", "words.scales"],
        &["words"],
        vec![
            AttributeProto::int("bits", int64(words.bits)),
            AttributeProto::int("block_size", int64(BLOCK)),
            AttributeProto::int("gather_axis", 0),
            AttributeProto::int("quantize_axis", 1),
        ],
    );
    Ok(())
}

/// Attention, then the feed-forward part, each added to its input and normalised.
fn write_layer(
    graph: &mut GraphBuilder,
    shape: &Shape,
    layer: &Layer,
    input: &str,
    output: &str,
) -> Result<()> {
    let name = |part: &str| format!("{output}.{part}");

    let (product, bias) = write_matmul(graph, input, &name("qkv"), &layer.query_key_value)?;
    let joined = name("joined");
    let batches = [product.as_str(), "batches_of_joined"];
    graph.standard("Reshape", &batches, &[&joined], vec![]);
    let (query, key, value) = (name("query"), name("key"), name("value"));
    graph.standard(
        "Split",
        &[&joined, "thirds"],
        &[&query, &key, &value],
        vec![AttributeProto::int("axis", 2)],
    );
    let (attention, heads) = (name("attention"), name("heads"));
    graph.contrib(
        "MultiHeadAttention",
        &[&query, &key, &value, &bias, "mask"],
        &[&heads],
        vec![AttributeProto::int("num_heads", int64(shape.heads))],
    );
    graph.standard("Reshape", &[&heads, "rows"], &[&attention], vec![]);

    let attended = name("attended");
    let dense = write_matmul(
        graph,
        &attention,
        &name("attention_output"),
        &layer.attention_output,
    )?;
    write_sum_norm(graph, shape, dense, input, &layer.attention_norm, &attended)?;

    let (inner, bias) = write_matmul(graph, &attended, &name("intermediate"), &layer.intermediate)?;
    let activated = name("activated");
    graph.contrib("BiasGelu", &[&inner, &bias], &[&activated], vec![]);

    let dense = write_matmul(graph, &activated, &name("output"), &layer.output)?;
    write_sum_norm(graph, shape, dense, &attended, &layer.output_norm, output)
}

/// Normalises the sum of a product, its bias, and the input of the part that ends here.
///
/// ONNX Runtime has one operator for all of it, `SkipLayerNormalization`, but on a CPU that takes
/// seven times as long as these three.
fn write_sum_norm(
    graph: &mut GraphBuilder,
    shape: &Shape,
    (product, bias): (String, String),
    skip: &str,
    norm: &Norm,
    output: &str,
) -> Result<()> {
    let (biased, sum) = (format!("{output}.biased"), format!("{output}.sum"));
    graph.standard("Add", &[&product, &bias], &[&biased], vec![]);
    graph.standard("Add", &[&biased, skip], &[&sum], vec![]);
    let (scale, shift) = write_norm(graph, &format!("{output}.norm"), norm)?;
    graph.standard(
        "LayerNormalization",
        &[&sum, &scale, &shift],
        &[output],
        vec![AttributeProto::float("epsilon", shape.epsilon)],
    );
    Ok(())
}

fn write_norm(graph: &mut GraphBuilder, name: &str, norm: &Norm) -> Result<(String, String)> {
    Ok((
        graph.floats(format!("{name}.scale"), &[norm.scale.len()], &norm.scale)?,
        graph.floats(format!("{name}.shift"), &[norm.shift.len()], &norm.shift)?,
    ))
}
