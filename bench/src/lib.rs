//! How fast Rappel is, beside what it replaces: cold, warm and in bulk, on one machine in one run, so that
//! what is published are ratios.
//!
//! [`run`](Bench::run) measures section by section on a copy of a database, and writes `results.json` and
//! `index.html`. Functions are started as Lambda starts them, each behind a Runtime API of its own
//! ([`sandbox`]), and so is the [`peer`]: the Python service that Rappel replaces. Nothing inside a
//! function is timed by code of the benchmark: the TLS in front of the database ([`database::tls`]) sees
//! when a connection was made and used, and `bench-probe` does the other steps of a start in processes of
//! its own ([`steps`]).

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

/// What the report calls Rappel's own search function.
pub const RAPPEL: &str = "Rappel";

/// What is measured, and with what.
#[derive(Debug)]
pub struct Bench {
    /// The database whose copy is searched; nobody may be connected to it while it is copied.
    pub database: DatabaseConfig,
    /// The model.
    pub model: ModelConfig,
    /// The model as the command is told it: a name or a folder.
    pub model_name: String,
    /// What the model's folder says about it.
    pub manifest: Manifest,
    /// The workspace that the functions were built in.
    pub workspace: PathBuf,
    /// The folder with the built functions and `bench-probe`.
    pub binaries: PathBuf,
    /// The command `rappel`.
    pub rappel: PathBuf,
    /// What the corpus is called.
    pub corpus: String,
    /// What is measured.
    pub sections: Vec<Section>,
    /// How much of it.
    pub plan: Plan,
    /// Whether the peer is measured too.
    pub peer: bool,
    /// Where the results go.
    pub out: PathBuf,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Cold starts.
    Cold,
    /// Warm searches.
    Warm,
    /// Warm searches on the share of a processor that Lambda gives.
    Quota,
    /// Recall of the index.
    Recall,
    /// Imports.
    Bulk,
    /// The corpus at several sizes.
    Scaling,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Starts of each program.
    pub cold_runs: usize,
    /// Searches of each warm load.
    pub questions: usize,
    /// Searches that are compared with exact ones.
    pub truths: usize,
    /// `hnsw.ef_search`, each value in turn.
    pub efforts: Vec<i32>,
    /// The most sandboxes that share a load.
    pub sandboxes: usize,
    /// Documents of each import. An import's first batches are of 128, so multiples of that for each core keep all
    /// cores busy to the end.
    pub imports: Vec<usize>,
    /// Passages of each size of the corpus; empty for shares and multiples of the corpus itself.
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
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 6] = [
        Self::Cold,
        Self::Warm,
        Self::Quota,
        Self::Recall,
        Self::Bulk,
        Self::Scaling,
    ];

    /// What the command calls it.
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
            bail!(
                "there is no section {name}; there are cold, warm, quota, recall, bulk and scaling"
            );
        };
        Ok(section)
    }
}
