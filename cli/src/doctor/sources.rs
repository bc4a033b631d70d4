//! Checks that the tables which are followed can still be read.

use database::{DatabaseError, Statement};
use retrieval::{
    SearchState,
    health::finding::{Finding, failed, not_looked_at, ok},
};
use shared::Error;

/// The followed tables of all tenants: those that the role of the functions may not read, each with the grants that its
/// owner has to run, and those that failed for another reason.
pub(super) async fn examine(state: &SearchState) -> Result<Finding, Error> {
    match tables(state).await {
        Ok(tables) => Ok(finding(&tables)),
        // A role that only searches.
        Err(DatabaseError::Forbidden(_)) => Ok(not_looked_at()),
        Err(error) => Err(error.into()),
    }
}

/// A followed table.
#[derive(database::FromRow)]
struct FollowedTable {
    table: String,
    role: String,
    /// The statements that are missing.
    grants: Option<String>,
    /// Why its source failed.
    failure: Option<String>,
}

async fn tables(state: &SearchState) -> Result<Vec<FollowedTable>, DatabaseError> {
    let mut transaction = state.database.begin().await?;
    let all = Statement::read("SELECT set_config('rappel.tenant', '*', true)");
    transaction.fetch_all::<(String,)>(all).await?;
    let statement = Statement::read(
        "SELECT format('%I.%I', s.schema_name, s.table_name) AS table, current_user::text AS role, g.grants, s.failure
         FROM rappel.sources AS s
         LEFT JOIN pg_class AS c ON c.oid = s.relation
         LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
         CROSS JOIN LATERAL (
             SELECT string_agg(sql, '; ') AS grants
             FROM (VALUES
                 (has_schema_privilege(n.oid, 'USAGE'), format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, current_user)),
                 (has_table_privilege(c.oid, 'SELECT'),
                  format('GRANT SELECT ON %I.%I TO %I', n.nspname, c.relname, current_user))
             ) AS needed (has, sql)
             WHERE NOT has
         ) AS g
         WHERE s.phase IS DISTINCT FROM 'removal'
         ORDER BY s.tenant, s.name",
    );
    let tables = transaction.fetch_all(statement).await?;
    transaction.commit().await?;
    Ok(tables)
}

fn finding(tables: &[FollowedTable]) -> Finding {
    let grants: Vec<&str> = tables
        .iter()
        .filter_map(|it| it.grants.as_deref())
        .collect();
    if let Some(first) = tables.iter().find(|it| it.grants.is_some()) {
        let found = format!(
            "the role {} may not read {} of {} followed tables; missing: {}",
            first.role,
            grants.len(),
            tables.len(),
            grants.join("; ")
        );
        return failed(found, "have the owners of the tables run these statements");
    }
    let broken = tables
        .iter()
        .find_map(|it| Some((it, it.failure.as_ref()?)));
    match broken {
        Some((it, failure)) => failed(
            format!("{} cannot be followed: {failure}", it.table),
            "see `rappel sources list`",
        ),
        None => ok(format!("{} tables are followed", tables.len())),
    }
}
