//! `rappel doctor`: its report on a healthy database and on faulty ones.

mod connection;
mod database;

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::command::{Printed, rappel};

use crate::Outcome;

/// Every part of a report, in order.
const PARTS: [&str; 21] = [
    "addresses",
    "dial",
    "tls",
    "database",
    "pooler",
    "server",
    "round-trip",
    "clock",
    "connections",
    "settings",
    "extension",
    "migrations",
    "model",
    "index",
    "field-indexes",
    "plan",
    "sources",
    "embedder",
    "search",
    "sizing",
    "language-model",
];

/// A report, and whether the command succeeded.
pub(crate) struct Report {
    body: Value,
    success: bool,
}

impl Report {
    pub(crate) async fn of(url: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let arguments = [&["doctor", "--json"], arguments].concat();
        let printed = Printed::by(&mut rappel(Some(url), &arguments).await?).await?;
        let body: Value = serde_json::from_str(&printed.stdout)
            .with_context(|| format!("the report is JSON: {printed:?}"))?;
        let report = Self {
            body,
            success: printed.success,
        };
        let names: Vec<_> = report
            .checks()?
            .iter()
            .map(|check| &check["name"])
            .collect();
        ensure!(names == PARTS, "every part is listed, in order: {names:?}");
        Ok(report)
    }

    fn checks(&self) -> anyhow::Result<&Vec<Value>> {
        self.body["checks"]
            .as_array()
            .context("a report has checks")
    }

    /// The parts with this status.
    fn with(&self, status: &str) -> anyhow::Result<Vec<&str>> {
        let checks = self.checks()?.iter();
        checks
            .filter(|check| check["status"] == status)
            .map(|check| check["name"].as_str().context("a check has a name"))
            .collect()
    }

    /// What was found of a part, and the remedy.
    pub(crate) fn says(&self, part: &str) -> anyhow::Result<String> {
        let mut checks = self.checks()?.iter();
        let check = checks.find(|check| check["name"] == part);
        let check = check.with_context(|| format!("the report has the part {part}"))?;
        Ok(format!("{} → {}", check["found"], check["remedy"]))
    }
}
