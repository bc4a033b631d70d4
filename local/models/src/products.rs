//! Linear maps in the graph: products of activations and quantised weights.
//!
//! There are two kinds: block by block (`MatMulNBits`), and with one scale a token and one an output
//! (`MatMulIntegerToFloat`), which takes a quarter to half of the time on a CPU and is less exact.
//! Neither looks beyond a token, so that a text's embedding does not depend on the batch it is in.

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

/// The byte that stands for zero where activations are outputs of GELU. What it leaves above itself
/// is 223 steps instead of 127; below, steps of [`GELU_DEPTH`] / [`LOW`] do.
const LOW: u8 = 32;

/// No output of GELU is below minus this: its minimum, at -0.7518, is -0.16997.
const GELU_DEPTH: f32 = 0.17;

/// The weights of a linear map, stored as its multiplication wants them.
pub(super) enum Weights {
    Blocks(BlockMatrix),
    Bytes(ByteMatrix, Input),
}

/// What is known of the values that are multiplied in bytes. It makes the steps between them smaller.
#[derive(Clone, Copy)]
pub(super) enum Input {
    /// Nothing.
    Any,
    /// These columns are larger than the others whatever the text. A token's largest value decides its
    /// steps, so these columns are halved, and their weights doubled.
    Outliers(&'static [usize]),
    /// They are outputs of GELU.
    Activated,
}

impl Input {
    /// What the values of a column are multiplied by before they become bytes.
    fn factor(self, column: usize) -> f32 {
        match self {
            Self::Outliers(columns) if columns.contains(&column) => 0.5,
            _ => 1.0,
        }
    }
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
    pub(super) fn in_bytes(self, input: Input) -> Result<Dense> {
        let BlockMatrix { rows, columns, .. } = self.weights;
        let mut weights = self.weights.to_floats()?;
        for row in weights.chunks_exact_mut(columns) {
            for (column, weight) in row.iter_mut().enumerate() {
                *weight /= input.factor(column);
            }
        }
        Ok(Dense {
            weights: Weights::Bytes(ByteMatrix::quantise(&weights, rows, columns)?, input),
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
    graph.floats("step_above_low", &[], &[1.0 / f32::from(u8::MAX - LOW)])?;
    graph.floats("least_step", &[], &[GELU_DEPTH / f32::from(LOW)])?;
    for (zero, byte) in [("middle", MIDDLE), ("low", LOW)] {
        graph.bytes(zero, &[], &[byte])?;
        graph.standard("Expand", &[zero, tokens], &[&each(zero)], vec![]);
    }
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
        Weights::Bytes(weights, known) => write_byte_matmul(graph, input, name, weights, *known)?,
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

/// Multiplies by a matrix of bytes in whole numbers. A token's vector becomes bytes first, and the
/// product is brought back to the token's scale afterwards.
fn write_byte_matmul(
    graph: &mut GraphBuilder,
    input: &str,
    name: &str,
    weights: &ByteMatrix,
    known: Input,
) -> Result<()> {
    let part = |part: &str| format!("{name}.{part}");
    let dims = [weights.columns, weights.rows];
    let values = graph.signed_bytes(part("values"), &dims, &weights.values)?;
    let scales = graph.floats(part("scales"), &[weights.rows], &weights.scales)?;

    let mut input = input.to_owned();
    if let Input::Outliers(_) = known {
        let factors: Vec<f32> = (0..weights.columns).map(|c| known.factor(c)).collect();
        let factors = graph.floats(part("factors"), &[weights.columns], &factors)?;
        let evened = part("evened");
        graph.standard("Mul", &[&input, &factors], &[&evened], vec![]);
        input = evened;
    }
    let steps = part("steps");
    let zero = match known {
        Input::Activated => write_activated_steps(graph, &input, &steps),
        Input::Any | Input::Outliers(_) => write_steps(graph, &input, &steps),
    };

    let (token_steps, bytes, product) = (part("token_steps"), part("bytes"), part("product"));
    // One number a token; `QuantizeLinear` wants a list of them, `Mul` a column.
    graph.standard("Reshape", &[&steps, "list"], &[&token_steps], vec![]);
    graph.standard(
        "QuantizeLinear",
        &[&input, &token_steps, &each(zero)],
        &[&bytes],
        vec![AttributeProto::int("axis", 0)],
    );
    graph.contrib(
        "MatMulIntegerToFloat",
        &[&bytes, &values, "one", &scales, zero],
        &[&product],
        vec![],
    );
    graph.standard("Mul", &[&product, &steps], &[name], vec![]);
    Ok(())
}

/// Computes each token's step, so that its largest value, whatever the sign, is 127 of them from
/// zero; returns the zero point.
fn write_steps(graph: &mut GraphBuilder, input: &str, steps: &str) -> &'static str {
    let (sizes, largest) = (format!("{steps}.sizes"), format!("{steps}.largest"));
    graph.standard("Abs", &[input], &[&sizes], vec![]);
    write_largest(graph, &sizes, &largest);
    graph.standard("Mul", &[&largest, "step"], &[steps], vec![]);
    "middle"
}

/// Computes each token's step of outputs of GELU: its largest value is 223 of them from zero, unless
/// they would be too small for the least that GELU gives. Returns the zero point.
fn write_activated_steps(graph: &mut GraphBuilder, input: &str, steps: &str) -> &'static str {
    let (largest, above) = (format!("{steps}.largest"), format!("{steps}.above"));
    write_largest(graph, input, &largest);
    graph.standard("Mul", &[&largest, "step_above_low"], &[&above], vec![]);
    graph.standard("Max", &[&above, "least_step"], &[steps], vec![]);
    "low"
}

/// Finds the largest value of each token.
fn write_largest(graph: &mut GraphBuilder, input: &str, largest: &str) {
    let axes = vec![AttributeProto::ints("axes", &[1])];
    graph.standard("ReduceMax", &[input], &[largest], axes);
}

/// The name of a zero point that is repeated for each token.
fn each(zero: &str) -> String {
    format!("each_{zero}")
}
