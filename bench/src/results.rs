//! The results of a run, as in `results.json`, and the ratios by which it is judged.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    bulk::Import,
    cold::{Cold, PageCache},
    cost::Price,
    quota::Share,
    recall::Recall,
    scaling::Size,
    statistics::Summary,
    steps::Steps,
    warm::{Case, InTurn},
};

/// The name of Rappel's search function in the report.
pub const RAPPEL: &str = "Rappel";

/// A run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// The setting.
    pub setting: Setting,
    /// The ratios and their targets.
    pub ratios: Vec<Ratio>,
    /// Runs on other machines, shown beside this one.
    pub others: Vec<Other>,
    /// What was skipped, and why.
    pub notes: Vec<String>,
    /// Cold starts.
    pub cold: Vec<Cold>,
    /// The steps of a cold start, by page cache state.
    pub steps: Vec<(PageCache, Steps)>,
    /// The same questions in turn.
    pub in_turn: InTurn,
    /// The peer's exact search, which is too slow to take turns.
    pub exact: Option<Case>,
    /// Warm loads.
    pub warm: Vec<Case>,
    /// Warm searches by memory size on Lambda.
    pub quota: Vec<Share>,
    /// Recall of the index.
    pub recall: Vec<Recall>,
    /// Milliseconds of exact searches.
    pub recall_exact: Summary,
    /// Imports of several sizes.
    pub bulk: Vec<Import>,
    /// Prices by program.
    pub cost: Vec<(String, Vec<Price>)>,
    /// Corpus sizes.
    pub scaling: Vec<Size>,
}

/// What is shown of a run on another machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Other {
    /// Its setting.
    pub setting: Setting,
    /// Its ratios.
    pub ratios: Vec<Ratio>,
}

impl Other {
    /// Reads the `results.json` of a run.
    ///
    /// # Errors
    /// When the file cannot be read or is something else.
    pub fn read(file: &Path) -> Result<Self> {
        let reading = || format!("reading the results in {}", file.display());
        let json = fs::read(file).with_context(reading)?;
        serde_json::from_slice(&json).with_context(reading)
    }
}

/// The setting of a run: versions, machine, corpus.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Setting {
    /// The workspace's commit, with `+` if there are changes.
    pub commit: String,
    /// `debug` or `release`.
    pub profile: String,
    /// The processor's name and its instructions for products of bytes.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The load average of the last minute at the start.
    pub load: f64,
    /// The embedding model.
    pub model: String,
    /// The name of the corpus.
    pub corpus: String,
    /// Its documents.
    pub documents: i64,
    /// Its passages.
    pub passages: i64,
    /// Number of questions of warm measurements.
    pub questions: usize,
    /// Starts per program in cold measurements.
    pub cold_runs: usize,
    /// Duration of the run in seconds.
    pub seconds: f64,
}

/// A ratio of two measurements of this run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ratio {
    /// What is compared.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The target.
    pub aim: f64,
    /// Whether less is better.
    pub at_most: bool,
    /// The two measurements as text.
    pub from: String,
}

impl Ratio {
    /// Whether the target is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        if self.at_most {
            self.value <= self.aim
        } else {
            self.value >= self.aim
        }
    }
}

impl Results {
    /// The ratios of everything measured.
    #[must_use]
    pub fn ratios(&self) -> Vec<Ratio> {
        let all = [
            self.cold_against(
                "peer, same index",
                "cold, exec to first answer, against the peer with the same model",
                1.0 / 8.0,
            ),
            self.cold_against(
                "peer, packaged model",
                "cold, against the peer as its package ships the model",
                1.0 / 20.0,
            ),
            self.floor(),
            self.warm_against_exact(),
            self.warm_against("peer, same index"),
            self.overhead(),
            self.recall_at_10(),
            self.memory(),
            self.import_rate(),
        ];
        all.into_iter().flatten().collect()
    }

    /// The cold start of a program with a warm page cache.
    #[must_use]
    pub fn cold_of(&self, program: &str, page_cache: PageCache) -> Option<&Cold> {
        let mut all = self.cold.iter();
        all.find(|cold| cold.program == program && cold.page_cache == page_cache)
    }

