//! ONNX Runtime alone, the reference for embedders.

use std::{path::Path, thread, time::Instant};

use anyhow::{Context as _, Result, anyhow};
use embedder::{Kind, Manifest, batches};
use ort::{environment::Environment, session::Session, value::Tensor};
use tokenizers::Tokenizer;

/// A question for measurements where any will do.
pub const QUESTION: &str = "Que faire si je me brûle en cuisinant ?";

/// Tokenized texts in batches of similar length.
#[derive(Debug)]
pub struct Tokens {
    batches: Vec<Batch>,
}

#[derive(Clone, Debug)]
struct Batch {
    rows: usize,
    ids: Vec<i64>,
    mask: Vec<i64>,
}

/// Loads the library and creates its environment, without telemetry.
///
/// # Errors
/// When the library cannot be loaded, or this process already has an environment.
pub fn environment(library: &Path) -> Result<Environment> {
    Ok(ort::init_from(library)?.with_telemetry(false).build()?)
}

/// Opens a one-thread session on a model's folder; external weights are mapped.
///
/// # Errors
/// When the model cannot be loaded.
pub fn session(environment: &Environment, folder: &Path) -> Result<Session> {
    let builder = Session::builder(environment)?.with_intra_threads(1);
    // The builder's error contains the builder, which is not Send.
    let mut builder = builder.map_err(|error| anyhow!("{error}"))?;
    Ok(builder.commit_from_file(folder.join("model.onnx"))?)
}

impl Tokens {
    /// Tokenizes passages, each given with its document's title, with the tokenizer of a model's folder.
    ///
    /// # Errors
    /// When the folder has no valid `tokenizer.json`.
    pub fn of(folder: &Path, manifest: &Manifest, passages: &[(String, String)]) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let tokenizer =
            Tokenizer::from_file(&path).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let prefix = manifest.prefix(Kind::Passage);
        let mut rows = Vec::with_capacity(passages.len());
        for (title, passage) in passages {
            let text = format!("{prefix}{title}\n{passage}");
            let encoding = tokenizer
                .encode_fast(text, true)
                .map_err(|error| anyhow!("{error}"))?;
            let mut ids: Vec<i64> = encoding.get_ids().iter().copied().map(i64::from).collect();
            ids.truncate(manifest.max_tokens);
            rows.push(ids);
        }
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        // As in an import.
        let batches = batches::of(&lengths).into_iter().map(|batch| {
            let rows: Vec<&[i64]> = batch.iter().map(|&row| &*rows[row]).collect();
            Batch::of(&rows)
        });
        Ok(Self {
            batches: batches.collect(),
        })
    }

    /// Texts per second of one-thread sessions on `threads` threads.
    ///
    /// # Errors
    /// When a session cannot be opened or an inference fails.
    pub fn rate(&self, environment: &Environment, folder: &Path, threads: usize) -> Result<f64> {
        let sessions = (0..threads).map(|_| session(environment, folder));
        let mut sessions = sessions.collect::<Result<Vec<_>>>()?;
        for session in &mut sessions {
            // The first inference allocates memory.
            self.run(session, 0, usize::MAX)?;
        }
        let start = Instant::now();
        let texts = thread::scope(|scope| {
            let run = |(first, session)| scope.spawn(move || self.run(session, first, threads));
            let running: Vec<_> = sessions.iter_mut().enumerate().map(run).collect();
            let texts = running.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            texts.sum::<Result<usize>>()
        })?;
        Ok(texts as f64 / start.elapsed().as_secs_f64())
    }

    /// Runs every `stride`th batch from `first` on; returns the number of texts.
    fn run(&self, session: &mut Session, first: usize, stride: usize) -> Result<usize> {
        let needs_types = session
            .inputs()
            .iter()
            .any(|input| input.name() == "token_type_ids");
        let mut texts = 0;
        for batch in self.batches.iter().skip(first).step_by(stride.max(1)) {
            let shape = [batch.rows, batch.ids.len() / batch.rows];
            let mut inputs = ort::inputs![
                "input_ids" => Tensor::from_array((shape, batch.ids.clone()))?,
                "attention_mask" => Tensor::from_array((shape, batch.mask.clone()))?,
            ];
            if needs_types {
                let types = Tensor::from_array((shape, vec![0_i64; batch.ids.len()]))?;
                inputs.push(("token_type_ids".into(), types.into()));
            }
            let outputs = session.run(inputs)?;
            outputs.iter().next().context("the model has no output")?;
            texts += batch.rows;
        }
        Ok(texts)
    }
}

impl Batch {
    /// Rows in order of length; the last is the longest.
    fn of(rows: &[&[i64]]) -> Self {
        let width = rows.last().map_or(0, |row| row.len());
        let padded = |row: &[i64], inside: &dyn Fn(i64) -> i64| {
            let padding = width - row.len();
            let tokens = row.iter().copied().map(inside);
            tokens
                .chain(std::iter::repeat_n(0, padding))
                .collect::<Vec<_>>()
        };
        Self {
            rows: rows.len(),
            ids: rows.iter().flat_map(|row| padded(row, &|id| id)).collect(),
            mask: rows.iter().flat_map(|row| padded(row, &|_| 1)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_padded_to_its_longest_text() {
        let batch = Batch::of(&[&[7], &[8, 9]]);
        assert_eq!(batch.rows, 2);
        assert_eq!(batch.ids, [7, 0, 8, 9]);
        assert_eq!(batch.mask, [1, 0, 1, 1]);
    }
}
