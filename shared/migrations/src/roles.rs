//! Rights of the functions' role, if it differs from the one that changes the schema.

use database::{Database, DatabaseError, Statement};

use super::FUNCTIONS;

/// Tables that functions write. A test compares these lists with the actual tables.
const WRITTEN: &[&str] = &[
    "documents",
    "chunks",
    "chunk_terms",
    "term_statistics",
    "imports",
    "import_parts",
    "import_lines",
    "import_ids",
    "sources",
    "source_changes",
    "source_attempts",
    "source_documents",
    "source_events",
    "keys",
    "tenant_removals",
    "tenant_limits",
    "usage",
];

/// Tables to which functions only add.
const APPENDED: &[&str] = &["audit"];

/// Tables that functions only read.
const READ: &[&str] = &["model", "migrations", "functions"];

/// Functions of the tables' schema that statements call.
const CALLED: &[&str] = &[
    "number_at",
    "number_key",
    "small_metadata",
    "text_at",
    "text_key",
];

/// All tables of the schema.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    [WRITTEN, APPENDED, READ].into_iter().flatten().copied()
}

/// A login's role on the server, which behind a pooler may differ from the one in its URL.
///
/// # Errors
/// Any error of the database.
pub async fn role(database: &Database) -> Result<String, DatabaseError> {
    let statement = Statement::read("SELECT current_user::text");
    let role: Option<(String,)> = database.fetch_optional(statement).await?;
    Ok(role.map(|(role,)| role).unwrap_or_default())
}

/// Grants `role` only what the functions need: to read and write documents and imports, to read everything else, and to
/// call the functions of this build. A role that may act for the owner of the tables needs nothing.
///
/// # Errors
/// [`DatabaseError::Forbidden`] if this login may not grant, or any error of the database.
pub async fn grant(database: &Database, role: &str) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await?;
    let grants = Statement::read(
        "WITH grantee AS (
             SELECT r.oid, quote_ident(r.rolname) AS name FROM pg_roles AS r WHERE r.rolname = $1
         )
         SELECT format(g.sql, grantee.name)
         FROM grantee, LATERAL (
             SELECT 1 AS place, format('GRANT USAGE ON SCHEMA rappel, %I TO %%s', $2::text) AS sql
             UNION ALL
             SELECT 2, format('GRANT SELECT, INSERT, UPDATE, DELETE ON rappel.%I TO %%s', w) FROM unnest($3) AS w
             UNION ALL
             SELECT 3, format('GRANT SELECT ON rappel.%I TO %%s', r) FROM unnest($4) AS r
             UNION ALL
             SELECT 3, format('GRANT SELECT, INSERT ON rappel.%I TO %%s', a) FROM unnest($5) AS a
             UNION ALL
             SELECT 4, format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO %%s', $2::text)
             UNION ALL
             SELECT 4, format('GRANT EXECUTE ON FUNCTION %s TO %%s', p.oid::regprocedure)
             FROM pg_proc AS p
             WHERE p.pronamespace = 'rappel'::regnamespace AND p.proname = ANY ($6)
             UNION ALL
             SELECT 5, format('GRANT USAGE ON SCHEMA %I TO %%s', n.nspname)
             FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
             WHERE e.extname = 'vector' AND NOT has_schema_privilege(grantee.oid, n.oid, 'USAGE')
         ) AS g
         WHERE NOT pg_has_role(grantee.oid, (
             SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'rappel.documents'::regclass
         ), 'USAGE')
         ORDER BY g.place",
    )
    .bind(role.to_owned())
    .bind(FUNCTIONS)
    .bind(WRITTEN)
    .bind(READ)
    .bind(APPENDED)
    .bind(CALLED);
    for (grant,) in transaction.fetch_all::<(String,)>(grants).await? {
        transaction.run_script(&grant).await?;
    }
    transaction.commit().await
}
