//! `rappel migrate`.

use clap::Args;

use crate::{
    setup::{SchemaArgs, Target},
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
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut setup = self.target.prepare("").await?;
        setup.migrate(&self.schema).await?;
        setup.tidy().await?;
        setup.build_index().await?;
        note(&format!(
            "the schema is at version {}, for {}",
            schema::version(),
            setup.manifest.name
        ));
        setup.stop().await
    }
}
