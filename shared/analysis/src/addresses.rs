//! Mail and web addresses.

use super::{
    code_parts::key,
    numbers::{has_digit, number},
    scanner::Scanner,
    token::Role,
};

impl Scanner<'_> {
    /// `jean.dupont@exemple.fr`, `https://exemple.fr/aide`, `www.exemple.fr`.
    pub(super) fn address(&mut self, at: usize) -> Option<usize> {
        let start = self.words[at].start;
        if start < self.no_address_before {
            return None;
        }
        let is_part = |character: char| {
            character.is_ascii_graphic() && !r#"<>"()[]{}|,;"#.contains(character)
        };
        let run = &self.text[start..];
        let run = &run[..run
            .find(|character| !is_part(character))
            .unwrap_or(run.len())];
        self.no_address_before = start + run.len();
        let run = run.trim_end_matches(|last: char| last.is_ascii_punctuation() && last != '/');
        let whole = run.strip_prefix("mailto:").unwrap_or(run);
        let whole = whole.split_once("://").map_or(whole, |(_, rest)| rest);
        let is_url = whole.len() < run.len() || whole.starts_with("www.");
        let whole = whole
            .strip_prefix("www.")
            .unwrap_or(whole)
            .trim_end_matches('/');
        let is_mail = whole
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        if whole.is_empty() || !(is_url || is_mail) {
            return None;
        }
        self.push_code(Role::Counted, whole.to_owned());
        let host = whole.rsplit('@').next().unwrap_or(whole);
        let host = host.split(['/', '?', '#', ':']).next().unwrap_or(host);
        if host.len() < whole.len() {
            self.push_key(Role::Indexed, key(host));
        }
        // Some ask for the address, others for its words.
        for part in whole.split(|character: char| !character.is_ascii_alphanumeric()) {
            if has_digit(part) {
                self.push_code(Role::Indexed, number(part));
            } else if part.len() > 1 {
                self.push_text(Role::Indexed, part);
            }
        }
        let end = start + run.len();
        Some(
            self.words[at..]
                .iter()
                .take_while(|word| word.start < end)
                .count()
                + at,
        )
    }
}
