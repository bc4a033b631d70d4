//! Removal of everything that Rappel made in a database: its schemas, and the triggers on followed tables. It makes no roles
//! and no other objects; the extension `vector` stays, because others may use it.

use database::{Database, DatabaseError, FromRow, Statement, Transaction};
use schema::{MIGRATIONS, version};

use super::{LOCK, history::History, roles::tables};

/// What Rappel made in a database.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Installed {
    /// The database's name.
    pub database: String,
    /// The schemas: that of the tables, and one for the functions of each build.
    pub schemas: Vec<String>,
    /// Tables of the first.
    pub tables: i64,
    /// Documents in them, of all tenants.
    #[sqlx(default)]
    pub documents: i64,
    /// Tables of the user's that have triggers of Rappel, as `schema.table`.
    pub followed: Vec<String>,
    /// The schema of the extension `vector`, if it is there.
    pub extension: Option<String>,
    /// The role that may remove it.
    pub owner: String,
}

impl Installed {
    /// Whether the extension is in a schema that is removed: then it moves to the schema `public`.
    #[must_use]
    pub fn moves_extension(&self) -> bool {
        let schema = self.extension.as_ref();
        schema.is_some_and(|schema| self.schemas.contains(schema))
    }
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// Rappel may not be removed by this login or this program, or not without objects of others. Says what to do.
    #[error("Rappel is not removed: {0}")]
    Refused(String),
    /// The database's error.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    installed: Installed,
    /// Whether this login may act for the owner.
    may: bool,
}

/// What [`uninstall`] would remove; `None` if Rappel is not installed.
///
/// # Errors
/// [`UninstallError::Refused`] if this login may not remove it, a newer program made it, or the removal would take objects
/// along that are not of Rappel; these are named. Any error of the database.
pub async fn installed(database: &Database) -> Result<Option<Installed>, UninstallError> {
    let mut transaction = database.begin().await?;
    let found = look(&mut transaction).await?;
    transaction.commit().await?;
    Ok(found)
}

/// Removes all of it in one transaction, and returns it; `None` if there was nothing.
///
/// # Errors
/// Those of [`installed`]. Nothing is then removed.
pub async fn uninstall(database: &Database) -> Result<Option<Installed>, UninstallError> {
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    // Behind a transaction left open this gives up before the writers of followed tables do.
    let begin = format!("SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '5s'");
    transaction.run_script(&begin).await?;
    let Some(found) = look(&mut transaction).await? else {
        return Ok(None);
    };
    if found.moves_extension() {
        let kept = "ALTER EXTENSION vector SET SCHEMA public";
        transaction.run_script(kept).await?;
    }
    let names = quoted(&mut transaction, &found.schemas).await?;
    // What is not of Rappel was looked for: the cascade takes the triggers along, whoever owns their tables.
    let drop = format!("DROP SCHEMA {names} CASCADE");
    transaction.run_script(&drop).await?;
    transaction.commit().await?;
    Ok(Some(found))
}

async fn look(transaction: &mut Transaction) -> Result<Option<Installed>, UninstallError> {
    // A schema `rappel` without Rappel's history is somebody else's.
    let statement = Statement::read(
        "WITH ours AS (
             SELECT n.oid, n.nspname, n.nspowner FROM pg_namespace AS n
             WHERE (n.nspname = 'rappel' AND to_regclass('rappel.migrations') IS NOT NULL)
                OR n.nspname ~ '^rappel_[0-9a-f]{12}$'
         )
         SELECT current_database()::text AS database, n.schemas, n.owner,
                (SELECT count(*) FROM pg_class AS c
                 WHERE c.relnamespace = to_regnamespace('rappel') AND c.relkind IN ('r', 'p')) AS tables,
                ARRAY(SELECT DISTINCT format('%I.%I', s.nspname, c.relname)
                      FROM pg_trigger AS t
                      JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace IN (SELECT oid FROM ours)
                      JOIN pg_class AS c ON c.oid = t.tgrelid
                      JOIN pg_namespace AS s ON s.oid = c.relnamespace
                      WHERE c.relnamespace NOT IN (SELECT oid FROM ours)
                      ORDER BY 1) AS followed,
                (SELECT s.nspname::text FROM pg_extension AS e JOIN pg_namespace AS s ON s.oid = e.extnamespace
                 WHERE e.extname = 'vector') AS extension,
                n.may
         FROM (
             SELECT array_agg(o.nspname::text ORDER BY o.nspname) AS schemas,
                    bool_and(pg_has_role(o.nspowner, 'USAGE')) AS may,
                    string_agg(DISTINCT pg_get_userbyid(o.nspowner)::text, ', ') AS owner
             FROM ours AS o
         ) AS n
         WHERE n.schemas IS NOT NULL",
    );
    let rows: Vec<Row> = transaction.fetch_all(statement).await?;
    let Some(Row { mut installed, may }) = rows.into_iter().next() else {
        return Ok(None);
    };
    if !may {
        return Err(UninstallError::Refused(format!(
            "only the role {} may remove it, which made it: use its login",
            installed.owner
        )));
    }
    let newer = History::read(transaction).await?.newer();
    if !newer.is_empty() {
        return Err(UninstallError::Refused(format!(
            "a newer program made it (the migration {}), and this one has version {}: use the newer one",
            newer.join(", "),
            version()
        )));
    }
    let others = others(transaction, &installed.schemas).await?;
    if !others.is_empty() {
        return Err(UninstallError::Refused(format!(
            "these objects are not of Rappel, and would be removed with it: {}. Drop them, or move them to another schema \
             (ALTER … SET SCHEMA public)",
            others.join("; ")
        )));
    }
    if installed.tables > 0 {
        let count = Statement::read("SELECT count(*) FROM rappel.documents");
        let counted: Vec<(i64,)> = transaction.fetch_all(count).await?;
        installed.documents = counted.first().map_or(0, |(documents,)| *documents);
    }
    Ok(Some(installed))
}

