//! The functions of this build, in their own schema.

use database::{DatabaseError, Statement, Transaction};

use super::{FUNCTIONS, FUNCTIONS_SQL};

/// Builds whose functions are kept: the one in use, the one that it replaces or a rollback returns to, and one more,
/// for a rollback after a failed deploy.
const KEPT: i64 = 3;

/// Whether all exist, for the extension's current schema.
pub(super) async fn are_installed(transaction: &mut Transaction) -> Result<bool, DatabaseError> {
    let count = FUNCTIONS_SQL.matches("\nCREATE FUNCTION ").count();
    let statement = Statement::read(
        "SELECT count(*) = $2 AND count(*) FILTER (WHERE 'search_path=' || wanted.path = ANY (p.proconfig)) > 0
         FROM (
             SELECT format('%I, %I, pg_temp', $1::text, n.nspname) AS path
             FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
             WHERE e.extname = 'vector'
         ) AS wanted
         JOIN pg_proc AS p ON p.pronamespace = to_regnamespace($1::text)",
    )
    .bind(FUNCTIONS)
    .bind(i64::try_from(count).unwrap_or(i64::MAX));
    let installed: Vec<(bool,)> = transaction.fetch_all(statement).await?;
    Ok(installed == [(true,)])
}

/// Installs them. Each stores the current `search_path` (`SET search_path FROM CURRENT`), or has a body resolved now
/// (`BEGIN ATOMIC`), so that the caller's path does not matter. Tables are named with their schema, so the path needs
/// only the functions and the extension.
pub(super) async fn install(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    let schema = format!("DROP SCHEMA IF EXISTS {FUNCTIONS} CASCADE; CREATE SCHEMA {FUNCTIONS};");
    transaction.run_script(&schema).await?;
    set_path(transaction, FUNCTIONS).await?;
    transaction.run_script(FUNCTIONS_SQL).await?;
    admit(transaction).await
}

/// Lets every role that may use the schema `rappel` use the functions: a new build keeps their right to search.
async fn admit(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    let roles = Statement::read(
        "SELECT format('GRANT USAGE ON SCHEMA %I TO %s', $1::text,
                       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
         FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
         WHERE n.nspname = 'rappel' AND a.privilege_type = 'USAGE'",
    )
    .bind(FUNCTIONS);
    for (grant,) in transaction.fetch_all::<(String,)>(roles).await? {
        transaction.run_script(&grant).await?;
    }
    Ok(())
}

/// Records this build as the newest, and drops the functions of builds beyond the newest [`KEPT`]. If it is recorded
/// already, or the role lacks the right, nothing changes.
pub(super) async fn keep_newest(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    let stale = Statement::read(
        "SELECT $1::text IS DISTINCT FROM (
                    SELECT f.schema FROM rappel.functions AS f ORDER BY f.installed_at DESC LIMIT 1
                )
                AND has_table_privilege('rappel.functions', 'INSERT')
                AND has_table_privilege('rappel.functions', 'UPDATE')
                AND has_table_privilege('rappel.functions', 'DELETE')",
    )
    .bind(FUNCTIONS);
    if transaction.fetch_all::<(bool,)>(stale).await? != [(true,)] {
        return Ok(());
    }
    let newest = Statement::write(
        "INSERT INTO rappel.functions (schema) VALUES ($1)
         ON CONFLICT (schema) DO UPDATE SET installed_at = now()
         RETURNING schema",
    )
    .bind(FUNCTIONS);
    transaction.fetch_all::<(String,)>(newest).await?;
    let outdated = Statement::write(
        "DELETE FROM rappel.functions AS f
         USING pg_namespace AS n
         WHERE n.nspname = f.schema AND pg_has_role(n.nspowner, 'USAGE')
           AND f.schema IN (SELECT o.schema FROM rappel.functions AS o ORDER BY o.installed_at DESC OFFSET $1)
         RETURNING format('DROP SCHEMA %I CASCADE', f.schema)",
    )
    .bind(KEPT);
    for (drop,) in transaction.fetch_all::<(String,)>(outdated).await? {
        transaction.run_script(&drop).await?;
    }
    Ok(())
}

/// Resolves names in `schema` and in the extension's schema. Temporary objects come last, so that a session cannot
/// inject its own.
pub(super) async fn set_path(
    transaction: &mut Transaction,
    schema: &'static str,
) -> Result<(), DatabaseError> {
    let statement = Statement::read(
        "SELECT set_config('search_path', format('%I, %I, pg_temp', $1::text, n.nspname), true)
         FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'vector'",
    )
    .bind(schema);
    transaction
        .fetch_all::<(String,)>(statement)
        .await
        .map(drop)
}
