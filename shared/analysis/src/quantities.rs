//! Amounts, and numbers with units.

use super::{
    language::Languages,
    normal::without_accents,
    numbers::{is_number, number},
    scanner::Scanner,
    token::Role,
};

/// Units written after a number; each line's first one is the search form. Full names map to the same abbreviation.
const UNITS: [&str; 48] = [
    "ko kb kio kib kilooctet kilooctets kilobyte kilobytes",
    "mo mb mio mib megaoctet megaoctets megabyte megabytes",
    "go gb gio gib gigaoctet gigaoctets gigabyte gigabytes",
    "to tb tio tib teraoctet teraoctets terabyte terabytes",
    "mm millimetre millimetres millimeter millimeters milimetros",
    "cm centimetre centimetres centimeter centimeters centimetros centimetri",
    "m metre metres meter meters metro metros metri",
    "km kilometre kilometres kilometer kilometers kilometros chilometri quilometros",
    "mg milligramme milligrammes milligram milligrams miligramos milligrammi",
    "g gramme grammes gram grams gramm gramos grammi gramas",
    "kg kilo kilos kilogramme kilogrammes kilogram kilograms kilogramm kilogramos chilogrammi",
    "ml millilitre millilitres milliliter milliliters mililitros millilitri",
    "cl centilitre centilitres centiliter",
    "l litre litres liter liters litro litros litri",
    "ms",
    "s sec",
    "min",
    "h",
    "v volt volts",
    "w watt watts",
    "kw",
    "kwh",
    "wh",
    "mah",
    "ah",
    "hz",
    "khz",
    "mhz",
    "ghz",
    "kva",
    "bar",
    "hpa",
    "db",
    "dpi ppp",
    "px",
    "mp mpx",
    "rpm",
    "nm",
    "mbps mbit",
    "gbps gbit",
    "a amp amps ampere amperes amperios",
    "ug µg μg mcg microgramme microgrammes microgram micrograms",
    "t tonne tonnes",
    "ft foot feet",
    "oz ounce ounces",
    "lb lbs",
    "am",
    "pm",
];

/// Names of currencies, beside a number as their signs are.
const CURRENCIES: [&str; 18] = [
    "eur", "euro", "euros", "usd", "dollar", "dollars", "gbp", "pound", "pounds", "sterling",
    "chf", "franc", "francs", "franken", "cad", "jpy", "yen", "yuan",
];

