//! `rappel mcp`: the documents for a program on this machine.

use std::sync::Arc;

use clap::Args;
use mcp_server::DocumentServer;
use rmcp::ServiceExt as _;

use crate::{remote::Acting, setup::Target};

/// Serve the documents to a program that speaks the Model Context Protocol over stdin and stdout.
#[derive(Args)]
pub(crate) struct Mcp {
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    target: Target,
}

impl Mcp {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let state = setup.state()?;
        let database = Arc::clone(&state.database);
        // The program says that it is done by closing stdin.
        let serving = async {
            let transport = rmcp::transport::stdio();
            let running = DocumentServer::new(state, self.acting.visibility())
                .serve(transport)
                .await?;
            anyhow::Ok(running.waiting().await?)
        };
        let served = Box::pin(serving).await;
        database.close().await;
        setup.stop().await?;
        served.map(drop)
    }
}
