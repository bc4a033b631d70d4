//! `rappel sources`: the tables that are followed, in a database or behind an API.

use std::io::Write as _;

use clap::{Args, Subcommand};
use document_store::{Limit, ListRequest};
use followed_tables::SourceDefinition;
use reqwest::Method;
use serde_json::{Value, value::to_raw_value};

use crate::{
    deployment::{Deployment, all_pages},
    remote::Key,
    setup::Target,
    terminal::{self, note},
};

/// Manage followed tables.
#[derive(Args)]
pub(crate) struct Sources {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the sources.
    List(All),
    /// Show a source, with the rows that failed and why.
    Show(One),
    /// Stop following a table, and delete its documents.
    Remove(Removal),
    /// Compare all rows and documents of a source again, and retry what failed.
    Resync(One),
}

#[derive(Args)]
struct All {
    #[command(flatten)]
    way: Way,
}

#[derive(Args)]
struct One {
    /// The name of the source.
    name: String,
    #[command(flatten)]
    way: Way,
}

#[derive(Args)]
struct Removal {
    /// The name of the source.
    name: String,
    /// Keep its documents.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    way: Way,
}

/// The database, or the API in front of it.
#[derive(Args)]
pub(crate) struct Way {
    /// The API to ask, such as `http://127.0.0.1:8000`, instead of the database.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    target: Target,
}

impl Sources {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (Action::List(All { way })
        | Action::Show(One { way, .. })
        | Action::Remove(Removal { way, .. })
        | Action::Resync(One { way, .. })) = &self.action;
        let deployment = way.open().await?;
        let ran = self.action.run(&deployment).await;
        deployment.close().await?;
        ran
    }
}

impl Action {
    async fn run(&self, deployment: &Deployment) -> anyhow::Result<()> {
        let mut out = terminal::out();
        match self {
            Self::List(_) => {
                for source in deployment.sources().await? {
                    writeln!(out, "{}", summary(&source))?;
                }
            }
            Self::Show(One { name, .. }) => out.json(&deployment.source(name).await?)?,
            Self::Resync(One { name, .. }) => {
                writeln!(out, "{}", summary(&deployment.resync(name).await?))?;
            }
            Self::Remove(Removal { name, keep, .. }) => {
                for statement in deployment.remove(name, *keep).await? {
                    note(&format!("the table's owner has to run: {statement}"));
                }
            }
        }
        Ok(())
    }
}

impl Way {
    pub(crate) async fn open(&self) -> anyhow::Result<Deployment> {
        Deployment::open(self.api.as_deref(), &self.key, &self.target).await
    }
}

impl Deployment {
    pub(crate) async fn follow(
        &self,
        name: &str,
        definition: &SourceDefinition,
    ) -> anyhow::Result<Value> {
        match self {
            Self::Database(opened) => {
                followed_tables::follow(&opened.1, &opened.2, name, definition).await?;
                self.source(name).await
            }
            Self::Api(api) => {
                let path = format!("sources/{name}");
                let body = Some(to_raw_value(definition)?);
                api.ask(Method::PUT, &path, body).await
            }
        }
    }

    pub(crate) async fn source(&self, name: &str) -> anyhow::Result<Value> {
        match self {
            Self::Database(opened) => Ok(serde_json::to_value(
                followed_tables::source(&opened.1, &opened.2, name).await?,
            )?),
            Self::Api(api) => api.ask(Method::GET, &format!("sources/{name}"), None).await,
        }
    }

    async fn sources(&self) -> anyhow::Result<Vec<Value>> {
        let page = async |cursor: Option<String>| {
            let page = match self {
                Self::Database(opened) => {
                    let limit = Some(Limit::MAX.into());
                    let page = ListRequest { cursor, limit }.parse()?;
                    serde_json::to_value(
                        followed_tables::sources(&opened.1, &opened.2, page).await?,
                    )?
                }
                Self::Api(api) => api.page("sources", cursor).await?,
            };
            let sources = page["sources"].as_array().cloned().unwrap_or_default();
            let next = page["next_cursor"].as_str().map(str::to_owned);
            anyhow::Ok((sources, next))
        };
        all_pages(page).await
    }

    async fn resync(&self, name: &str) -> anyhow::Result<Value> {
        match self {
            Self::Database(opened) => {
                followed_tables::resync(&opened.1, &opened.2, name).await?;
                self.source(name).await
            }
            Self::Api(api) => {
                let path = format!("sources/{name}/resync");
                api.ask(Method::POST, &path, None).await
            }
        }
    }

    async fn remove(&self, name: &str, keep: bool) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Database(opened) => {
                Ok(followed_tables::remove(&opened.1, &opened.2, name, keep).await?)
            }
            Self::Api(api) => {
                let path = format!("sources/{name}?keep={keep}");
                let removed = api.ask(Method::DELETE, &path, None).await?;
                let rest = removed["left_to_owner"].as_array().cloned();
                let rest = rest.unwrap_or_default().into_iter();
                Ok(rest
                    .filter_map(|statement| statement.as_str().map(str::to_owned))
                    .collect())
            }
        }
    }
}

/// A source in a line.
pub(crate) fn summary(source: &Value) -> String {
    let number = |pointer: &str| source.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let text = |field: &str| source[field].as_str().unwrap_or_default();
    let about = if source["rows"]["estimated"] == true {
        "about "
    } else {
        ""
    };
    let mut line = format!(
        "{}: {}, {about}{} rows, {} documents, {} pending, {} failed, lag {:.1} s",
        text("name"),
        text("state"),
        number("/rows/total"),
        number("/documents"),
        number("/pending"),
        number("/failed"),
        source["lag_seconds"].as_f64().unwrap_or_default(),
    );
    if let Some(failure) = source["failure"].as_str() {
        line.push_str(": ");
        line.push_str(failure);
    }
    line
}
