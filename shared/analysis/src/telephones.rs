//! Telephone numbers in any grouping, with or without country code.

use super::{numbers::is_number, scanner::Scanner, token::Role};

/// The most digits of a number, or of several that are taken for one.
const LONGEST: usize = 19;

/// The last digits, shared by all notations of a number: no country's numbers have fewer.
const SHARED: usize = 7;

/// Two-digit country codes (ITU-T E.164); those starting with 1 or 7 have one digit, all others three.
const CODES_OF_TWO: [&str; 43] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95",
];

/// Digits in groups, like telephone numbers.
#[derive(Clone)]
struct Groups<'t> {
    parts: Vec<&'t str>,
    digits: String,
    /// The number of the last word.
    end: usize,
    /// Whether a plus precedes the country code.
    has_plus: bool,
    /// Whether brackets enclose the area code.
    has_area: bool,
}

impl<'t> Scanner<'t> {
    /// `01 99 00 12 34`, `01.99.00.12.34`, `+33 1 99 00 12 34`, `(555) 010-1234`, `0199001234`.
    ///
    /// Searches use its digits without the country code and the zero before the area code, which is only dialled within
    /// the country, and its last digits, common to all notations.
    pub(super) fn telephone(&mut self, at: usize) -> Option<usize> {
        if at < self.no_number_before
            || !self
                .word(at)
                .starts_with(|first: char| first.is_ascii_digit())
        {
            return None;
        }
        let (whole, mut certain) = self.groups(at)?;
        if let Some(number) = certain.pop() {
            let end = number.end;
            let national = number.national();
            if whole.end > end && number.parts.len() > 1 {
                // Or a row of a table: `06000 1200 350 12`.
                for part in &number.parts {
                    self.push_code(Role::Indexed, (*part).to_owned());
                }
            }
            self.push_code(Role::Form, shared(&national).to_owned());
            if national != number.digits {
                self.push_code(Role::Indexed, number.digits);
            }
            self.push_code(Role::Counted, national);
            // A shorter one may be the number, and the rest another: `+44 20 7946 0018 24/7`.
            for shorter in certain.iter().filter(|shorter| shorter.is_complete()) {
                let national = shorter.national();
                self.push_code(Role::Indexed, shared(&national).to_owned());
                self.push_code(Role::Indexed, national);
            }
            if whole.end > end && whole.digits.len() <= LONGEST && whole.is_likely() {
                // Or the beginning of an account number.
                self.push_spaced(whole.end, whole.digits);
            }
            return Some(end + 1);
        }
        let number = whole;
        if number.is_likely() {
            // Its groups are searched as well: it may be a series of numbers.
            if number.digits.len() < 13 {
                self.push_code(Role::Indexed, shared(&number.digits).to_owned());
            }
            if number.digits.len() > 10 && !number.digits.starts_with('0') {
                let national = without_country(&number.digits).to_owned();
                self.push_code(Role::Form, national);
            }
            self.no_number_before = number.end + 1;
            self.push_spaced(number.end, number.digits);
        }
        None
    }

    /// The groups of digits from a word on, and those of its beginnings that are certain to be numbers, shortest first.
    /// `None` if there are too few digits, or too many and none is certain.
    fn groups(&self, at: usize) -> Option<(Groups<'t>, Vec<Groups<'t>>)> {
        let before = self.before(at);
        let mut number = Groups {
            parts: Vec::new(),
            digits: String::new(),
            end: at,
            has_plus: before.ends_with('+') || before.ends_with("+("),
            has_area: before.ends_with('(') && self.text[self.words[at].end..].starts_with(')'),
        };
        let mut certain: Vec<Groups<'t>> = Vec::new();
        loop {
            for group in self.word(number.end).split('.') {
                if !is_number(group) {
                    return None;
                }
                number.parts.push(group);
                number.digits.push_str(group);
            }
            if number.digits.len() > LONGEST {
                break;
            }
            if number.is_certain() {
                certain.push(number.clone());
            }
            let next = self.next_after(number.end, is_gap);
            if number.is_closed() || !next.is_some_and(is_digits) {
                break;
            }
            let gap = self.gap(number.end);
            let is_another =
                matches!(gap, "/" | " - ") && next.is_some_and(|next| next.starts_with('0'));
            if is_another && number.is_complete() && number.is_certain() {
                break;
            }
            number.has_area |= gap.contains('(');
            number.end += 1;
        }
        // A row of a table may begin like a number.
        let is_row = |it: &Groups<'_>| {
            let are_blanks = !self.slice(at, it.end).contains(['-', '.', '/', '(', ')']);
            it.parts[0].len() < 2 || (it.is_american() && are_blanks)
        };
        certain.retain(|it| it.end == number.end || !is_row(it));
        let length = number.digits.len();
        let fits = length >= SHARED && (length <= LONGEST || !certain.is_empty());
        fits.then_some((number, certain))
    }
}

