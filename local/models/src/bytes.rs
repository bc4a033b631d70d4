//! Matrices whose weights are signed bytes, with one scale for each row.

use anyhow::{Result, ensure};

/// Steps of the largest weight of a row. With 127 of them, processors that add two products of
/// bytes in 16 bits (AVX2 without VNNI) would overflow and give other embeddings than the rest:
/// 2 x 255 x 63 is below 2^15, 2 x 255 x 127 is not.
const LARGEST_STEP: f32 = 63.0;

/// A matrix as ONNX Runtime's `MatMulIntegerToFloat` stores it: the weight of an output is
/// `value * scale`, and the weights of one input follow one another.
#[derive(Debug, PartialEq)]
pub(super) struct ByteMatrix {
    /// Outputs.
    pub(super) rows: usize,
    /// Inputs.
    pub(super) columns: usize,
    /// `columns * rows` values, the transpose of what [`ByteMatrix::quantise`] is given.
    pub(super) values: Vec<i8>,
    /// One scale for each row.
    pub(super) scales: Vec<f32>,
}

impl ByteMatrix {
    /// Quantises row-major floats symmetrically: the largest weight of a row becomes
    /// [`LARGEST_STEP`] steps, so the error of a weight is at most half a step.
    ///
    /// Fails if the number of weights is not what the dimensions need or if one is not finite.
    pub(super) fn quantise(weights: &[f32], rows: usize, columns: usize) -> Result<Self> {
        ensure!(
            rows > 0 && columns > 0 && weights.len() == rows * columns,
            "a matrix of {rows} x {columns} cannot have {} weights",
            weights.len()
        );
        ensure!(
            weights.iter().all(|weight| weight.is_finite()),
            "a weight is not a finite number"
        );
        let mut values = vec![0; weights.len()];
        let mut scales = Vec::with_capacity(rows);
        for (output, row) in weights.chunks_exact(columns).enumerate() {
            let largest = row.iter().fold(0_f32, |max, weight| max.max(weight.abs()));
            let scale = if largest == 0.0 {
                1.0
            } else {
                largest / LARGEST_STEP
            };
            for (input, weight) in row.iter().enumerate() {
                values[input * rows + output] = to_step(weight / scale);
            }
            scales.push(scale);
        }
        Ok(Self {
            rows,
            columns,
            values,
            scales,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number from -63 to 63"
)]
fn to_step(steps: f32) -> i8 {
    steps.round_ties_even() as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantised_weights_are_transposed_and_within_half_a_step() {
        let weights = [0.5, -1.0, 0.25, 3.0, 0.0, -6.0];
        let matrix = ByteMatrix::quantise(&weights, 2, 3).expect("the dimensions fit");
        assert_eq!(matrix.scales.len(), 2);
        for output in 0..2 {
            for input in 0..3 {
                let scale = matrix.scales[output];
                let restored = f32::from(matrix.values[input * 2 + output]) * scale;
                let weight = weights[output * 3 + input];
                let error = (restored - weight).abs();
                assert!(error <= scale * 0.501, "{weight} became {restored}");
            }
        }
        assert_eq!(matrix.values[2..4], [-63, 0]);
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        let matrix = ByteMatrix::quantise(&[0.0; 8], 2, 4).expect("the dimensions fit");
        assert_eq!(matrix.values, [0; 8]);
        assert_eq!(matrix.scales, [1.0; 2]);
    }

    #[test]
    fn weights_that_do_not_fit_or_are_not_finite_are_refused() {
        assert!(ByteMatrix::quantise(&[0.5; 5], 2, 3).is_err());
        assert!(ByteMatrix::quantise(&[f32::NAN; 6], 2, 3).is_err());
    }
}
