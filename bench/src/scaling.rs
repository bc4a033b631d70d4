//! How searches and the index scale with the corpus: a part of it, all of it, and beyond it with synthetic embeddings
//! made of real ones.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use database::Database;
use embedder::Manifest;
use indicatif::ProgressBar;
use migrations::{self, Index, IndexConfig};
use retrieval::{SearchConfig, SearchRequest, Visibility};
use serde::Serialize;

use crate::{
    database::{Scratch, number},
    recall,
    statistics::Summary,
};

/// A corpus size.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// Passages.
    pub passages: i64,
    /// Number of synthetic ones: a real embedding plus noise, with the real one's text.
    pub synthetic: i64,
    /// Milliseconds of the statement in mode semantic.
    pub semantic: Summary,
    /// Milliseconds of the statement in mode hybrid.
    pub hybrid: Summary,
    /// Milliseconds of an exact search.
    pub exact: Summary,
    /// Recall of the ten nearest.
    pub recall_at_10: f64,
    /// Recall of the hundred nearest.
    pub recall_at_100: f64,
    /// Size of the index in bytes.
    pub index_bytes: i64,
    /// Seconds of its build.
    pub indexing_s: f64,
}

/// Noise vectors, drawn once and shared: 4,096 different ones are more than a synthetic embedding has neighbours in
/// the index.
const NOISE: i64 = 4_096;

/// The length of the noise relative to an embedding's 1. A synthetic embedding is at a cosine distance of 0.04 from
/// its original, closer than most passages are to their neighbours.
const STRENGTH: f64 = 0.3;

/// Moves the rows to unlogged tables, from which they return size by size.
const SET_ASIDE: &str = "
    CREATE UNLOGGED TABLE rappel.bench_documents AS
        SELECT row_number() OVER (ORDER BY md5(id)) AS place, d.* FROM rappel.documents AS d;
    CREATE UNLOGGED TABLE rappel.bench_chunks AS
        SELECT b.place, c.* FROM rappel.bench_documents AS b JOIN rappel.chunks AS c ON c.document_id = b.id;
    CREATE UNLOGGED TABLE rappel.bench_terms AS
        SELECT b.place, t.* FROM rappel.bench_documents AS b JOIN rappel.chunk_terms AS t ON t.document_id = b.id;
    CREATE INDEX ON rappel.bench_documents (place);
    CREATE INDEX ON rappel.bench_chunks (place);
    CREATE INDEX ON rappel.bench_terms (place);
    TRUNCATE rappel.documents CASCADE;
";

/// Inputs of the measurement.
pub(crate) struct Scaling<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) model: &'a Manifest,
    pub(crate) dimensions: usize,
    pub(crate) questions: &'a [String],
    pub(crate) embeddings: &'a [Vec<f32>],
    pub(crate) progress: &'a ProgressBar,
}

