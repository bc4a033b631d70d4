//! `rappel follow NAME`: the rows of a table become documents, and stay so.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use followed_tables::SourceDefinition;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    deployment::Deployment,
    sources::{Way, summary},
    stop::{Reported, Stop, is_interrupted},
    terminal::{self, note},
};

/// Follow a table: keep documents equal to its rows.
#[derive(Args)]
pub(crate) struct Follow {
    /// The name of the source: the ids of its documents begin with it.
    name: String,
    /// The table, such as `public.articles`.
    #[arg(long)]
    table: String,
    /// The columns that identify a row, separated by commas [default: the primary key].
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    id: Option<Vec<String>>,
    /// The title: a column, or an expression of SQL.
    #[arg(long, value_name = "COLUMN")]
    title: Option<String>,
    /// The text to search: a column, or an expression of SQL.
    #[arg(long, value_name = "COLUMN")]
    content: String,
    /// The metadata: columns with commas between, or `name=expression`; may be given several times.
    #[arg(long, value_name = "COLUMNS")]
    metadata: Vec<String>,
    /// Which rows have a document: a condition of SQL on the columns of a row.
    #[arg(long, value_name = "CONDITION")]
    r#where: Option<String>,
    /// Wait until all existing rows have been processed.
    #[arg(long)]
    wait: bool,
    /// Print the source as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    way: Way,
}

/// How often a walk is looked at.
const LOOK: Duration = Duration::from_millis(500);

impl Follow {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        let definition = self.definition()?;
        let deployment = stop.or(self.way.open()).await?;
        let followed = stop.or(self.follow(&deployment, &definition)).await;
        if is_interrupted(&followed) {
            note(&format!(
                "the table may be followed already: `rappel sources show {0}` tells how far it is, \
                 `rappel sources remove {0}` ends it",
                self.name
            ));
        }
        deployment.close().await?;
        followed
    }

    async fn follow(
        &self,
        deployment: &Deployment,
        definition: &SourceDefinition,
    ) -> anyhow::Result<()> {
        let mut source = deployment.follow(&self.name, definition).await?;
        if self.wait {
            note(
                "waiting until the sync function, or `rappel up` on this database, has created its documents",
            );
            source = watch(deployment, &self.name).await?;
        }
        let mut out = terminal::out();
        if self.json {
            out.json(&source)?;
        } else {
            writeln!(out, "{}", summary(&source))?;
        }
        for warning in source["warnings"].as_array().into_iter().flatten() {
            note(&format!(
                "warning: {}",
                warning.as_str().unwrap_or_default()
            ));
        }
        if !self.wait && !self.json {
            note(
                "the sync function, or `rappel up` on this database, creates its documents; --wait waits for them",
            );
        }
        match source["failed"].as_i64() {
            Some(0) | None => Ok(()),
            Some(_) => Err(Reported(3).into()),
        }
    }

    fn definition(&self) -> anyhow::Result<SourceDefinition> {
        let mut metadata = BTreeMap::new();
        for given in &self.metadata {
            if let Some((name, expression)) = given.split_once('=') {
                let name = name.trim();
                ensure!(
                    !name.is_empty(),
                    "--metadata is {given:?}, which has no name before the ="
                );
                metadata.insert(name.to_owned(), expression.trim().to_owned());
                continue;
            }
            for column in given.split(',').map(str::trim) {
                metadata.insert(column.to_owned(), column.to_owned());
            }
        }
        // Blanks around commas are not part of a name.
        let id = self.id.as_ref().map(|columns| {
            let columns = columns.iter().map(|column| column.trim().to_owned());
            columns.collect()
        });
        Ok(SourceDefinition {
            table: self.table.clone(),
            id,
            title: self.title.clone(),
            content: self.content.clone(),
            metadata,
            condition: self.r#where.clone(),
        })
    }
}

/// Watches the first walk to its end, and answers the source.
async fn watch(deployment: &Deployment, name: &str) -> anyhow::Result<Value> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} documents {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    loop {
        let source = deployment.source(name).await?;
        let number = |pointer: &str| source.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        match source["state"].as_str() {
            Some("failed") => bail!(
                "the table cannot be followed: {}",
                source["failure"]
                    .as_str()
                    .context("a failure has a reason")?
            ),
            Some("following") if number("/pending") == number("/failed") => {
                bar.finish_and_clear();
                return Ok(source);
            }
            _ => {}
        }
        bar.set_length(number("/rows/total"));
        bar.set_position(number("/documents"));
        if let Some(seconds) = source.pointer("/walk/seconds_left").and_then(Value::as_f64) {
            bar.set_message(format!("{seconds:.0} s left"));
        }
        sleep(LOOK).await;
    }
}
