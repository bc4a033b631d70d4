//! Matrices whose weights are whole numbers of 4 or 8 bits, with one scale for each block of a row.

use anyhow::{Result, ensure};

/// Weights that share a scale: 32, as in the `Q4_0` format, and the block that keeps 8-bit weights
/// closest to the original ones at little cost in size.
pub(super) const BLOCK: usize = 32;

/// Bytes of a `Q4_0` block: a half-precision scale, then two weights in each byte.
const Q4_0_BLOCK_BYTES: usize = 2 + BLOCK / 2;

/// A matrix as ONNX Runtime's `MatMulNBits` and `GatherBlockQuantized` store it: the weight at
/// (row, column) is `(value - 2^(bits - 1)) * scale`, rows follow one another, and of two 4-bit
/// values in a byte the first has the low bits.
#[derive(Debug, PartialEq)]
pub(super) struct BlockMatrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bits: usize,
    /// `rows * columns * bits / 8` bytes.
    pub(super) values: Vec<u8>,
    /// One scale for each block: `rows * columns / BLOCK`.
    pub(super) scales: Vec<f32>,
}

impl BlockMatrix {
    /// Quantises row-major floats to 8 bits, symmetrically: the largest weight of a block becomes
    /// 127 steps, so the error of a weight is at most half a step.
    ///
    /// Fails if a row is not a whole number of blocks or if a weight is not finite.
    pub(super) fn quantise(weights: &[f32], rows: usize, columns: usize) -> Result<Self> {
        check_dimensions(rows, columns)?;
        ensure!(
            weights.len() == rows * columns,
            "a matrix of {rows} x {columns} cannot have {} weights",
            weights.len()
        );
        let mut values = Vec::with_capacity(weights.len());
        let mut scales = Vec::with_capacity(weights.len() / BLOCK);
        for block in weights.chunks_exact(BLOCK) {
            ensure!(
                block.iter().all(|weight| weight.is_finite()),
                "a weight is not a finite number"
            );
            let largest = block
                .iter()
                .fold(0_f32, |max, weight| max.max(weight.abs()));
            let scale = if largest == 0.0 { 1.0 } else { largest / 127.0 };
            values.extend(block.iter().map(|weight| to_step(weight / scale)));
            scales.push(scale);
        }
        Ok(Self {
            rows,
            columns,
            bits: 8,
            values,
            scales,
        })
    }

    /// Reads a matrix of `Q4_0` blocks. Values and scales are carried over unchanged; only the order
    /// of the values inside a block differs.
    ///
    /// Fails if the number of bytes is not what the dimensions need or if a scale is not finite.
    pub(super) fn from_q4_0(bytes: &[u8], rows: usize, columns: usize) -> Result<Self> {
        check_dimensions(rows, columns)?;
        let blocks = rows * columns / BLOCK;
        ensure!(
            bytes.len() == blocks * Q4_0_BLOCK_BYTES,
            "a 4-bit matrix of {rows} x {columns} takes {} bytes, not {}",
            blocks * Q4_0_BLOCK_BYTES,
            bytes.len()
        );
        let mut values = Vec::with_capacity(blocks * BLOCK / 2);
        let mut scales = Vec::with_capacity(blocks);
        for block in bytes.chunks_exact(Q4_0_BLOCK_BYTES) {
            let scale = half_to_float(u16::from_le_bytes([block[0], block[1]]));
            ensure!(scale.is_finite(), "a scale is not a finite number");
            scales.push(scale);
            // The first half of the block is in the low bits of its bytes, the second in the high.
            let pairs = block[2..].chunks_exact(2);
            values.extend(pairs.clone().map(|pair| pair[0] & 0x0f | pair[1] << 4));
            values.extend(pairs.map(|pair| pair[0] >> 4 | pair[1] & 0xf0));
        }
        Ok(Self {
            rows,
            columns,
            bits: 4,
            values,
            scales,
        })
    }

    /// The weights as floats, row by row.
    ///
    /// Fails unless they are of 4 bits.
    pub(super) fn to_floats(&self) -> Result<Vec<f32>> {
        ensure!(
            self.bits == 4,
            "the weights are of {} bits, not 4",
            self.bits
        );
        let pairs = self.values.iter().flat_map(|byte| [byte & 0x0f, byte >> 4]);
        let weights = pairs
            .map(|value| f32::from(value) - 8.0)
            .collect::<Vec<f32>>();
        let blocks = weights.chunks_exact(BLOCK).zip(&self.scales);
        Ok(blocks
            .flat_map(|(block, scale)| block.iter().map(move |weight| weight * scale))
            .collect())
    }

