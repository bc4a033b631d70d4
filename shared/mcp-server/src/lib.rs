//! The documents for programs that speak the Model Context Protocol: tools that search and fetch, and each document as a
//! resource. Functions serve it over HTTP, and the command line over stdin and stdout.
//! <https://modelcontextprotocol.io/specification/2026-07-28>

mod fetch;
mod filters;
mod resources;
mod search;
mod tools;
mod unreadable;

use std::{panic::AssertUnwindSafe, time::Instant};

use document_store::Visibility;
use futures_util::FutureExt as _;
use retrieval::SearchState;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ErrorCode, Implementation,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::value::RawValue;
use shared::{Error, http, problem::Problem};
use telemetry::Record;

pub use self::unreadable::unreadable;

/// The server of a client's requests.
#[derive(Clone)]
pub struct DocumentServer {
    state: SearchState,
    /// The documents that the client may see.
    visibility: Visibility,
    invocation: Option<Invocation>,
    /// The filter of the one message that it is for, as it is written.
    filter: Option<Box<RawValue>>,
}

/// The invocation of a function that a request belongs to: the SDK answers it on a task of its own.
#[derive(Clone)]
struct Invocation {
    record: Option<Record>,
    deadline: Instant,
}

/// The client's instructions for its model about the tools.
const INSTRUCTIONS: &str = "\
Search a collection of documents and read them. `search` finds passages by meaning and by words; ask it a whole question, in \
any language. `fetch` reads a document that was found. `list_filters` says what metadata can narrow a search. Cite \
documents by their title and url.";

impl DocumentServer {
    /// A server for the visible documents of this database.
    #[must_use]
    pub fn new(state: SearchState, visibility: Visibility) -> Self {
        Self {
            state,
            visibility,
            invocation: None,
            filter: None,
        }
    }

    /// The same for a request of the invocation that runs, which must be answered at `deadline`.
    #[must_use]
    pub fn invoked(self, deadline: Instant) -> Self {
        let record = Record::current();
        Self {
            invocation: Some(Invocation { record, deadline }),
            ..self
        }
    }

    /// The same for one message, whose filter is taken as it is written.
    #[must_use]
    pub fn reading(self, message: &[u8]) -> Self {
        Self {
            filter: search::filter_of(message),
            ..self
        }
    }

    /// Does the work of a request. Turns a panic into an error, because the SDK would not respond.
    async fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Problem> {
        let work = AssertUnwindSafe(work).catch_unwind();
        let work = async {
            let outcome = match &self.invocation {
                Some(invocation) => database::within(invocation.deadline, work).await,
                None => work.await,
            };
            let outcome = outcome.unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
            outcome.map_err(|error| http::report(&error))
        };
        match self.invocation.as_ref().and_then(|it| it.record.as_ref()) {
            Some(record) => record.around(work).await,
            None => work.await,
        }
    }
}

impl ServerHandler for DocumentServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        let server = Implementation::new("rappel", env!("CARGO_PKG_VERSION")).with_title("Rappel");
        ServerConfig::new(capabilities)
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let result = tools::call(self, &request.name, arguments).await?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let page = self.run(resources::page(self, cursor));
        Box::pin(page).await.map_err(refused)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = vec![resources::template()];
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = self.run(resources::read(self, &request.uri));
        Ok(Box::pin(read).await.map_err(refused)?.into())
    }
}

/// A problem as an error of the protocol, which no model reads.
fn refused(problem: Problem) -> ErrorData {
    let code = match problem.status {
        404 => ErrorCode::RESOURCE_NOT_FOUND,
        400..500 => ErrorCode::INVALID_PARAMS,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    ErrorData::new(code, problem.detail, None)
}
