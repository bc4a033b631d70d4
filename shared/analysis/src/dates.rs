//! Calendar dates in any notation.

use std::fmt::{self, Display, Formatter};

use super::{normal::without_accents, numbers::is_number, scanner::Scanner, token::Role};

/// A day, searched in ISO 8601.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Date {
    pub(super) year: u16,
    month: u8,
    day: u8,
}

/// Month names in English, French, German, Spanish, Italian, Portuguese and Dutch, without accents.
const MONTHS: [&str; 12] = [
    "january jan janvier janv januar jaenner enero ene gennaio gen janeiro januari",
    "february feb fevrier fevr fev februar febrero febbraio febb fevereiro februari",
    "march mar mars marz maerz marzo marco maart mrt",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "june jun juin juni junio giugno giu junho",
    "july jul juillet juil juli julio luglio lug julho",
    "august aug aout agosto ago augustus",
    "september sep sept septembre septiembre settembre sett setembro set",
    "october oct octobre oktober okt octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec decembre dezember dez diciembre dic dicembre dezembro",
];

impl Date {
    fn new(year: &str, month: u8, day: u8) -> Option<Self> {
        let digits: u16 = year.parse().ok()?;
        let year = match year.len() {
            4 if (1000..=2999).contains(&digits) => digits,
            // Two digits mean a typical year of documents.
            2 => digits + if digits < 70 { 2000 } else { 1900 },
            _ => return None,
        };
        ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Self { year, month, day })
    }

    fn month_of_year(self) -> String {
        format!("{}-{:02}", self.year, self.month)
    }
}

impl Display for Date {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { year, month, day } = self;
        write!(formatter, "{year}-{month:02}-{day:02}")
    }
}

/// The day written as eight digits: `20240131`.
pub(super) fn compact(digits: &str) -> Option<Date> {
    if digits.len() != 8 || !is_number(digits) {
        return None;
    }
    let date = Date::new(&digits[..4], two(&digits[4..6])?, two(&digits[6..])?)?;
    (1900..=2099).contains(&date.year).then_some(date)
}

/// The first date in ISO 8601 within a name, with hyphens, underscores or dots in it.
fn within(name: &str) -> Option<Date> {
    const LENGTH: usize = "2024-01-31".len();
    let is_digit = |at: usize| name.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let starts = (0..name.len()).filter(|&at| at == 0 || !is_digit(at - 1));
    let mut dates = starts.filter_map(|at| {
        let date = name.get(at..at + LENGTH).filter(|date| date.is_ascii())?;
        let sign = date[4..]
            .chars()
            .next()
            .filter(|sign| "-_.".contains(*sign))?;
        let parts: Vec<&str> = date.split(sign).collect();
        match parts[..] {
            [year, month, day]
                if is_number(year)
                    && [year.len(), month.len(), day.len()] == [4, 2, 2]
                    && !is_digit(at + LENGTH) =>
            {
                Date::new(year, two(month)?, two(day)?)
            }
            _ => None,
        }
    });
    dates.find(|date| (1900..=2099).contains(&date.year))
}

impl<'t> Scanner<'t> {
    /// `31/01/2024`, `31.01.24`, `2024-01-31`.
    pub(super) fn date(&mut self, at: usize) -> Option<usize> {
        let first = self.word(at);
        if !first.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let (parts, end): (Vec<&str>, usize) = if first.contains('.') {
            (first.split('.').collect(), at)
        } else {
            let is_sign = |gap: &str| matches!(gap, "/" | "-");
            let (second, third) = (
                self.next_after(at, is_sign)?,
                self.next_after(at + 1, is_sign)?,
            );
            if self.gap(at) != self.gap(at + 1)
                || self.next_after(at + 2, is_sign).is_some_and(is_number)
            {
                return None;
            }
            (vec![first, second, third], at + 2)
        };
        let [one, two_, three] = parts[..] else {
            return None;
        };
        if let (4, Some(month), Some(day)) = (one.len(), two(two_), two(three)) {
            let date = Date::new(one, month, day)?;
            self.push_date(date);
            if end == at {
                // Or a version.
                self.push_code(Role::Form, first.to_owned());
            }
            return Some(end + 1);
        }
        // `1.2.24` is likely a version.
        let is_short =
            three.len() == 2 && (first.contains('.') && (one.len() < 2 || two_.len() < 2));
        let (day, month) = (two(one)?, two(two_)?);
        if is_short || !is_number(three) {
            return None;
        }
        // Only the writer knows which one is the month; most of the world writes the day first.
        let readings = (Date::new(three, month, day), Date::new(three, day, month));
        match readings {
            (Some(date), Some(other)) if date != other => {
                self.push_date(date);
                self.push_code(Role::Indexed, other.to_string());
                self.push_code(Role::Form, format!("{day}/{month}/{}", date.year));
            }
            (Some(date), _) | (None, Some(date)) => self.push_date(date),
            (None, None) => return None,
        }
        if end == at {
            // Or a version.
            self.push_code(Role::Form, first.to_owned());
        }
        Some(end + 1)
    }