impl Scanner<'_> {
    /// `12 000`, `2 718,40`, `16 Go`, `16Go`, `14 h 30`: a normalised number, alone and with its unit.
    pub(super) fn quantity(&mut self, at: usize) -> Option<usize> {
        if let Some((number, unit)) = glued(self.word(at))
            && let Some(unit) = unit_of(unit)
            && self.end_of_hyphenated(at) == at
        {
            let amount = Amount::of(number);
            if matches!(unit, "a" | "t") {
                // Or the number of a house or a paragraph: `34a` is not 34.
                self.push_code(Role::Counted, with_unit(&amount.value, unit));
                self.push_code(Role::Indexed, amount.value);
                return Some(at + 1);
            }
            self.push_amount(&amount, true);
            self.push_code(Role::Form, with_unit(&amount.value, unit));
            return Some(at + 1);
        }
        let (end, amount) = self.amount(at)?;
        if self.end_of_hyphenated(end) > end {
            return None;
        }
        let is_minutes = |word: &&str| word.len() == 2 && is_number(word);
        if let Some(unit) = self.unit_after(end) {
            let minutes = self
                .next_after(end + 1, |gap| gap == " ")
                .filter(is_minutes);
            if let (Some(minutes), "h") = (minutes, unit) {
                self.push_code(Role::Counted, hour(&amount.value, minutes));
                return Some(end + 3);
            }
            self.push_amount(&amount, true);
            self.push_code(Role::Form, with_unit(&amount.value, unit));
            self.push_text(Role::Indexed, self.word(end + 1));
            return Some(end + 2);
        }
        let minutes = self.next_after(end, |gap| gap == ":").filter(is_minutes);
        if let Some(minutes) = minutes.filter(|_| amount.value.len() < 3) {
            self.push_spaced(end + 1, hour(&amount.value, minutes));
        }
        self.push_amount(&amount, self.is_money(at, end));
        self.push_with_short(&amount, end);
        Some(end + 1)
    }

    /// The unit after a number. `to` and `a` are common words as well, if not in capitals.
    fn unit_after(&self, end: usize) -> Option<&'static str> {
        let unit = self.next_after(end, |gap| gap == " ")?;
        if matches!(unit, "to" | "a") && !self.words[end + 1].cased {
            return None;
        }
        unit_of(unit)
    }

    /// One or two letters after a number may be a unit that is also written without the blank: `5 mA`, `40 kN`. From three
    /// letters on, the parts of `120mmHg` are terms of their own.
    fn push_with_short(&mut self, amount: &Amount, end: usize) {
        let Some(word) = self
            .next_after(end, |gap| gap == " ")
            .filter(|&word| word != "x")
        else {
            return;
        };
        let is_short = word.chars().count() < 3 && word.chars().all(char::is_alphabetic);
        if is_short && (self.words[end + 1].cased || !Languages::has_stop_word(word)) {
            let glued = format!("{}{}", amount.value, without_accents(word));
            self.push_code(Role::Form, glued);
        }
    }

    /// Whether a currency stands before or after a number.
    fn is_money(&self, first: usize, last: usize) -> bool {
        const SIGNS: [char; 4] = ['$', '€', '£', '¥'];
        let after = self.text[self.words[last].end..].trim_start();
        let is_named = |word: &str| CURRENCIES.contains(&word);
        self.before(first).ends_with(SIGNS)
            || after.starts_with(SIGNS)
            || self
                .next_after(last, |gap| gap == " ")
                .is_some_and(is_named)
            || (first > 0 && self.gap(first - 1) == " " && is_named(self.word(first - 1)))
    }

    /// A number and its last word: blanks may separate thousands.
    fn amount(&self, at: usize) -> Option<(usize, Amount)> {
        let first = self.word(at);
        if !first.starts_with(|first: char| first.is_ascii_digit())
            || first.contains(char::is_alphabetic)
        {
            return None;
        }
        let mut end = at;
        if is_number(first) && first.len() <= 3 && !first.starts_with('0') {
            while let Some(group) = self.next_after(end, |gap| gap == " ") {
                let (whole, fraction) = group.split_once([',', '.']).unwrap_or((group, "0"));
                if whole.len() != 3 || !is_number(whole) || !is_number(fraction) {
                    break;
                }
                end += 1;
                if whole.len() < group.len() {
                    break;
                }
            }
        }
        if end == at {
            return Some((at, Amount::of(first)));
        }
        if self.end_of_hyphenated(end) > end {
            return None;
        }
        let number = self.slice(at, end).replace(' ', "").replace(',', ".");
        Some((
            end,
            Amount {
                value: number,
                is_money: true,
            },
        ))
    }

    /// Zeros at the end do not change an amount of money or of a unit; `1.10` alone may be a version, not `1.1`.
    fn push_amount(&mut self, amount: &Amount, has_unit: bool) {
        let value = &amount.value;
        if (has_unit || amount.is_money) && value.matches('.').count() == 1 {
            let trimmed = value.trim_end_matches('0').trim_end_matches('.');
            self.push_code(Role::Counted, trimmed.to_owned());
            let (_, fraction) = value.split_once('.').unwrap_or_default();
            if trimmed.len() < value.len() {
                self.push_code(Role::Form, value.clone());
            } else if fraction.len() == 1 {
                self.push_code(Role::Indexed, format!("{value}0"));
            }
        } else {
            self.push_code(Role::Counted, value.clone());
            self.push_compact_date(value);
        }
    }
}

/// A normalised number.
struct Amount {
    value: String,
    /// Whether its spelling rules out a version.
    is_money: bool,
}

impl Amount {
    fn of(word: &str) -> Self {
        let value = number(word);
        let is_money = word.contains([',', '\'']) && value.contains('.');
        Self { value, is_money }
    }
}

/// An hour and minutes in one spelling: `9h30`, and `9h` for `09:00`.
pub(super) fn hour(hours: &str, minutes: &str) -> String {
    let hours = match hours.trim_start_matches('0') {
        "" => "0",
        hours => hours,
    };
    let minutes = if minutes == "00" { "" } else { minutes };
    format!("{hours}h{minutes}")
}

fn with_unit(value: &str, unit: &str) -> String {
    match unit {
        "h" => hour(value, ""),
        unit => format!("{value}{unit}"),
    }
}

/// A number and the letters directly after it: `16go`, `1,5m`, `3m2`.
fn glued(word: &str) -> Option<(&str, &str)> {
    let end = word
        .find(|character: char| character.is_alphabetic())
        .filter(|&end| end > 0)?;
    let (number, unit) = word.split_at(end);
    let is_amount = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    (is_amount && number.ends_with(|last: char| last.is_ascii_digit())).then_some((number, unit))
}

/// The search form of a unit.
pub(super) fn unit_of(word: &str) -> Option<&'static str> {
    let word = &*without_accents(word);
    // Areas and volumes: after `m` and `cm` of `m²`.
    match word {
        "m2" => return Some("m2"),
        "m3" => return Some("m3"),
        "cm2" => return Some("cm2"),
        "cm3" => return Some("cm3"),
        "km2" => return Some("km2"),
        _ => {}
    }
    let mut units = UNITS.iter();
    units.find_map(|names| {
        let mut names = names.split(' ');
        let unit = names.next()?;
        (unit == word || names.any(|name| name == word)).then_some(unit)
    })
}
