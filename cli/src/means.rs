//! `rappel means`: the means by which a model's embeddings are centred.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use embedder::{Centring, Embedder, Kind, titled};
use indicatif::ProgressBar;
use records::Lines;
use serde::Deserialize;

use crate::{setup::Target, terminal::note};

/// Compute the means by which a model's embeddings are centred.
///
/// A group is a language. Its mean is that of its files, and the overall mean is that of the groups: each counts the
/// same, whatever its length. The differences between group means are the directions that only encode the language.
#[derive(Args)]
pub(crate) struct Means {
    /// A group and a file of passages: JSON lines with title and text; also .gz and .xz.
    #[arg(long, value_name = "GROUP=FILE", required = true)]
    passages: Vec<GroupFile>,
    /// A group and a file of questions: JSON lines with text.
    #[arg(long, value_name = "GROUP=FILE", required = true)]
    questions: Vec<GroupFile>,
    /// The most texts embedded per file: every n-th, so that of a file with few more it is about half.
    #[arg(long, value_name = "N", default_value = "2000")]
    most: NonZeroUsize,
    /// The file to write: means.bin of a model's folder.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// A file and its group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GroupFile {
    group: String,
    file: PathBuf,
}

/// A line of a file.
#[derive(Deserialize)]
struct TextRecord {
    #[serde(default)]
    title: String,
    #[serde(alias = "content", alias = "question")]
    text: String,
}

/// A title, empty for a question, and a text.
type Text = (String, String);

impl Means {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let model = self.target.model_files().await?;
        tokio::task::spawn_blocking(move || {
            let embedder = Embedder::load(&model)?;
            let passages = self.groups(&embedder, Kind::Passage)?;
            let questions = self.groups(&embedder, Kind::Query)?;
            let directions = directions(&[&passages, &questions]);
            // The manifest decides how much of the means is subtracted.
            let centring = Centring::new(1.0, mean_of(&passages), mean_of(&questions), directions)
                .map_err(|reason| anyhow!(reason))?;
            let out = self.out.display();
            fs::write(&self.out, centring.to_bytes())
                .with_context(|| format!("cannot write {out}"))?;
            note(&format!("wrote {out}"));
            Ok(())
        })
        .await?
    }

    /// The mean of each group.
    fn groups(&self, embedder: &Embedder, kind: Kind) -> anyhow::Result<Vec<Vec<f32>>> {
        let samples = match kind {
            Kind::Passage => &self.passages,
            Kind::Query => &self.questions,
        };
        let mut groups: BTreeMap<&str, Vec<Vec<f32>>> = BTreeMap::new();
        for sample in samples {
            let texts = sample.texts(self.most)?;
            let mean = embedded(embedder, kind, &texts)?;
            groups.entry(&sample.group).or_default().push(mean);
        }
        Ok(groups.values().map(|files| mean_of(files)).collect())
    }
}

impl FromStr for GroupFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .filter(|(group, file)| !group.is_empty() && !file.is_empty());
        let (group, file) = parts.ok_or("must be a group and a file, such as fr=corpus.jsonl")?;
        Ok(Self {
            group: group.to_owned(),
            file: file.into(),
        })
    }
}

impl GroupFile {
    /// At most this many of the file's texts, spread over the whole file.
    fn texts(&self, most: NonZeroUsize) -> anyhow::Result<Vec<Text>> {
        let file = self.file.display();
        let opened = File::open(&self.file).with_context(|| format!("cannot open {file}"))?;
        let mut texts = Vec::new();
        for line in Lines::new(records::open(opened)?) {
            let line = line.with_context(|| format!("cannot read {file}"))?;
            let place = || format!("{file}, line {}", line.number);
            let text = line.text.with_context(place)?;
            let record: TextRecord = serde_json::from_slice(&text).with_context(place)?;
            texts.push((record.title, record.text));
        }
        ensure!(!texts.is_empty(), "{file} contains no text");
        Ok(spread(texts, most))
    }
}

/// Every n-th, so that there are at most `most`.
fn spread<T>(all: Vec<T>, most: NonZeroUsize) -> Vec<T> {
    let step = all.len().div_ceil(most.get()).max(1);
    all.into_iter().step_by(step).collect()
}

