//! The outbox and the leases on its keys.

use std::time::Duration;

use database::{Database, DatabaseError, FromRow, Statement, Transaction};

use super::worker::Worker;
use crate::document::Row;

/// A key that a worker has leased.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Change {
    pub(super) source_id: i32,
    /// The tenant of the source's documents.
    pub(super) tenant: String,
    pub(super) source_name: String,
    pub(super) key: String,
    /// The row's data from the outbox.
    pub(super) version: String,
    /// How often it was leased, this time included.
    pub(super) attempts: i32,
    /// Whether an earlier try ran to its end.
    pub(super) had_failed: bool,
}

/// A page of a walk.
#[derive(Clone, Copy, Debug, FromRow)]
pub(super) struct Walked {
    pub(super) source: i32,
    /// How many keys were noted, or documents deleted; absent if an open transaction has the next key.
    pub(super) noted: Option<i64>,
}

/// The outbox of one worker.
pub(super) struct Changes<'a> {
    database: &'a Database,
    worker: &'a str,
    lease: Duration,
    most: i64,
}

/// Calls an SQL function of this build that returns one number or null.
macro_rules! number {
    ($self:ident, $function:literal, $parameters:literal $(, $argument:expr)* $(,)?) => {
        $self.number(
            Statement::write(concat!("SELECT ", schema::function!($function), $parameters, " AS number"))
                $(.bind($argument))*,
        )
    };
}

impl<'a> Changes<'a> {
    pub(super) fn of(worker: &Worker<'a>) -> Self {
        Self {
            database: worker.database,
            worker: worker.name,
            lease: worker.config.lease,
            most: worker.config.workers,
        }
    }

    /// Whether the most workers already hold leases.
    pub(super) async fn are_others_enough(&self) -> Result<bool, DatabaseError> {
        let statement = Statement::read(
            "SELECT count(DISTINCT a.worker) FROM rappel.source_attempts AS a
             WHERE a.worker IS NOT NULL AND a.until > now()",
        );
        Ok(self.number(statement).await?.unwrap_or_default() >= self.most)
    }

    /// Looks for work without keys, and returns the number of sources.
    pub(super) async fn watch(&self) -> Result<i64, DatabaseError> {
        Ok(number!(self, "watch_sources", "()")
            .await?
            .unwrap_or_default())
    }

    /// Leases up to `most` keys.
    pub(super) async fn claim(&self, most: i32) -> Result<Vec<Change>, DatabaseError> {
        let statement = Statement::write(concat!(
            "SELECT * FROM ",
            schema::function!("claim_changes"),
            "($1, $2, $3)"
        ))
        .bind(self.worker.to_owned())
        .bind(self.lease.as_secs_f64())
        .bind(most);
        self.database.fetch_all(statement).await
    }

    /// Walks on by a page of a source that is not one of `waiting`; `None` if no other walk is running.
    pub(super) async fn walk(
        &self,
        page: i32,
        waiting: &[i32],
    ) -> Result<Option<Walked>, DatabaseError> {
        let statement = Statement::write(concat!(
            "SELECT * FROM ",
            schema::function!("walk_sources"),
            "($1, $2)"
        ))
        .bind(page)
        .bind(waiting.to_vec());
        self.database.fetch_optional(statement).await
    }

