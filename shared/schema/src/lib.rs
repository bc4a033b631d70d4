//! Rappel's SQL, read at build time: the frozen migrations of the tables, and the functions, with a separate schema for
//! each build.

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// A numbered change of the tables.
#[derive(Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i32,
    /// Its file name.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
    /// The SHA-256 of its file, in hexadecimal.
    pub checksum: &'static str,
}

/// The version required by this program: the number of the last migration.
#[must_use]
pub fn version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}
