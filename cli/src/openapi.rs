//! `rappel openapi`: the description of the HTTP API, made of the types that requests and answers are read and written
//! with.

mod bodies;
mod document;
mod examples;
mod headers;
mod operation;
mod problems;
mod routes;

use std::io::Write as _;

use clap::Args;

use crate::terminal;

/// Print the description of the HTTP API in the format `OpenAPI` 3.1: `rappel openapi > docs/openapi.json`.
#[derive(Args)]
pub(crate) struct OpenApi {}

impl OpenApi {
    pub(crate) fn run() -> anyhow::Result<()> {
        let document = serde_json::to_string_pretty(&document::document())?;
        Ok(writeln!(terminal::out(), "{document}")?)
    }
}
