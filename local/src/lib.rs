//! The laptop stack.
mod account;
pub mod assets;
pub mod aws;
pub mod binaries;
pub mod browser;
pub mod gateway;
mod guardian;
pub mod layer;
pub mod models;
pub mod nginx;
pub mod pooler;
mod ports;
pub mod postgres;
mod run;
pub mod skip;
