//! HTML pages: their main content as Markdown.

mod escapes;

use dom_query::Document;
use dom_smoothie::{Config, Readability, TextMode};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde_json::Map;

use crate::Extracted;

/// What is not read anywhere.
const UNREAD: &str = "script, style, noscript, template, svg, math annotation, iframe, object, button, select, \
                      textarea, img, [hidden], [aria-hidden=true], a.headerlink";
/// What is around the main content.
const AROUND: &str = "nav, header, footer, aside, form, [role=navigation], [role=banner], [role=contentinfo], \
                      [role=search], [role=complementary]";
/// Elements that hold the main content, by the page's own word.
const MAIN: &str = "main, [role=main]";

/// A reading of a page that keeps less than this part of its text has taken a part for the whole.
const SHARE: usize = 4;

/// Reads an HTML page.
pub(super) fn extract(bytes: &[u8]) -> Extracted {
    let html = decoded(bytes);
    let document = Document::from(html.as_ref());
    document.select(UNREAD).remove();
    // Where a link leads is not what the page says.
    document.select("a").remove_attr("href");
    let mut metadata = Map::new();
    if let Some(lang) = document
        .select("html")
        .attr("lang")
        .filter(|lang| !lang.trim().is_empty())
    {
        let lang = lang.trim();
        metadata.insert("lang".to_owned(), lang.into());
        let language = lang.split(['-', '_']).next().unwrap_or_default();
        metadata.insert("language".to_owned(), language.to_ascii_lowercase().into());
    }
    for (key, name) in [("author", "author"), ("description", "description")] {
        let content = document
            .select(&format!("meta[name={name}]"))
            .attr("content");
        if let Some(content) = content.filter(|content| !content.trim().is_empty()) {
            metadata.insert(key.to_owned(), content.trim().into());
        }
    }
    let named = document
        .select_single("head title")
        .text()
        .trim()
        .to_owned();
    let heading = document.select_single("h1").text().trim().to_owned();
    Extracted {
        title: if named.is_empty() { heading } else { named },
        content: content(&document),
        metadata,
    }
}

/// The main content as Markdown: by the page's own word, or else by what Firefox's reader view would show, or else all
/// but what is around it.
fn content(document: &Document) -> String {
    let main = document.select_single(MAIN);
    if let Some(node) = main.nodes().first() {
        let text = escapes::removed(&node.md(None));
        if text.contains(char::is_alphanumeric) {
            return text;
        }
    }
    let around = document.clone();
    around.select(AROUND).remove();
    let body = around.select_single("body");
    let rest = body
        .nodes()
        .first()
        .map(|body| escapes::removed(&body.md(None)));
    let rest = rest.filter(|text| text.contains(char::is_alphanumeric));
    let article = article(document);
    match (article, rest) {
        (Some(article), Some(rest)) if SHARE * article.len() < rest.len() => rest,
        (Some(article), _) => article,
        (None, Some(rest)) => rest,
        // A page that is nothing but what is around a content.
        (None, None) => escapes::removed(&document.md(None)),
    }
}

fn article(document: &Document) -> Option<String> {
    let config = Config {
        text_mode: TextMode::Markdown,
        ..Config::default()
    };
    let mut reader = Readability::with_document(document.clone(), None, Some(config)).ok()?;
    let article = reader.parse().ok()?;
    let text = escapes::removed(&article.text_content);
    text.contains(char::is_alphanumeric).then_some(text)
}

/// The text of a page: by its byte order mark, as UTF-16 if it looks like that, as UTF-8, by what it says itself, as UTF-8 with
/// damaged letters, or as browsers read what says nothing.
fn decoded(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding.decode(bytes).0;
    }
    if let Some(encoding) = records::utf16_without_a_mark(bytes) {
        return encoding.decode(bytes).0;
    }
    let (text, _, has_errors) = UTF_8.decode(bytes);
    let declared = declared(bytes);
    if !has_errors || declared.is_none() && records::is_damaged_utf8(bytes) {
        return text;
    }
    declared.unwrap_or(WINDOWS_1252).decode(bytes).0
}

/// `<meta charset="...">`, the same in a content type, or the encoding of XML, in the first bytes. Other elements, such as
/// scripts, say the encoding of other files.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    const HEAD: usize = 1024;
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]).to_ascii_lowercase();
    let mut tags = head.split('<');
    let named = tags.find_map(|tag| {
        if tag.starts_with("meta") {
            label(tag, "charset")
        } else if tag.starts_with("?xml") {
            label(tag, "encoding")
        } else {
            None
        }
    })?;
    // What declares another one, as UTF-16, was read in a copy that was converted.
    Encoding::for_label(named.as_bytes()).filter(|encoding| encoding.is_ascii_compatible())
}

/// The value of an attribute, or of a parameter in one.
fn label<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, behind) = tag.split_once(name)?;
    let value = behind.trim_start().strip_prefix('=')?;
    let label = value.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)));
    Some(&label[..end.unwrap_or(label.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_windows_1252_need_not_say_so() {
        // Of each, two letters side by side happen to be one in UTF-8.
        for text in [
            "<p>Das macht „Spaß“ für Köln.</p>",
            "<h1>CAFÉ\u{a0}: déjà fermé</h1>",
        ] {
            let (bytes, _, _) = WINDOWS_1252.encode(text);
            assert_eq!(decoded(&bytes), text);
        }
    }
}
