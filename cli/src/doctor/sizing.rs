//! Checks that the server has enough connections for the functions.

use database::{DatabaseError, Statement};
use retrieval::{
    SearchState,
    health::finding::{Finding, failed, ok, warning},
};
use serde::Serialize;

/// How the template limits the sandboxes of nine functions, the import worker, `sync` (two) and `migrate`.
const RESERVE: &str = "in the template, ReservedConcurrency = (that - ImportConcurrency - 3) / 9";

/// The connections that the functions may open at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// Sandboxes of all functions together: the account's or the reserved concurrency.
    pub(crate) sandboxes: u32,
    /// Connections per sandbox: the requests that it serves at a time.
    pub(crate) connections_per_sandbox: u32,
}

/// Demand compared with the limits.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sizing {
    /// Sandboxes of all functions together.
    pub(crate) sandboxes: u32,
    /// Connections per sandbox.
    pub(crate) connections_per_sandbox: u32,
    /// Connections in total.
    pub(crate) needed: i64,
    /// Server connections available to the role, minus those in use by others.
    pub(crate) free: i64,
    /// The number of sandboxes that fit.
    pub(crate) fitting_sandboxes: i64,
    /// Whether a transaction-mode pooler shares server connections among the sandboxes.
    pub(crate) pooled: bool,
    /// The clients that a pgpool-II serves at a time: its `num_init_children`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pooler_clients: Option<i64>,
}

/// The pooler's effect on the number of connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolerLimits {
    /// Whether it shares server connections among its clients.
    pub(super) pooled: bool,
    /// The clients that it serves at a time, if it reports that.
    pub(super) clients: Option<i64>,
}

/// The server's limits and current use. A limit of -1 means unlimited.
#[derive(Debug, database::FromRow)]
pub(super) struct Capacity {
    max_connections: i32,
    reserved: i32,
    role_limit: i32,
    database_limit: i32,
    in_use: i64,
    /// Connections in use by others than Rappel: in total, of this role, of this database.
    others: i64,
    role_others: i64,
    database_others: i64,
}

