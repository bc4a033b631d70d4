//! Detects a pooler by its behaviour and compares it with the setting.
//!
//! A client whose transactions run on several server processes, or that shares one with another client, is behind
//! a transaction-mode pooler; one whose startup options do not reach the server process is behind a pooler of some
//! mode. Nothing is prepared and nothing set, so that nothing is left for the pooler's other clients.

use std::collections::BTreeSet;

use database::{Cause, DatabaseError, Pooler, Probe, ProbeConnection, Proof};
use retrieval::health::finding::{Finding, TRANSACTION_REMEDY, failed, ok, warning};

use super::sizing::PoolerLimits;

/// The result of the check.
pub(super) struct Examined {
    pub(super) finding: Finding,
    /// Its effect on the number of connections.
    pub(super) limits: PoolerLimits,
}

/// The observed behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    /// Proven: no pooler.
    Direct,
    /// No sign of a pooler, but no proof either.
    Unproven,
    /// A pooler that assigns a server process to one client at a time.
    Session,
    /// A pooler whose server processes serve any client's transactions.
    Transaction,
}

/// Transactions on one connection while another holds a transaction open. A multiplexing pooler shows at the first,
/// because the second client gets the free server process.
const TRANSACTIONS: usize = 10;

const PID: &str = "SELECT pg_backend_pid()";

/// Observes, and compares with the setting. `None` if no connection can be opened.
///
/// # Errors
/// An error of the server during the observation.
pub(super) async fn examine(probe: &Probe) -> Result<Option<Examined>, DatabaseError> {
    let Ok(mut ours) = probe.connect().await else {
        return Ok(None);
    };
    let pgpool = Pgpool::behind(&mut ours).await;
    let (seen, evidence) = match &pgpool {
        // It may keep server connections of disconnected clients: observations vary between runs, but none of them
        // is a shared transaction.
        Some(pgpool) => (Observed::Session, pgpool.to_string()),
        None => observe(probe, &mut ours).await?,
    };
    ours.close().await;
    Ok(Some(Examined {
        finding: judge(probe.pooler(), seen, &evidence),
        limits: PoolerLimits {
            pooled: seen == Observed::Transaction,
            clients: pgpool.and_then(|pgpool| pgpool.clients),
        },
    }))
}

fn judge(configured: Option<Pooler>, seen: Observed, evidence: &str) -> Finding {
    match configured {
        Some(configured) => compare(configured, seen, evidence),
        None => ok(automatic(seen, evidence)),
    }
}

/// The finding under `auto`, where a setting only improves speed.
fn automatic(seen: Observed, evidence: &str) -> String {
    let unnamed = "statements are unnamed in transactions, four round trips each";
    let look = "saves a probe per connection";
    match seen {
        Observed::Direct => {
            format!("no pooler: {evidence}; statements are named, one round trip each")
        }
        Observed::Unproven => format!(
            "no sign of a pooler, but no proof that there is none: {evidence}; {unnamed}: if there is none, \
             DATABASE_POOLER=direct saves three"
        ),
        Observed::Session => format!("{evidence}; {unnamed}; DATABASE_POOLER=session {look}"),
        Observed::Transaction => {
            format!("{evidence}; {unnamed}; DATABASE_POOLER=transaction {look}")
        }
    }
}

