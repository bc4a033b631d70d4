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

pub use self::{
    analysis_again::analyse_again,
    batch::Batch,
    compare::Compared,
    dates::{Dates, dates},
    fields::{Limit, nul},
    id::DocumentId,
    input::DocumentInput,
    load::load,
    metadata::Metadata,
    prepared::{Passage, Prepared},
    read::{Document, Page, PageQuery, PageRequest, delete, get},
    retry::Retry,
    text::{ANSWER_LIMIT, collapsed},
    upsert::{Outcome, Status, upsert},
};
