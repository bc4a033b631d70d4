//! ISO dates and times, as points in time.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Utc};

/// A point in time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(DateTime<Utc>);

impl Instant {
    /// Reads `2026-03-01`, `2026-03-01T10:30`, `2026-03-01 10:30:00.25Z`, `2026-03-01T10:30:00+02:00`. A date is its first
    /// moment, and what has no offset is in UTC.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let shape = text.as_bytes();
        let is_date = shape.len() >= 10
            && shape[..10].iter().enumerate().all(|(index, byte)| {
                if matches!(index, 4 | 7) {
                    *byte == b'-'
                } else {
                    byte.is_ascii_digit()
                }
            });
        if !is_date {
            return None;
        }
        let date = NaiveDate::parse_from_str(&text[..10], "%Y-%m-%d").ok()?;
        let clock = match shape.get(10) {
            None => return Some(Self(date.and_time(chrono::NaiveTime::MIN).and_utc())),
            Some(b'T' | b't' | b' ') => &text[11..],
            Some(_) => return None,
        };
        let text = format!("{date}T{clock}");
        let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
            .into_iter()
            .find_map(|format| DateTime::parse_from_str(&text, format).ok());
        if let Some(zoned) = zoned {
            return Some(Self(zoned.to_utc()));
        }
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .into_iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
            .map(|local| Self(local.and_utc()))
    }

    /// Milliseconds since 1970, rounded down, and whether that is exact.
    pub(crate) fn milliseconds(self) -> (i64, bool) {
        let micros = self.0.timestamp_micros();
        (micros.div_euclid(1_000), micros.rem_euclid(1_000) == 0)
    }

    /// In UTC: `2026-03-01T10:30:00.250000`.
    pub(crate) fn written(self) -> String {
        self.0.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
    }

    /// The day before, and the second day after: every text that is a time before the one, or from the other on,
    /// whatever its offset, is before or after this instant.
    pub(crate) fn surely(self) -> (String, String) {
        let day = self.0.date_naive();
        // Beyond four digits of a year: before and after all digits.
        let before = day
            .checked_sub_days(Days::new(1))
            .map(|day| day.to_string());
        let after = day
            .checked_add_days(Days::new(2))
            .map(|day| day.to_string());
        let four_digits = |day: &String| day.len() == 10;
        (
            before.filter(four_digits).unwrap_or_default(),
            after.filter(four_digits).unwrap_or_else(|| ":".to_owned()),
        )
    }
}
