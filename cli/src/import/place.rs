//! Where a document comes from.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// A line of the file that is imported, a file of a folder, or a line of such a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

impl Place {
    pub(super) fn line(line: u64) -> Self {
        Self {
            file: None,
            line: Some(line),
        }
    }

    pub(super) fn file(file: Arc<str>) -> Self {
        Self {
            file: Some(file),
            line: None,
        }
    }

    pub(super) fn line_of(file: Arc<str>, line: u64) -> Self {
        Self {
            file: Some(file),
            line: Some(line),
        }
    }

    /// As one JSON value: the number of the line, or text.
    pub(super) fn short<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self {
                file: None,
                line: Some(line),
            } => serializer.serialize_u64(*line),
            place => serializer.collect_str(place),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (None, line) => write!(f, "line {}", line.unwrap_or_default()),
            (Some(file), None) => f.write_str(file),
            (Some(file), Some(line)) => write!(f, "{file}, line {line}"),
        }
    }
}
