//! Elisions before an apostrophe and contractions after it.

use std::borrow::Cow;

/// Elided words of French, Italian and Catalan, as written before the apostrophe.
const ELISIONS: [&str; 41] = [
    "all", "anch", "bell", "c", "ch", "com", "cos", "cott", "d", "dall", "degl", "dell", "dov",
    "gl", "j", "jusqu", "l", "lorsqu", "m", "n", "negl", "nell", "nessun", "nient", "nostr",
    "puisqu", "qu", "quell", "quelqu", "quest", "quoiqu", "s", "sant", "senz", "sugl", "sull", "t",
    "tutt", "un", "vostr", "mezz",
];

/// English contractions and endings, as written after the apostrophe.
const CONTRACTIONS: [&str; 6] = ["d", "ll", "m", "re", "s", "ve"];

/// The elided word and the word after it. `bell's` and `un's` are English.
pub(super) fn elided(word: &str) -> Option<(&str, &str)> {
    let (elided, rest) = word.split_once('\'')?;
    let is_elided = ELISIONS.contains(&elided) && !rest.is_empty() && !CONTRACTIONS.contains(&rest);
    is_elided.then_some((elided, rest))
}

/// The word without English endings and without apostrophes: others belong to it, as in `aujourd'hui` and
/// `prud'homme`.
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
