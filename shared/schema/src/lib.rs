//! The SQL of Rappel, read when this crate is built: the frozen migrations of the tables, and the functions, which belong
//! to a build and have a schema of their own for each.

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// A numbered change of the tables.
#[derive(Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i32,
    /// Its name: that of its file.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
    /// The SHA-256 of its file, in hexadecimal.
    pub checksum: &'static str,
}

/// The version that this program expects: the number of the last migration.
#[must_use]
pub fn version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}
