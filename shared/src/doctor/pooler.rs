//! Which pooler is in between: told by its behaviour, and compared with the setting.
//!
//! What is proved: a server process that is older than its connection belongs to a pooler; a client
//! whose transactions meet several server processes, or that shares one with another client, is
//! behind a transaction-mode pooler, where no named prepared statement survives. Statements are
//! prepared only where that was not seen, under a name of our own, and deallocated again: no other
//! client can meet them.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use super::check::{Finding, failed, ok, warning};
use crate::{
    Error,
    database::{DatabaseError, Pooler, Probe, ProbeConnection},
};

/// How connections behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Each client has a server process of its own, as old as its connection.
    Direct,
    /// Server processes outlive clients, and serve one client at a time.
    Session,
    /// Server processes serve whoever has a transaction to run.
    Transaction,
}

/// Transactions on one connection while another connection holds a transaction open. A pooler that
/// multiplexes shows it at the first, since the second client takes the server process that is free.
const TRANSACTIONS: usize = 10;

const PID: &str = "SELECT pg_backend_pid()";

/// Observes, and compares with the setting.
pub(super) async fn examine(probe: &Probe) -> Result<Finding, Error> {
    let (seen, evidence) = observe(probe).await?;
    Ok(judge(probe.pooler(), seen, &evidence))
}

fn judge(configured: Pooler, seen: Seen, evidence: &str) -> Finding {
    let found = format!("{} as configured; {evidence}", name(configured));
    let differs = format!(
        "{} is configured, but {evidence}, as {} does",
        name(configured),
        match seen {
            Seen::Direct => "a server without a pooler",
            Seen::Session => "a session-mode pooler",
            Seen::Transaction => "a transaction-mode pooler",
        }
    );
    match (configured, seen) {
        (Pooler::Direct, Seen::Direct)
        | (Pooler::Session, Seen::Session)
        | (Pooler::Transaction, Seen::Transaction) => ok(found),
        (_, Seen::Transaction) => failed(differs, "set DATABASE_POOLER=transaction"),
        (Pooler::Direct, Seen::Session) => warning(differs, "set DATABASE_POOLER=session"),
        (Pooler::Session, Seen::Direct) => warning(
            format!("{differs}; every connect takes a round trip more than it needs"),
            "set DATABASE_POOLER=direct",
        ),
        // Observing cannot exclude a pooler that had no reason to switch, and this mode works
        // through everything.
        (Pooler::Transaction, Seen::Direct | Seen::Session) => ok(format!(
            "transaction mode is configured, which works everywhere; {evidence}: if no transaction-mode pooler \
             is in between, another DATABASE_POOLER saves 3 round trips a statement"
        )),
    }
}

fn name(pooler: Pooler) -> &'static str {
    match pooler {
        Pooler::Direct => "no pooler",
        Pooler::Session => "a session-mode pooler",
        Pooler::Transaction => "a transaction-mode pooler",
    }
}

async fn observe(probe: &Probe) -> Result<(Seen, String), DatabaseError> {
    let mut before = probe.connect().await?;
    let now = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let closed_at = one::<f64>(&mut before, now).await?;
    before.close().await;

    let mut ours = probe.connect().await?;
    let started = "SELECT extract(epoch FROM backend_start)::float8 FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let started_at = one::<f64>(&mut ours, started).await?;
    if let Some(evidence) = shares(probe, &mut ours).await? {
        return Ok((Seen::Transaction, evidence));
    }
    let lost = !statement_survives(&mut ours).await?;
    ours.close().await;
    if lost {
        let evidence = "a named statement is gone in the next transaction";
        return Ok((Seen::Transaction, evidence.to_owned()));
    }
    let kept = format!("a named statement survives {TRANSACTIONS} transactions");
    Ok(if started_at < closed_at {
        let evidence = format!("the server process is older than its client, and {kept}");
        (Seen::Session, evidence)
    } else {
        let evidence = format!("each connection has a server process of its own, and {kept}");
        (Seen::Direct, evidence)
    })
}

/// Whether clients share server processes; `Some` says how it showed.
async fn shares(
    probe: &Probe,
    ours: &mut ProbeConnection,
) -> Result<Option<String>, DatabaseError> {
    let mut met = BTreeSet::from([one::<i32>(ours, PID).await?]);
    let Ok(mut other) = probe.connect().await else {
        // No second connection is to be had: its absence proves nothing.
        return Ok(None);
    };
    for _ in 0..TRANSACTIONS {
        let Ok(theirs) = one::<i32>(&mut other, &format!("BEGIN; {PID}")).await else {
            // A session-mode pooler whose only server process is ours.
            return Ok(None);
        };
        let shared = met.contains(&theirs);
        if !shared {
            met.insert(one::<i32>(ours, PID).await?);
        }
        other.row::<()>("ROLLBACK").await?;
        if shared || met.len() > 1 {
            other.close().await;
            let seen = if shared {
                "two clients are served by one server process"
            } else {
                "one client's transactions run in several server processes"
            };
            let evidence =
                format!("{seen}, so a session's settings and statements may not survive");
            return Ok(Some(evidence));
        }
    }
    other.close().await;
    Ok(None)
}

/// Prepares a statement and executes it in transactions of their own.
async fn statement_survives(ours: &mut ProbeConnection) -> Result<bool, DatabaseError> {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!(
        "rappel_doctor_{}_{}",
        std::process::id(),
        since_1970.as_nanos()
    );
    ours.row::<(i32,)>(&format!("PREPARE {name} AS SELECT 1"))
        .await?;
    let mut survives = true;
    for _ in 0..TRANSACTIONS {
        survives &= one::<i32>(ours, &format!("EXECUTE {name}")).await.is_ok();
    }
    // Where it did not survive, it is another server process's, and ends with that.
    let _ = ours.row::<()>(&format!("DEALLOCATE {name}")).await;
    Ok(survives)
}

async fn one<T>(connection: &mut ProbeConnection, sql: &str) -> Result<T, DatabaseError>
where
    (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    let row: Option<(T,)> = connection.row(sql).await?;
    row.map(|row| row.0)
        .ok_or_else(|| DatabaseError::Statement(sqlx::Error::RowNotFound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn only_a_setting_that_loses_statements_fails() {
        let status = |configured, seen| judge(configured, seen, "evidence").0;
        assert_eq!(status(Pooler::Direct, Seen::Direct), Status::Ok);
        assert_eq!(status(Pooler::Direct, Seen::Session), Status::Warning);
        assert_eq!(status(Pooler::Direct, Seen::Transaction), Status::Failed);
        assert_eq!(status(Pooler::Session, Seen::Direct), Status::Warning);
        assert_eq!(status(Pooler::Session, Seen::Session), Status::Ok);
        assert_eq!(status(Pooler::Session, Seen::Transaction), Status::Failed);
        for seen in [Seen::Direct, Seen::Session, Seen::Transaction] {
            assert_eq!(status(Pooler::Transaction, seen), Status::Ok);
        }
    }
}
