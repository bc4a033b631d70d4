//! What is elided before and contracted after an apostrophe.

use std::borrow::Cow;

/// What French, Italian and Catalan elide, as it stands before the apostrophe.
const ELISIONS: [&str; 41] = [
    "all", "anch", "bell", "c", "ch", "com", "cos", "cott", "d", "dall", "degl", "dell", "dov",
    "gl", "j", "jusqu", "l", "lorsqu", "m", "n", "negl", "nell", "nessun", "nient", "nostr",
    "puisqu", "qu", "quell", "quelqu", "quest", "quoiqu", "s", "sant", "senz", "sugl", "sull", "t",
    "tutt", "un", "vostr", "mezz",
];

/// What English contracts or adds, as it stands after the apostrophe.
const CONTRACTIONS: [&str; 6] = ["d", "ll", "m", "re", "s", "ve"];

/// What is elided, and the word after it.
pub(super) fn elided(word: &str) -> Option<(&str, &str)> {
    let (elided, rest) = word.split_once('\'')?;
    (ELISIONS.contains(&elided) && !rest.is_empty()).then_some((elided, rest))
}

/// The word without what English adds and without apostrophes: those left belong to it, as in `aujourd'hui`
/// and `prud'homme`.
pub(super) fn bare(word: &str) -> Cow<'_, str> {
    let Some((contracted, ending)) = word.rsplit_once('\'') else {
        return Cow::Borrowed(word);
    };
    let word = if CONTRACTIONS.contains(&ending) {
        contracted
    } else {
        word
    };
    Cow::Owned(word.replace('\'', ""))
}
