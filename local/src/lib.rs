//! The laptop stack.
pub mod assets;
pub mod binaries;
pub mod gateway;
pub mod layer;
pub mod models;
pub mod postgres;