    fn cold_against(&self, peer: &str, name: &str, aim: f64) -> Option<Ratio> {
        let ours = self.cold_of(RAPPEL, PageCache::Warm)?.answered.p50;
        let theirs = self.cold_of(peer, PageCache::Warm)?.answered.p50;
        Some(Ratio::of(name, ours, theirs, aim, "ms"))
    }

    fn floor(&self) -> Option<Ratio> {
        let (_, steps) = self
            .steps
            .iter()
            .find(|(cache, _)| *cache == PageCache::Warm)?;
        let aim = if self.setting.model == "multilingual-e5-small" {
            5.0
        } else {
            3.0
        };
        let name = "embedding part of a cold start, against loading ONNX Runtime alone";
        Some(Ratio::of(
            name,
            steps.embedder.p50,
            steps.runtime.p50,
            aim,
            "ms",
        ))
    }

    fn in_turn_of(&self, program: &str) -> Option<f64> {
        let mut programs = self.in_turn.programs.iter();
        let (_, summary) = programs.find(|(name, _)| name == program)?;
        Some(summary.p50)
    }

    fn warm_against_exact(&self) -> Option<Ratio> {
        let exact = self.exact.as_ref()?.load.latency.p50;
        let name = "warm p50, against the peer over exact search";
        Some(Ratio::of(
            name,
            self.in_turn_of(RAPPEL)?,
            exact,
            1.0 / 20.0,
            "ms",
        ))
    }

    fn warm_against(&self, peer: &str) -> Option<Ratio> {
        let name = "warm p50, against the peer with the same index and model";
        Some(Ratio::of(
            name,
            self.in_turn_of(RAPPEL)?,
            self.in_turn_of(peer)?,
            0.6,
            "ms",
        ))
    }

    fn overhead(&self) -> Option<Ratio> {
        let in_turn = &self.in_turn;
        (in_turn.overhead.count > 0).then(|| Ratio {
            name: "overhead of a warm search beyond embedding and SQL alone, ms".to_owned(),
            value: in_turn.overhead.p50,
            aim: 0.5,
            at_most: true,
            from: format!(
                "{:.2} ms less {:.2} of embedding and {:.2} of SQL",
                self.in_turn_of(RAPPEL).unwrap_or_default(),
                in_turn.embed_alone.p50,
                in_turn.database_alone.p50
            ),
        })
    }

    fn recall_at_10(&self) -> Option<Ratio> {
        let effort = retrieval::SearchConfig::EFFORT;
        let recall = self.recall.iter().find(|recall| recall.effort == effort)?;
        Some(Ratio {
            name: "recall@10 against exact search".to_owned(),
            value: recall.at_10,
            aim: 0.98,
            at_most: false,
            from: format!("SEARCH_EFFORT {effort}, {:.2} ms", recall.latency_10.p50),
        })
    }

    fn memory(&self) -> Option<Ratio> {
        let of = |program| Some(self.cold_of(program, PageCache::Warm)?.memory_mb.p50);
        let name = "peak memory of a search sandbox, against the peer with the same model";
        Some(Ratio::of(
            name,
            of(RAPPEL)?,
            of("peer, same index")?,
            1.0 / 3.0,
            "MB",
        ))
    }

    fn import_rate(&self) -> Option<Ratio> {
        let import = self.bulk.last()?;
        let name = "import rate, of ONNX Runtime alone on the same texts";
        let ratio = Ratio::of(name, import.rate, import.raw_rate?, 0.9, "passages/s");
        Some(Ratio {
            at_most: false,
            ..ratio
        })
    }
}

impl Ratio {
    fn of(name: &str, ours: f64, theirs: f64, aim: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: ours / theirs,
            aim,
            at_most: true,
            from: format!("{ours:.1} against {theirs:.1} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_reports_whether_its_target_is_met() {
        let faster = Ratio::of("cold", 100.0, 1000.0, 1.0 / 8.0, "ms");
        assert!(
            faster.is_met() && faster.from == "100.0 against 1000.0 ms",
            "{faster:?}"
        );
        let slower = Ratio {
            at_most: false,
            ..faster
        };
        assert!(!slower.is_met());
    }

    #[test]
    fn missing_measurements_have_no_ratio() {
        assert_eq!(Results::default().ratios(), []);
    }
}