fn compare(configured: Pooler, seen: Observed, evidence: &str) -> Finding {
    let found = format!("{} as configured; {evidence}", name(configured));
    let differs = format!("{} is configured, but {evidence}", name(configured));
    let saves = "DATABASE_POOLER=direct saves 3 round trips per statement";
    match (configured, seen) {
        (Pooler::Direct, Observed::Direct)
        | (Pooler::Session, Observed::Session)
        | (Pooler::Transaction, Observed::Transaction) => ok(found),
        (_, Observed::Transaction) => failed(differs, TRANSACTION_REMEDY),
        (Pooler::Direct, Observed::Session) => warning(
            differs,
            "set DATABASE_POOLER=session, or transaction, which works through every pooler",
        ),
        (Pooler::Direct, Observed::Unproven) => ok(format!(
            "no sign of a pooler, as configured: {evidence}; statements are named since \
             DATABASE_POOLER=direct says that there is none"
        )),
        (Pooler::Session, Observed::Direct) => warning(differs, format!("{saves}: set it")),
        (Pooler::Session, Observed::Unproven) => {
            ok(format!("{found}: if there is no pooler, {saves}"))
        }
        // Observation cannot exclude a pooler that had no reason to switch, and this mode works with everything.
        (Pooler::Transaction, Observed::Direct | Observed::Unproven) => ok(format!(
            "transaction mode is configured, which works everywhere; {evidence}: if there is no pooler, {saves}"
        )),
        (Pooler::Transaction, Observed::Session) => ok(format!(
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
) -> Result<(Observed, String), DatabaseError> {
    if let Some(evidence) = shares(probe, ours).await? {
        return Ok((Observed::Transaction, evidence));
    }
    let proof = match probe.prove().await {
        Ok(standing) => standing.proof,
        // This connection has the pooler's last server process.
        Err(DatabaseError::Unavailable {
            cause: Cause::TooManyClients | Cause::Timeout,
            ..
        }) => Proof::Unknown,
        Err(error) => return Err(error),
    };
    let evidence = proof.evidence();
    Ok(match proof {
        Proof::ClientAddress => (
            Observed::Direct,
            format!("each connection has its own server process: {evidence}"),
        ),
        Proof::StartupOptions | Proof::Unknown | Proof::NotAsked => {
            (Observed::Unproven, evidence.to_owned())
        }
        Proof::Disproved => (
            Observed::Session,
            format!(
                "{evidence}, and no server process serves two clients at a time, as behind a session-mode pooler"
            ),
        ),
    })
}

/// Whether clients share server processes; `Some` with the evidence.
async fn shares(
    probe: &Probe,
    ours: &mut ProbeConnection,
) -> Result<Option<String>, DatabaseError> {
    let mut met = BTreeSet::from([one::<i32>(ours, PID).await?]);
    let Ok(mut other) = probe.connect().await else {
        // Without a second connection nothing is proven.
        return Ok(None);
    };
    let mut shared = false;
    for _ in 0..TRANSACTIONS {
        let Ok(theirs) = one::<i32>(&mut other, &format!("BEGIN; {PID}")).await else {
            // A session-mode pooler whose only server process serves this connection.
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
        "one server process serves several clients in turn, as behind a transaction-mode pooler"
            .to_owned()
    }))
}

/// A pgpool-II, recognised by its own commands.
struct Pgpool {
    version: String,
    /// `num_init_children` minus the reserved ones: the clients that it serves at a time.
    clients: Option<i64>,
}

impl Pgpool {
    async fn behind(connection: &mut ProbeConnection) -> Option<Self> {
        // Postgres rejects this as an unknown setting.
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
    fn only_a_setting_that_risks_other_clients_statements_fails() {
        let status = |configured, seen| compare(configured, seen, "evidence").0;
        assert_eq!(status(Pooler::Direct, Observed::Direct), Status::Ok);
        assert_eq!(status(Pooler::Direct, Observed::Unproven), Status::Ok);
        assert_eq!(status(Pooler::Direct, Observed::Session), Status::Warning);
        assert_eq!(
            status(Pooler::Direct, Observed::Transaction),
            Status::Failed
        );
        assert_eq!(status(Pooler::Session, Observed::Direct), Status::Warning);
        assert_eq!(status(Pooler::Session, Observed::Session), Status::Ok);
        assert_eq!(
            status(Pooler::Session, Observed::Transaction),
            Status::Failed
        );
        for seen in [
            Observed::Direct,
            Observed::Unproven,
            Observed::Session,
            Observed::Transaction,
        ] {
            assert_eq!(status(Pooler::Transaction, seen), Status::Ok);
            assert_eq!(judge(None, seen, "evidence").0, Status::Ok);
        }
    }
}
