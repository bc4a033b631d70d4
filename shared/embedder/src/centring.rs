//! Centred embeddings: removes from each what all texts share, and what shows only its language.
//!
//! Some models place embeddings in a narrow cone: any passage is near any question, and right and wrong ones have
//! almost the same distance. Without the mean of many passages, and of many questions, they spread, and a distance
//! shows whether a passage is about a question at all (Mu and Viswanath, "All-but-the-Top", 2018). The two means
//! differ: one for both makes a search worse than none.
//!
//! In what is left, a few directions separate languages: those in which their means differ. Without them a question is
//! no nearer to a passage in the same language (Yang et al., "A Simple and Effective Method To Eliminate the Self
//! Language Bias in Multilingual Representations", 2021).

use std::{fmt, fs, path::Path};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Kind, ManifestError};

/// The means of a model's embeddings, and the share to subtract.
#[derive(Clone, Debug, PartialEq)]
pub struct Centring {
    strength: f32,
    passages: Vec<f32>,
    questions: Vec<f32>,
    /// Orthogonal unit vectors.
    directions: Vec<Vec<f32>>,
}

/// The manifest's settings for centring.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CentringEntry {
    /// The file of means beside the manifest: see [`Centring::to_bytes`].
    means: String,
    /// The share of the means to subtract, above 0 to 1.
    strength: f32,
}

impl Centring {
    /// Subtracts `strength`, above 0 to 1, of these means from passages and questions, and then their components along
    /// these directions, which are orthogonal unit vectors.
    ///
    /// # Errors
    /// Explains an invalid strength, mean or direction.
    pub fn new(
        strength: f32,
        passages: Vec<f32>,
        questions: Vec<f32>,
        directions: Vec<Vec<f32>>,
    ) -> Result<Self, String> {
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(format!(
                "strength is {strength}; it must be above 0 and at most 1"
            ));
        }
        if passages.len() != questions.len() {
            return Err("the two means have different dimensions".to_owned());
        }
        // The mean of unit vectors is shorter than they are; subtracting a unit vector would erase a text like it.
        let usable = |mean: &[f32]| mean.iter().all(|x| x.is_finite()) && length(mean) < 1.0;
        if !usable(&passages) || !usable(&questions) {
            return Err("the means are not those of unit vectors".to_owned());
        }
        let dimensions = passages.len();
        let is_unit = |direction: &Vec<f32>| {
            direction.len() == dimensions && (length(direction) - 1.0).abs() < 1e-3
        };
        if !directions.iter().all(is_unit) || directions.len() >= dimensions {
            return Err(
                "the directions must be unit vectors, fewer than the dimensions".to_owned(),
            );
        }
        Ok(Self {
            strength,
            passages,
            questions,
            directions,
        })
    }

    /// Subtracts the mean of this kind of text from a unit vector, and normalises the result.
    pub fn apply(&self, kind: Kind, embedding: &mut [f32]) {
        for (x, mean) in embedding.iter_mut().zip(self.mean(kind)) {
            *x -= self.strength * mean;
        }
        for direction in &self.directions {
            let part: f32 = embedding.iter().zip(direction).map(|(x, d)| x * d).sum();
            for (x, d) in embedding.iter_mut().zip(direction) {
                *x -= part * d;
            }
        }
        let length = length(embedding);
        if length > 0.0 {
            for x in embedding {
                *x /= length;
            }
        }
    }

    /// The share of the means that is subtracted.
    #[must_use]
    pub fn strength(&self) -> f32 {
        self.strength
    }

    /// The mean of a kind of text.
    #[must_use]
    pub fn mean(&self, kind: Kind) -> &[f32] {
        match kind {
            Kind::Passage => &self.passages,
            Kind::Query => &self.questions,
        }
    }

    /// The directions to remove from embeddings.
    #[must_use]
    pub fn directions(&self) -> &[Vec<f32>] {
        &self.directions
    }

    /// The file of means: vectors of 32-bit numbers, little-endian. First the mean of passages, then that of questions,
    /// then the directions.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let vectors = [&self.passages, &self.questions].into_iter();
        let numbers = vectors.chain(&self.directions).flatten();
        numbers.flat_map(|x| x.to_le_bytes()).collect()
    }

    pub(super) fn read(
        folder: &Path,
        entry: &CentringEntry,
        dimensions: usize,
    ) -> Result<Self, ManifestError> {
        let path = folder.join(&entry.means);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ManifestError::Unreadable { path, source }),
        };
        let vector = 4 * dimensions;
        let means = if bytes.len() >= 2 * vector && bytes.len().is_multiple_of(vector) {
            let mut vectors = bytes.chunks_exact(vector).map(floats);
            let (passages, questions) = (vectors.next(), vectors.next());
            Self::new(
                entry.strength,
                passages.unwrap_or_default(),
                questions.unwrap_or_default(),
                vectors.collect(),
            )
        } else {
            Err(format!(
                "it has {} bytes, not two or more vectors of {dimensions} numbers",
                bytes.len()
            ))
        };
        means.map_err(|reason| ManifestError::Invalid { path, reason })
    }
}