/// The mean embedding of texts, each represented by its first chunk.
fn embedded(embedder: &Embedder, kind: Kind, texts: &[Text]) -> anyhow::Result<Vec<f32>> {
    /// Texts per inference batch.
    const BATCH: usize = 64;
    let progress = ProgressBar::new(texts.len() as u64);
    let mut sum = vec![0.0_f64; embedder.manifest().dimensions];
    for batch in texts.chunks(BATCH) {
        let mut pieces = Vec::with_capacity(batch.len());
        for (title, content) in batch {
            let chunks = embedder.chunks(title, content)?;
            let chunk = chunks.first().context("a text without a chunk")?;
            pieces.push(titled(title, &chunk.heading, &chunk.content));
        }
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        for embedding in embedder.embed_uncentred(kind, &pieces)? {
            for (sum, x) in sum.iter_mut().zip(embedding) {
                *sum += f64::from(x);
            }
        }
        progress.inc(batch.len() as u64);
    }
    progress.finish_and_clear();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "embeddings are single precision"
    )]
    let mean = |sum: f64| (sum / texts.len() as f64) as f32;
    Ok(sum.into_iter().map(mean).collect())
}

/// Orthonormal vectors in whose directions the groups of each kind differ from their mean (Gram-Schmidt).
fn directions(kinds: &[&[Vec<f32>]]) -> Vec<Vec<f32>> {
    /// The squared length below which a difference is explained by the other directions, up to rounding.
    const NOTHING: f32 = 1e-6;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mut directions: Vec<Vec<f32>> = Vec::new();
    for groups in kinds {
        let mean = mean_of(groups);
        for group in *groups {
            let mut rest: Vec<f32> = group.iter().zip(&mean).map(|(x, mean)| x - mean).collect();
            // Twice, against rounding errors.
            for direction in directions.iter().chain(&directions) {
                let part = dot(&rest, direction);
                rest.iter_mut()
                    .zip(direction)
                    .for_each(|(x, d)| *x -= part * d);
            }
            let square = dot(&rest, &rest);
            if square > NOTHING {
                for x in &mut rest {
                    *x /= square.sqrt();
                }
                directions.push(rest);
            }
        }
    }
    directions
}

fn mean_of(vectors: &[Vec<f32>]) -> Vec<f32> {
    let dimensions = vectors.first().map_or(0, Vec::len);
    let sum = |dimension: usize| vectors.iter().map(|vector| vector[dimension]).sum::<f32>();
    (0..dimensions)
        .map(|dimension| sum(dimension) / vectors.len() as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_group_and_a_file() {
        let sample: GroupFile = "fr=a=b.jsonl".parse().expect("a sample");
        assert_eq!(
            (sample.group.as_str(), sample.file.to_str()),
            ("fr", Some("a=b.jsonl"))
        );
        for wrong in ["corpus.jsonl", "=corpus.jsonl", "fr="] {
            assert!(wrong.parse::<GroupFile>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_are_spread_over_their_file() {
        let most = |n| NonZeroUsize::new(n).expect("above 0");
        assert_eq!(spread((0..10).collect(), most(4)), [0, 3, 6, 9]);
        assert_eq!(spread((0..3).collect(), most(4)), [0, 1, 2]);
    }

    #[test]
    fn directions_are_where_groups_differ() {
        let passages = [vec![1.0, 0.0, 0.5], vec![0.0, 1.0, 0.5]];
        let questions = [vec![0.5, 0.5, 0.5], vec![0.5, 0.5, 0.9]];
        let found = directions(&[&passages, &questions]);
        assert_eq!(found.len(), 2, "{found:?}");
        let half = 0.5_f32.sqrt();
        assert!(
            (found[0][0] - half).abs() < 1e-6 && (found[0][1] + half).abs() < 1e-6,
            "{found:?}"
        );
        assert!((found[1][2].abs() - 1.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_mean_counts_each_vector_once() {
        assert_eq!(mean_of(&[vec![1.0, 0.0], vec![0.0, 0.5]]), [0.5, 0.25]);
    }
}
