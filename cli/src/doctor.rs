//! `rappel doctor`: checks everything that an answered search needs and says how to repair it.

mod endpoint;
mod examination;
mod fields;
mod index_build;
mod network;
mod plan;
mod pooler;
mod remote;
mod server;
mod sizing;
mod sources;

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::ensure;
use clap::Args;
use language_model::LanguageModelConfig;
use retrieval::{
    SearchConfig,
    health::{Status, finding::Check},
};

pub(crate) use self::endpoint::examine as examine_endpoint;
use self::{
    examination::{Examination, FunctionSettings, PARTS, examine},
    sizing::Demand,
};
use crate::{
    model::threads,
    remote::Key,
    setup::{Setup, Target},
    terminal::{self, Out, Style},
};

/// Check everything that a search needs, and say how to repair what fails.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Sandboxes of all functions together; default: Lambda's default concurrency limit of an account.
    #[arg(long, value_name = "COUNT")]
    sandboxes: Option<u32>,
    /// Connections per sandbox: the requests that it serves at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// A deployed API that checks itself, such as the output `ApiUrl` of a stack, instead of the database.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    target: Target,
}

/// The default concurrency limit of an AWS account:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const ACCOUNT_SANDBOXES: u32 = 1_000;

/// The functions of `template.yaml` that `rappel up` serves on a database: all but console and authorizer.
const LAPTOP_FUNCTIONS: usize = 12;

impl Doctor {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            return remote::examine(api, &self.key, self.json, &mut terminal::out()).await;
        }
        let setup = self.target.prepare("").await?;
        let demand = Demand {
            sandboxes: self.sandboxes.unwrap_or_else(|| usual_sandboxes(&setup)),
            connections_per_sandbox: self.connections,
        };
        let report = examine(&as_a_function(&setup)?, demand).await;
        let mut out = terminal::out();
        if self.json {
            out.json(&report)?;
        } else {
            print(&mut out, &report)?;
        }
        setup.stop().await?;
        let failed = count(&report, Status::Failed);
        ensure!(failed == 0, "{failed} of {} checks failed", PARTS.len());
        Ok(())
    }
}

/// The laptop's gateway starts two sandboxes per core and function.
fn usual_sandboxes(setup: &Setup) -> u32 {
    if setup.embedded {
        u32::try_from(LAPTOP_FUNCTIONS * 2 * threads()).unwrap_or(ACCOUNT_SANDBOXES)
    } else {
        ACCOUNT_SANDBOXES
    }
}

/// A function's default settings, which the checks use.
fn as_a_function(setup: &Setup) -> anyhow::Result<FunctionSettings> {
    let mut database = setup.database.clone();
    "rappel-doctor".clone_into(&mut database.application_name);
    database.connections = 1;
    database.acquire_timeout = Duration::from_secs(2);
    database.statement_timeout = Duration::from_secs(10);
    Ok(FunctionSettings {
        database,
        model: setup.model.clone(),
        search: SearchConfig::default(),
        language_model: LanguageModelConfig::from_env()?,
    })
}

fn print(out: &mut Out, report: &Examination) -> io::Result<()> {
    let names = report.checks.iter().map(|check| check.name.len());
    let width = names.max().unwrap_or_default();
    for check in &report.checks {
        print_check(out, check, width)?;
    }
    let parts: Vec<String> = [
        (Status::Failed, "failed"),
        (Status::Warning, "with warnings"),
        (Status::Ok, "ok"),
        (Status::Skipped, "skipped"),
    ]
    .into_iter()
    .map(|(status, word)| (count(report, status), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    writeln!(out, "\n{}", parts.join(", "))
}

/// One line, and below a finding a second one with the remedy.
fn print_check(out: &mut Out, check: &Check, width: usize) -> io::Result<()> {
    let (word, style) = match check.status {
        Status::Ok => ("ok", Style::Green),
        Status::Warning => ("warning", Style::Yellow),
        Status::Failed => ("failed", Style::Red),
        Status::Skipped => ("skipped", Style::Dim),
    };
    out.styled(style, &format_args!("{word:<7}"))?;
    writeln!(out, "  {:<width$}  {}", check.name, check.found)?;
    if let Some(remedy) = &check.remedy {
        writeln!(out, "{:<7}  {:<width$}  → {remedy}", "", "")?;
    }
    Ok(())
}

fn count(report: &Examination, status: Status) -> usize {
    let checks = report.checks.iter();
    checks.filter(|check| check.status == status).count()
}
