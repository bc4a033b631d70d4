//! The length to which to cut a text.

/// Characters of a text that hold `limit` of its `tokens` tokens, or slightly fewer.
pub(crate) fn share(text: &str, tokens: usize, limit: usize) -> usize {
    let characters = text.chars().count();
    characters.saturating_mul(limit) / tokens.max(1) * 9 / 10
}
