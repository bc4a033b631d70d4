//! Markdown without its escapes: the text is searched, and `snake\_case` is not the word that people ask for.

/// Removes the backslashes before punctuation, outside of code.
pub(super) fn removed(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut fenced = false;
    for line in markdown.trim().split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            text.push_str(line);
        } else {
            unescape(line, &mut text);
        }
    }
    text
}

fn unescape(line: &str, text: &mut String) {
    let mut code = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        code ^= character == '`';
        let next = characters.peek().copied();
        if character == '\\'
            && !code
            && let Some(mark) = next.filter(char::is_ascii_punctuation)
        {
            text.push(mark);
            characters.next();
        } else {
            text.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_outside_of_code_are_removed() {
        let markdown = "snake\\_case and `a\\_b`\n```\nx\\*y\n```\n1\\. C:\\dir \\\\";
        let text = "snake_case and `a\\_b`\n```\nx\\*y\n```\n1. C:\\dir \\";
        assert_eq!(removed(markdown), text);
    }
}
