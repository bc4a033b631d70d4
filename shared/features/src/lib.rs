//! No code: one set of features for the crates that several functions link.
//!
//! `sam build` compiles each function by itself, and cargo enables the features that this one function wants. A crate with other
//! features is compiled again, with all that depends on it. Here the features of all functions are wanted together, so
//! that each crate is compiled once; what a function does not use, the linker leaves out.
//!
//! `python3 .ci/features.py` finds differences, and with `--write` lists them in `Cargo.toml`.
