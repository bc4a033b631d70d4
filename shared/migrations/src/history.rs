//! The applied migrations of a database, compared with this program's.

use database::{DatabaseError, Statement, Transaction};
use embedder::Manifest;
use schema::{MIGRATIONS, Migration, version};

/// The rows of `rappel.migrations`, in order.
pub(super) struct History(Vec<Applied>);

#[derive(database::FromRow)]
struct Applied {
    version: i32,
    name: String,
    /// Absent if applied before releases recorded checksums.
    checksum: Option<String>,
}

impl History {
    /// Reads the history; without the table, nothing was applied.
    pub(super) async fn read(transaction: &mut Transaction) -> Result<Self, DatabaseError> {
        let table = Statement::read("SELECT to_regclass('rappel.migrations') IS NOT NULL");
        let there: Vec<(bool,)> = transaction.fetch_all(table).await?;
        if there != [(true,)] {
            return Ok(Self(Vec::new()));
        }
        // As JSON, since the column exists only from the first recorded checksum on.
        let rows = Statement::read(
            "SELECT m.version, m.name, to_jsonb(m) ->> 'checksum' AS checksum
             FROM rappel.migrations AS m ORDER BY m.version",
        );
        Ok(Self(transaction.fetch_all(rows).await?))
    }

    /// The number of the last migration; 0 before the first.
    pub(super) fn version(&self) -> i32 {
        self.0.last().map_or(0, |applied| applied.version)
    }

    /// Names of migrations of a newer program.
    pub(super) fn newer(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|applied| applied.version > version())
            .map(|applied| applied.name.clone())
            .collect()
    }

    /// The pending migrations, in order. Applied migrations beyond this program's last one are from a newer one, which
    /// only added to it.
    pub(super) fn pending(&self) -> Result<Vec<&'static Migration>, DatabaseError> {
        let baseline = MIGRATIONS.first().map_or(0, |migration| migration.version);
        if (1..baseline).contains(&self.version()) {
            return Err(refused(format!(
                "the schema is at version {}, which is too old for this program: first migrate with the last release \
                 before checksums, which leaves version {baseline}",
                self.version()
            )));
        }
        for applied in &self.0 {
            let ours = migration(applied.version);
            let adopted = applied.version == baseline && applied.checksum.is_none();
            match ours {
                _ if applied.version < baseline || applied.version > version() || adopted => {}
                Some(ours) if applied.checksum.as_deref() == Some(ours.checksum) => {}
                Some(ours) => {
                    return Err(refused(format!(
                        "the database has applied the migration {} with a different text than this program's {}: an \
                         applied migration must never be edited. Use the program that migrated the database",
                        applied.name, ours.name
                    )));
                }
                None => {
                    return Err(refused(format!(
                        "the database has applied the migration {}, which this program does not have: use the program \
                         that migrated the database",
                        applied.name
                    )));
                }
            }
        }
        let is_pending = |migration: &&Migration| {
            !self
                .0
                .iter()
                .any(|applied| applied.version == migration.version)
        };
        Ok(MIGRATIONS.iter().filter(is_pending).collect())
    }

    /// Applies and records `pending`.
    pub(super) async fn apply(
        &mut self,
        transaction: &mut Transaction,
        pending: &[&'static Migration],
        manifest: &Manifest,
    ) -> Result<(), DatabaseError> {
        if self.version() > 0 && !pending.is_empty() {
            transaction.run_script(LOCK).await?;
        }
        transaction.run_script(PREPARE).await?;
        self.adopt_baseline(transaction).await?;
        for migration in pending {
            let sql = migration
                .sql
                .replace("{dimensions}", &manifest.dimensions.to_string());
            transaction.run_script(&sql).await?;
            let record = Statement::write(
                "INSERT INTO rappel.migrations (version, name, checksum) VALUES ($1, $2, $3)
                 RETURNING version, name, checksum",
            )
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.checksum);
            self.0
                .extend(transaction.fetch_all::<Applied>(record).await?);
        }
        self.0.sort_by_key(|applied| applied.version);
        if !pending.is_empty() {
            self.audit(transaction, pending).await?;
        }
        Ok(())
    }

    /// Notes in the audit what was applied.
    async fn audit(
        &self,
        transaction: &mut Transaction,
        applied: &[&'static Migration],
    ) -> Result<(), DatabaseError> {
        let names: Vec<String> = applied.iter().map(|it| it.name.to_owned()).collect();
        let audit = Statement::write(
            "INSERT INTO rappel.audit (actor, act, subject, detail)
             VALUES (current_user, 'schema.migrate', $1, jsonb_build_object('applied', $2::text[])) RETURNING id",
        )
        .bind(self.version().to_string())
        .bind(names);
        transaction.fetch_all::<(i64,)>(audit).await.map(drop)
    }

    /// Replaces the migrations of releases without checksums by the first migration.
    async fn adopt_baseline(&self, transaction: &mut Transaction) -> Result<(), DatabaseError> {
        let Some(baseline) = MIGRATIONS.first() else {
            return Ok(());
        };
        let adopt = Statement::write(
            "WITH earlier AS (DELETE FROM rappel.migrations WHERE version < $1)
             UPDATE rappel.migrations SET name = $2, checksum = $3 WHERE version = $1 AND checksum IS NULL
             RETURNING version",
        )
        .bind(baseline.version)
        .bind(baseline.name)
        .bind(baseline.checksum);
        transaction.fetch_all::<(i32,)>(adopt).await.map(drop)
    }
}

/// Locks the tables in the order of searches and writes. If a migration altered `chunks` before `model`, it and a
/// search could wait for each other, and Postgres would end one of the two.
const LOCK: &str = "
    LOCK TABLE rappel.model, rappel.documents, rappel.chunks, rappel.chunk_terms, rappel.term_statistics, rappel.imports
    IN ACCESS EXCLUSIVE MODE
";

/// The history's table. In databases of releases without checksums, it lacks that column.
const PREPARE: &str = "
    CREATE TABLE IF NOT EXISTS rappel.migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE rappel.migrations ADD COLUMN IF NOT EXISTS checksum text;
";

fn migration(version: i32) -> Option<&'static Migration> {
    MIGRATIONS
        .iter()
        .find(|migration| migration.version == version)
}

fn refused(message: String) -> DatabaseError {
    DatabaseError::Migration(message)
}