/// A name unique to the strength and the means, such as `0.85-1a2b3c4d`.
impl fmt::Display for Centring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.strength)?;
        let hash = Sha256::digest(self.to_bytes());
        hash.iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn centring() -> Centring {
        Centring::new(0.5, vec![0.8, 0.0], vec![0.0, 0.8], Vec::new())
            .expect("means of unit vectors")
    }

    #[test]
    fn each_kind_loses_its_own_mean_and_stays_a_unit_vector() {
        let (mut passage, mut question) = ([0.6, 0.8], [0.6, 0.8]);
        centring().apply(Kind::Passage, &mut passage);
        centring().apply(Kind::Query, &mut question);
        // (0.2, 0.8) and (0.6, 0.4), normalised.
        assert!(
            (passage[0] - 0.2 / 0.68_f32.sqrt()).abs() < 1e-6,
            "{passage:?}"
        );
        assert!(
            (question[1] - 0.4 / 0.52_f32.sqrt()).abs() < 1e-6,
            "{question:?}"
        );
        assert!((length(&passage) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn another_strength_or_other_means_have_another_name() {
        let name = centring().to_string();
        let stronger =
            Centring::new(0.6, vec![0.8, 0.0], vec![0.0, 0.8], Vec::new()).expect("means");
        let swapped =
            Centring::new(0.5, vec![0.0, 0.8], vec![0.8, 0.0], Vec::new()).expect("means");
        assert!(
            name.starts_with("0.5-") && name == centring().to_string(),
            "{name}"
        );
        assert!(name != stronger.to_string() && name != swapped.to_string());
    }

    #[test]
    fn nothing_is_left_in_a_direction() {
        let directions = vec![vec![0.6, 0.8, 0.0]];
        let centring = Centring::new(0.5, vec![0.0; 3], vec![0.0; 3], directions).expect("means");
        let mut passage = [0.8, 0.0, 0.6];
        centring.apply(Kind::Passage, &mut passage);
        assert!(
            (0.6 * passage[0] + 0.8 * passage[1]).abs() < 1e-6,
            "{passage:?}"
        );
        assert!((length(&passage) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_invalid_mean_is_refused() {
        let new = |strength, passages: &[f32], questions: &[f32], direction: Option<Vec<f32>>| {
            let directions = direction.into_iter().collect();
            Centring::new(strength, passages.to_vec(), questions.to_vec(), directions)
        };
        assert!(new(0.5, &[0.1, 0.1], &[0.1, 0.1], Some(vec![1.0, 0.0])).is_ok());
        assert!(new(0.5, &[2.0], &[0.1], None).is_err());
        assert!(new(0.5, &[f32::NAN], &[0.1], None).is_err());
        assert!(new(0.0, &[0.1], &[0.1], None).is_err());
        assert!(new(0.5, &[0.1, 0.1], &[0.1], None).is_err());
        assert!(new(0.5, &[0.1, 0.1], &[0.1, 0.1], Some(vec![1.0, 1.0])).is_err());
    }
}
