//! Documents: what a caller sends, what is stored, what is read back.

mod analysis_again;
mod batch;
mod compare;
mod dates;
mod fields;
mod hash;
mod id;
mod input;
mod load;
mod metadata;
mod prepared;
mod read;
mod retry;
mod text;
mod upsert;

pub(crate) use self::{analysis_again::analyse_again, fields::nul};
pub use self::{
    batch::Batch,
    compare::Compared,
    dates::{Dates, dates},
    fields::Limit,
    id::DocumentId,
    input::{DocumentInput, LINE_LIMIT},
    load::load,
    metadata::Metadata,
    prepared::Prepared,
    read::{Document, Page, PageRequest, delete, get},
    retry::Retry,
    text::{ANSWER_LIMIT, collapsed},
    upsert::{Outcome, Status, upsert},
};
