//! Markdown: the text stays as it is, since passages are cut along its headings and tables.

use serde_json::Value;

use crate::{Extracted, Reason, front_matter, plain};

/// Reads Markdown. Its front matter is the metadata; its title is that of the front matter or else the first heading,
/// which is left out of the text where the text begins with it.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, Reason> {
    let text = plain::text(bytes)?;
    let (mut metadata, body) = front_matter::split(&text)?;
    let named = match metadata.remove("title") {
        Some(Value::String(title)) => Some(title),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Null) | None => None,
        Some(other) => {
            metadata.insert("title".to_owned(), other);
            None
        }
    };
    if !metadata.contains_key("language")
        && let Some(Value::String(lang)) = metadata.get("lang")
    {
        metadata.insert("language".to_owned(), lang.as_str().into());
    }
    let (heading, rest) = first_heading(body);
    let is_title = named
        .as_ref()
        .is_none_or(|named| Some(named.trim()) == heading.as_deref());
    Ok(Extracted {
        title: named.or(heading).unwrap_or_default(),
        content: if is_title { rest } else { body }.trim().to_owned(),
        metadata,
    })
}

/// The text of the first heading, and what follows it if nothing is before it, or else all.
pub(super) fn first_heading(text: &str) -> (Option<String>, &str) {
    let mut position = 0;
    let mut is_first = true;
    let mut fenced = false;
    let mut before = "";
    for line in text.split_inclusive('\n') {
        let (start, end) = (position, position + line.len());
        position = end;
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
        }
        if fenced || line.is_empty() {
            before = "";
            continue;
        }
        if let Some(heading) = atx(line) {
            return (Some(heading), if is_first { &text[end..] } else { text });
        }
        let is_underline = line.bytes().all(|byte| byte == b'=')
            || (line.len() > 2 && line.bytes().all(|byte| byte == b'-'));
        // Below an item of a list, or a quotation, it is a line across the page.
        let mut marks = ["- ", "* ", "+ ", ">"].into_iter();
        let is_text = !before.is_empty() && !marks.any(|mark| before.starts_with(mark));
        if is_underline && is_text {
            let is_first = text[..start].trim() == before;
            return (
                Some(plain_text(before)),
                if is_first { &text[end..] } else { text },
            );
        }
        before = line;
        is_first = false;
    }
    (None, text)
}

/// `# Heading`, with or without marks behind it.
fn atx(line: &str) -> Option<String> {
    let marks = line.len() - line.trim_start_matches('#').len();
    let text = line[marks..].strip_prefix([' ', '\t'])?.trim();
    let closed = text.trim_end_matches('#');
    let text = if closed.is_empty() || closed.ends_with(' ') {
        closed.trim()
    } else {
        text
    };
    ((1..=6).contains(&marks) && !text.is_empty()).then(|| plain_text(text))
}

/// A heading without its links and emphasis, as far as these are simple.
fn plain_text(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading.trim();
    while let Some(open) = rest.find('[') {
        let before = &rest[..open];
        let Some((label, behind)) = rest[open + 1..].split_once(']') else {
            break;
        };
        if before.ends_with(char::is_alphanumeric) && !behind.starts_with(['(', '[']) {
            // An index, such as `list[0]`.
            text.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        }
        text.push_str(before.trim_end_matches('!'));
        // Of a wiki: `[[page|label]]`.
        let of_wiki = label.strip_prefix('[').zip(behind.strip_prefix(']'));
        if let Some((page, behind)) = of_wiki {
            text.push_str(page.rsplit('|').next().unwrap_or_default());
            rest = behind;
            continue;
        }
        text.push_str(label);
        let address = behind
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'));
        let name = behind
            .strip_prefix('[')
            .and_then(|link| link.split_once(']'));
        rest = address.or(name).map_or(behind, |(_, behind)| behind);
    }
    text.push_str(rest);
    // The anchor that some generators read: `# Heading {#anchor}`.
    let text = text.split(" {#").next().unwrap_or_default();
    text.replace("**", "").replace('`', "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Extracted {
        extract(text.into()).expect(text)
    }

    #[test]
    fn the_first_heading_is_the_title() {
        for (text, title, content) in [
            ("# Guide\n\nBody.\n\n## Next\n", "Guide", "Body.\n\n## Next"),
            ("Guide\n=====\n\nBody.", "Guide", "Body."),
            ("Guide\n-----\nBody.", "Guide", "Body."),
            (
                "## [Guide](a.md) of `rappel` ##\nBody.",
                "Guide of rappel",
                "Body.",
            ),
            (
                "Intro.\n\n# Guide\nBody.",
                "Guide",
                "Intro.\n\n# Guide\nBody.",
            ),
            (
                "```\n# comment\n```\n#no heading",
                "",
                "```\n# comment\n```\n#no heading",
            ),
            ("# C#\nBody.", "C#", "Body."),
            ("# list[0], [a][b]\nBody.", "list[0], a", "Body."),
            (
                "# ![](a.png)[[notes/Pump|Pumps]], [[Filter]]\nBody.",
                "Pumps, Filter",
                "Body.",
            ),
            ("- a\n---\nb", "", "- a\n---\nb"),
            ("> a\n---\nb", "", "> a\n---\nb"),
            ("a\n\n---\nb", "", "a\n\n---\nb"),
        ] {
            let extracted = read(text);
            assert_eq!(
                (extracted.title.as_str(), extracted.content.as_str()),
                (title, content),
                "{text}"
            );
        }
    }

    #[test]
    fn front_matter_is_the_metadata() {
        let text =
            "---\ntitle: Guide\nlang: fr\ntags: [a, b]\ndate: 2026-01-02\n---\n# Guide\nBody.";
        let extracted = read(text);
        assert_eq!(extracted.title, "Guide");
        assert_eq!(extracted.content, "Body.");
        let metadata = serde_json::json!({"lang": "fr", "language": "fr", "tags": ["a", "b"], "date": "2026-01-02"});
        assert_eq!(Value::from(extracted.metadata), metadata);
    }

    #[test]
    fn another_title_leaves_the_heading_where_it_is() {
        let extracted = read(
            "+++\ntitle = \"Other\"\nweight = 3\nwhen = 2026-01-02T03:04:05Z\n+++\n# Guide\nBody.",
        );
        assert_eq!(extracted.title, "Other");
        assert_eq!(extracted.content, "# Guide\nBody.");
        let metadata = serde_json::json!({"weight": 3, "when": "2026-01-02T03:04:05Z"});
        assert_eq!(Value::from(extracted.metadata), metadata);
    }
}
