//! The recall of the index, and its cost.

use std::{collections::HashMap, time::Instant};

use anyhow::Result;
use database::{Database, Statement};
use embedder::Manifest;
use indicatif::ProgressBar;
use retrieval::{SearchConfig, SearchRequest, Visibility};
use serde::Serialize;

use crate::statistics::Summary;

/// Chunks read by an exact search, enough to contain a hundred documents.
const NEAREST: i64 = 1_000;

/// Tolerance for equal distances of halfvecs: their last bits depend on the order of a sum.
const SAME: f64 = 1e-6;

/// Recall and cost of one effort.
#[derive(Clone, Debug, Serialize)]
pub struct Recall {
    /// `hnsw.ef_search`.
    pub effort: i32,
    /// Recall of the ten nearest documents.
    pub at_10: f64,
    /// Recall of the hundred nearest.
    pub at_100: f64,
    /// Milliseconds of the statement for ten hits.
    pub latency_10: Summary,
    /// Milliseconds of the statement for a hundred hits.
    pub latency_100: Summary,
}

/// A question's embedding and the exact distances of its nearest documents.
pub(crate) struct Truth {
    embedding: Vec<f32>,
    /// Ascending.
    distances: Vec<f64>,
}

/// Runs exact searches; also returns their duration in milliseconds.
pub(crate) async fn truths(
    database: &Database,
    embeddings: Vec<Vec<f32>>,
    progress: &ProgressBar,
) -> Result<(Vec<Truth>, Summary)> {
    let mut truths = Vec::with_capacity(embeddings.len());
    let mut times = Vec::with_capacity(embeddings.len());
    for embedding in embeddings {
        let statement = Statement::read(concat!(
            "SELECT document_id, distance FROM ",
            schema::function!("nearest_of_all"),
            "($1, $2::integer)"
        ))
        .bind(embedding.clone())
        .bind(NEAREST);
        let start = Instant::now();
        let chunks: Vec<(String, f64)> = database.fetch_all(statement).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        truths.push(Truth {
            embedding,
            distances: of_documents(chunks),
        });
        progress.inc(1);
    }
    Ok((truths, Summary::of(times)))
}

/// Measures one effort.
pub(crate) async fn measure(
    database: &Database,
    model: &Manifest,
    truths: &[Truth],
    effort: i32,
    progress: &ProgressBar,
) -> Result<Recall> {
    let mut found = [0, 0];
    let mut wanted = [0, 0];
    let mut times = [Vec::new(), Vec::new()];
    for truth in truths {
        for (place, limit) in [10, 100].into_iter().enumerate() {
            let start = Instant::now();
            let hits = search(database, model, truth, limit, effort).await?;
            times[place].push(start.elapsed().as_secs_f64() * 1e3);
            let (right, of) = right(&hits, &truth.distances, limit);
            found[place] += right;
            wanted[place] += of;
        }
        progress.inc(1);
    }
    let [latency_10, latency_100] = times.map(Summary::of);
    let share = |place: usize| f64::from(found[place]) / f64::from(wanted[place].max(1));
    Ok(Recall {
        effort,
        at_10: share(0),
        at_100: share(1),
        latency_10,
        latency_100,
    })
}

/// The distances of a search's hits.
async fn search(
    database: &Database,
    model: &Manifest,
    truth: &Truth,
    limit: u16,
    effort: i32,
) -> Result<Vec<f64>> {
    let request = SearchRequest {
        query: "-".to_owned(),
        limit: Some(limit.into()),
        mode: Some("semantic".to_owned()),
        ..SearchRequest::default()
    };
    let config = SearchConfig {
        effort: Some(effort),
        ..SearchConfig::default()
    };
    let search = request.parse()?;
    let hits = search
        .find(
            database,
            &Visibility::default(),
            model,
            truth.embedding.clone(),
            &config,
        )
        .await?;
    Ok(hits.iter().map(|hit| hit.distance).collect())
}

/// The distance of each document's nearest chunk, ascending.
fn of_documents(chunks: Vec<(String, f64)>) -> Vec<f64> {
    let mut nearest: HashMap<String, f64> = HashMap::new();
    for (document, distance) in chunks {
        let known = nearest.entry(document).or_insert(distance);
        *known = known.min(distance);
    }
    let mut distances: Vec<f64> = nearest.into_values().collect();
    distances.sort_by(f64::total_cmp);
    distances
}

/// The number of hits no farther than the last true one, and the number of true ones. Documents at the same
/// distance are equivalent, so distances are compared, not ids.
fn right(hits: &[f64], truth: &[f64], limit: u16) -> (u32, u32) {
    let wanted = truth.len().min(limit.into());
    let Some(farthest) = truth.get(wanted.wrapping_sub(1)) else {
        return (0, 0);
    };
    let right = hits
        .iter()
        .filter(|distance| **distance <= farthest + SAME)
        .take(wanted)
        .count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (count(right), count(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_as_near_as_the_true_ones_are_right() {
        let truth = [0.1, 0.2, 0.2, 0.3];
        assert_eq!(right(&[0.1, 0.2], &truth, 2), (2, 2));
        assert_eq!(right(&[0.1, 0.3], &truth, 2), (1, 2));
        assert_eq!(right(&[0.1, 0.2, 0.2, 0.3], &truth, 10), (4, 4));
        assert_eq!(right(&[], &[], 10), (0, 0));
    }

    #[test]
    fn a_document_is_as_near_as_its_nearest_chunk() {
        let chunks = [("a", 0.1), ("b", 0.2), ("a", 0.3)];
        let chunks = chunks.map(|(document, distance)| (document.to_owned(), distance));
        assert_eq!(of_documents(chunks.to_vec()), [0.1, 0.2]);
    }
}
