//! The servers of the laptop stack and of the tests, none of which outlives its owner.

mod account;
pub mod aws;
mod guardian;
pub mod nginx;
pub mod pooler;
mod ports;
pub mod postgres;
pub mod skip;
