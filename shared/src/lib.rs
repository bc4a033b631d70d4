//! What every function of Rappel uses.
//!
//! What is named first knows nothing of what follows: [`config`], [`client`] and [`analysis`]; [`telemetry`],
//! which is told what all others do and how long it takes; [`aws`], which signs requests, and [`secret`],
//! with which what AWS keeps is fetched; [`embedder`] and [`reranker`]; [`database`] and [`language_model`];
//! [`error`], any of their failures, [`problem`], what a client is told of it, and [`json`], how requests are
//! read; [`migrations`] and [`documents`]; [`records`], files of these; [`state`], what a sandbox keeps, with [`imports`]; [`search`];
//! [`http`], which ties them together for the functions; [`doctor`], which looks at them from outside, and
//! [`health`], its short form.

include!(concat!(env!("OUT_DIR"), "/macros.rs"));

pub mod analysis;
pub mod aws;
mod cause;
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
pub mod json;
pub mod language_model;
pub mod migrations;
pub mod problem;
pub mod records;
pub mod reranker;
pub mod search;
pub mod secret;
pub mod state;
pub mod telemetry;
pub mod took;

pub use cause::chain;
pub use config::Config;
pub use error::Error;
pub use state::State;
