//! The reason why an answer ends, in `OpenAI`'s words.

/// The reason in one of the usual words, if it is known; any other in lower case. `None` if it says nothing.
pub(super) fn reason(told: &str) -> Option<String> {
    let told = told.trim().to_ascii_lowercase();
    let reason = match told.as_str() {
        "" | "null" | "none" => return None,
        "max_tokens" | "max_output_tokens" | "model_length" => "length",
        "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii" | "sensitive" => {
            "content_filter"
        }
        told if told.starts_with("content_filter") => "content_filter",
        "end_turn" | "eos" | "eos_token" | "stop_sequence" | "complete" => "stop",
        "tool_use" => "tool_calls",
        other => other,
    };
    Some(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_different_endpoints_have_one_word_each() {
        for (told, expected) in [
            ("stop", "stop"),
            ("STOP", "stop"),
            ("end_turn", "stop"),
            ("eos_token", "stop"),
            ("COMPLETE", "stop"),
            ("MAX_TOKENS", "length"),
            ("model_length", "length"),
            ("SAFETY", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("content_filtered", "content_filter"),
            ("tool_use", "tool_calls"),
            ("refusal", "refusal"),
            (
                "insufficient_system_resource",
                "insufficient_system_resource",
            ),
        ] {
            assert_eq!(reason(told).as_deref(), Some(expected), "{told}");
        }
        // Some endpoints send such a word with each piece.
        for told in ["", " ", "null", "None"] {
            assert_eq!(reason(told), None, "{told:?}");
        }
    }
}
