//! The measured database: a copy, so that the user's is not changed.

pub(crate) mod tls;
mod wire;

use anyhow::{Context as _, Result, ensure};
use database::{Database, DatabaseConfig, Statement};
use url::Url;

/// A benchmark database on the same server; [`Scratch::drop`] removes it.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Its configuration: no pooler, one connection.
    pub(crate) config: DatabaseConfig,
    server: DatabaseConfig,
    name: String,
}

/// The metadata marks for filters, and the share of documents that have each.
pub(crate) const MARKS: [(&str, f64); 3] =
    [("bench_1", 0.01), ("bench_10", 0.1), ("bench_70", 0.7)];

impl Scratch {
    /// Copies the database of `source`, to which nobody else may be connected, and marks documents at random for
    /// filters.
    pub(crate) async fn of(source: &DatabaseConfig, name: &str) -> Result<Self> {
        let original = Url::parse(&source.url).context("the database's URL")?;
        let original = original.path().trim_start_matches('/').to_owned();
        let copy = Self::prepare(source, name).await?;
        let create =
            format!("CREATE DATABASE \"{name}\" TEMPLATE \"{original}\" STRATEGY file_copy");
        copy.on_server(&create).await.with_context(|| {
            format!(
                "the benchmark works on a copy of the database {original}: the user needs the privilege CREATEDB, and \
                 no other client may be connected to it"
            )
        })?;
        copy.mark().await?;
        Ok(copy)
    }

    /// An empty database on the server of `source`.
    pub(crate) async fn empty(source: &DatabaseConfig, name: &str) -> Result<Self> {
        let copy = Self::prepare(source, name).await?;
        copy.on_server(&format!("CREATE DATABASE \"{name}\""))
            .await?;
        Ok(copy)
    }

    /// Connects to it.
    pub(crate) fn open(&self) -> Result<Database> {
        Ok(Database::new(&self.config)?)
    }

    /// Runs a statement without time limit.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        let database = self.open()?;
        let outcome = database.run_unlimited(&[], sql).await;
        database.close().await;
        Ok(outcome?)
    }

    /// Drops it.
    pub(crate) async fn drop(self) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        self.on_server(&drop).await
    }

    async fn prepare(source: &DatabaseConfig, name: &str) -> Result<Self> {
        let at = |database: &str| -> Result<DatabaseConfig> {
            Ok(DatabaseConfig {
                url: with_database(&source.url, database)?,
                application_name: "rappel-bench".to_owned(),
                connections: 1,
                ..source.clone()
            })
        };
        let copy = Self {
            config: at(name)?,
            server: at("postgres")?,
            name: name.to_owned(),
        };
        // A killed run may have left it.
        copy.on_server(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
            .await?;
        Ok(copy)
    }

    async fn on_server(&self, sql: &str) -> Result<()> {
        let server = Database::new(&self.server)?;
        let outcome = server.run_unlimited(&[], sql).await;
        server.close().await;
        Ok(outcome?)
    }

    async fn mark(&self) -> Result<()> {
        let [one, ten, seventy] = MARKS.map(|(mark, share)| {
            let below = (share * 1000.0).round();
            format!("CASE WHEN place < {below} THEN '{{\"{mark}\": true}}'::jsonb ELSE '{{}}' END")
        });
        self.run(&format!(
            "UPDATE rappel.documents AS d SET metadata = d.metadata || {one} || {ten} || {seventy}
             FROM (SELECT id, abs(hashtext(id)::bigint) % 1000 AS place FROM rappel.documents) AS p
             WHERE p.id = d.id"
        ))
        .await?;
        self.run("VACUUM ANALYZE").await
    }
}

/// The `bigint` of a statement with one row and one column.
pub(crate) async fn number(database: &Database, sql: &'static str) -> Result<i64> {
    let row: Option<(i64,)> = database.fetch_optional(Statement::read(sql)).await?;
    Ok(row.context("a count without a row")?.0)
}

/// The numbers of documents and chunks; zero is an error.
pub(crate) async fn counts(database: &Database) -> Result<(i64, i64)> {
    let documents = number(database, "SELECT count(*) FROM rappel.documents").await?;
    let chunks = number(database, "SELECT count(*) FROM rappel.chunks").await?;
    ensure!(
        documents > 0,
        "there is nothing to search: import a corpus first"
    );
    Ok((documents, chunks))
}

/// The URL with another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url).context("the database's URL")?;
    url.set_path(name);
    Ok(url.into())
}

/// The URL with another host, port and query.
pub(crate) fn redirected(url: &str, host: &str, port: u16, query: &str) -> Result<String> {
    let mut url = Url::parse(url).context("the database's URL")?;
    url.set_host(Some(host))
        .context("the database's URL has no host")?;
    url.set_port(Some(port))
        .ok()
        .context("the database's URL has no host")?;
    url.set_query((!query.is_empty()).then_some(query));
    Ok(url.into())
}
