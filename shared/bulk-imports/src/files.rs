//! Objects that are one document each, such as PDF files: the document becomes a piece of one line, which is stored like any
//! other.

use std::{io::Cursor, time::Instant};

use document_store::{DocumentId, Prepared};
use records::{LINE_LIMIT, Lines, Refusal};
use tokio::task::spawn_blocking;

use super::{
    Worker,
    attempt::WorkError,
    cut::Piece,
    fetch::whole,
    file_reader::{FileError, ObjectFile, ObjectHead},
    lines::Object,
    source::ReadError,
};

/// The document of an object, or `None` if the object has many.
pub(super) async fn piece(
    worker: &Worker<'_>,
    object: &Object,
    first: &[u8],
    until: Instant,
) -> Result<Option<Piece>, WorkError> {
    let imports = worker.imports;
    let key = object.source.key(imports.config.root.as_deref());
    if records::is_named(&key) || records::is_compressed(first) {
        return Ok(None);
    }
    let found = object.source.look(&imports.s3).await?;
    if object.etag.as_ref().is_some_and(|etag| *etag != found.etag) {
        return Err(ReadError::Changed.into());
    }
    let head = ObjectHead {
        key: &key,
        content_type: found.content_type.as_deref(),
        first,
    };
    let Some(format) = (worker.files.format)(&head) else {
        return Ok(None);
    };
    if format.is_plain_text && begins_with_a_document(first) {
        return Ok(None);
    }
    let (bytes, most) = (object.bytes, worker.files.max_bytes);
    if bytes > most {
        let detail = format!(
            "the object has {bytes} bytes; a {} file has at most {most}",
            format.name
        );
        return Err(WorkError::File(detail));
    }
    let file = ObjectFile {
        format: format.name,
        id: DocumentId::of_path(&key.to_string_lossy())
            .as_str()
            .to_owned(),
        key,
        modified: found.modified,
        bytes: whole(imports, object, until).await?,
        time: until.saturating_duration_since(Instant::now()),
    };
    Ok(Some(Piece {
        first: 0,
        text: read(worker.files.read, file).await?,
    }))
}

/// The document of a file, as a line of JSON.
async fn read(
    reader: fn(ObjectFile) -> Result<Vec<u8>, FileError>,
    file: ObjectFile,
) -> Result<Vec<u8>, WorkError> {
    let line = match spawn_blocking(move || reader(file)).await {
        Ok(Ok(line)) => line,
        Ok(Err(FileError::Refused(reason))) => return Err(WorkError::File(reason)),
        Ok(Err(FileError::Failed(cause))) => return Err(not_read(cause)),
        Err(panic) => return Err(not_read(panic.to_string())),
    };
    if line.len() > LINE_LIMIT {
        let detail = format!(
            "the text of the object has {} bytes as JSON; at most {LINE_LIMIT} are read: split it",
            line.len()
        );
        return Err(WorkError::File(detail));
    }
    Ok(line)
}

fn not_read(cause: String) -> WorkError {
    WorkError::failed("the object was not read", cause)
}

/// Whether a text has a document on each line, such as the rows of a spreadsheet: its first line is one, or a part of one.
fn begins_with_a_document(first: &[u8]) -> bool {
    let text = records::open_text(Cursor::new(first.to_vec())).ok();
    let line = text.and_then(|text| Lines::new(text).next()?.ok());
    // The first line or row of a long one goes beyond what was read.
    let is_cut = first.len() >= records::HEAD;
    line.is_some_and(|line| match line.text {
        Ok(line) if is_cut && line.starts_with(b"{") && !line.ends_with(b"}") => true,
        Ok(line) => Prepared::read(&line).is_ok(),
        Err(refusal) => is_cut && refusal == Refusal::Unclosed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_document_on_each_line_is_not_one_document() {
        let long = format!("{{\"id\": 1, \"content\": \"{}", "x".repeat(records::HEAD));
        let quoted = format!("id,content\n1,\"{}", "x".repeat(records::HEAD));
        for (text, begins) in [
            ("{\"content\": \"A line.\"}\n", true),
            ("id,content\n1,A row.\n", true),
            (&long[..records::HEAD], true),
            (&quoted[..records::HEAD], true),
            ("{\"a\": 1}\n", false),
            ("Read me.\n{\"content\": \"An example.\"}\n", false),
            ("Content, and other things\n", false),
            ("Content\n\nOf a page.\n", false),
        ] {
            assert_eq!(begins_with_a_document(text.as_bytes()), begins, "{text}");
        }
    }
}
