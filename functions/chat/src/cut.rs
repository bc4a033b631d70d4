//! How much of a text is kept.

/// Characters of the share of a text that has `limit` of its `tokens` tokens, or somewhat less.
pub(crate) fn share(text: &str, tokens: usize, limit: usize) -> usize {
    let characters = text.chars().count();
    characters.saturating_mul(limit) / tokens.max(1) * 9 / 10
}
