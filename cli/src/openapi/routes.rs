//! The table of routes. A test compares it with the template's.

use access::{AuditPage, AuditRequest, Created, KeyRequest, Keys, UsagePage, UsageRequest};
use bulk_imports::{Import, ImportRequest};
use chat::Body;
use document_store::{
    Changed, Deleted, Document, DocumentInput, IngestRequest, IngestResponse, Limits, Outcome,
    Page, PageRequest, PatchMatchingRequest, PatchRequest, Similar, SimilarRequest, TenantState,
    Tenants, TenantsRequest,
};
use followed_tables::{Removed, Source, SourceDefinition, Sources};
use retrieval::{SearchRequest, SearchResponse, health::Health};
use serde_json::json;

use super::{
    bodies::{self, DeleteMatching, HealthParameters, RemoveParameters},
    examples,
    operation::{JSON, Operation, SchemaOf, schema},
    problems::Errors,
};

/// The operations, in the order of the documentation.
pub(super) fn operations() -> Vec<Operation> {
    let groups = [
        search(),
        chat(),
        open_ai(),
        documents(),
        document(),
        imports(),
        sources(),
        keys(),
        tenants(),
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

fn chat() -> Vec<Operation> {
    let operation = Operation::new(
        "chat",
        "POST",
        "/chat",
        "chat",
        "Answer a question from the documents",
    )
    .about(
        "One of `question` and `messages` is required. The answer is streamed unless `stream` is `false`; a streamed one that \
         fails after its first byte ends with the event `failure`, a problem document.",
    )
    .takes(
        |generator| Body::ChatRequest.schema(generator),
        examples::chats(),
    )
    .answers_in(
        200,
        "The answer, or its events.",
        vec![
            (JSON, |generator| Body::Answer.schema(generator)),
            ("text/event-stream", bodies::chat_event),
        ],
        Some(examples::answer()),
    )
    .fails(&[501, 502]);
    vec![operation]
}

fn open_ai() -> Vec<Operation> {
    let operation = |method, path, id, summary| {
        Operation::new("chat", method, path, id, summary).fails_in(Errors::OpenAi)
    };
    vec![
        operation(
            "POST",
            "/v1/chat/completions",
            "createChatCompletion",
            "The chat in OpenAI's protocol",
        )
        .about("Other fields of OpenAI's are ignored. An invalid field is 400, as at OpenAI's.")
        .takes(
            |generator| Body::CompletionRequest.schema(generator),
            examples::completions(),
        )
        .answers_in(
            200,
            "The answer, or its chunks.",
            vec![
                (JSON, |generator| Body::Completion.schema(generator)),
                ("text/event-stream", bodies::completion_event),
            ],
            None,
        )
        .fails(&[404, 501, 502]),
        operation(
            "POST",
            "/v1/embeddings",
            "createEmbeddings",
            "Embed texts without storing them",
        )
        .takes(
            |generator| Body::EmbeddingsRequest.schema(generator),
            examples::embeddings(),
        )
        .answers_in(
            200,
            "One embedding per text.",
            vec![(JSON, |generator| Body::Embeddings.schema(generator))],
            None,
        )
        .fails(&[404]),
        operation("GET", "/v1/models", "listModels", "The models").answers_in(
            200,
            "The chat, if there is a language model, and the embedding model.",
            vec![(JSON, |generator| Body::Models.schema(generator))],
            None,
        ),
        operation("GET", "/v1/models/{id}", "getModel", "One model").answers_in(
            200,
            "The model.",
            vec![(JSON, |generator| Body::Model.schema(generator))],
            None,
        ),
    ]
}

fn documents() -> Vec<Operation> {
    let operation =
        |method, id, summary| Operation::new("documents", method, "/documents", id, summary);
    vec![
        operation(
            "POST",
            "storeDocuments",
            "Create or replace up to 100 documents",
        )
        .about("A batch is stored whole or not at all. Unchanged documents are not embedded again.")
        .takes(schema::<IngestRequest>, examples::batches())
        .answers(
            200,
            "One outcome per document.",
            schema::<IngestResponse>,
            json!({ "documents": [examples::outcome()] }),
        ),
        operation("GET", "listDocuments", "List documents")
            .queried(schema::<PageRequest>, &[])
            .answers(
                200,
                "A page of documents, without their texts.",
                schema::<Page>,
                examples::page(),
            ),
        operation(
            "PATCH",
            "changeDocuments",
            "Change the metadata of all documents that a filter matches",
        )
        .takes(schema::<PatchMatchingRequest>, examples::matching_patches())
        .answers(
            200,
            "How many were changed.",
            schema::<Changed>,
            json!({ "matching": 65, "updated": 65 }),
        )
        .fails(&[412]),
        operation(
            "DELETE",
            "deleteDocuments",
            "Delete all documents that a filter matches",
        )
        .queried(schema::<DeleteMatching>, &[])
        .answers(
            200,
            "How many match, and how many of them were deleted.",
            schema::<Deleted>,
            json!({ "matching": 4, "deleted": 0 }),
        ),
    ]
}

fn document() -> Vec<Operation> {
    let operation =
        |method, id, summary| Operation::new("documents", method, "/documents/{id}", id, summary);
    vec![
        operation("PUT", "storeDocument", "Create or replace a document")
            .takes(schema::<DocumentInput>, examples::documents())
            .answers(
                200,
                "It was replaced, or is unchanged.",
                schema::<Outcome>,
                examples::outcome(),
            )
            .answers(
                201,
                "It was created.",
                schema::<Outcome>,
                examples::outcome(),
            )
            .tagged()
            .conditional(),
        operation(
            "PATCH",
            "changeDocument",
            "Change title and metadata of a document",
        )
        .about("A JSON merge patch (RFC 7396); at least one of both is required.")
        .takes(schema::<PatchRequest>, examples::patches())
        .answers(200, "The outcome.", schema::<Outcome>, examples::outcome())
        .tagged()
        .conditional(),
        operation("GET", "getDocument", "Read a document")
            .answers(
                200,
                "The document.",
                schema::<Document>,
                examples::document(),
            )
            .tagged()
            .fails(&[422]),
        Operation::new(
            "documents",
            "GET",
            "/documents/{id}/similar",
            "findSimilar",
            "Find documents like a stored one",
        )
        .queried(schema::<SimilarRequest>, &[])
        .answers(
            200,
            "The nearest documents, each with its nearest passage.",
            schema::<Similar>,
            examples::similar(),
        ),
        operation("DELETE", "deleteDocument", "Delete a document")
            .answers_in(204, "It was deleted.", Vec::new(), None)
            .conditional()
            .fails(&[422]),
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
        .answers(200, "Its state.", schema::<Import>, examples::import()),
    ]
}

fn sources() -> Vec<Operation> {
    let one =
        |method, id, summary| Operation::new("sources", method, "/sources/{name}", id, summary);
    vec![
        Operation::new(
            "sources",
            "GET",
            "/sources",
            "listSources",
            "The followed tables",
        )
        .answers(
            200,
            "Their states.",
            schema::<Sources>,
            json!({ "sources": [examples::source()] }),
        ),
        one(
            "PUT",
            "putSource",
            "Follow a table, or follow it in another way",
        )
        .takes(schema::<SourceDefinition>, examples::sources())
        .answers(
            200,
            "It is followed in this way now.",
            schema::<Source>,
            examples::source(),
        )
        .answers(
            201,
            "It is followed from now on.",
            schema::<Source>,
            examples::source(),
        )
        .fails(&[501]),
        one("GET", "getSource", "The state of a followed table").answers(
            200,
            "Its state.",
            schema::<Source>,
            examples::source(),
        ),
        one("DELETE", "deleteSource", "End to follow a table")
            .queried(schema::<RemoveParameters>, &[])
            .answers(
                200,
                "It is followed no more.",
                schema::<Removed>,
                json!({ "left_to_owner": [] }),
            ),
        Operation::new(
            "sources",
            "POST",
            "/sources/{name}/resync",
            "resyncSource",
            "Compare all rows and documents anew",
        )
        .answers(202, "It has begun.", schema::<Source>, examples::source()),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        Operation::new("keys", "POST", "/keys", "createKey", "Make an API key")
            .about("`key` is the key, which is shown this once.")
            .takes(schema::<KeyRequest>, examples::key_requests())
            .answers(
                201,
                "The new key.",
                schema::<Created>,
                examples::created_key(),
            ),
        Operation::new("keys", "GET", "/keys", "listKeys", "List API keys").answers(
            200,
            "The keys, without their texts.",
            schema::<Keys>,
            json!({ "keys": [examples::key()] }),
        ),
        Operation::new(
            "keys",
            "DELETE",
            "/keys/{id}",
            "revokeKey",
            "Revoke an API key",
        )
        .answers_in(204, "It is revoked.", Vec::new(), None),
    ]
}

fn tenants() -> Vec<Operation> {
    let one = |method, id, summary| {
        Operation::new("tenants", method, "/tenants/{id}", id, summary).fails(&[422])
    };
    vec![
        Operation::new("tenants", "GET", "/tenants", "listTenants", "List tenants")
            .about("Those that have documents, keys or a removal.")
            .queried(schema::<TenantsRequest>, &[])
            .answers(200, "A page.", schema::<Tenants>, examples::tenants()),
        one("GET", "getTenant", "What a tenant has").answers(
            200,
            "Counts of all that it has, which reads all of it.",
            schema::<TenantState>,
            examples::tenant(),
        ),
        one(
            "PUT",
            "limitTenant",
            "Set the limits of a tenant",
        )
        .about("A limit that is absent is removed.")
        .takes(schema::<Limits>, examples::limits())
        .answers(
            200,
            "What the tenant has.",
            schema::<TenantState>,
            examples::tenant(),
        ),
        one(
            "DELETE",
            "removeTenant",
            "Remove a tenant and all that it has",
        )
        .about("Its keys are revoked at once. `removal.finished_at` of `GET` says when nothing is left.")
        .answers(
            202,
            "The removal has begun.",
            schema::<TenantState>,
            examples::tenant(),
        )
        .fails(&[501]),
        Operation::new("tenants", "GET", "/usage", "getUsage", "What keys and tenants have used")
            .about("By day; the newest seconds may be missing.")
            .queried(schema::<UsageRequest>, &[])
            .answers(200, "A page.", schema::<UsagePage>, examples::usage()),
        Operation::new("tenants", "GET", "/audit", "getAudit", "Administrative acts")
            .queried(schema::<AuditRequest>, &[])
            .answers(200, "A page.", schema::<AuditPage>, examples::audit()),
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
            .open(),
        operation("GET", "/openapi.json", "getDescription", "This description")
            .answers_in(200, "OpenAPI 3.1.", vec![(JSON, bodies::description)], None)
            .open(),
    ]
}
