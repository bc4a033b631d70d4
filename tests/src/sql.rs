//! Direct access to the database through a client that the product does not use.

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, types::ToSql};

/// A connection, closed when dropped.
pub struct Sql {
    client: Client,
    connection: JoinHandle<()>,
}

impl Sql {
    /// Connects to the database at `url`.
    ///
    /// # Errors
    /// When the server is unavailable or rejects the login.
    pub async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .with_context(|| format!("connecting to {url}"))?;
        let connection = tokio::spawn(async move {
            // A broken connection shows as an error of the next statement.
            let _ = connection.await;
        });
        Ok(Self { client, connection })
    }

    /// Runs statements without parameters and results.
    ///
    /// # Errors
    /// The server's error.
    pub async fn run(&self, statements: &str) -> Result<()> {
        self.client
            .batch_execute(statements)
            .await
            .with_context(|| format!("running {statements}"))
    }

    /// The first column, a `bigint`, of the only row.
    ///
    /// # Errors
    /// The server's error, or not exactly one row.
    pub async fn number(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<i64> {
        let row = self
            .client
            .query_one(query, parameters)
            .await
            .with_context(|| format!("running {query}"))?;
        row.try_get(0)
            .with_context(|| format!("the first column of {query} is not a bigint"))
    }

    /// The first column, a `text`, of all rows.
    ///
    /// # Errors
    /// The server's error.
    pub async fn texts(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<String>> {
        let rows = self
            .client
            .query(query, parameters)
            .await
            .with_context(|| format!("running {query}"))?;
        rows.iter()
            .map(|row| {
                row.try_get(0)
                    .with_context(|| format!("the first column of {query} is not a text"))
            })
            .collect()
    }

    /// Whether the server has at least this major version.
    ///
    /// # Errors
    /// The server's error.
    pub async fn is_at_least(&self, major: i64) -> Result<bool> {
        let version = "SELECT current_setting('server_version_num')::bigint / 10000";
        Ok(self.number(version, &[]).await? >= major)
    }

    /// The server's plan of `query`, as text.
    ///
    /// # Errors
    /// The server's error.
    pub async fn plan(&self, query: &str) -> Result<String> {
        Ok(self
            .texts(&format!("EXPLAIN {query}"), &[])
            .await?
            .join("\n"))
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Creates an empty database on the server whose database `postgres` is at `server`.
///
/// A throwaway server has `synchronous_commit` off; here it is on as on a real one, because tests kill the server and
/// count what is left.
pub(crate) async fn create_database(server: &str, name: &str) -> Result<()> {
    let server = Sql::connect(server).await?;
    server.run(&format!("CREATE DATABASE {name}")).await?;
    server
        .run(&format!(
            "ALTER DATABASE {name} SET synchronous_commit = on"
        ))
        .await
}

/// Drops a database, with its connections.
pub(crate) async fn drop_database(server: &str, name: &str) -> Result<()> {
    Sql::connect(server)
        .await?
        .run(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
}
