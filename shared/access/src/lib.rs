//! Who a request is from, and what that caller may do.
//!
//! [`Access::caller`] turns what a request presents into a [`Caller`]: its scopes, and the documents that it may see. API
//! keys are rows of `rappel.keys`; tokens are those of an issuer; under IAM, API Gateway has decided before.

mod bearer;
mod cache;
mod caller;
mod claim_filter;
mod config;
mod denied;
mod keys;
mod mode;
mod request;
mod scope;
mod secret;

pub use self::{
    cache::KeyUse,
    caller::Caller,
    config::{Access, Presented},
    denied::Denied,
    keys::{Created, KeyInfo, Keys, KeysError, NewKey, create, list, revoke},
    mode::Mode,
    request::KeyRequest,
    scope::{Scope, Scopes},
};
