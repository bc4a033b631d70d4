//! Which pooler is in between: told by its behaviour, and compared with the setting.
//!
//! What is proved: a client whose transactions meet several server processes, or that shares one with
//! another client, is behind a transaction-mode pooler; one whose startup options do not reach the
//! server process is behind a pooler of some mode. Nothing is prepared and nothing set, so that
//! nothing is left for a pooler's other clients, and for the next examination.

use std::collections::BTreeSet;

use database::{Cause, DatabaseError, Pooler, Probe, ProbeConnection, Proof};
use retrieval::health::finding::{Finding, TRANSACTION_REMEDY, failed, ok, warning};

use super::sizing::Way;

/// What an examination found out.
pub(super) struct Examined {
    pub(super) finding: Finding,
    /// What it means for the number of connections.
    pub(super) way: Way,
}

/// How connections behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// No pooler: it is proven.
    Direct,
    /// No pooler shows itself, and it is not proven that there is none.
    Unproven,
    /// A pooler, which serves one client at a time with a server process.
    Session,
    /// A pooler, whose server processes serve whoever has a transaction to run.
    Transaction,
}

/// Transactions on one connection while another connection holds a transaction open. A pooler that
/// multiplexes shows it at the first, since the second client takes the server process that is free.
const TRANSACTIONS: usize = 10;

const PID: &str = "SELECT pg_backend_pid()";

/// Observes, and compares with the setting. `None` if no connection can be made.
///
/// # Errors
/// What the server says in the middle of it.
pub(super) async fn examine(probe: &Probe) -> Result<Option<Examined>, DatabaseError> {
    let Ok(mut ours) = probe.connect().await else {
        return Ok(None);
    };
    let pgpool = Pgpool::behind(&mut ours).await;
    let (seen, evidence) = match &pgpool {
        // Its processes keep server connections of clients that have gone, or do not: what shows differs
        // from run to run, and none of it is a shared transaction.
        Some(pgpool) => (Seen::Session, pgpool.to_string()),
        None => observe(probe, &mut ours).await?,
    };
    ours.close().await;
    Ok(Some(Examined {
        finding: judge(probe.pooler(), seen, &evidence),
        way: Way {
            pooled: seen == Seen::Transaction,
            clients: pgpool.and_then(|pgpool| pgpool.clients),
        },
    }))
}

fn judge(configured: Option<Pooler>, seen: Seen, evidence: &str) -> Finding {
    match configured {
        Some(configured) => compare(configured, seen, evidence),
        None => ok(untold(seen, evidence)),
    }
}

/// What `auto` makes of it: it needs no setting to be right, only to be faster.
fn untold(seen: Seen, evidence: &str) -> String {
    let unnamed = "statements are unnamed in transactions, four round trips each";
    let look = "saves a look at each connect";
    match seen {
        Seen::Direct => format!("no pooler: {evidence}; statements are named, one round trip each"),
        Seen::Unproven => format!(
            "no pooler shows itself, and it is not proven that there is none: {evidence}; {unnamed}: if there is none, \
             DATABASE_POOLER=direct saves three"
        ),
        Seen::Session => format!("{evidence}; {unnamed}; DATABASE_POOLER=session {look}"),
        Seen::Transaction => format!("{evidence}; {unnamed}; DATABASE_POOLER=transaction {look}"),
    }
}

