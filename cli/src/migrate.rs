//! `rappel migrate`.

use clap::Args;
use shared::migrations;

use crate::{setup::Target, terminal::note};

/// Bring the database schema up to date.
#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    target: Target,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let setup = self.target.prepare("").await?;
        note(&format!(
            "the schema is at version {}, for {}",
            migrations::version(),
            setup.manifest.name
        ));
        setup.stop().await
    }
}
