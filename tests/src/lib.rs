//! The harness of the integration tests: a throwaway Postgres, the built functions behind the laptop's gateway, and an
//! independent Postgres client.
//!
//! The stories are in `it/`, those of a deploy in `deploy/`.

mod account;
mod answer;
mod app;
mod app_imports;
mod app_sources;
mod assets;
mod browser;
mod built;
mod clients;
pub mod cloudformation;
mod cluster;
pub mod collector;
pub mod command;
mod direct;
pub mod endpoint;
mod events;
pub mod files;
pub mod iam;
mod imports;
pub mod issuer;
pub mod keys;
pub mod language_model;
pub mod logins;
mod number;
pub mod patience;
mod process;
pub mod proxy;
mod requests;
mod samples;
pub mod secrets;
pub mod sharing;
mod sql;
pub mod tiny_reranker;
pub mod tls;
mod tools;

pub use account::Account;
pub use answer::Answer;
pub use app::App;
pub use app_sources::{documents_equal, rows_equal, stay_equal};
pub use assets::Assets;
pub use browser::{Browser, Key};
pub use built::Built;
pub use clients::Clients;
pub use direct::direct;
pub use events::Events;
pub use imports::{Imports, Pace};
pub use number::number;
pub use patience::eventually;
pub use process::{cpu_time, cpu_time_of_all, kill, peak_memory};
pub use requests::document_path;
pub use samples::{sample, samples};
pub use sql::Sql;
pub use tools::Tools;
