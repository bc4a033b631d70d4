//! Amounts, and numbers with units.

use super::{
    normal::without_accents,
    numbers::{is_number, number},
    scanner::Scanner,
    token::Role,
};

/// Units written after a number; each line's first one is the search form. Full names map to the same abbreviation.
const UNITS: [&str; 40] = [
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
];

impl Scanner<'_> {
    /// `12 000`, `2 718,40`, `16 Go`, `16Go`, `14 h 30`: a normalised number, alone and with its unit.
    pub(super) fn quantity(&mut self, at: usize) -> Option<usize> {
        if let Some((number, unit)) = glued(self.word(at))
            && let Some(unit) = unit_of(unit)
        {
            let amount = Amount::of(number);
            self.push_amount(&amount, true);
            self.push_code(Role::Form, format!("{}{unit}", amount.value));
            return Some(at + 1);
        }
        let (end, amount) = self.amount(at)?;
        if self.end_of_hyphenated(end) > end {
            return None;
        }
        let unit = self.next_after(end, |gap| gap == " ");
        let is_minutes = |word: &&str| word.len() == 2 && is_number(word);
        if let Some(unit) = unit
            .filter(|&unit| unit != "to" || self.words[end + 1].upper)
            .and_then(unit_of)
        {
            let minutes = self
                .next_after(end + 1, |gap| gap == " ")
                .filter(is_minutes);
            if let (Some(minutes), "h") = (minutes, unit) {
                self.push_code(Role::Counted, format!("{}h{minutes}", amount.value));
                return Some(end + 3);
            }
            self.push_amount(&amount, true);
            self.push_code(Role::Form, format!("{}{unit}", amount.value));
            self.push_text(Role::Indexed, self.word(end + 1));
            return Some(end + 2);
        }
        let minutes = self.next_after(end, |gap| gap == ":").filter(is_minutes);
        if let Some(minutes) = minutes.filter(|_| amount.value.len() < 3) {
            self.push_spaced(end + 1, format!("{}h{minutes}", amount.value));
        }
        let is_money = self.before(at).ends_with(['$', '€', '£', '¥']);
        let is_money = is_money
            || self.text[self.words[end].end..]
                .trim_start()
                .starts_with(['$', '€', '£', '¥']);
        self.push_amount(&amount, is_money);
        Some(end + 1)
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
