//! Who a request is from, and what that caller may do.
//!
//! [`Access::caller`] turns what a request presents into a [`Caller`]: its scopes, and the documents that it may see. API
//! keys are rows of `rappel.keys`; tokens are those of an issuer; under IAM, API Gateway has decided before.

mod audit;
mod bearer;
mod cache;
mod caller;
mod claim_filter;
mod config;
mod counts;
mod denied;
mod keys;
mod meter;
mod mode;
mod quota;
mod request;
mod scope;
mod secret;
mod usage;

pub use self::{
    audit::{Act, ActCursor, AuditPage, acts},
    cache::KeyUse,
    caller::Caller,
    config::{Access, Presented},
    denied::Denied,
    keys::{Created, KeyCursor, KeyInfo, Keys, KeysError, NewKey, create, list, revoke},
    mode::Mode,
    quota::Quota,
    request::KeyRequest,
    scope::{Scope, Scopes},
    usage::{DayUsage, UsagePage, UsageQuery, UsageRequest},
};
