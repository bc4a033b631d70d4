//! Objects that are one document each: their text is extracted in a child process of this function, so that a file which
//! crashes its parser or takes too much memory or time fails its own import and nothing else.

use std::time::Duration;

use bulk_imports::{FileError, FileFormat, FileReader, ObjectFile, ObjectHead};
use extract::{Format, Limits, MAX_BYTES, Origin, Reason, Sandbox};

/// Reads the formats of [`Format`].
pub(super) const READER: FileReader = FileReader {
    max_bytes: MAX_BYTES as u64,
    format,
    read,
};

/// The most time for a file.
const TIME: Duration = Duration::from_mins(1);

fn format(head: &ObjectHead<'_>) -> Option<FileFormat> {
    let format = Format::of_object(head.key, head.content_type, head.first)?;
    Some(FileFormat {
        name: format.name(),
        is_plain_text: format == Format::Text,
    })
}

fn read(file: ObjectFile) -> Result<Vec<u8>, FileError> {
    let failed = |cause: String| FileError::Failed(cause);
    let format = Format::of_name(file.format)
        .ok_or_else(|| failed(format!("{} is not a format", file.format)))?;
    let limits = Limits::of_this_function(file.time.min(TIME).as_secs());
    let sandbox = Sandbox::of_this_program(limits).map_err(|error| failed(error.to_string()))?;
    let extracted = sandbox
        .extract(file.bytes, format)
        .map_err(|reason| match reason {
            Reason::NotStarted(cause) => failed(cause),
            reason => FileError::Refused(format!(
                "the object cannot be read as {}: {reason}",
                format.title()
            )),
        })?;
    let origin = Origin {
        id: &file.id,
        path: &file.key.to_string_lossy(),
        folder: None,
        modified: file.modified,
    };
    let line = extracted.line(&origin);
    line.map_err(|error| failed(error.to_string()))
}
