//! Documents: what a caller sends, what is stored, what is read back.

mod analysis_again;
mod batch;
mod fields;
mod line;
mod load;
mod prepared;
mod read;
mod upsert;

pub(crate) use self::{analysis_again::analyse_again, fields::nul};
pub use self::{
    batch::{Batch, DocumentInput},
    fields::{DocumentId, Limit, Metadata},
    line::{LINE_LIMIT, read_line},
    load::{BatchLoad, load},
    prepared::Prepared,
    read::{Document, Page, PageRequest, delete, get},
    upsert::{Outcome, Status, upsert, upsert_within},
};