impl Groups<'_> {
    /// Whether a plus, or the zeros for it, precede the country code.
    fn is_international(&self) -> bool {
        self.has_plus || (self.digits.starts_with("00") && self.digits.len() > 10)
    }

    /// Whether what follows is another number: pairs of French ones, or a whole number in one group.
    fn is_closed(&self) -> bool {
        let are_pairs = self.digits.len() == 10
            && self.digits.starts_with('0')
            && self.parts.iter().all(|group| group.len() == 2);
        are_pairs || (self.parts.len() == 1 && self.is_complete() && self.is_certain())
    }

    /// Whether it has as many digits as whole numbers have.
    fn is_complete(&self) -> bool {
        let least = if self.is_international() { 11 } else { 9 };
        self.digits.len() >= least
    }

    /// Whether only telephone numbers look so.
    fn is_certain(&self) -> bool {
        let length = self.digits.len();
        let is_national = self.digits.starts_with('0') && (9..=12).contains(&length);
        (self.is_international() && (8..=17).contains(&length))
            || (self.has_area && (8..=12).contains(&length))
            || self.is_american()
            || is_national
    }

    fn is_american(&self) -> bool {
        if !(3..=4).contains(&self.parts.len()) || self.digits.starts_with('0') {
            return false;
        }
        let lengths: Vec<usize> = self.parts.iter().map(|group| group.len()).collect();
        matches!(lengths[..], [3, 3, 4] | [1, 3, 3, 4])
    }

    /// Whether it may be a telephone number, rather than another grouped number.
    fn is_likely(&self) -> bool {
        let is_year = |group: &&&str| {
            group.len() == 4 && (group.starts_with("19") || group.starts_with("20"))
        };
        let groups = self.parts.len();
        let are_thousands = self.parts[1..].iter().all(|group| group.len() == 3);
        // Books' and persons' numbers have one-digit groups.
        let short = self.parts.iter().filter(|group| group.len() < 2).count();
        let are_long = short < 2 || (short == 2 && self.digits.len() > 9);
        self.digits.len() >= 8
            && self.parts.iter().filter(is_year).count() < 2
            && are_long
            && (groups > 2 || (groups == 2 && self.parts.iter().all(|group| group.len() > 3)))
            && !(are_thousands && self.digits.len() > 9)
    }

    /// The digits dialled within the country, without the zero before the area code.
    fn national(&self) -> String {
        let digits = self.digits.as_str();
        let digits = if self.is_international() {
            without_country(digits.trim_start_matches('0'))
        } else if digits.len() == 11 && digits.starts_with(['1', '7', '8']) {
            // North America and Russia dial a digit before the area code.
            &digits[1..]
        } else {
            digits
        };
        digits.trim_start_matches('0').to_owned()
    }
}

fn without_country(digits: &str) -> &str {
    let length = match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [_, _, ..] if CODES_OF_TWO.contains(&&digits[..2]) || digits.starts_with("98") => 2,
        _ => 3,
    };
    digits.get(length..).unwrap_or(digits)
}

/// The last digits of a number.
fn shared(digits: &str) -> &str {
    &digits[digits.len().saturating_sub(SHARED)..]
}

/// What may be between the groups of a number.
fn is_gap(gap: &str) -> bool {
    matches!(
        gap,
        " " | "-" | "." | "/" | ")" | ") " | " (" | "(" | ")-" | "-(" | " - "
    )
}

/// Digits, possibly with dots between them.
fn is_digits(word: &str) -> bool {
    word.split('.').all(is_number)
}