/// Objects that are not of Rappel and would be dropped with its schemas: in the schema of the tables, and elsewhere if they
/// depend on Rappel's, such as a view of the documents.
async fn others(
    transaction: &mut Transaction,
    schemas: &[String],
) -> Result<Vec<String>, DatabaseError> {
    // Members of the extension move with it.
    let statement = Statement::read(
        "WITH RECURSIVE gone (classid, objid) AS (
             SELECT 'pg_namespace'::regclass::oid, n.oid FROM pg_namespace AS n WHERE n.nspname = ANY ($1)
             UNION
             SELECT d.classid, d.objid
             FROM gone AS g JOIN pg_depend AS d ON d.refclassid = g.classid AND d.refobjid = g.objid
             WHERE d.classid <> 'pg_extension'::regclass
               AND NOT EXISTS (SELECT FROM pg_depend AS e
                               WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
         ), member AS (
             SELECT g.classid, g.objid, i.object_names AS names,
                    CASE WHEN g.classid = 'pg_type'::regclass
                         THEN (SELECT n.nspname FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
                               WHERE t.oid = g.objid)
                         ELSE i.object_names[1] END AS home
             FROM gone AS g, pg_identify_object_as_address(g.classid, g.objid, 0) AS i
             WHERE g.classid NOT IN ('pg_namespace'::regclass, 'pg_default_acl'::regclass)
         )
         SELECT DISTINCT pg_describe_object(m.classid, m.objid, 0)
         FROM member AS m
         WHERE CASE
             WHEN m.home = 'pg_toast' THEN false
             WHEN m.home <> ALL ($1) THEN NOT EXISTS (
                 SELECT FROM pg_trigger AS t
                 WHERE m.classid = 'pg_trigger'::regclass AND t.oid = m.objid AND t.tgname ~ '^rappel_[0-9]+_[a-z]+$')
             WHEN m.home <> 'rappel' THEN false
             -- Sequences, indexes and the like belong to a table, which is looked at itself.
             WHEN m.classid = 'pg_class'::regclass THEN m.names[2] <> ALL ($2) AND EXISTS (
                 SELECT FROM pg_class AS c
                 WHERE c.oid = m.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
                     SELECT FROM pg_depend AS d
                     WHERE d.classid = m.classid AND d.objid = m.objid AND d.deptype IN ('a', 'i')))
             WHEN m.classid = 'pg_proc'::regclass THEN m.names[2] <> ALL ($3) AND m.names[2] !~ '^source_[0-9]+$'
             ELSE false
         END
         ORDER BY 1",
    )
    .bind(schemas.to_vec())
    .bind(tables().collect::<Vec<_>>())
    .bind(functions());
    let rows: Vec<(String,)> = transaction.fetch_all(statement).await?;
    Ok(rows.into_iter().map(|(described,)| described).collect())
}

/// The functions in the schema of the tables, as the migrations create them.
fn functions() -> Vec<&'static str> {
    let texts = MIGRATIONS.iter();
    texts
        .flat_map(|migration| migration.sql.split("FUNCTION rappel.").skip(1))
        .filter_map(|rest| Some(rest.split_once('(')?.0))
        .collect()
}

async fn quoted(transaction: &mut Transaction, names: &[String]) -> Result<String, DatabaseError> {
    let statement = Statement::read(
        "SELECT coalesce(string_agg(quote_ident(n), ', '), '') FROM unnest($1::text[]) AS n",
    )
    .bind(names.to_vec());
    let quoted: Vec<(String,)> = transaction.fetch_all(statement).await?;
    Ok(quoted.into_iter().map(|(names,)| names).collect())
}
