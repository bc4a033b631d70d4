//! How a connection is asked for.

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use super::{Cause, DatabaseError, Pooler};
use crate::config::DatabaseConfig;

/// Reads the URL and adds what every connection of ours has.
pub(super) fn of(config: &DatabaseConfig) -> Result<(PgConnectOptions, Pooler), DatabaseError> {
    let options: PgConnectOptions =
        config
            .url
            .parse()
            .map_err(|error: sqlx::Error| DatabaseError::Unavailable {
                cause: Cause::Settings,
                detail: format!("DATABASE_URL: {error}"),
            })?;
    let pooler = Pooler::of(config.pooler, &options);
    let mut options = options
        .application_name(&config.application_name)
        // PgBouncer refuses this startup parameter, and nothing here reads a float as text.
        .extra_float_digits(None)
        .disable_statement_logging();
    if pooler == Pooler::Direct {
        // A pooler would refuse or drop startup options; there they are set after the connect, or
        // in each transaction.
        options = options.options([
            (
                "statement_timeout",
                config.statement_timeout.as_millis().to_string(),
            ),
            ("jit", "off".to_owned()),
        ]);
    }
    Ok((options, pooler))
}
