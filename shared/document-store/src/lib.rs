//! Documents: what a caller sends, what is stored, what is read back.

mod address;
mod analysis_again;
mod batch;
mod compare;
mod dates;
mod delete;
mod fields;
mod hash;
mod id;
mod input;
mod keys;
mod load;
mod metadata;
mod prepared;
mod read;
mod retry;
mod text;
mod upsert;

pub use self::{
    address::address,
    analysis_again::analyse_again,
    batch::Batch,
    compare::Compared,
    dates::{Dates, dates},
    delete::delete_within,
    fields::{Limit, nul},
    id::DocumentId,
    input::DocumentInput,
    keys::{MetadataKey, metadata_keys},
    load::load,
    metadata::Metadata,
    prepared::{Passage, Prepared},
    read::{Document, Page, PageQuery, PageRequest, delete, get},
    retry::Retry,
    text::{ANSWER_LIMIT, collapsed},
    upsert::{Outcome, Status, upsert},
};
