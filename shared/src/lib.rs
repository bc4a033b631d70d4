//! What every function of Rappel uses.
//!
//! Configuration and errors know nobody; [`database`] and [`embedder`] know only them; [`reranker`]
//! loads a model as the embedder does; [`aws`] signs requests, with which [`secret`] fetches what AWS keeps, the
//! database's URL too, and [`language_model`] speaks to an endpoint outside, both through [`client`];
//! [`search`], [`documents`] and [`migrations`] know the database; [`imports`] takes documents from objects
//! by a queue; [`state`] and [`http`] tie them together for the functions; [`telemetry`] is told what they do
//! and how long it takes, and tells the log; [`doctor`] looks at them from outside, and [`health`] is its
//! short form.

pub mod analysis;
pub mod aws;
pub mod client;
pub mod config;
pub mod database;
pub mod doctor;
pub mod documents;
pub mod embedder;
pub mod error;
pub mod health;
pub mod http;
pub mod imports;
pub mod language_model;
pub mod migrations;
pub mod problem;
pub mod reranker;
pub mod search;
pub mod secret;
pub mod state;
pub mod telemetry;
pub mod took;

pub use config::Config;
pub use error::Error;
pub use state::State;
