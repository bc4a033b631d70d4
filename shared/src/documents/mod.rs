//! Documents: what a caller sends, what is stored, what is read back.

mod batch;
mod dates;
mod fields;
mod line;
mod load;
mod prepared;
mod read;
mod upsert;

pub(crate) use self::fields::nul;
pub use self::{
    batch::{Batch, DocumentInput},
    dates::{Dates, dates},
    fields::{DocumentId, Limit, Metadata},
    line::{LINE_LIMIT, read_line},
    load::{BatchLoad, load},
    prepared::Prepared,
    read::{Document, Page, PageRequest, delete, get},
    upsert::{Outcome, Status, upsert, upsert_within},
};
