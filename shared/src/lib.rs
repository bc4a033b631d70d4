//! What every function of Rappel uses.
//!
//! Configuration and errors know nobody; [`database`] and [`embedder`] know only them; [`reranker`]
//! loads a model as the embedder does; [`search`],
//! [`documents`] and [`migrations`] know the database; [`state`] and [`http`] tie them together for the
//! functions; [`doctor`] looks at them from outside, and [`health`] is its short form.

pub mod analysis;
pub mod config;
pub mod database;
pub mod doctor;
pub mod documents;
pub mod embedder;
pub mod error;
pub mod health;
pub mod http;
pub mod migrations;
pub mod problem;
pub mod reranker;
pub mod search;
pub mod state;

pub use config::Config;
pub use error::Error;
pub use state::State;
