//! A repeatable statement with its arguments.

use sqlx::{
    Arguments, Encode, FromRow, PgConnection, Postgres, Type,
    postgres::{PgArguments, PgRow},
};

use super::DatabaseError;

/// A statement and its arguments. The constructor decides whether it is retried after a lost
/// connection: a [`read`](Self::read) and an [`idempotent_write`](Self::idempotent_write) are, a
/// [`write`](Self::write) is not.
#[derive(Clone, Debug)]
pub struct Statement {
    sql: &'static str,
    arguments: PgArguments,
    effect: Effect,
}

/// The effect of running a statement a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// None: the statement is read-only.
    None,
    /// None: the statement is idempotent.
    Same,
    /// The result differs from running it once.
    Another,
}

impl Statement {
    /// A read-only statement.
    #[must_use]
    pub fn read(sql: &'static str) -> Self {
        Self {
            sql,
            arguments: PgArguments::default(),
            effect: Effect::None,
        }
    }

    /// A write that leaves the same rows whether it runs once or twice.
    #[must_use]
    pub fn idempotent_write(sql: &'static str) -> Self {
        Self {
            effect: Effect::Same,
            ..Self::read(sql)
        }
    }

    /// A write that must not run twice.
    #[must_use]
    pub fn write(sql: &'static str) -> Self {
        Self {
            effect: Effect::Another,
            ..Self::read(sql)
        }
    }

    /// Binds the next argument.
    ///
    /// # Panics
    /// When a value cannot be encoded: only arrays of more than 2^31 elements.
    #[must_use]
    pub fn bind<'q, T>(mut self, value: T) -> Self
    where
        T: Encode<'q, Postgres> + Type<Postgres> + 'q,
    {
        self.arguments
            .add(value)
            .expect("arguments of Rappel's own statements are encodable");
        self
    }

    pub(super) fn effect(&self) -> Effect {
        self.effect
    }

    /// Runs it as a named statement, which the server connection caches.
    pub(super) async fn fetch_all<T>(
        self,
        connection: &mut PgConnection,
    ) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as_with::<_, T, _>(self.sql, self.arguments)
            .fetch_all(connection)
            .await
            .map_err(DatabaseError::running)?;
        telemetry::rows(rows.len());
        Ok(rows)
    }

    /// Runs it as an unnamed statement. Only [`super::Transaction`] calls this: outside a
    /// transaction a pooler may answer an unnamed statement with another client's rows.
    pub(super) async fn fetch_all_unnamed<T>(
        self,
        connection: &mut PgConnection,
    ) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as_with::<_, T, _>(self.sql, self.arguments)
            .persistent(false)
            .fetch_all(connection)
            .await
            .map_err(DatabaseError::running)?;
        telemetry::rows(rows.len());
        Ok(rows)
    }
}
