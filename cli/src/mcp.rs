//! `rappel mcp`: the documents for a program on this machine, from a database or from an API.

mod bridge;

use std::sync::Arc;

use clap::Args;
use mcp_server::DocumentServer;
use retrieval::Visibility;
use rmcp::ServiceExt as _;

use self::bridge::Bridge;
use crate::{
    remote::{Key, address},
    setup::Target,
};

/// Serve the documents to a program that speaks the Model Context Protocol over stdin and stdout.
#[derive(Args)]
pub(crate) struct Mcp {
    /// An API whose documents are served, such as `http://127.0.0.1:8000`, instead of a database's.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    target: Target,
}

impl Mcp {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            let bridge = Bridge::new(self.key.api()?, &address(api));
            let (input, output) = rmcp::transport::stdio();
            return bridge.run(input, output).await;
        }
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let state = setup.state()?;
        let database = Arc::clone(&state.database);
        // The program says that it is done by closing stdin.
        let serving = async {
            let transport = rmcp::transport::stdio();
            let running = DocumentServer::new(state, Visibility::default())
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
