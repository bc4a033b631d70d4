//! A batch: reads the rows of some keys, stores their documents and clears the keys.

use std::collections::HashMap;

use database::DatabaseError;
use document_store::{Compared, Prepared, Retry, VisibilityParameters, delete_within};
use telemetry::chain;

use super::{
    changes::{Change, Changes},
    worker::Worker,
};
use crate::document::{Row, document_id};

/// The outcome of storing a batch.
pub(super) enum Stored {
    Yes {
        settled: u64,
        failed: u64,
    },
    /// Another worker holds one of the leases, or the source was changed or removed.
    LeaseLost,
    /// The table cannot be read.
    Unreadable(String),
    /// One of the rows, or their number, prevents it.
    No(String),
}

/// The plan for the changes.
#[derive(Default)]
struct Plan<'a> {
    /// The tenant of the source.
    tenant: String,
    /// Changes whose documents are stored or deleted.
    settled: Vec<Change>,
    /// The id of the remaining document of each of `settled`, if any.
    ids: Vec<Option<String>>,
    documents: Vec<Prepared>,
    /// Ids of documents to delete.
    gone: Vec<String>,
    /// Changes whose rows are not valid documents, with the reason.
    failed: Vec<(&'a Change, String)>,
}

impl Plan<'_> {
    fn visibility(&self) -> VisibilityParameters {
        VisibilityParameters {
            tenant: self.tenant.clone(),
            ..VisibilityParameters::default()
        }
    }
}

/// Stores batches for a worker.
pub(super) struct Batch<'a> {
    worker: &'a Worker<'a>,
    changes: &'a Changes<'a>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(worker: &'a Worker<'a>, changes: &'a Changes<'a>) -> Self {
        Self { worker, changes }
    }

    /// Stores the documents of changes of one source, all or nothing, except for invalid rows, which are noted.
    pub(super) async fn store(&self, changes: &[Change]) -> Result<Stored, DatabaseError> {
        let rows = match self.changes.rows(changes).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(why)) => return Ok(Stored::Unreadable(why)),
            Err(error) if error.may_blame_values() => return Ok(Stored::No(not_read(&error))),
            Err(error) => return Err(error),
        };
        let plan = plan(changes, rows);
        let (mut compared, mut retry) = (None, Retry::default());
        loop {
            let prepared = match self.prepare(&plan, compared.take()).await? {
                Ok(prepared) => prepared,
                Err(reason) => return Ok(Stored::No(reason)),
            };
            match self.write(changes, &plan, &prepared).await {
                Ok(Written::Yes) => {
                    return Ok(Stored::Yes {
                        settled: plan.settled.len() as u64,
                        failed: plan.failed.len() as u64,
                    });
                }
                Ok(Written::LeaseLost) => return Ok(Stored::LeaseLost),
                Ok(Written::Changed) => compared = Some(prepared.with_all_texts()),
                Err(error) if retry.again(&error).await => compared = Some(prepared),
                Err(error) if error.may_blame_values() => {
                    return Ok(Stored::No(format!("it cannot be stored: {error}")));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Compares documents with the stored ones and embeds those that need it, or returns why one cannot be embedded.
    async fn prepare(
        &self,
        plan: &Plan<'_>,
        compared: Option<Compared>,
    ) -> Result<Result<Compared, String>, DatabaseError> {
        let compared = match compared {
            Some(compared) => compared,
            None if plan.documents.is_empty() => Compared::default(),
            None => {
                let visibility = plan.visibility();
                let documents = plan.documents.clone();
                Compared::with_stored(self.worker.database, &visibility, documents).await?
            }
        };
        let embedding = compared.embedded(self.worker.embed);
        let embedded = self.changes.renewing(embedding).await;
        Ok(embedded.map_err(|error| {
            tracing::warn!(cause = %chain(&*error), "rows of a source cannot be embedded");
            "it cannot be embedded; see the log for the cause".to_owned()
        }))
    }

    /// Stores, deletes and notes in one transaction.
    async fn write(
        &self,
        changes: &[Change],
        plan: &Plan<'_>,
        compared: &Compared,
    ) -> Result<Written, DatabaseError> {
        let mut transaction = self.worker.database.begin().await?;
        // Held to the end, so that no earlier read overwrites a later one.
        if !self.changes.hold(&mut transaction, changes).await? {
            return Ok(Written::LeaseLost);
        }
        delete_within(&mut transaction, &plan.tenant, &plan.gone).await?;
        let written = compared
            .write_within(&mut transaction, self.worker.recipe)
            .await?;
        if written.is_none() {
            return Ok(Written::Changed);
        }
        for (change, reason) in &plan.failed {
            self.changes
                .fail_within(&mut transaction, change, reason)
                .await?;
        }
        // Last, because transactions that change one of these rows wait for the keys that are cleared here.
        self.changes
            .settle(&mut transaction, &plan.settled, plan.ids.clone())
            .await?;
        transaction.commit().await?;
        Ok(Written::Yes)
    }
}

/// The outcome of writing a batch.
enum Written {
    Yes,
    LeaseLost,
    /// Another writer changed a document that only needs other metadata.
    Changed,
}

fn plan(changes: &[Change], rows: Vec<Row>) -> Plan<'_> {
    let mut rows: HashMap<String, Row> = rows
        .into_iter()
        .filter_map(|row| Some((row.key.clone()?, row)))
        .collect();
    let mut plan = Plan {
        tenant: changes
            .first()
            .map_or_else(String::new, |change| change.tenant.clone()),
        ..Plan::default()
    };
    for change in changes {
        let Some(id) = document_id(&change.source_name, &change.key) else {
            let reason = "id: the key of the row has more than 1,024 bytes; a document's id has 256 characters at most";
            plan.failed.push((change, reason.to_owned()));
            continue;
        };
        let row = rows.remove(&change.key).filter(|row| !row.is_blank());
        match row.map(|row| row.document(&id)) {
            Some(Ok(document)) => {
                plan.documents.push(document);
                plan.ids.push(Some(id));
                plan.settled.push(change.clone());
            }
            None => {
                plan.gone.push(id);
                plan.ids.push(None);
                plan.settled.push(change.clone());
            }
            // The failure of an earlier state of the row is obsolete.
            Some(Err(reason)) => {
                plan.gone.push(id);
                plan.failed.push((change, reason));
            }
        }
    }
    plan
}

fn not_read(error: &DatabaseError) -> String {
    format!("it cannot be read: {error}")
}
