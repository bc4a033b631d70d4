//! The pooler between a function and its server, and what it allows.

use sqlx::postgres::PgConnectOptions;

use super::Proof;
use crate::PoolerSetting;

/// How statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// A dedicated server process, set up by startup options: named prepared statements, one round trip each. Only
    /// where each new connection proves it: see [`Proof`].
    Direct,
    /// A session-mode pooler, as configured: session settings hold, but statements are sent as through
    /// [`Self::Transaction`], since a pooler in another mode would mix up named ones.
    Session,
    /// A server connection for one transaction: unnamed statements inside `BEGIN` and `COMMIT`.
    Transaction,
}

/// The pooler of a connection, and its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How statements are sent.
    pub pooler: Pooler,
    /// The proof.
    pub proof: Proof,
}

impl Standing {
    /// The proof and its consequence, in words.
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
    /// The pooler that `setting` names or, for `auto`, the address implies. [`Self::Direct`] still needs proof.
    #[must_use]
    pub fn of(setting: PoolerSetting, options: &PgConnectOptions) -> Self {
        match setting {
            PoolerSetting::Direct => Self::Direct,
            PoolerSetting::Session => Self::Session,
            PoolerSetting::Transaction => Self::Transaction,
            PoolerSetting::Auto => Self::detect(options.get_host(), options.get_port()),
        }
    }

    /// Its value in `DATABASE_POOLER`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }

    /// Detects it by the address. Transaction mode works everywhere, at the price of round trips, so it is the choice
    /// wherever a pooler is likely and its mode unknown.
    fn detect(host: &str, port: u16) -> Self {
        let host = host.to_ascii_lowercase();
        if host.ends_with("pooler.supabase.com") {
            // Supavisor: one host; the port selects the mode.
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
    fn the_address_identifies_the_pooler() {
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
