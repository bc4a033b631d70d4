//! Documents as resources, which users attach to conversations.

use document_store::{Document, DocumentId, PageRequest};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::model::{
    ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use shared::Error;

use crate::DocumentServer;

const SCHEME: &str = "rappel://documents/";
const MEDIA_TYPE: &str = "text/plain";
/// Documents of a page.
const PAGE: i64 = 100;

/// The address of a document without one on the web.
pub(super) fn uri(id: &str) -> String {
    format!("{SCHEME}{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// The id of a document, which may be given by its [`uri`].
pub(super) fn id_of(id_or_uri: &str) -> String {
    match id_or_uri.strip_prefix(SCHEME) {
        Some(encoded) => percent_decode_str(encoded).decode_utf8_lossy().into_owned(),
        None => id_or_uri.to_owned(),
    }
}

/// The template of a document's address.
pub(super) fn template() -> ResourceTemplate {
    let mut template = ResourceTemplate::new(format!("{SCHEME}{{id}}"), "document");
    template.title = Some("A document by its id".to_owned());
    template.mime_type = Some(MEDIA_TYPE.to_owned());
    template
}

/// Documents in the order of their ids.
///
/// # Errors
/// When the cursor is not one of these pages, or the database fails.
pub(super) async fn page(
    server: &DocumentServer,
    cursor: Option<String>,
) -> Result<ListResourcesResult, Error> {
    let request = PageRequest {
        cursor,
        limit: Some(PAGE),
        ..PageRequest::default()
    };
    let page = request
        .parse()?
        .read(&server.state.database, &server.visibility)
        .await?;
    let resources = page.documents.iter().map(resource).collect();
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = page.next_cursor;
    Ok(result)
}

/// A document's text.
///
/// # Errors
/// When there is no such document, or the database fails.
pub(super) async fn read(server: &DocumentServer, uri: &str) -> Result<ReadResourceResult, Error> {
    let missing = || Error::NoDocument(uri.to_owned());
    if !uri.starts_with(SCHEME) {
        return Err(missing());
    }
    let id = DocumentId::parse(&id_of(uri), "uri")?;
    let document = document_store::get(&server.state.database, &server.visibility, &id)
        .await?
        .ok_or_else(missing)?;
    let text = document.content.unwrap_or_default();
    let contents = ResourceContents::text(text, uri).with_mime_type(MEDIA_TYPE);
    Ok(ReadResourceResult::new(vec![contents]))
}

fn resource(document: &Document) -> Resource {
    let mut resource = Resource::new(uri(&document.id), &*document.id);
    if !document.title.is_empty() {
        resource.title = Some(document.title.clone());
    }
    resource.mime_type = Some(MEDIA_TYPE.to_owned());
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_document() {
        for id in ["plage", "a/b c", "été %2F?#", "rappel://documents/x"] {
            let uri = uri(id);
            assert!(!uri[SCHEME.len()..].contains(['/', ' ', '?', '#']), "{uri}");
            assert_eq!(id_of(&uri), id);
        }
        assert_eq!(id_of("a%20b"), "a%20b", "an id is taken as it is");
    }
}
