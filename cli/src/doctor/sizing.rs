//! Whether the server has room for the functions' connections.

use database::{DatabaseError, Statement};
use retrieval::{
    SearchState,
    health::finding::{Finding, failed, ok, warning},
};
use serde::Serialize;

/// The connections that the functions may open at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// Sandboxes of all functions together: the account's concurrency, or the reserved one.
    pub(crate) sandboxes: u32,
    /// Connections of one sandbox: the requests that it serves at a time.
    pub(crate) connections_per_sandbox: u32,
}

/// The sum of sandboxes, connections and limits.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sizing {
    /// Sandboxes of all functions together.
    pub(crate) sandboxes: u32,
    /// Connections of one sandbox.
    pub(crate) connections_per_sandbox: u32,
    /// Connections that they open at a time.
    pub(crate) needed: i64,
    /// Server connections that the role may have, beyond those that others use now.
    pub(crate) free: i64,
    /// The sandboxes that fit into them.
    pub(crate) fitting_sandboxes: i64,
    /// Whether a transaction-mode pooler shares the server's connections among the sandboxes.
    pub(crate) pooled: bool,
    /// The clients that a pgpool-II in between serves at a time: its `num_init_children`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pooler_clients: Option<i64>,
}

/// What is in between, as far as it bounds connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    /// Whether a pooler shares server connections among its clients.
    pub(super) pooled: bool,
    /// The clients that it serves at a time, if it tells.
    pub(super) clients: Option<i64>,
}

/// What the server allows, and what is in use. A limit of -1 is none.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Room {
    max_connections: i32,
    reserved: i32,
    role_limit: i32,
    database_limit: i32,
    in_use: i64,
    /// Those in use by others than Rappel: of all, of this role, and of this database.
    others: i64,
    role_others: i64,
    database_others: i64,
}

/// Asks the server. Who sees a session's `backend_type` depends on the role, who sees its user does
/// not, and the server's own processes have none.
pub(super) async fn room(state: &SearchState) -> Result<Room, DatabaseError> {
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
    let room = state.database.fetch_optional(statement).await?;
    room.ok_or_else(|| DatabaseError::Statement(sqlx::Error::RowNotFound.into()))
}

impl Room {
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
                format!("{found}: none is left for Rappel"),
                "end connections of others, or raise the limit that is reached",
            )
        }
    }

    pub(super) fn size(&self, demand: Demand, way: Way) -> Sizing {
        let Demand {
            sandboxes,
            connections_per_sandbox,
        } = demand;
        let free = self.free();
        // Each client of pgpool-II has a server connection: the lower number counts.
        let fitting = way.clients.unwrap_or(free).min(free);
        Sizing {
            sandboxes,
            connections_per_sandbox,
            needed: i64::from(sandboxes) * i64::from(connections_per_sandbox),
            free,
            fitting_sandboxes: fitting / i64::from(connections_per_sandbox.max(1)),
            pooled: way.pooled,
            pooler_clients: way.clients,
        }
    }

    /// The least that a limit leaves; Rappel's own connections of now are a part of its demand.
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
                "{sum} to the pooler, whose limits count instead of the server's: it has to accept {needed} clients, \
                 and its pool may hold up to the {free} connections that the server has free"
            ));
        }
        if let Some(clients) = pooler_clients.filter(|clients| clients < needed) {
            return warning(
                format!("{sum}, but pgpool-II serves {clients} clients at a time"),
                format!(
                    "raise num_init_children, whose product with max_pool the server has to have room for, or \
                     reserve a concurrency of {fitting_sandboxes} for all functions together \
                     (ReservedConcurrentExecutions)"
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
                "raise the server's limit, or go through a transaction-mode pooler",
            );
        }
        warning(
            found,
            format!(
                "reserve a concurrency of {fitting_sandboxes} for all functions together \
                 (ReservedConcurrentExecutions), or go through a transaction-mode pooler"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrieval::health::Status;

    const ROOM: Room = Room {
        max_connections: 100,
        reserved: 3,
        role_limit: -1,
        database_limit: -1,
        in_use: 12,
        others: 7,
        role_others: 2,
        database_others: 5,
    };

    const DIRECT: Way = Way {
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
    fn what_others_use_and_what_is_reserved_is_not_free() {
        let sizing = ROOM.size(demand(90, 1), DIRECT);
        assert_eq!((sizing.needed, sizing.free), (90, 90));
        assert_eq!(sizing.finding().0, Status::Ok);
        let sizing = ROOM.size(demand(91, 1), DIRECT);
        assert_eq!(sizing.finding().0, Status::Warning);
        assert_eq!(ROOM.size(demand(91, 4), DIRECT).fitting_sandboxes, 22);
    }

    #[test]
    fn the_lowest_limit_counts() {
        let role = Room {
            role_limit: 20,
            database_limit: 40,
            ..ROOM
        };
        assert_eq!(role.size(demand(1, 1), DIRECT).free, 18);
        let full = Room {
            database_limit: 5,
            ..ROOM
        };
        assert_eq!(full.finding().0, Status::Failed);
        assert_eq!(full.size(demand(1, 1), DIRECT).finding().0, Status::Failed);
    }

    #[test]
    fn behind_a_transaction_mode_pooler_the_servers_limit_does_not_count() {
        let pooled = Way {
            pooled: true,
            ..DIRECT
        };
        let sizing = ROOM.size(demand(1_000, 1), pooled);
        assert_eq!(sizing.finding().0, Status::Ok);
    }

    #[test]
    fn behind_pgpool_its_clients_count_too() {
        let pgpool = Way {
            clients: Some(32),
            ..DIRECT
        };
        let sizing = ROOM.size(demand(40, 1), pgpool);
        assert_eq!(sizing.fitting_sandboxes, 32);
        assert_eq!(sizing.finding().0, Status::Warning);
        assert_eq!(ROOM.size(demand(32, 1), pgpool).finding().0, Status::Ok);
    }
}
