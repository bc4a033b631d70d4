//! `rappel mcp`: the documents for a program on this machine, from a database or from an API.

mod bridge;
mod input;

use std::sync::Arc;

use clap::Args;
use mcp_server::DocumentServer;
use rmcp::ServiceExt as _;
use tokio::io::stdout;

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
            return bridge.run(input::lines(), stdout()).await;
        }
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let state = setup.state()?;
        let database = Arc::clone(&state.database);
        // The program says that it is done by closing stdin.
        let serving = async {
            let transport = (input::lines(), stdout());
            let running = DocumentServer::new(state, self.key.visibility())
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
