//! The laptop stack.
pub mod models;
pub mod assets;
pub mod postgres;
pub mod binaries;
pub mod gateway;
