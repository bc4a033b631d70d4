//! `rappel uninstall`: removes everything that Rappel made in a database.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, ensure};
use clap::Args;
use database::Database;
use migrations::Installed;

use crate::{
    setup,
    terminal::{self, Out, note},
};

/// Remove everything that Rappel created in a database, after confirmation: its schemas with all documents, and its triggers on
/// followed tables. Your tables, roles and the extension `vector` stay.
#[derive(Args)]
pub(crate) struct Uninstall {
    /// The database, with the login that migrated it. The embedded database of `rappel up` is a folder, which you delete.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
    /// Skip the confirmation.
    #[arg(long)]
    yes: bool,
}

impl Uninstall {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let database = Database::new(&setup::external(self.database_url.clone())?)?;
        let outcome = self.remove(&database).await;
        database.close().await;
        outcome
    }

    async fn remove(&self, database: &Database) -> anyhow::Result<()> {
        let mut out = terminal::out();
        let Some(found) = migrations::installed(database).await? else {
            writeln!(out, "Rappel has nothing in this database")?;
            return Ok(());
        };
        list(&mut out, &found)?;
        if !self.yes {
            ensure!(
                io::stdin().is_terminal(),
                "nothing was removed: without a terminal to ask at, confirm with --yes"
            );
            let asked = ask(found.database.clone());
            ensure!(asked.await?, "nothing was removed");
        }
        match migrations::uninstall(database).await? {
            Some(removed) => writeln!(out, "removed from the database {}", removed.database)?,
            None => writeln!(out, "meanwhile another program has removed it")?,
        }
        Ok(())
    }
}

fn list(out: &mut Out, found: &Installed) -> io::Result<()> {
    writeln!(out, "In the database {} this is removed:", found.database)?;
    for schema in &found.schemas {
        if schema == "rappel" {
            let (tables, documents) = (found.tables, found.documents);
            writeln!(
                out,
                "  the schema rappel: {tables} tables, with {documents} documents, API keys and imports"
            )?;
        } else {
            writeln!(out, "  the schema {schema}: the functions of a build")?;
        }
    }
    for table in &found.followed {
        writeln!(out, "  the triggers on the followed table {table}")?;
    }
    writeln!(
        out,
        "This stays: your tables with their rows, and all roles"
    )?;
    if let Some(schema) = &found.extension {
        let place = if found.moves_extension() {
            format!("moves from the schema {schema} to public")
        } else {
            format!("stays in the schema {schema}")
        };
        writeln!(
            out,
            "The extension vector {place}; DROP EXTENSION vector removes it"
        )?;
    }
    Ok(())
}

/// Whether the user types the database's name.
async fn ask(database: String) -> anyhow::Result<bool> {
    note(&format!(
        "Functions that use this database fail afterwards. Type the database's name, {database}, to remove it:"
    ));
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        io::Result::Ok(line.trim() == database)
    });
    read.await?.context("reading the answer")
}
