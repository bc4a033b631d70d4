//! `rappel index`: indexes on fields of the metadata.

use std::io::Write as _;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use database::Database;
use migrations::{FieldIndex, Index, IndexState, field_indexes, index_field, unindex_field};
use serde_json::json;

use crate::{
    setup::{SchemaArgs, Setup, Target},
    stop::{Stop, is_interrupted},
    terminal::{self, note},
};

/// Manage indexes on metadata fields, for range filters.
#[derive(Args)]
pub(crate) struct Indexes {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Index a field while documents are searched and stored. An interrupted build starts again.
    Add(Change),
    /// List the indexes on fields.
    List(List),
    /// Drop the index on a field.
    Remove(Change),
}

#[derive(Args)]
struct Change {
    /// The metadata key, as in a filter: year, author.born.
    field: String,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Indexes {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        let (Action::Add(Change { target, .. })
        | Action::List(List { target, .. })
        | Action::Remove(Change { target, .. })) = &self.action;
        let mut setup = stop.or(target.prepare("")).await?;
        stop.or(setup.require_schema()).await?;
        if let Action::Add(change) | Action::Remove(change) = &self.action {
            setup.set_schema(&change.schema);
        }
        let database = setup.schema_database()?;
        let ran = stop.or(self.action.run(&setup, &database)).await;
        if is_interrupted(&ran) && !matches!(self.action, Action::List(_)) {
            note(
                "the server may go on with what it began: `rappel index list` tells; the same command again finishes it",
            );
        }
        database.close().await;
        setup.stop().await?;
        ran
    }
}

impl Action {
    async fn run(&self, setup: &Setup, database: &Database) -> anyhow::Result<()> {
        match self {
            Self::Add(Change { field, .. }) => {
                let path = filter::values_path(field, "FIELD")?;
                for built in index_field(database, &path, &setup.index_config()).await? {
                    if let Index::Missing { reason } = built {
                        bail!("cannot build the index on {field}: {reason}");
                    }
                }
                note(&format!("{field} is indexed"));
            }
            Self::Remove(Change { field, .. }) => {
                let path = filter::values_path(field, "FIELD")?;
                let found = unindex_field(database, &path).await?;
                ensure!(
                    found,
                    "{field} has no index; `rappel index list` lists the indexes"
                );
                note(&format!("the index on {field} is dropped"));
            }
            Self::List(List { json, .. }) => {
                let indexes = field_indexes(database).await?;
                let mut out = terminal::out();
                if *json {
                    return Ok(out.json(&json!({ "indexes": indexes }))?);
                }
                for index in indexes {
                    writeln!(out, "{}", line(&index))?;
                }
            }
        }
        Ok(())
    }
}

fn line(index: &FieldIndex) -> String {
    let FieldIndex {
        field,
        kind,
        state,
        bytes,
    } = index;
    let state = match state {
        IndexState::Valid => String::new(),
        IndexState::Building => "  being built".to_owned(),
        IndexState::Invalid | IndexState::Missing => {
            format!("  invalid: `rappel index add {field}` builds it again")
        }
    };
    format!("{field}  {}  {} kB{state}", kind.name(), bytes / 1024)
}