fn compare(configured: Pooler, seen: Seen, evidence: &str) -> Finding {
    let found = format!("{} as configured; {evidence}", name(configured));
    let differs = format!("{} is configured, but {evidence}", name(configured));
    let saves = "DATABASE_POOLER=direct saves 3 round trips a statement";
    match (configured, seen) {
        (Pooler::Direct, Seen::Direct)
        | (Pooler::Session, Seen::Session)
        | (Pooler::Transaction, Seen::Transaction) => ok(found),
        (_, Seen::Transaction) => failed(differs, TRANSACTION_REMEDY),
        (Pooler::Direct, Seen::Session) => warning(
            differs,
            "set DATABASE_POOLER=session, or transaction, which works through every pooler",
        ),
        (Pooler::Direct, Seen::Unproven) => ok(format!(
            "no pooler shows itself, as configured: {evidence}; statements are named since \
             DATABASE_POOLER=direct says that there is none"
        )),
        (Pooler::Session, Seen::Direct) => warning(differs, format!("{saves}: set it")),
        (Pooler::Session, Seen::Unproven) => {
            ok(format!("{found}: if no pooler is in between, {saves}"))
        }
        // Observing cannot exclude a pooler that had no reason to switch, and this mode works
        // through everything.
        (Pooler::Transaction, Seen::Direct | Seen::Unproven) => ok(format!(
            "transaction mode is configured, which works everywhere; {evidence}: if no pooler is in between, {saves}"
        )),
        (Pooler::Transaction, Seen::Session) => ok(format!(
            "transaction mode is configured, which works everywhere; {evidence}"
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

async fn observe(
    probe: &Probe,
    ours: &mut ProbeConnection,
) -> Result<(Seen, String), DatabaseError> {
    if let Some(evidence) = shares(probe, ours).await? {
        return Ok((Seen::Transaction, evidence));
    }
    let proof = match probe.prove().await {
        Ok(standing) => standing.proof,
        // The pooler's last server process is ours.
        Err(DatabaseError::Unavailable {
            cause: Cause::TooManyClients | Cause::Timeout,
            ..
        }) => Proof::Unknown,
        Err(error) => return Err(error),
    };
    let evidence = proof.evidence();
    Ok(match proof {
        Proof::ClientAddress => (
            Seen::Direct,
            format!("each connection has a server process of its own: {evidence}"),
        ),
        Proof::StartupOptions | Proof::Unknown | Proof::NotAsked => {
            (Seen::Unproven, evidence.to_owned())
        }
        Proof::Disproved => (
            Seen::Session,
            format!(
                "{evidence}, and no server process serves two clients at a time, as behind a session-mode pooler"
            ),
        ),
    })
}

/// Whether clients share server processes; `Some` says how it showed.
async fn shares(
    probe: &Probe,
    ours: &mut ProbeConnection,
) -> Result<Option<String>, DatabaseError> {
    let mut met = BTreeSet::from([one::<i32>(ours, PID).await?]);
    let Ok(mut other) = probe.connect().await else {
        // There is no second connection: its absence proves nothing.
        return Ok(None);
    };
    let mut shared = false;
    for _ in 0..TRANSACTIONS {
        let Ok(theirs) = one::<i32>(&mut other, &format!("BEGIN; {PID}")).await else {
            // A session-mode pooler whose only server process is ours.
            return Ok(None);
        };
        shared = met.contains(&theirs);
        if !shared {
            met.insert(one::<i32>(ours, PID).await?);
            shared = met.len() > 1;
        }
        other.row::<()>("ROLLBACK").await?;
        if shared {
            break;
        }
    }
    other.close().await;
    Ok(shared.then(|| {
        "several clients are served by one server process in turns, as behind a transaction-mode pooler"
            .to_owned()
    }))
}

/// A pgpool-II, which answers commands of its own.
struct Pgpool {
    version: String,
    /// `num_init_children`, less those that it keeps back: the clients that it serves at a time.
    clients: Option<i64>,
}

impl Pgpool {
    async fn behind(connection: &mut ProbeConnection) -> Option<Self> {
        // To Postgres it is a setting that it does not have.
        let version = one::<String>(connection, "SHOW pool_version").await.ok()?;
        let children = Self::setting(connection, "num_init_children").await;
        let reserved = Self::setting(connection, "reserved_connections").await;
        Some(Self {
            version,
            clients: children.map(|children| children - reserved.unwrap_or(0)),
        })
    }

    async fn setting(connection: &mut ProbeConnection, name: &str) -> Option<i64> {
        let show = format!("PGPOOL SHOW {name}");
        one::<String>(connection, &show).await.ok()?.parse().ok()
    }
}

impl std::fmt::Display for Pgpool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "it is pgpool-II {}, which keeps a server process for a client",
            self.version
        )?;
        match self.clients {
            Some(clients) => write!(f, " and serves {clients} at a time (num_init_children)"),
            None => Ok(()),
        }
    }
}

async fn one<T>(connection: &mut ProbeConnection, sql: &str) -> Result<T, DatabaseError>
where
    (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    let row: Option<(T,)> = connection.row(sql).await?;
    row.map(|row| row.0)
        .ok_or_else(|| DatabaseError::Statement(sqlx::Error::RowNotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrieval::health::Status;

    #[test]
    fn only_a_setting_that_meets_other_clients_statements_fails() {
        let status = |configured, seen| compare(configured, seen, "evidence").0;
        assert_eq!(status(Pooler::Direct, Seen::Direct), Status::Ok);
        assert_eq!(status(Pooler::Direct, Seen::Unproven), Status::Ok);
        assert_eq!(status(Pooler::Direct, Seen::Session), Status::Warning);
        assert_eq!(status(Pooler::Direct, Seen::Transaction), Status::Failed);
        assert_eq!(status(Pooler::Session, Seen::Direct), Status::Warning);
        assert_eq!(status(Pooler::Session, Seen::Session), Status::Ok);
        assert_eq!(status(Pooler::Session, Seen::Transaction), Status::Failed);
        for seen in [
            Seen::Direct,
            Seen::Unproven,
            Seen::Session,
            Seen::Transaction,
        ] {
            assert_eq!(status(Pooler::Transaction, seen), Status::Ok);
            assert_eq!(judge(None, seen, "evidence").0, Status::Ok);
        }
    }
}
