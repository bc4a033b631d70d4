//! Benchmarks of Rappel compared with the service that it replaces: cold, warm and bulk, on one machine in one run, so
//! that the published figures are ratios.
//!
//! [`run`](Bench::run) measures section by section on a copy of a database, and writes `results.json` and
//! `index.html`. Functions start as on Lambda, each with its own Runtime API ([`sandbox`]), and so does the [`peer`]:
//! the Python service that Rappel replaces. Nothing inside a function is timed by the benchmark: the TLS proxy in front
//! of the database ([`database::tls`]) records when a connection is opened and used, and `bench-probe` runs the other
//! steps of a start in separate processes ([`steps`]).

pub mod bulk;
pub mod cold;
pub mod cost;
mod database;
mod event;
pub mod load;
mod peer;
pub mod process;
mod questions;
pub mod quota;
pub mod raw;
pub mod recall;
mod report;
pub mod results;
mod run;
mod sandbox;
pub mod scaling;
mod setting;
pub mod statistics;
pub mod steps;
pub mod warm;

use std::{path::PathBuf, str::FromStr};

use ::database::DatabaseConfig;
use anyhow::bail;
use embedder::{Manifest, ModelConfig};

pub use results::RAPPEL;

/// What to measure, and with what.
#[derive(Debug)]
pub struct Bench {
    /// The database to copy and search; nobody else may be connected during the copy.
    pub database: DatabaseConfig,
    /// The model.
    pub model: ModelConfig,
    /// The model argument of the command: a name or a folder.
    pub model_name: String,
    /// The model's manifest.
    pub manifest: Manifest,
    /// The workspace of the functions.
    pub workspace: PathBuf,
    /// The folder with the built functions and `bench-probe`.
    pub binaries: PathBuf,
    /// The command `rappel`.
    pub rappel: PathBuf,
    /// The name of the corpus.
    pub corpus: String,
    /// The sections to measure.
    pub sections: Vec<Section>,
    /// The amount of measurements.
    pub plan: Plan,
    /// Whether to measure the peer.
    pub peer: bool,
    /// The results of runs on other machines, to be shown beside this one.
    pub merged: Vec<PathBuf>,
    /// The folder for the results.
    pub out: PathBuf,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Cold starts.
    Cold,
    /// Warm searches.
    Warm,
    /// Warm searches at Lambda's processor shares.
    Quota,
    /// Recall of the index.
    Recall,
    /// Imports.
    Bulk,
    /// Several sizes of the corpus.
    Scaling,
}

/// The amount of measurements.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Starts per program.
    pub cold_runs: usize,
    /// Searches per warm load.
    pub questions: usize,
    /// Searches compared with exact ones.
    pub truths: usize,
    /// The values of `hnsw.ef_search`.
    pub efforts: Vec<i32>,
    /// Maximum number of sandboxes of a load.
    pub sandboxes: usize,
    /// Documents per import. An import's first batches have 128, so multiples of that per core keep all cores busy to
    /// the end.
    pub imports: Vec<usize>,
    /// Corpus sizes in passages; empty for fractions and multiples of the corpus itself.
    pub sizes: Vec<i64>,
}

impl Plan {
    /// A few minutes.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            cold_runs: 5,
            questions: 200,
            truths: 50,
            efforts: vec![40, 200],
            sandboxes: 2,
            imports: vec![256, 512],
            sizes: Vec::new(),
        }
    }

    /// What figures are published from.
    #[must_use]
    pub fn full() -> Self {
        Self {
            cold_runs: 30,
            questions: 1_000,
            truths: 200,
            efforts: vec![20, 40, 100, 200, 400, 800],
            sandboxes: 8,
            imports: vec![1_024, 4_096, 16_384],
            sizes: vec![50_000, 100_000, 344_000, 1_000_000],
        }
    }
}

impl Section {
    /// All sections in the order of measurement.
    pub const ALL: [Self; 6] = [
        Self::Cold,
        Self::Warm,
        Self::Quota,
        Self::Recall,
        Self::Bulk,
        Self::Scaling,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Quota => "quota",
            Self::Recall => "recall",
            Self::Bulk => "bulk",
            Self::Scaling => "scaling",
        }
    }
}

impl FromStr for Section {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let Some(section) = Self::ALL.into_iter().find(|section| section.name() == name) else {
            bail!("unknown section {name}; there are cold, warm, quota, recall, bulk and scaling");
        };
        Ok(section)
    }
}
