//! The routes of sources and keys.

use access::{Created, KeyRequest, Keys};
use followed_tables::{Removed, Source, SourceDefinition, Sources};
use serde_json::json;

use super::super::{
    bodies::RemoveParameters,
    examples,
    operation::{Operation, schema},
};

pub(super) fn sources() -> Vec<Operation> {
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

pub(super) fn keys() -> Vec<Operation> {
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
