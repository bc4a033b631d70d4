//! The ranges of a filter that an index on a field of metadata can answer.

use serde::Serialize;

use crate::{
    expression::{Bound, Comparison, Expression, Scalar, Test},
    jsonpath::Roots,
    keys::Keys,
};

/// A range in which the values of a field lie, if they are numbers or texts. It has at least the values that the filter
/// accepts, and is for the choice of documents to look at, which are then tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldRange {
    /// The jsonpath of the field's values, as [`values_path`](crate::values_path) writes it.
    pub path: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: RangeKind,
    /// The least value: digits of a number, or a text. It has a bound on at least one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<String>,
    /// The greatest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<String>,
}

/// The type of the values in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RangeKind {
    /// Compared as numbers.
    Number,
    /// Compared by code points.
    Text,
}

impl FieldRange {
    /// The range of a condition, if it has one.
    pub(crate) fn of(expression: &Expression) -> Option<Self> {
        let Expression::Metadata(keys, test) = expression else {
            return None;
        };
        let number = |low, high| Some(Self::new(keys, RangeKind::Number, low, high));
        let text = |low, high| Some(Self::new(keys, RangeKind::Text, low, high));
        match test {
            Test::Equals(Scalar::Number(value)) => number(Some(value), Some(value)),
            Test::Equals(Scalar::Text(value)) => text(Some(value), Some(value)),
            Test::Compares(comparison, bound) => {
                let is_low = matches!(comparison, Comparison::Greater | Comparison::AtLeast);
                let sides = |value| {
                    if is_low {
                        (Some(value), None)
                    } else {
                        (None, Some(value))
                    }
                };
                match bound {
                    Bound::Number(value) => number(sides(value).0, sides(value).1),
                    Bound::Text(value) => text(sides(value).0, sides(value).1),
                    Bound::Instant(instant) => {
                        let (before, after) = instant.surely();
                        if is_low {
                            text(Some(&before), None)
                        } else {
                            text(None, Some(&after))
                        }
                    }
                }
            }
            _ => None,
        }
    }

    fn new(keys: &Keys, kind: RangeKind, low: Option<&String>, high: Option<&String>) -> Self {
        Self {
            path: Roots::METADATA.path(&keys.0) + "[*]",
            kind,
            low: low.cloned(),
            high: high.cloned(),
        }
    }

    /// Adds a range, to the one of the same field and type if there is one.
    pub(crate) fn add_to(self, ranges: &mut Vec<Self>) {
        let same = |other: &&mut Self| other.path == self.path && other.kind == self.kind;
        let Some(known) = ranges.iter_mut().find(same) else {
            ranges.push(self);
            return;
        };
        let kind = self.kind;
        known.low = stricter(known.low.take(), self.low, |new, old| {
            kind.is_less(old, new)
        });
        known.high = stricter(known.high.take(), self.high, |new, old| {
            kind.is_less(new, old)
        });
    }
}

impl RangeKind {
    /// Its name in SQL and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "text",
        }
    }

    fn is_less(self, one: &str, other: &str) -> bool {
        match self {
            Self::Text => one < other,
            Self::Number => match (one.parse::<f64>(), other.parse::<f64>()) {
                (Ok(one), Ok(other)) => one < other,
                // Neither is replaced.
                _ => false,
            },
        }
    }
}

/// The new bound if it is stricter than the old one, or the only one.
fn stricter(
    old: Option<String>,
    new: Option<String>,
    is_stricter: impl Fn(&str, &str) -> bool,
) -> Option<String> {
    match (old, new) {
        (Some(old), Some(new)) => Some(if is_stricter(&new, &old) { new } else { old }),
        (old, new) => old.or(new),
    }
}
