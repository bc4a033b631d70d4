//! The table of routes. A test compares it with the template's.

mod administration;
mod chat;
mod documents;

use bulk_imports::{Import, ImportRequest};
use retrieval::{SearchRequest, SearchResponse, health::Health};

use super::{
    bodies::{self, HealthParameters},
    examples,
    operation::{JSON, Operation, SchemaOf, schema},
    problems::Errors,
};

/// The operations, in the order of the documentation.
pub(super) fn operations() -> Vec<Operation> {
    let groups = [
        search(),
        chat::chat(),
        chat::open_ai(),
        documents::documents(),
        documents::document(),
        imports(),
        administration::sources(),
        administration::keys(),
        administration::tenants(),
        service(),
    ];
    groups.into_iter().flatten().collect()
}

fn search() -> Vec<Operation> {
    vec![
        Operation::new("search", "POST", "/search", "search", "Find passages")
            .takes(schema::<SearchRequest>, examples::searches())
            .answers(
                200,
                "The best passages.",
                schema::<SearchResponse>,
                examples::hits(),
            ),
        Operation::new(
            "search",
            "GET",
            "/search",
            "searchByQuery",
            "Find passages, with parameters of the query",
        )
        .about("Lists are separated by commas; `filter` is JSON.")
        .queried(schema::<SearchRequest>, &[("query", "q")])
        .answers(
            200,
            "The best passages.",
            schema::<SearchResponse>,
            examples::hits(),
        ),
    ]
}

fn imports() -> Vec<Operation> {
    vec![
        Operation::new(
            "imports",
            "POST",
            "/imports",
            "startImport",
            "Import a file",
        )
        .takes(schema::<ImportRequest>, examples::imports())
        .answers(202, "It is queued.", schema::<Import>, examples::import()),
        Operation::new(
            "imports",
            "GET",
            "/imports/{id}",
            "getImport",
            "The progress of an import",
        )
        .answers(200, "Its state.", schema::<Import>, examples::import())
        .fails(&[422]),
    ]
}

fn service() -> Vec<Operation> {
    let operation =
        |method, path, id, summary| Operation::new("service", method, path, id, summary);
    let message = || vec![(JSON, bodies::json_rpc as SchemaOf)];
    vec![
        operation("GET", "/health", "getHealth", "Whether the service works")
            .queried(schema::<HealthParameters>, &[])
            .answers(200, "It works.", schema::<Health>, examples::health())
            .answers(503, "A search would fail.", schema::<Health>, examples::health()),
        operation("POST", "/mcp", "postMessage", "The Model Context Protocol")
            .about("Stateless streamable HTTP, up to the revision 2026-07-28: tools `search`, `fetch` and `list_filters`.")
            .takes(bodies::json_rpc, examples::messages())
            .answers_in(200, "The result, or a JSON-RPC error.", message(), None)
            .answers_in(202, "A notification was taken.", Vec::new(), None)
            .fails_in(Errors::Text)
            .fails(&[404, 406]),
        operation("GET", "/mcp", "openStream", "There are no streams")
            .fails(&[405]),
        operation("DELETE", "/mcp", "endSession", "There are no sessions")
            .fails(&[405]),
        operation("GET", "/", "getConsole", "The console, a web page")
            .answers_in(200, "The page.", vec![("text/html", bodies::text)], None)
            .cached()
            .open(),
        operation("GET", "/console/{file}", "getConsoleFile", "A file of the console")
            .answers_in(
                200,
                "The file.",
                vec![
                    ("text/javascript", bodies::text),
                    ("text/css", bodies::text),
                    ("image/svg+xml", bodies::text),
                ],
                None,
            )
            .cached()
            .open(),
        operation("GET", "/openapi.json", "getDescription", "This description")
            .answers_in(200, "OpenAPI 3.1.", vec![(JSON, bodies::description)], None)
            .cached()
            .open(),
    ]
}
