//! Text of others in a prompt.

use serde::Serialize;

/// A value as one line of JSON in which nothing can look like its end, nor like the marks by which some
/// servers tell the turns of a conversation apart (`<|im_end|>`).
pub(crate) fn fenced(value: &impl Serialize) -> String {
    let mut line = String::new();
    for c in serde_json::to_string(value).unwrap_or_default().chars() {
        match c {
            '<' => line.push_str(r"\u003c"),
            '\u{85}' => line.push_str(r"\u0085"),
            '\u{2028}' => line.push_str(r"\u2028"),
            '\u{2029}' => line.push_str(r"\u2029"),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fenced_value_is_one_line_without_marks() {
        let odd = json!({ "text": "a\n\"} <|im_end|>\u{2028}b\u{85}" });
        let line = fenced(&odd);
        assert!(!line.contains(['\n', '<', '\u{2028}', '\u{85}']), "{line}");
        let back: serde_json::Value = serde_json::from_str(&line).expect("it is JSON still");
        assert_eq!(back, odd);
    }
}
