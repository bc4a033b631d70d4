//! Messages of poolers and providers. Most have one SQLSTATE for everything (`PgBouncer` 08P01, Supavisor and Neon XX000,
//! `PgCat` 58000) and put the cause in the text.

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The connection must be encrypted.
    Tls,
    /// The user, the password or the tenant is wrong.
    Login,
    /// There is no such database.
    Database,
    /// There is no connection left.
    Full,
    /// The pooler has no server at the moment.
    NoServer,
}

/// Parts of messages in lower case, the first that matches counts: a pooler quotes its server's error when it says that it
/// has no server.
const MESSAGES: &[(&str, Said)] = &[
    // PgBouncer, Postgres with only `hostssl` lines, Azure, Supavisor and Neon.
    ("ssl required", Said::Tls),
    ("no encryption", Said::Tls),
    ("ssl connection is required", Said::Tls),
    ("connection is insecure", Said::Tls),
    // PgBouncer and Postgres.
    ("no such user", Said::Login),
    ("authentication failed", Said::Login),
    // Supavisor.
    ("tenant or user not found", Said::Login),
    ("tenant/user ", Said::Login),
    ("no tenant identifier", Said::Login),
    ("user not found", Said::Login),
    ("invalid format for user or db_name", Said::Login),
    ("too many authentication failures", Said::Login),
    // RDS Proxy.
    ("no credentials for the role", Said::Login),
    ("password that was provided for the role", Said::Login),
    // PgBouncer, PgCat.
    ("no such database", Said::Database),
    ("no pool configured for database", Said::Database),
    ("cached error: fatal: database", Said::Database),
    // PgBouncer: max_client_conn, and limits of a user and a database.
    ("no more connections allowed", Said::Full),
    ("query_wait_timeout", Said::Full),
    // Supavisor.
    ("max clients reached", Said::Full),
    ("max client connections reached", Said::Full),
    ("max pools count reached", Said::Full),
    ("unable to check out", Said::Full),
    ("pool checkout timeout", Said::Full),
    // RDS Proxy, Neon.
    (
        "timed-out waiting to acquire database connection",
        Said::Full,
    ),
    ("too many database connection attempts", Said::Full),
    // PgBouncer.
    ("server login has been failing", Said::NoServer),
    ("server_login_retry", Said::NoServer),
    ("server conn crashed", Said::NoServer),
    ("pgbouncer cannot connect to server", Said::NoServer),
    // pgpool-II.
    ("all backend nodes are down", Said::NoServer),
    ("unable to read data from db node", Said::NoServer),
    ("failed to read kind from backend", Said::NoServer),
    // PgCat.
    ("allserversdown", Said::NoServer),
    ("all servers down", Said::NoServer),
    ("could not get connection from the pool", Said::NoServer),
    // Odyssey.
    ("failed to get remote server", Said::NoServer),
    ("no server connection", Said::NoServer),
    // Supavisor.
    ("dbhandler exited", Said::NoServer),
    ("connection to database closed", Said::NoServer),
    ("connection to database not available", Said::NoServer),
    ("auth_query connection failed", Said::NoServer),
    ("failed to subscribe to tenant", Said::NoServer),
    ("pool is terminating", Said::NoServer),
    // Neon, whose compute wakes.
    ("couldn't connect to compute node", Said::NoServer),
    ("control plane request failed", Said::NoServer),
];

/// What `message` says, if its words are known and its SQLSTATE is one that poolers use. A server's message of another
/// class may quote a value of the caller's.
pub(super) fn said(code: &str, message: &str) -> Option<Said> {
    let classes = ["08", "28", "53", "57", "58", "XX"];
    if !classes.iter().any(|class| code.starts_with(class)) {
        return None;
    }
    let message = message.to_lowercase();
    let found = MESSAGES.iter().find(|(words, _)| message.contains(words));
    found.map(|(_, said)| *said)
}

/// What to do about a message that does not say it.
pub(super) fn advice(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let says = |words: &str| message.contains(words);
    if says("tenant or user not found") || (says("tenant/user ") && says("not found")) {
        return Some(
            "Supabase's pooler knows no such project: the user is postgres.PROJECT, the host that of the project's own \
             region, and a paused project must be resumed",
        );
    }
    if says("max clients reached") && says("session mode") {
        return Some("the pooler's port for transaction mode, 6543, takes more clients");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Said, advice, said};

    #[test]
    fn the_message_of_a_pooler_tells_its_cause() {
        for (code, message, expected) in [
            ("08P01", "SSL required", Said::Tls),
            ("XX000", "Tenant or user not found", Said::Login),
            (
                "XX000",
                "(ENOTFOUND) tenant/user postgres.abc not found",
                Said::Login,
            ),
            (
                "08P01",
                "server login has been failing, cached error: FATAL: password authentication failed for user \"app\" \
                 (server_login_retry)",
                Said::Login,
            ),
            (
                "08P01",
                "server login has been failing, cached error: FATAL: database \"x\" does not exist (server_login_retry)",
                Said::Database,
            ),
            (
                "08P01",
                "no more connections allowed (max_client_conn)",
                Said::Full,
            ),
            (
                "08P01",
                "no more connections allowed (max_user_client_connections)",
                Said::Full,
            ),
            (
                "XX000",
                "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
                Said::Full,
            ),
            (
                "XX000",
                "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
                Said::Full,
            ),
            (
                "XX000",
                "Unable to check out process from the pool due to timeout",
                Said::Full,
            ),
            (
                "08000",
                "Timed-out waiting to acquire database connection.",
                Said::Full,
            ),
            (
                "08P01",
                "pgbouncer cannot connect to server",
                Said::NoServer,
            ),
            (
                "XX000",
                "DbHandler exited. Check logs for more information",
                Said::NoServer,
            ),
            ("XX000", "Couldn't connect to compute node", Said::NoServer),
        ] {
            assert_eq!(said(code, message), Some(expected), "{message}");
        }
        // A value of the caller's is not a message of a pooler.
        let quoted = "invalid input syntax for type json: \"max clients reached\"";
        assert_eq!(said("22P02", quoted), None);
        assert_eq!(said("XX000", "cache lookup failed for type 1"), None);
    }

    #[test]
    fn a_message_that_says_too_little_comes_with_advice() {
        let tenant = advice("(ENOTFOUND) tenant/user postgres.abc not found");
        assert!(tenant.is_some_and(|advice| advice.contains("region")));
        let session = advice("max clients reached in session mode");
        assert!(session.is_some_and(|advice| advice.contains("6543")));
        assert_eq!(advice("password authentication failed"), None);
    }
}
