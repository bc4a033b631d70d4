//! Files in requests: their text is extracted in a child process of this function, so that a file which crashes its parser
//! or takes too much memory or time fails its own request and nothing else.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use document_store::{Batch, DocumentInput, FileInput};
use extract::{Extracted, Format, Limits, Reason, Sandbox};
use json::FieldError;
use lambda_http::RequestExt as _;
use shared::{Error, http::Request, time_left};
use tokio::task::spawn_blocking;

/// The time for all files of a request: API Gateway waits 30 s for an answer, and the texts are still to be embedded.
const TIME: Duration = Duration::from_secs(20);

/// The formats, for errors of `content_type`.
const FORMATS: &str = "text/markdown, text/html, text/plain, application/pdf or \
                       application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// Content types of files whose writer knew no better.
const OCTETS: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

/// The documents with the texts of those that are files.
pub(super) async fn extracted(
    mut documents: Vec<DocumentInput>,
    request: &Request,
) -> Result<Vec<DocumentInput>, Error> {
    // Too many are refused unread.
    if documents.len() > Batch::MAX_DOCUMENTS {
        return Ok(documents);
    }
    let until = end(request);
    let mut errors = Vec::new();
    for (index, document) in documents.iter_mut().enumerate() {
        let (id, path) = (document.id.clone(), format!("documents[{index}]."));
        match read(document, id.as_deref(), &path, until).await {
            Err(Error::Invalid(found)) => errors.extend(found),
            outcome => outcome?,
        }
    }
    if errors.is_empty() {
        Ok(documents)
    } else {
        Err(errors.into())
    }
}

/// The same for the document of a path, which has its id.
pub(super) async fn extracted_one(
    mut document: DocumentInput,
    id: &str,
    request: &Request,
) -> Result<DocumentInput, Error> {
    read(&mut document, Some(id), "", end(request)).await?;
    Ok(document)
}

fn end(request: &Request) -> Instant {
    Instant::now() + time_left(&request.lambda_context()).min(TIME)
}

async fn read(
    document: &mut DocumentInput,
    id: Option<&str>,
    path: &str,
    until: Instant,
) -> Result<(), Error> {
    let Some(file) = document.take_file(path)? else {
        return Ok(());
    };
    let wrong = |field: &str, detail: String| FieldError::new(format!("{path}{field}"), detail);
    let format = format(&file).map_err(|detail| wrong("content_type", detail))?;
    let field = file.field;
    let refused = |detail: String| {
        wrong(
            field,
            format!("cannot be read as {}: {detail}", format.title()),
        )
    };
    let left = until.saturating_duration_since(Instant::now()).as_secs();
    if left == 0 {
        let detail = "the files before it took all of the time: send fewer in a request";
        return Err(refused(detail.to_owned()).into());
    }
    let limits = Limits::of_this_function(left);
    let sandbox = Sandbox::of_this_program(limits).map_err(|error| Error::internal(&error))?;
    let reading = spawn_blocking(move || sandbox.extract(file.bytes, format));
    let Extracted {
        title,
        content,
        metadata,
    } = match reading.await.map_err(Error::unfinished)? {
        Ok(extracted) => named(extracted, id),
        Err(error @ Reason::NotStarted(_)) => return Err(Error::internal(&error)),
        Err(reason @ Reason::Late(_)) => {
            let detail = format!("{reason}: import it with POST /imports, which has more time");
            return Err(refused(detail).into());
        }
        Err(reason) => return Err(refused(reason.to_string()).into()),
    };
    let set = document.set_extracted(title, content, metadata);
    Ok(set.map_err(|detail| refused(format!("its metadata {detail}")))?)
}

/// A file whose id is a file's name, such as `manuals/filter.md`, has that name as title if it has no other.
fn named(extracted: Extracted, id: Option<&str>) -> Extracted {
    match id.filter(|id| Format::of_path(Path::new(id)).is_some()) {
        Some(id) => extracted.named(id),
        None => extracted,
    }
}

/// The format of a file, or what is wrong with its content type.
fn format(file: &FileInput) -> Result<Format, String> {
    let named = file.content_type.as_deref();
    let Some(named) = named.filter(|named| !OCTETS.contains(&named.trim())) else {
        return Format::of_content(&file.bytes).ok_or_else(|| {
            format!("is missing, and the file's first bytes do not tell its format: use {FORMATS}")
        });
    };
    let format = Format::of_content_type(named).ok_or_else(|| {
        format!("is {named:?}; use {FORMATS}. Files of several documents are for POST /imports")
    })?;
    if file.field == "content" && !format.is_text() {
        return Err(format!(
            "is {named:?}, of files that are not text: send it as content_base64 instead of content"
        ));
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_by_its_content_type_or_its_first_bytes() {
        for (content_type, bytes, field, format) in [
            (
                Some("Text/HTML; charset=utf-8"),
                "<p>",
                "content",
                Ok(Format::Html),
            ),
            (
                Some("application/pdf"),
                "%PDF-1.7",
                "content_base64",
                Ok(Format::Pdf),
            ),
            (None, "%PDF-1.7", "content_base64", Ok(Format::Pdf)),
            (
                Some("application/octet-stream"),
                "<html>",
                "content_base64",
                Ok(Format::Html),
            ),
            (None, "Read me.", "content_base64", Err("is missing")),
            (Some("image/png"), "", "content_base64", Err("image/png")),
            (
                Some("application/pdf"),
                "%PDF-1.7",
                "content",
                Err("send it as content_base64"),
            ),
        ] {
            let file = FileInput {
                content_type: content_type.map(str::to_owned),
                bytes: bytes.into(),
                field,
            };
            match (super::format(&file), format) {
                (Err(detail), Err(words)) => assert!(detail.contains(words), "{detail}"),
                (found, expected) => {
                    assert_eq!(found.ok(), expected.ok(), "{content_type:?} {bytes}");
                }
            }
        }
    }
}
