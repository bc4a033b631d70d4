//! Which pooler stands between a function and its server, and what that allows.

use sqlx::postgres::PgConnectOptions;

use super::Proof;
use crate::PoolerSetting;

/// How statements have to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// A server process of our own, set up by startup options: named prepared statements, one round
    /// trip each. Sent only where it is proven on each new connection: see [`Proof`].
    Direct,
    /// A pooler that keeps one server connection for a client connection, as it is said to: settings of
    /// a session hold, but statements are sent as through [`Self::Transaction`], since a pooler whose
    /// mode is not what was said would mix up named ones.
    Session,
    /// A server connection for one transaction: unnamed statements inside `BEGIN` and `COMMIT`.
    Transaction,
}

/// What stands between a connection and its server, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How statements are sent.
    pub pooler: Pooler,
    /// What was found out.
    pub proof: Proof,
}

impl Standing {
    /// What was found out and what follows, in words.
    pub(super) fn consequence(self) -> String {
        let evidence = self.proof.evidence();
        let unnamed = "statements are unnamed in transactions, four round trips each";
        match (self.pooler, self.proof) {
            (Pooler::Direct, _) => {
                format!("{evidence}; statements are named, one round trip each")
            }
            (_, Proof::StartupOptions) => format!(
                "{evidence}; {unnamed}: if no pooler is in between, DATABASE_POOLER=direct saves three"
            ),
            _ => format!("{evidence}; {unnamed}"),
        }
    }
}

impl Pooler {
    /// The pooler that `setting` names, or for `auto` the one that the address tells. What is
    /// [`Self::Direct`] by this has to be proven.
    #[must_use]
    pub fn of(setting: PoolerSetting, options: &PgConnectOptions) -> Self {
        match setting {
            PoolerSetting::Direct => Self::Direct,
            PoolerSetting::Session => Self::Session,
            PoolerSetting::Transaction => Self::Transaction,
            PoolerSetting::Auto => Self::detect(options.get_host(), options.get_port()),
        }
    }

    /// The word of `DATABASE_POOLER` for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }

    /// Tells by the address. Transaction mode works through everything, at the price of round
    /// trips, so it is the answer wherever a pooler is likely and its mode unknown.
    fn detect(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        if host.ends_with("pooler.supabase.com") {
            // Supavisor: one host, the port chooses the mode.
            return if port == 5432 {
                Self::Session
            } else {
                Self::Transaction
            };
        }
        let neon = host.contains("-pooler.") && host.ends_with(".neon.tech");
        let rds_proxy = host.contains(".proxy-") && host.contains(".rds.amazonaws.com");
        // 6543 is the pooler of Supabase, dedicated or shared; 6432 is PgBouncer's own default.
        if neon || rds_proxy || port == 6543 || port == 6432 {
            Self::Transaction
        } else {
            Self::Direct
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pooler::{self, Direct, Session, Transaction};

    #[test]
    fn the_address_tells_the_pooler() {
        for (host, port, pooler) in [
            ("aws-0-eu-west-3.pooler.supabase.com", 6543, Transaction),
            ("aws-0-eu-west-3.pooler.supabase.com", 5432, Session),
            ("db.abcdefgh.supabase.co", 5432, Direct),
            ("db.abcdefgh.supabase.co", 6543, Transaction),
            (
                "ep-cool-1234-pooler.eu-central-1.aws.neon.tech",
                5432,
                Transaction,
            ),
            ("ep-cool-1234.eu-central-1.aws.neon.tech", 5432, Direct),
            (
                "mine.proxy-abc123.eu-west-1.rds.amazonaws.com",
                5432,
                Transaction,
            ),
            ("mine.abc123.eu-west-1.rds.amazonaws.com", 5432, Direct),
            ("10.0.0.7", 6432, Transaction),
            ("localhost", 5432, Direct),
        ] {
            assert_eq!(Pooler::detect(host, port), pooler, "{host}:{port}");
        }
    }
}
