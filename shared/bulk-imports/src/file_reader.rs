//! How objects that are one document each are read. Their parsers are large, and linked by the worker alone, which passes
//! this in.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// What is known of an object before it is read.
#[derive(Clone, Copy, Debug)]
pub struct ObjectHead<'a> {
    /// Its key, or the path of a file below the import folder.
    pub key: &'a Path,
    /// Its content type.
    pub content_type: Option<&'a str>,
    /// Its first bytes.
    pub first: &'a [u8],
}

/// The format of an object that is one document.
#[derive(Clone, Copy, Debug)]
pub struct FileFormat {
    /// Its name.
    pub name: &'static str,
    /// Whether it may be text with a document on each line instead.
    pub is_plain_text: bool,
}

/// An object that is one document.
#[derive(Debug)]
pub struct ObjectFile {
    /// The name of its format.
    pub format: &'static str,
    /// The id of its document.
    pub id: String,
    /// Its key, or the path of a file below the import folder.
    pub key: PathBuf,
    /// When it was written.
    pub modified: Option<SystemTime>,
    /// All of it.
    pub bytes: Vec<u8>,
    /// The time to read it in.
    pub time: Duration,
}

/// How objects that are one document are read.
#[derive(Clone, Copy, Debug)]
pub struct FileReader {
    /// Bytes of the largest object.
    pub max_bytes: u64,
    /// The format of an object that is one document; `None` for other objects.
    pub format: fn(&ObjectHead<'_>) -> Option<FileFormat>,
    /// Extracts the text, which may take long: the document as a line of JSON.
    pub read: fn(ObjectFile) -> Result<Vec<u8>, FileError>,
}

/// Why an object could not be read as a document.
#[derive(Debug)]
pub enum FileError {
    /// The object's fault, for whoever imports it; it may quote the object.
    Refused(String),
    /// Possibly transient; only logged.
    Failed(String),
}
