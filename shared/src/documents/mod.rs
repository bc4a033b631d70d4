//! Documents: what a caller sends, what is stored, what is read back.

mod fields;
mod load;
mod read;
mod upsert;

pub use self::{
    fields::{DocumentId, Limit, Metadata},
    load::{BatchLoad, load},
    read::{Document, Page, PageRequest, delete, get},
    upsert::{Batch, DocumentInput, Outcome, Prepared, Status, upsert},
};
