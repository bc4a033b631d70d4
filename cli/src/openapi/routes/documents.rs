//! The routes of documents.

use document_store::{
    Changed, Deleted, Document, DocumentInput, IngestRequest, IngestResponse, Outcome, Page,
    PageRequest, PatchMatchingRequest, PatchRequest, Similar, SimilarRequest,
};
use serde_json::json;

use super::super::{
    bodies::DeleteMatching,
    examples,
    operation::{Operation, schema},
};

pub(super) fn documents() -> Vec<Operation> {
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

pub(super) fn document() -> Vec<Operation> {
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
            .conditional()
            .unless("`*` to create the document only: 412 if it is stored already."),
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
            .answers_in(304, "It is in this state still.", Vec::new(), None)
            .tagged()
            .unless("An ETag of the document that the caller has.")
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