    /// Reads the rows of changes of one source, or why its table cannot be read.
    pub(super) async fn rows(
        &self,
        changes: &[Change],
    ) -> Result<Result<Vec<Row>, String>, DatabaseError> {
        let Some(source) = changes.first().map(|change| change.source_id) else {
            return Ok(Ok(Vec::new()));
        };
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("source_rows"),
            "($1, $2)"
        ))
        .bind(source)
        .bind(keys(changes));
        let mut transaction = self.database.begin().await?;
        // Read-only, because the source's expressions may call functions.
        transaction.run_script("SET TRANSACTION READ ONLY").await?;
        let mut rows: Vec<Row> = transaction.fetch_all(statement).await?;
        transaction.commit().await?;
        if let Some(why) = rows.iter_mut().find_map(|row| row.failure.take()) {
            return Ok(Err(why));
        }
        number!(self, "source_was_read", "($1)", source).await?;
        Ok(Ok(rows))
    }

    /// Renews the leases during `work`, which must not use the database.
    pub(super) async fn renewing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(self.lease / 3, work.as_mut()).await {
                return done;
            }
            let lease = self.lease.as_secs_f64();
            let renewed = number!(
                self,
                "renew_changes",
                "($1, $2)",
                self.worker.to_owned(),
                lease
            );
            if let Err(error) = renewed.await {
                // A lost lease is detected before anything is stored.
                tracing::warn!(cause = %telemetry::chain(&error), "cannot renew leases");
            }
        }
    }

    /// Locks the leases on `changes` until the end of the transaction; false if this worker has lost one.
    pub(super) async fn hold(
        &self,
        transaction: &mut Transaction,
        changes: &[Change],
    ) -> Result<bool, DatabaseError> {
        let statement = Statement::write(concat!(
            "SELECT ",
            schema::function!("hold_changes"),
            "($1, $2, $3) AS held"
        ))
        .bind(self.worker.to_owned())
        .bind(changes.first().map(|change| change.source_id))
        .bind(keys(changes));
        let held: Vec<(bool,)> = transaction.fetch_all(statement).await?;
        Ok(held == [(true,)])
    }

    /// Clears `changes`, whose documents have these ids, or none, from the outbox, unless they have changed since.
    pub(super) async fn settle(
        &self,
        transaction: &mut Transaction,
        changes: &[Change],
        documents: Vec<Option<String>>,
    ) -> Result<(), DatabaseError> {
        let versions = changes.iter().map(|change| change.version.clone());
        let statement = Statement::write(concat!(
            "SELECT ",
            schema::function!("settle_changes"),
            "($1, $2, $3, $4, $5) AS number"
        ))
        .bind(self.worker.to_owned())
        .bind(changes.first().map(|change| change.source_id))
        .bind(keys(changes))
        .bind(versions.collect::<Vec<_>>())
        .bind(documents);
        transaction.fetch_all::<(i64,)>(statement).await.map(drop)
    }

    /// Notes why the row of a change cannot be stored, within `transaction`.
    pub(super) async fn fail_within(
        &self,
        transaction: &mut Transaction,
        change: &Change,
        reason: &str,
    ) -> Result<(), DatabaseError> {
        let statement = self.failure(change, reason);
        transaction.fetch_all::<(i64,)>(statement).await.map(drop)
    }

    /// The same without a transaction.
    pub(super) async fn fail(&self, change: &Change, reason: &str) -> Result<(), DatabaseError> {
        self.number(self.failure(change, reason)).await.map(drop)
    }

    /// Releases the leases that were not begun, except one.
    pub(super) async fn release(&self, spared: Option<&Change>) -> Result<(), DatabaseError> {
        self.give_back(spared, None, None).await
    }

    /// Releases all leases, and notes why the source of `changes` cannot be read.
    pub(super) async fn release_failed(
        &self,
        changes: &[Change],
        why: String,
    ) -> Result<(), DatabaseError> {
        let source = changes.first().map(|change| change.source_id);
        self.give_back(None, source, Some(why)).await
    }

    async fn give_back(
        &self,
        spared: Option<&Change>,
        source: Option<i32>,
        why: Option<String>,
    ) -> Result<(), DatabaseError> {
        let (spared_source, spared) = spared.map(|it| (it.source_id, it.key.clone())).unzip();
        number!(
            self,
            "release_changes",
            "($1, $2, $3, $4, $5)",
            self.worker.to_owned(),
            spared_source,
            spared,
            source,
            why,
        )
        .await
        .map(drop)
    }

    fn failure(&self, change: &Change, reason: &str) -> Statement {
        Statement::write(concat!(
            "SELECT ",
            schema::function!("fail_change"),
            "($1, $2, $3, $4) AS number"
        ))
        .bind(self.worker.to_owned())
        .bind(change.source_id)
        .bind(change.key.clone())
        .bind(reason.to_owned())
    }

    async fn number(&self, statement: Statement) -> Result<Option<i64>, DatabaseError> {
        let number: Option<(Option<i64>,)> = self.database.fetch_optional(statement).await?;
        Ok(number.and_then(|(number,)| number))
    }
}

fn keys(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.key.clone()).collect()
}