    /// Puts the rows of `below` under the rows of this matrix.
    ///
    /// Fails if the two differ in columns or bits.
    pub(super) fn append_rows(&mut self, below: &Self) -> Result<()> {
        ensure!(
            (self.columns, self.bits) == (below.columns, below.bits),
            "rows of {} {}-bit columns do not fit under rows of {} {}-bit columns",
            below.columns,
            below.bits,
            self.columns,
            self.bits
        );
        self.rows += below.rows;
        self.values.extend_from_slice(&below.values);
        self.scales.extend_from_slice(&below.scales);
        Ok(())
    }
}

fn check_dimensions(rows: usize, columns: usize) -> Result<()> {
    ensure!(
        rows > 0 && columns > 0 && columns.is_multiple_of(BLOCK),
        "a matrix of {rows} x {columns} is not made of blocks of {BLOCK} columns"
    );
    Ok(())
}

/// The stored value of a weight given in steps from -127 to 127: 128 stands for zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number from 1 to 255"
)]
fn to_step(steps: f32) -> u8 {
    (steps.round_ties_even() + 128.0) as u8
}

/// The value of an IEEE 754 half-precision number, exact in single precision.
fn half_to_float(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x03ff);
    let magnitude = match exponent {
        // Subnormal numbers count steps of 2^-24.
        0 => f32::from(bits & 0x03ff) / 16_777_216.0,
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        // The exponents' biases are 15 and 127, the fractions' widths 10 and 23 bits.
        _ => f32::from_bits((exponent + 127 - 15) << 23 | fraction << 13),
    };
    sign * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantised_weights_are_within_half_a_step() {
        let weights: Vec<f32> = (0..=u8::MAX)
            .map(|i| (f32::from(i) * 0.37).sin() * f32::from(i % 7))
            .collect();
        let matrix = BlockMatrix::quantise(&weights, 4, 64).expect("the dimensions fit");
        assert_eq!(matrix.scales.len(), 8);
        for (i, weight) in weights.iter().enumerate() {
            let scale = matrix.scales[i / BLOCK];
            let restored = (f32::from(matrix.values[i]) - 128.0) * scale;
            let error = (restored - weight).abs();
            assert!(
                error <= scale * 0.501,
                "weight {i}: {weight} became {restored}"
            );
        }
    }

    #[test]
    fn a_block_of_zeros_stays_zero() {
        let matrix = BlockMatrix::quantise(&[0.0; BLOCK], 1, BLOCK).expect("the dimensions fit");
        assert_eq!(matrix.values, [128; BLOCK]);
        assert_eq!(matrix.scales, [1.0]);
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let mut weights = [0.5; BLOCK];
        weights[3] = f32::NAN;
        assert!(BlockMatrix::quantise(&weights, 1, BLOCK).is_err());
    }

    #[test]
    fn four_bit_values_come_out_in_column_order() {
        // Column `c` holds `c % 16` in the first half of the block and `15 - c % 16` in the second.
        let mut bytes = vec![0x00, 0x3c];
        bytes.extend((0..16_u8).map(|c| c | (15 - c) << 4));
        let matrix = BlockMatrix::from_q4_0(&bytes, 1, BLOCK).expect("the block is whole");
        assert_eq!(matrix.scales, [1.0]);
        let columns: Vec<u8> = matrix
            .values
            .iter()
            .flat_map(|byte| [byte & 0x0f, byte >> 4])
            .collect();
        let expected: Vec<u8> = (0..16).chain((0..16).rev()).collect();
        assert_eq!(columns, expected);
        let weights: Vec<f32> = expected.iter().map(|&c| f32::from(c) - 8.0).collect();
        assert_eq!(matrix.to_floats().expect("it is of 4 bits"), weights);
    }

    #[test]
    fn half_precision_numbers_are_read_exactly() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x8000, -0.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half_to_float(bits).to_bits(), f32::to_bits(value));
        }
        assert!(half_to_float(0x7e00).is_nan());
    }
}