/// Reads them from the server. The visibility of a session's `backend_type` depends on the role, that of its user
/// does not; the server's own processes have no user.
pub(super) async fn capacity(state: &SearchState) -> Result<Capacity, DatabaseError> {
    let statement = Statement::read(
        "WITH client AS (
             SELECT usename = current_user AS same_role, datname = current_database() AS same_database,
                    coalesce(application_name, '') LIKE 'rappel-%' AS ours
             FROM pg_stat_activity
             WHERE usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
         )
         SELECT current_setting('max_connections')::integer AS max_connections,
                current_setting('superuser_reserved_connections')::integer
                    + coalesce(current_setting('reserved_connections', true)::integer, 0) AS reserved,
                (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
                (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
                count(*) AS in_use,
                count(*) FILTER (WHERE NOT ours) AS others,
                count(*) FILTER (WHERE NOT ours AND same_role) AS role_others,
                count(*) FILTER (WHERE NOT ours AND same_database) AS database_others
         FROM client",
    );
    let capacity = state.database.fetch_optional(statement).await?;
    capacity.ok_or_else(|| DatabaseError::Statement(sqlx::Error::RowNotFound.into()))
}

impl Capacity {
    pub(super) fn finding(&self) -> Finding {
        let limit = |limit: i32| match limit {
            ..0 => "none".to_owned(),
            limit => limit.to_string(),
        };
        let found = format!(
            "{} of {} in use, {} reserved for administrators; limit of the role {}, of the database {}",
            self.in_use,
            self.max_connections,
            self.reserved,
            limit(self.role_limit),
            limit(self.database_limit)
        );
        if self.free() > 0 {
            ok(found)
        } else {
            failed(
                format!("{found}: no connection is left for Rappel"),
                "close connections of others, or raise the exhausted limit",
            )
        }
    }

    pub(super) fn size(&self, demand: Demand, pooler: PoolerLimits) -> Sizing {
        let Demand {
            sandboxes,
            connections_per_sandbox,
        } = demand;
        let free = self.free();
        // Each client of pgpool-II takes a server connection: the lower limit applies.
        let fitting = pooler.clients.unwrap_or(free).min(free);
        Sizing {
            sandboxes,
            connections_per_sandbox,
            needed: i64::from(sandboxes) * i64::from(connections_per_sandbox),
            free,
            fitting_sandboxes: fitting / i64::from(connections_per_sandbox.max(1)),
            pooled: pooler.pooled,
            pooler_clients: pooler.clients,
        }
    }

    /// The minimum over all limits; Rappel's current connections are part of its demand.
    fn free(&self) -> i64 {
        let server = i64::from(self.max_connections) - i64::from(self.reserved) - self.others;
        let left = |limit: i32, others: i64| (limit >= 0).then(|| i64::from(limit) - others);
        [
            left(self.role_limit, self.role_others),
            left(self.database_limit, self.database_others),
        ]
        .into_iter()
        .flatten()
        .fold(server, i64::min)
        .max(0)
    }
}

impl Sizing {
    pub(super) fn finding(&self) -> Finding {
        let Self {
            sandboxes,
            connections_per_sandbox,
            needed,
            free,
            fitting_sandboxes,
            pooled,
            pooler_clients,
        } = self;
        let sum =
            format!("{sandboxes} sandboxes × {connections_per_sandbox} = {needed} connections");
        if *pooled {
            return ok(format!(
                "{sum} to the pooler, whose limits apply instead of the server's: it must accept {needed} clients, \
                 and its pool may hold up to the {free} connections that the server has free"
            ));
        }
        if let Some(clients) = pooler_clients.filter(|clients| clients < needed) {
            return warning(
                format!("{sum}, but pgpool-II serves {clients} clients at a time"),
                format!(
                    "raise num_init_children (times max_pool, it must fit the server's max_connections), or \
                     limit all functions together to {fitting_sandboxes} sandboxes: {RESERVE}"
                ),
            );
        }
        if needed <= free {
            return ok(format!(
                "{sum}, {free} are free; {fitting_sandboxes} sandboxes would fit"
            ));
        }
        let found = format!("{sum}, but only {free} are free");
        if *fitting_sandboxes == 0 {
            return failed(
                found,
                "raise the server's limit, or use a transaction-mode pooler",
            );
        }
        warning(
            found,
            format!(
                "limit all functions together to {fitting_sandboxes} sandboxes ({RESERVE}), or go through a \
                 transaction-mode pooler"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrieval::health::Status;

    const CAPACITY: Capacity = Capacity {
        max_connections: 100,
        reserved: 3,
        role_limit: -1,
        database_limit: -1,
        in_use: 12,
        others: 7,
        role_others: 2,
        database_others: 5,
    };

    const DIRECT: PoolerLimits = PoolerLimits {
        pooled: false,
        clients: None,
    };

    fn demand(sandboxes: u32, connections_per_sandbox: u32) -> Demand {
        Demand {
            sandboxes,
            connections_per_sandbox,
        }
    }

    #[test]
    fn used_and_reserved_connections_are_not_free() {
        let sizing = CAPACITY.size(demand(90, 1), DIRECT);
        assert_eq!((sizing.needed, sizing.free), (90, 90));
        assert_eq!(sizing.finding().0, Status::Ok);
        let sizing = CAPACITY.size(demand(91, 1), DIRECT);
        assert_eq!(sizing.finding().0, Status::Warning);
        assert_eq!(CAPACITY.size(demand(91, 4), DIRECT).fitting_sandboxes, 22);
    }

    #[test]
    fn the_lowest_limit_applies() {
        let role = Capacity {
            role_limit: 20,
            database_limit: 40,
            ..CAPACITY
        };
        assert_eq!(role.size(demand(1, 1), DIRECT).free, 18);
        let full = Capacity {
            database_limit: 5,
            ..CAPACITY
        };
        assert_eq!(full.finding().0, Status::Failed);
        assert_eq!(full.size(demand(1, 1), DIRECT).finding().0, Status::Failed);
    }

    #[test]
    fn behind_a_transaction_mode_pooler_the_servers_limit_does_not_apply() {
        let pooled = PoolerLimits {
            pooled: true,
            ..DIRECT
        };
        let sizing = CAPACITY.size(demand(1_000, 1), pooled);
        assert_eq!(sizing.finding().0, Status::Ok);
    }

    #[test]
    fn behind_pgpool_its_limit_of_clients_applies_too() {
        let pgpool = PoolerLimits {
            clients: Some(32),
            ..DIRECT
        };
        let sizing = CAPACITY.size(demand(40, 1), pgpool);
        assert_eq!(sizing.fitting_sandboxes, 32);
        assert_eq!(sizing.finding().0, Status::Warning);
        assert_eq!(CAPACITY.size(demand(32, 1), pgpool).finding().0, Status::Ok);
    }
}