impl Scaling<'_> {
    /// Measures sizes, given in passages in ascending order, and passes each on. Leaves the database unusable for anything
    /// else.
    pub(crate) async fn measure(
        &self,
        sizes: &[i64],
        mut measured: impl FnMut(Size) -> Result<()>,
    ) -> Result<()> {
        let database = self.scratch.open()?;
        migrations::drop_index(&database).await?;
        self.scratch.run(SET_ASIDE).await?;
        self.scratch.run(&noise(self.dimensions)).await?;
        let documents = number(&database, "SELECT count(*) FROM rappel.bench_documents").await?;
        let chunks = number(&database, "SELECT count(*) FROM rappel.bench_chunks").await?;
        let mut from = 0;
        for &size in sizes {
            // Sizes consist of whole documents; each is assumed to have the average number of passages.
            let to = size.saturating_mul(documents) / chunks.max(1);
            self.grow(from, to, documents).await?;
            from = to;
            measured(self.size(&database).await?)?;
            self.progress.inc(1);
        }
        database.close().await;
        Ok(())
    }

    /// Adds the documents of places `from` to `to`; a place beyond the last document is a synthetic one made of an
    /// earlier document.
    async fn grow(&self, from: i64, to: i64, documents: i64) -> Result<()> {
        let mut place = from;
        while place < to {
            let round = place / documents;
            let end = to.min((round + 1) * documents);
            let (first, last) = (place - round * documents + 1, end - round * documents);
            self.scratch.run(&insert(round, first, last)).await?;
            place = end;
        }
        Ok(())
    }

    async fn size(&self, database: &Database) -> Result<Size> {
        let start = Instant::now();
        let index = migrations::build_index(database, &IndexConfig::default()).await?;
        ensure!(index == Index::Valid, "cannot build the index: {index:?}");
        let indexing_s = start.elapsed().as_secs_f64();
        self.scratch.run("VACUUM ANALYZE").await?;
        let hidden = ProgressBar::hidden();
        let (truths, exact) = recall::truths(database, self.embeddings.to_vec(), &hidden).await?;
        let effort = SearchConfig::EFFORT;
        // Once, to load the index into memory.
        recall::measure(database, self.model, &truths, effort, &hidden).await?;
        let recall = recall::measure(database, self.model, &truths, effort, &hidden).await?;
        let hybrid = self.hybrid(database).await?;
        let synthetic = "SELECT count(*) FROM rappel.chunks WHERE document_id LIKE 'synthetic-%'";
        let size = Size {
            passages: number(database, "SELECT count(*) FROM rappel.chunks").await?,
            synthetic: number(database, synthetic).await?,
            semantic: recall.latency_10,
            hybrid,
            exact,
            recall_at_10: recall.at_10,
            recall_at_100: recall.at_100,
            index_bytes: number(
                database,
                "SELECT pg_relation_size('rappel.chunks_embedding_hnsw')",
            )
            .await?,
            indexing_s,
        };
        migrations::drop_index(database).await?;
        Ok(size)
    }

    async fn hybrid(&self, database: &Database) -> Result<Summary> {
        let mut times = Vec::with_capacity(self.questions.len());
        for (question, embedding) in self.questions.iter().zip(self.embeddings) {
            let request = SearchRequest {
                query: question.clone(),
                ..SearchRequest::default()
            };
            let search = request.parse()?;
            let start = Instant::now();
            search
                .find(
                    database,
                    &Visibility::default(),
                    self.model,
                    embedding.clone(),
                    &SearchConfig::default(),
                )
                .await
                .context("a hybrid search")?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok(Summary::of(times))
    }
}

/// Draws the noise: each element from a triangular distribution (the sum of two uniform ones), so that all vectors
/// have nearly the same length.
fn noise(dimensions: usize) -> String {
    // The variance of the sum of two uniform distributions from -1/2 to 1/2 is 1/6.
    let scale = STRENGTH * (6.0 / dimensions as f64).sqrt();
    format!(
        "CREATE UNLOGGED TABLE rappel.bench_noise AS
         SELECT n AS place, (
             SELECT array_agg(((random() + random() - 1) * {scale})::real)
             FROM generate_series(1, {dimensions} + 0 * n)
         )::halfvec AS noise
         FROM generate_series(0, {NOISE} - 1) AS n;
         CREATE INDEX ON rappel.bench_noise (place)"
    )
}

/// Inserts the documents of places `first` to `last` of a round through the corpus: the first round unchanged, the
/// others with noise and new ids.
fn insert(round: i64, first: i64, last: i64) -> String {
    let name = |column: &str| match round {
        0 => column.to_owned(),
        _ => format!("'synthetic-{round}-' || {column}"),
    };
    let embedding = match round {
        0 => "c.embedding".to_owned(),
        _ => format!(
            "c.embedding + (SELECT n.noise FROM rappel.bench_noise AS n
                            WHERE n.place = (c.place * 31 + c.ordinal * 17 + {round} * 1009) % {NOISE})"
        ),
    };
    let (document, chunk) = (name("id"), name("document_id"));
    let between = format!("BETWEEN {first} AND {last}");
    format!(
        "INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
             SELECT {document}, title, content, metadata, content_hash
             FROM rappel.bench_documents WHERE place {between};
         INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
             SELECT {chunk}, c.ordinal, c.start, c.content, {embedding}
             FROM rappel.bench_chunks AS c WHERE c.place {between};
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
             SELECT {chunk}, ordinal, length, terms, frequencies
             FROM rappel.bench_terms WHERE place {between}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_is_the_corpus_itself() {
        let sql = insert(0, 1, 10);
        assert!(
            !sql.contains("noise") && !sql.contains("synthetic"),
            "{sql}"
        );
        let sql = insert(2, 1, 10);
        assert!(
            sql.contains("noise") && sql.contains("'synthetic-2-' || document_id"),
            "{sql}"
        );
    }
}
