//! serde's messages in JSON's terms.

/// Translates a serde message into JSON's terms: `is a list, not a string`.
#[must_use]
pub fn in_words(message: &str) -> String {
    // The path gives the location; a column of a large body does not help.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    if let Some(rest) = after(message, &["invalid type: ", "invalid value: "])
        && let Some((found, wanted)) = rest.rsplit_once(", expected ")
    {
        return format!(
            "is {}, not {}",
            found_in_words(found),
            wanted_in_words(wanted)
        );
    }
    // Only from an enum.
    if message == "expected value" {
        return "must be a string".to_owned();
    }
    if message.starts_with("missing field ") {
        return "is missing".to_owned();
    }
    if message.starts_with("duplicate field ") {
        return "is given more than once".to_owned();
    }
    let listed = |rest: &str| {
        rest.rsplit_once(", expected ")
            .map(|(_, names)| names.to_owned())
    };
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return listed(rest).map_or_else(
            || "is not a field".to_owned(),
            |names| format!("is not a field; expected {names}"),
        );
    }
    if let Some(names) = message.strip_prefix("unknown variant ").and_then(listed) {
        return format!("must be {names}");
    }
    message.to_owned()
}

pub(super) fn after<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// The type found, without a string's text: it may be long.
fn found_in_words(found: &str) -> String {
    match found.split(' ').next().unwrap_or_default() {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "string" | "character" => "a string".to_owned(),
        "null" | "unit" | "Option" => "null".to_owned(),
        // `integer `7`` and similar.
        _ => found.split('`').nth(1).unwrap_or(found).to_owned(),
    }
}

fn wanted_in_words(wanted: &str) -> &str {
    match wanted {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
        | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        "variant identifier" | "a borrowed string" => "a string",
        _ if after(wanted, &["struct ", "internally tagged "]).is_some() => "an object",
        _ if after(wanted, &["tuple ", "an array "]).is_some() => "a list",
        _ if after(wanted, &["enum ", "unit variant "]).is_some() => "a string",
        _ => wanted,
    }
}
