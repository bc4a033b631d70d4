//! `rappel migrate`.

use std::time::Duration;

use clap::Args;
use database::{Database, DatabaseConfig, DatabaseError};

use crate::{
    setup::{SchemaArgs, Setup, Target},
    stop::{Stop, is_interrupted},
    terminal::note,
};

/// Migrate the database schema.
#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    target: Target,
}

impl Migrate {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        let mut setup = stop.or(self.target.prepare("")).await?;
        until(&mut setup, &self.schema, stop).await?;
        let finished = stop.or(finish(&setup)).await;
        if is_interrupted(&finished) {
            note(
                "the schema is migrated; the index may be missing, or still being built by the server: `rappel migrate` \
                 waits for that, or builds it",
            );
        }
        finished?;
        note(&format!(
            "the schema is at version {}, for {}",
            schema::version(),
            setup.manifest.name
        ));
        setup.stop().await
    }
}

/// Migrates, and takes back at a signal what that began.
///
/// # Errors
/// Those of [`Setup::migrate`], or the signal.
pub(crate) async fn until(
    setup: &mut Setup,
    schema: &SchemaArgs,
    stop: &Stop,
) -> anyhow::Result<()> {
    let migrated = stop.or(setup.migrate(schema)).await;
    if is_interrupted(&migrated) {
        withdraw(setup).await?;
    }
    migrated
}

/// Takes back a conversion that was interrupted.
async fn withdraw(setup: &Setup) -> anyhow::Result<()> {
    // Whoever interrupts a command for want of an answer does not wait for one again.
    let database = Database::new(&DatabaseConfig {
        acquire_timeout: Duration::from_secs(2),
        ..setup.schema_config()
    })?;
    let withdrawn = migrations::withdraw_conversion(&database).await;
    database.close().await;
    match withdrawn {
        Ok(true) => note(
            "the conversion is taken back: the version before works on, without the index until `rappel migrate`",
        ),
        Ok(false) | Err(DatabaseError::NotMigrated(_)) => {
            note("what is left of the migration, if anything, begins again with `rappel migrate`");
        }
        Err(error) => note(&format!(
            "warning: if it was being converted, the database refuses searches and writes until `rappel migrate`: {}",
            telemetry::chain(&error)
        )),
    }
    Ok(())
}

async fn finish(setup: &Setup) -> anyhow::Result<()> {
    setup.tidy().await?;
    setup.build_index().await
}
