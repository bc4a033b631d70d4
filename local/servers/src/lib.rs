//! The servers of the laptop stack and the tests; each ends with its owner.

mod account;
pub mod aws;
pub mod browser;
mod guardian;
pub mod nginx;
pub mod pooler;
mod ports;
pub mod postgres;
pub mod skip;
