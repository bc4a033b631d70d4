//! Codes: single names written with signs, digits or capitals.
//!
//! The index has a code's key, which is the whole without signs, and its parts: `ZX-4471-B`, `zx4471b` and `ZX 4471 B`
//! have the key `zx4471b` and the parts `zx` and `4471`.

use super::{
    code_parts::{EXTENSIONS, extension, key, parts},
    elision::{bare, elided},
    language::Languages,
    normal::without_accents,
    numbers::{has_digit, is_number, number},
    quantities::hour,
    scanner::Scanner,
    token::Role,
};

/// Pronouns that French and Portuguese attach to a verb: `dit-elle`, `fazê-lo`. Their hyphen makes no compound.
const CLITICS: [&str; 33] = [
    "ce", "ci", "elle", "elles", "en", "il", "ils", "je", "la", "las", "le", "les", "leur", "lhe",
    "lhes", "lo", "los", "lui", "là", "me", "moi", "même", "mêmes", "nos", "nous", "on", "se", "t",
    "te", "toi", "tu", "vous", "y",
];

impl Scanner<'_> {
    /// `covid-19`, `1914-1918`, `l110-1`, `week-end`: words joined by hyphens. Searches use the whole and its parts,
    /// except those of an article, which mean nothing alone.
    pub(super) fn compound(&mut self, at: usize) -> Option<usize> {
        let end = self.end_of_hyphenated(at);
        if end == at {
            return None;
        }
        let whole = self.slice(at, end);
        if self.are_numbers(at, end) {
            self.push_code(Role::Form, whole.replace('/', "-"));
            // Long ones are also written in other groups: ISBN, account numbers.
            let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
            if digits.len() > 8 {
                self.push_code(Role::Form, digits);
            }
        } else if has_digit(whole) || whole.contains('_') || extension(whole).is_some() {
            if self.hyphenated_article(at, end) {
                return Some(end + 1);
            }
            self.push_key(Role::Form, key(whole));
            self.push_date_within(whole);
        } else {
            self.joined(at, end);
        }
        let has_digits = has_digit(whole);
        for part in at..=end {
            if self.word(part).chars().nth(1).is_some() {
                let from = self.tokens.len();
                let range = self.words[part].start..self.words[part].end;
                self.single(part);
                for token in &mut self.tokens[from..] {
                    token.range = range.clone();
                }
            } else if has_digits {
                // Single letters or digits are everywhere: questions use only separate ones.
                self.push_text(Role::Indexed, self.word(part));
            }
        }
        Some(end + 1)
    }

    /// `week-end` as `weekend`, `habi-` at a line's end and `tation` on the next as `habitation`.
    fn joined(&mut self, at: usize, end: usize) {
        let last = self.word(end);
        if end - at > 4
            || is_attached(self.word(end - 1), last)
            || (at + 1..end).any(|part| self.word(part) == "t")
        {
            return;
        }
        let mut joined = String::new();
        for part in at..=end {
            let mut word = self.word(part);
            while let Some((_, noun)) = elided(word) {
                word = noun;
            }
            joined.push_str(&bare(word));
        }
        if joined.chars().all(char::is_alphabetic) {
            self.push_text(Role::Form, &joined);
        }
    }

    /// A word with digits, or a file's name: its key and parts.
    pub(super) fn code(&mut self, word: &str) {
        // A version is the same with or without its letter.
        let word = match word.strip_prefix('v') {
            Some(version)
                if version.starts_with(|first: char| first.is_ascii_digit())
                    && version.contains('.') =>
            {
                version
            }
            _ => word,
        };
        let parts = parts(word);
        match parts[..] {
            [part] if part.len() == word.len() => {
                self.push_code(Role::Counted, number(word));
                self.push_compact_date(word);
                return;
            }
            [hours, "h", minutes]
                if hours.len() < 3 && minutes.len() == 2 && word.len() == hours.len() + 3 =>
            {
                self.push_code(Role::Counted, hour(hours, minutes));
                return;
            }
            _ => {}
        }
        if self.glued_dimensions(word) {
            return;
        }
        let is_long = |part: &&str| part.contains('.') || part.chars().nth(2).is_some();
        let are_telling =
            word.contains(['_', '-']) || extension(word).is_some() || parts.iter().any(is_long);
        self.push_key(
            if are_telling {
                Role::Form
            } else {
                Role::Counted
            },
            key(word),
        );
        self.push_date_within(word);
        if let ([digits, letters], false) = (&parts[..], are_telling)
            && is_number(digits)
            && digits.len() + letters.len() == word.len()
        {
            // `20a` is also found by the number and the unit.
            self.push_code(Role::Indexed, (*digits).to_owned());
            self.push_text(Role::Indexed, letters);
        }
        if let ["v", version] = parts[..] {
            self.push_code(Role::Indexed, version.to_owned());
        }
        if are_telling {
            self.telling_parts(word, &parts);
        }
    }

    /// The parts of a code with signs, with an extension, or with a part that is long enough to be searched alone.
    fn telling_parts(&mut self, word: &str, parts: &[&str]) {
        let names = parts
            .windows(2)
            .filter(|pair| pair[0] == "v" && is_number(pair[1]));
        let versions: Vec<String> = names.map(|pair| format!("v{}", pair[1])).collect();
        for version in versions {
            self.push_code(Role::Form, version);
        }
        // Short letters and digits of a code are too common; after a name, they are its version.
        let is_apart = word.contains(['_', '-', '.']);
        let is_named = parts
            .iter()
            .any(|part| !has_digit(part) && part.chars().nth(2).is_some());
        for &part in parts {
            let least = match (has_digit(part), is_named, is_apart) {
                (true, true, _) => 1,
                (_, _, true) => 2,
                _ => 3,
            };
            if part.chars().count() < least {
                self.push_text(Role::Indexed, part);
            } else if has_digit(part) {
                self.push_code(Role::Counted, number(part));
                self.push_compact_date(part);
            } else {
                self.push_text(Role::Counted, part);
            }
        }
    }

    /// `asp.net`, `nom_de_champ`, `rapport.pdf`: words between dots, each longer than a letter.
    pub(super) fn dotted(&mut self, parts: &[&str]) {
        let (last, before) = parts.split_last().unwrap_or((&"", &[]));
        let is_file = EXTENSIONS.contains(last) && before.len() > 1;
        self.push_key(
            Role::Form,
            if is_file {
                before.concat()
            } else {
                parts.concat()
            },
        );
        for part in parts {
            self.push_text(Role::Counted, part);
        }
    }

    /// Others write a key of letters as one word.
    pub(super) fn push_key(&mut self, role: Role, key: String) {
        if key.chars().all(char::is_alphabetic) {
            self.push_text(role, &key);
        } else {
            self.push_code(role, key);
        }
    }

    /// `FR76 3000 4000 0312`, `SW1A 1AA`, `ISO 9001`, `R & D`: words of capitals and digits, searched by their joint
    /// key and individually.
    pub(super) fn spaced_code(&mut self, at: usize) {
        if self.is_inside(at) || self.word(at).len() > 6 {
            return;
        }
        if let Some(key) = self.ampersand(at) {
            self.push_spaced(at + 1, key);
            return;
        }
        let end = self.end_of_code(at);
        let whole = self.slice(at, end);
        let starts = whole.starts_with(|first: char| first.is_ascii_alphabetic());
        let is_mixed = has_digit(whole) && whole.bytes().any(|byte| byte.is_ascii_alphabetic());
        if whole.contains(' ') && is_mixed && (starts || end > at + 1) {
            self.push_spaced(end, key(whole));
        } else {
            self.lower_case_code(at);
        }
    }

    /// Some questions write codes in lower case: `zx 4471 b`.
    fn lower_case_code(&mut self, at: usize) {
        let is_blank = |gap: &str| gap == " ";
        let is_letters = |word: &str, most| {
            word.len() <= most
                && word.bytes().all(|byte| byte.is_ascii_lowercase())
                && !Languages::has_stop_word(word)
        };
        let Some(digits) = self
            .next_after(at, is_blank)
            .filter(|next| is_number(next) && next.len() > 1)
        else {
            return;
        };
        let letters = self.word(at);
        if is_letters(letters, 4) {
            self.push_code(Role::Asked, format!("{letters}{digits}"));
            if let Some(last) = self
                .next_after(at + 1, is_blank)
                .filter(|next| is_letters(next, 2))
            {
                self.push_code(Role::Asked, format!("{letters}{digits}{last}"));
            }
        }
    }

    fn ampersand(&self, at: usize) -> Option<String> {
        let next = self.next_after(at, |gap| matches!(gap, "&" | " & "))?;
        let are_short = self.word(at).len() < 5 && next.len() < 5;
        (are_short && !has_digit(next))
            .then(|| without_accents(&format!("{}&{next}", self.word(at))))
    }

    /// The last of the following words that may belong to one code.
    fn end_of_code(&self, at: usize) -> usize {
        let is_part = |at: usize| {
            let word = self.word(at);
            // The last group of an account number may be long.
            let is_short = word.len() < 5 || (word.len() < 7 && is_number(word));
            is_short
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && (self.words[at].upper || has_digit(word))
        };
        let mut end = at;
        while is_part(end)
            && end < at + 9
            && self
                .next_after(end, |gap| matches!(gap, " " | "-" | "/"))
                .is_some()
            && is_part(end + 1)
        {
            end += 1;
        }
        end
    }

    /// The last word joined to this one by single hyphens, or by slashes if all are numbers. A line may end after the
    /// hyphen.
    pub(super) fn end_of_hyphenated(&self, at: usize) -> usize {
        let mut end = at;
        let (mut numbers, mut digits) = (is_number(self.word(at)), has_digit(self.word(at)));
        while end + 1 < self.words.len() {
            let next = self.word(end + 1);
            let are_numbers = numbers && is_number(next);
            let has_digits = digits || has_digit(next);
            let is_joined = match self.gap(end) {
                "-" => true,
                "/" => are_numbers,
                "-\n" => !has_digits && !self.words[end + 1].capitals,
                _ => false,
            };
            if !is_joined {
                break;
            }
            (numbers, digits) = (are_numbers, has_digits);
            end += 1;
        }
        end
    }

    pub(super) fn are_numbers(&self, first: usize, last: usize) -> bool {
        (first..=last).all(|at| is_number(self.word(at)))
    }
}

/// Whether a pronoun is attached to a verb, not a part of a compound such as `add-on`, `read-me` or `rendez-vous`.
/// French verbs in the third person end in `t` or `d`.
fn is_attached(verb: &str, pronoun: &str) -> bool {
    match pronoun {
        "on" => verb.ends_with('t') || (verb.ends_with('d') && verb != "add"),
        "me" => verb != "read",
        "vous" => verb != "rendez",
        _ => CLITICS.contains(&pronoun),
    }
}