    /// Searches also find a date by its month and year.
    fn push_date(&mut self, date: Date) {
        self.push_code(Role::Counted, date.to_string());
        self.push_code(Role::Form, date.month_of_year());
        self.push_code(Role::Form, date.year.to_string());
    }

    /// The date in a name, if any: `2024-01-31_rapport`, `cr_2024_01_31.pdf`, `2024-01-31t10`.
    pub(super) fn push_date_within(&mut self, name: &str) {
        if let Some(date) = within(name) {
            self.push_code(Role::Form, date.to_string());
            self.push_code(Role::Form, date.month_of_year());
            self.push_code(Role::Indexed, date.year.to_string());
        }
    }

    /// `31 janvier 2024`, `January 31st, 2024`, `31. Januar 2024`, `31 de enero de 2024`; `janvier 2024`.
    pub(super) fn written_date(&mut self, at: usize) -> Option<usize> {
        let first = self.word(at);
        let (second, next) = self.after_preposition(at)?;
        // One of the two is a number: only then look up month names.
        let has_digits = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
        if has_digits(first) == has_digits(second) {
            return None;
        }
        if let Some(month) = month(first)
            && let Some(date) = Date::new(second, month, 1).filter(|_| second.len() == 4)
        {
            self.push_spaced(next, date.month_of_year());
            return None;
        }
        let (year, end) = self.after_preposition(next)?;
        let (day, name) = if month(second).is_some() {
            (first, second)
        } else {
            (second, first)
        };
        let number = day.trim_end_matches(|last: char| !last.is_ascii_digit());
        let date = Date::new(year, month(name)?, two(number)?).filter(|_| year.len() == 4)?;
        self.push_date(date);
        self.push_code(Role::Indexed, number.to_owned());
        self.push_text(Role::Indexed, name);
        Some(end + 1)
    }

    /// The next word and its position, or the one after it if it is a date's preposition.
    fn after_preposition(&self, at: usize) -> Option<(&'t str, usize)> {
        let next = self.next_after(at, is_blank)?;
        if matches!(next, "de" | "of" | "del" | "do") {
            return Some((self.next_after(at + 1, is_blank)?, at + 2));
        }
        Some((next, at + 1))
    }

    pub(super) fn push_compact_date(&mut self, digits: &str) {
        if let Some(date) = compact(digits) {
            self.push_code(Role::Form, date.to_string());
            self.push_code(Role::Indexed, date.month_of_year());
            self.push_code(Role::Indexed, date.year.to_string());
        }
    }
}

fn is_blank(gap: &str) -> bool {
    matches!(gap, " " | ", " | ". ")
}

/// One or two digits.
fn two(digits: &str) -> Option<u8> {
    (digits.len() < 3 && is_number(digits))
        .then(|| digits.parse().ok())
        .flatten()
}

pub(super) fn month(name: &str) -> Option<u8> {
    if !(3..=10).contains(&name.len()) {
        return None;
    }
    let name = without_accents(name);
    let place = MONTHS
        .iter()
        .position(|names| names.split(' ').any(|known| known == name))?;
    u8::try_from(place + 1).ok()
}
