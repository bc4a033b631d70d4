//! Validates, stores and reads documents.

mod address;
mod analysis_again;
mod batch;
mod change;
mod compare;
mod dates;
mod delete;
mod embed;
mod etag;
mod fields;
mod file;
mod hash;
mod id;
mod input;
mod keys;
mod list;
mod metadata;
mod page;
mod patch;
mod prepared;
mod read;
mod requests;
mod retry;
mod similar;
mod tenants;
mod terms;
mod text;
mod upsert;
mod visibility;

pub use self::{
    address::address,
    analysis_again::analyse_again,
    batch::Batch,
    change::{ChangeError, Changed, patch, patch_matching, replace},
    compare::Compared,
    dates::{Dates, dates},
    delete::delete_within,
    embed::{BoxError, Embed},
    etag::{Etag, Expected},
    fields::{Count, Limit, MAX_METADATA_FIELDS, metadata_fields, nul},
    file::FileInput,
    id::DocumentId,
    input::DocumentInput,
    keys::{MetadataKey, metadata_keys},
    list::{Cursor, ListQuery, ListRequest},
    metadata::Metadata,
    page::{Page, PageQuery, PageRequest},
    patch::{MetadataPatch, Patch, PatchRequest},
    prepared::{Passage, Prepared},
    read::{Deleted, Deletion, Document, count, delete, delete_matching, get},
    requests::{IngestRequest, IngestResponse, PatchMatchingRequest},
    retry::Retry,
    similar::{Similar, SimilarDocument, SimilarQuery, SimilarRequest},
    tenants::{
        Limits, Removal, TenantCursor, TenantInfo, TenantState, Tenants, begin_removal,
        continue_removal, continue_removals, limit_tenant, list_tenants, tenant_state,
    },
    text::{ANSWER_LIMIT, collapsed, normalised},
    upsert::{Outcome, Status, load, upsert},
    visibility::{ALL_TENANTS, Tenant, Visibility, VisibilityParameters},
};
