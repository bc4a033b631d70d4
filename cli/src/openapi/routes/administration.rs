//! The routes of sources, keys and tenants.

use access::{AuditPage, Created, KeyRequest, Keys, UsagePage, UsageRequest};
use document_store::{Limits, ListRequest, TenantState, Tenants};
use followed_tables::{Removed, Source, SourceDefinition, Sources};
use serde_json::json;

use super::super::{
    bodies::RemoveParameters,
    examples,
    operation::{Operation, schema},
};

pub(super) fn sources() -> Vec<Operation> {
    let one = |method, id, summary| {
        Operation::new("sources", method, "/sources/{name}", id, summary).fails(&[422])
    };
    vec![
        Operation::new(
            "sources",
            "GET",
            "/sources",
            "listSources",
            "The followed tables",
        )
        .queried(schema::<ListRequest>, &[])
        .answers(
            200,
            "A page.",
            schema::<Sources>,
            json!({ "sources": [examples::source()], "next_cursor": null }),
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
        .answers(202, "It has begun.", schema::<Source>, examples::source())
        .fails(&[422]),
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
        Operation::new("keys", "GET", "/keys", "listKeys", "List API keys")
            .about("Without their texts; revoked and expired ones too.")
            .queried(schema::<ListRequest>, &[])
            .answers(
                200,
                "A page.",
                schema::<Keys>,
                json!({ "keys": [examples::key()], "next_cursor": null }),
            ),
        Operation::new(
            "keys",
            "DELETE",
            "/keys/{id}",
            "revokeKey",
            "Revoke an API key",
        )
        .answers_in(204, "It is revoked.", Vec::new(), None)
        .fails(&[422]),
    ]
}

pub(super) fn tenants() -> Vec<Operation> {
    let one = |method, id, summary| {
        Operation::new("tenants", method, "/tenants/{id}", id, summary).fails(&[422])
    };
    vec![
        Operation::new("tenants", "GET", "/tenants", "listTenants", "List tenants")
            .about("Those that have documents, keys or a removal.")
            .queried(schema::<ListRequest>, &[])
            .answers(200, "A page.", schema::<Tenants>, examples::tenants()),
        one("GET", "getTenant", "What a tenant has").answers(
            200,
            "Counts of all that it has.",
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
            .queried(schema::<ListRequest>, &[])
            .answers(200, "A page.", schema::<AuditPage>, examples::audit()),
    ]
}
