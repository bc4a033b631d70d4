//! Finds the passages that answer a question, and embeds documents to be found.

mod config;
mod embedding;
pub mod health;
mod models;
mod questions;
mod search;
mod state;
mod texts;

pub use document_store::Visibility;

pub use self::{
    config::SearchConfig,
    embedding::embed,
    models::{LazyEmbedder, LazyReranker},
    search::{
        Fields, Highlights, Hit, Mode, Query, Range, Search, SearchRequest, SearchResponse,
        Summary, Took,
    },
    state::{IngestState, SearchState},
    texts::Embedded,
};
