//! Linear maps in the graph: products of activations and quantised weights.
//!
//! There are two kinds: block by block (`MatMulNBits`), and with one scale a token and one an output
//! (`MatMulIntegerToFloat`), which takes half the time on a CPU and is less exact. Neither looks
//! beyond a token, so that a text's embedding does not depend on the batch it is in.

use super::{
    blocks::{BLOCK, BlockMatrix},
    bytes::ByteMatrix,
    graph::{GraphBuilder, int64},
    onnx::AttributeProto,
};
use anyhow::Result;

/// `MatMulNBits` with this accuracy level multiplies 8-bit activations, its fastest way on a CPU.
const INT8_ACTIVATIONS: i64 = 4;

/// The byte that stands for zero where activations are bytes.
const MIDDLE: u8 = 128;

/// Steps from [`MIDDLE`] to the largest activation of a token.
const LARGEST_STEP: f32 = 127.0;

/// The weights of a linear map, stored as its multiplication wants them.
pub(super) enum Weights {
    Blocks(BlockMatrix),
    Bytes(ByteMatrix),
}

/// A linear map: one row of weights and one bias for each output.
pub(super) struct Dense<W = Weights> {
    pub(super) weights: W,
    pub(super) bias: Vec<f32>,
}

impl Dense<BlockMatrix> {
    /// Joins maps of the same input into one, whose output is theirs one after another.
    pub(super) fn stack(mut self, others: [Self; 2]) -> Result<Self> {
        for other in others {
            self.weights.append_rows(&other.weights)?;
            self.bias.extend(other.bias);
        }
        Ok(self)
    }

    /// The map, to be multiplied block by block.
    pub(super) fn in_blocks(self) -> Dense {
        Dense {
            weights: Weights::Blocks(self.weights),
            bias: self.bias,
        }
    }

    /// The map, to be multiplied in bytes.
    ///
    /// Fails unless the blocks are of 4 bits, which bytes hold with little loss.
    pub(super) fn in_bytes(self) -> Result<Dense> {
        let BlockMatrix { rows, columns, .. } = self.weights;
        let bytes = ByteMatrix::quantise(&self.weights.to_floats()?, rows, columns)?;
        Ok(Dense {
            weights: Weights::Bytes(bytes),
            bias: self.bias,
        })
    }
}

/// Writes the constants of products of bytes. `tokens` is the graph's number of tokens, the rows of
/// every product.
pub(super) fn write_quantisation(graph: &mut GraphBuilder, tokens: &str) -> Result<()> {
    graph.shape("list", &[-1])?;
    graph.floats("one", &[], &[1.0])?;
    graph.floats("step", &[], &[1.0 / LARGEST_STEP])?;
    graph.bytes("middle", &[], &[MIDDLE])?;
    graph.standard("Expand", &["middle", tokens], &["middles"], vec![]);
    Ok(())
}

/// Multiplies by the weights of `dense` and returns the names of the product and of the bias, which
/// the operator that reads the product adds itself.
pub(super) fn write_matmul(
    graph: &mut GraphBuilder,
    input: &str,
    name: &str,
    dense: &Dense,
) -> Result<(String, String)> {
    match &dense.weights {
        Weights::Blocks(weights) => write_block_matmul(graph, input, name, weights)?,
        Weights::Bytes(weights) => write_byte_matmul(graph, input, name, weights)?,
    }
    let bias = graph.floats(format!("{name}.bias"), &[dense.bias.len()], &dense.bias)?;
    Ok((name.to_owned(), bias))
}

/// Multiplies by a matrix of blocks; the operator quantises its input block by block as well.
fn write_block_matmul(
    graph: &mut GraphBuilder,
    input: &str,
    name: &str,
    weights: &BlockMatrix,
) -> Result<()> {
    let block_bytes = BLOCK * weights.bits / 8;
    let values = graph.bytes(
        format!("{name}.values"),
        &[weights.rows, weights.columns / BLOCK, block_bytes],
        &weights.values,
    )?;
    let scales = graph.floats(
        format!("{name}.scales"),
        &[weights.scales.len()],
        &weights.scales,
    )?;
    graph.contrib(
        "MatMulNBits",
        &[input, &values, &scales],
        &[name],
        vec![
            AttributeProto::int("K", int64(weights.columns)),
            AttributeProto::int("N", int64(weights.rows)),
            AttributeProto::int("bits", int64(weights.bits)),
            AttributeProto::int("block_size", int64(BLOCK)),
            AttributeProto::int("accuracy_level", INT8_ACTIVATIONS),
        ],
    );
    Ok(())
}

/// Multiplies by a matrix of bytes in whole numbers.
///
/// A token's vector becomes bytes: its largest value, whatever the sign, is 127 steps from
/// [`MIDDLE`]. The product is brought back to the token's scale afterwards.
fn write_byte_matmul(
    graph: &mut GraphBuilder,
    input: &str,
    name: &str,
    weights: &ByteMatrix,
) -> Result<()> {
    let part = |part: &str| format!("{name}.{part}");
    let dims = [weights.columns, weights.rows];
    let values = graph.signed_bytes(part("values"), &dims, &weights.values)?;
    let scales = graph.floats(part("scales"), &[weights.rows], &weights.scales)?;

    let (sizes, largest, steps) = (part("sizes"), part("largest"), part("steps"));
    graph.standard("Abs", &[input], &[&sizes], vec![]);
    // One number a token; `QuantizeLinear` wants a list of them, `Mul` a column.
    graph.standard(
        "ReduceMax",
        &[&sizes],
        &[&largest],
        vec![AttributeProto::ints("axes", &[1])],
    );
    graph.standard("Mul", &[&largest, "step"], &[&steps], vec![]);

    let (token_steps, bytes, product) = (part("token_steps"), part("bytes"), part("product"));
    graph.standard("Reshape", &[&steps, "list"], &[&token_steps], vec![]);
    graph.standard(
        "QuantizeLinear",
        &[input, &token_steps, "middles"],
        &[&bytes],
        vec![AttributeProto::int("axis", 0)],
    );
    graph.contrib(
        "MatMulIntegerToFloat",
        &[&bytes, &values, "one", &scales, "middle"],
        &[&product],
        vec![],
    );
    graph.standard("Mul", &[&product, &steps], &[name], vec![]);
    Ok(())
}
