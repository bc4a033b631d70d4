//! From a question to the passages that answer it, and from documents to what is found of them.

mod config;
mod embedding;
pub mod health;
mod models;
mod search;
mod state;
mod texts;

pub use self::{
    config::SearchConfig,
    embedding::embed,
    models::{LazyEmbedder, LazyReranker},
    search::{Fields, Hit, Mode, Query, Search, SearchRequest, SearchResponse, Summary, Took},
    state::{IngestState, SearchState},
    texts::Embedded,
};
