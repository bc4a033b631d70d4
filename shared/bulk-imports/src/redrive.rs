//! Redrive: work that was given up is tried again.

use std::{collections::HashSet, time::Duration};

use aws::{
    AwsError,
    sqs::{Queue, Received},
};
use database::{Database, DatabaseError, Statement};

use super::{
    message::{Message, now},
    removal::RemovalMessage,
};

/// What became of dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Messages that are in the queue again.
    pub moved: u64,
    /// Messages that are not of Rappel, or failed again meanwhile. They stay.
    pub left: u64,
}

/// Parts and documents that were given up, reopened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reopened {
    /// Parts.
    pub parts: u64,
    /// Single documents.
    pub documents: u64,
}

/// Moves the messages of the dead-letter queue `dead` back to `queue`, as if their imports were resumed now: their time
/// begins anew. A message is sent before it is deleted, so nothing is lost; a redundant message does no harm. `redriven`
/// has the counts, also after an error.
///
/// # Errors
/// The first error of SQS.
pub async fn redrive(dead: &Queue, queue: &Queue, redriven: &mut Redriven) -> Result<(), AwsError> {
    let begun = now();
    let mut seen = HashSet::new();
    loop {
        let received = dead.receive().await?.into_iter();
        // One that stays is visible again after a while.
        let new: Vec<Received> = received
            .filter(|message| seen.insert(message.id.clone()))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let (mut bodies, mut receipts) = (Vec::new(), Vec::new());
        for Received { body, receipt, .. } in new {
            if let Some(body) = resumed(&body, begun) {
                bodies.push(body);
                receipts.push(receipt);
            } else {
                redriven.left += 1;
            }
        }
        queue.send(&bodies, Duration::ZERO).await?;
        redriven.moved += bodies.len() as u64;
        dead.delete(&receipts).await?;
    }
}

/// A message of an import or of a removal whose time begins anew, if it is from before `begun`.
fn resumed(body: &str, begun: u64) -> Option<String> {
    if let Ok(message) = serde_json::from_str::<Message>(body) {
        return (message.since < begun).then(|| message.resumed().json());
    }
    let removal = serde_json::from_str::<RemovalMessage>(body).ok()?;
    (removal.since < begun).then(|| removal.resumed().json())
}

/// Reopens what was given up of imports of the last four days, in the database alone: for a queue that has lost the
/// messages, as on a laptop. Their messages are sent again by [`reopen`](super::reopen), or when the state of the import is
/// read.
///
/// # Errors
/// The database's error.
pub async fn reopen_failed(database: &Database) -> Result<Reopened, DatabaseError> {
    // An import that failed as a whole has no object any more that it could read.
    let statement = Statement::idempotent_write(
        "WITH import AS MATERIALIZED (
             SELECT i.id FROM rappel.imports AS i
             WHERE i.failure IS NULL AND i.created_at > now() - interval '4 days'
         ), part AS (
             UPDATE rappel.import_parts AS p
             SET finished_at = NULL, failure = NULL, attempts = 0, receives = 0, worker = NULL, leased_until = '-infinity'
             WHERE p.import_id IN (SELECT id FROM import)
               AND (p.failure IS NOT NULL OR (p.finished_at IS NULL AND p.attempts > 0 AND p.leased_until < now()))
             RETURNING 1
         ), line AS (
             UPDATE rappel.import_lines AS l
             SET outcome = 'retrying', settled_at = NULL, attempts = 0, receives = 0, leased_until = '-infinity'
             WHERE l.import_id IN (SELECT id FROM import)
               AND (l.outcome = 'failed' OR (l.outcome = 'retrying' AND l.attempts > 0 AND l.leased_until < now()))
             RETURNING 1
         )
         SELECT (SELECT count(*) FROM part), (SELECT count(*) FROM line)",
    );
    let counts: Option<(i64, i64)> = database.fetch_optional(statement).await?;
    let (parts, documents) = counts.unwrap_or_default();
    Ok(Reopened {
        parts: parts.unsigned_abs(),
        documents: documents.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::resumed;

    #[test]
    fn only_older_messages_of_rappel_are_resumed() {
        let removal = r#"{"removal":"acme","since":5}"#;
        let begun = resumed(removal, 6).expect("it is from before");
        assert!(begun.contains(r#""removal":"acme""#), "{begun}");
        assert!(!begun.contains(r#""since":5}"#), "{begun}");
        assert_eq!(resumed(removal, 5), None, "it failed again meanwhile");
        assert_eq!(resumed(r#"{"order":7}"#, 6), None, "it is another's");
    }
}
