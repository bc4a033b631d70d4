//! `rappel index`: the index of embeddings, and indexes on fields of the metadata.

use std::io::Write as _;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use database::Database;
use migrations::{
    FieldIndex, Index, IndexState, field_indexes, index_field, rebuild_index, unindex_field,
};
use retrieval::SearchConfig;
use serde_json::json;

use crate::{
    setup::{SchemaArgs, Setup, Target},
    stop::{Stop, is_interrupted},
    terminal::{self, note},
};

/// Manage indexes on metadata fields, for range filters, and rebuild the index of embeddings.
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
    /// Build the index of embeddings anew, while documents are searched and stored, and measure its recall.
    Rebuild(Rebuild),
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
struct Rebuild {
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
        | Action::Remove(Change { target, .. })
        | Action::Rebuild(Rebuild { target, .. })) = &self.action;
        let mut setup = stop.or(target.prepare("")).await?;
        stop.or(setup.require_schema()).await?;
        if let Action::Add(Change { schema, .. })
        | Action::Remove(Change { schema, .. })
        | Action::Rebuild(Rebuild { schema, .. }) = &self.action
        {
            setup.set_schema(schema);
        }
        let database = setup.schema_database()?;
        let ran = stop.or(self.action.run(&setup, &database)).await;
        if is_interrupted(&ran) {
            match self.action {
                Action::List(_) => {}
                Action::Rebuild(_) => note(
                    "the server may go on with the build; once it has ended, the same command again finishes it",
                ),
                Action::Add(_) | Action::Remove(_) => note(
                    "the server may go on with what it began: `rappel index list` tells; the same command again finishes it",
                ),
            }
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
            Self::Rebuild(_) => {
                let recall = SearchConfig::from_env()?.recall;
                if let Index::Missing { reason } =
                    rebuild_index(database, &setup.index_config()).await?
                {
                    bail!("cannot build the index, so the old one is kept: {reason}");
                }
                migrations::measure_recall(database, recall, true).await?;
                note("the index of embeddings is rebuilt");
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
