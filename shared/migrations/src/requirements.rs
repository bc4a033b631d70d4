//! Requirements of schema changes on a database: each missing one has its own message.

use database::{DatabaseError, Statement, Transaction};

use super::functions::set_path;

/// The oldest pgvector with iterative index scans, without which filtered searches miss hits.
pub const PGVECTOR: (u32, u32) = (0, 8);

/// The properties of server and role that a migration depends on.
#[derive(database::FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent answers of one look at the server"
)]
struct Server {
    role: String,
    database: String,
    standby: bool,
    read_only: bool,
    /// The extension's version in this database.
    extension: Option<String>,
    /// Its schema.
    extension_schema: Option<String>,
    /// Whether the role may use it.
    may_use_extension: Option<bool>,
    /// The version available on the server.
    available: Option<String>,
    /// The schema for `CREATE EXTENSION`.
    first_schema: Option<String>,
    /// Whether the role may create schemas.
    may_create: bool,
    /// Whether the schema `rappel` exists.
    has_schema: bool,
    /// The tables' owner, if the role may not act for it.
    owner: Option<String>,
}

/// Checks the server and the role, creates the extension and the schema `rappel` if missing, and adds both to the path.
pub(super) async fn meet(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    let server: Vec<Server> = transaction.fetch_all(Statement::read(LOOK)).await?;
    let Some(server) = server.into_iter().next() else {
        return Err(DatabaseError::Migration(
            "the server did not report its version and settings".to_owned(),
        ));
    };
    server.check().map_err(DatabaseError::Migration)?;
    // Checked first: `IF NOT EXISTS` requires the right to create even what exists.
    if !server.has_schema {
        transaction.run_script("CREATE SCHEMA rappel").await?;
    }
    if server.extension.is_none() {
        server.create_extension(transaction).await?;
    }
    set_path(transaction, "rappel").await?;
    // A session knows the settings `hnsw.*` only once the extension's library is loaded, which the cast does.
    transaction.run_script("SELECT '[1]'::vector").await
}

const LOOK: &str = "
    SELECT current_user::text AS role, current_database()::text AS database, pg_is_in_recovery() AS standby,
           current_setting('transaction_read_only')::boolean AS read_only,
           e.extversion AS extension, n.nspname::text AS extension_schema,
           has_schema_privilege(n.oid, 'USAGE') AS may_use_extension,
           (SELECT a.default_version FROM pg_available_extensions AS a WHERE a.name = 'vector') AS available,
           current_schema()::text AS first_schema,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           EXISTS (SELECT FROM pg_namespace WHERE nspname = 'rappel') AS has_schema,
           (
               SELECT pg_get_userbyid(c.relowner)::text
               FROM pg_class AS c JOIN pg_namespace AS r ON r.oid = c.relnamespace
               WHERE r.nspname = 'rappel' AND c.relname = 'documents' AND NOT pg_has_role(c.relowner, 'USAGE')
           ) AS owner
    FROM (SELECT) AS one
    LEFT JOIN pg_extension AS e ON e.extname = 'vector'
    LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace
";

impl Server {
    /// The problem, and how to solve it.
    fn check(&self) -> Result<(), String> {
        let Self { role, database, .. } = self;
        if self.standby {
            return Err(
                "the server is a standby, which is read-only: migrate on the primary".to_owned(),
            );
        }
        if self.read_only {
            return Err(format!(
                "transactions of {role} in {database} are read-only: connect to a server that takes writes, or \
                 unset default_transaction_read_only for the role and the database"
            ));
        }
        self.check_extension()?;
        if let Some(owner) = &self.owner {
            return Err(format!(
                "Rappel's tables are owned by the role {owner}: migrate as {owner}, \
                 or GRANT {owner} TO {role}"
            ));
        }
        if !self.may_create {
            return Err(format!(
                "the role {role} cannot create schemas in {database}: run GRANT CREATE ON DATABASE {database} TO \
                 {role}, or migrate as a role that may (MIGRATION_DATABASE_URL)"
            ));
        }
        Ok(())
    }

    fn check_extension(&self) -> Result<(), String> {
        let Self { role, database, .. } = self;
        let is_new = |version: &str| major_minor(version) >= PGVECTOR;
        match (&self.extension, &self.available) {
            (Some(version), _) if is_new(version) => {}
            (Some(version), Some(available)) if is_new(available) => {
                return Err(format!(
                    "pgvector {version} in {database} is too old, 0.8 or newer is needed: run ALTER EXTENSION \
                     vector UPDATE as the extension's owner, which makes it {available}"
                ));
            }
            (Some(version), _) | (None, Some(version)) if !is_new(version) => {
                return Err(format!(
                    "the server has pgvector {version}, which is too old: install 0.8 or newer there"
                ));
            }
            (None, None) => {
                return Err(
                    "the server has no pgvector: install version 0.8 or newer there".to_owned(),
                );
            }
            _ => {}
        }
        match (&self.extension_schema, self.may_use_extension) {
            (Some(schema), Some(false)) => Err(format!(
                "the role {role} has no USAGE privilege on the schema {schema}, which contains pgvector: run GRANT \
                 USAGE ON SCHEMA \
                 {schema} TO {role}"
            )),
            _ => Ok(()),
        }
    }

    /// Creates it in the first schema of the role's path, or beside the tables without one.
    async fn create_extension(&self, transaction: &mut Transaction) -> Result<(), DatabaseError> {
        let create = if self.first_schema.is_some() {
            "CREATE EXTENSION vector"
        } else {
            "CREATE EXTENSION vector SCHEMA rappel"
        };
        match transaction.run_script(create).await {
            Err(DatabaseError::Forbidden(_)) => Err(DatabaseError::Migration(format!(
                "the role {} cannot create the extension vector: have an administrator run CREATE EXTENSION vector in \
                 {}, then migrate again",
                self.role, self.database
            ))),
            outcome => outcome,
        }
    }
}

/// The first two numbers of a version such as `0.8.5`; non-numbers count as 0.
#[must_use]
pub fn major_minor(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(major_minor("0.8.5") >= PGVECTOR);
        assert!(major_minor("0.10.0") >= PGVECTOR);
        assert!(major_minor("1.0") >= PGVECTOR);
        assert!(major_minor("0.7.4") < PGVECTOR);
    }
}
