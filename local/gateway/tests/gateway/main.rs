//! The gateway with a real function, `examples/echo_function.rs`, in real sandboxes.

mod faults;
mod harness;
mod limits;
mod sandboxes;
mod streams;
mod web;
