//! Compiles a filter to a jsonpath predicate of Postgres 14 and later.
//!
//! The mode is lax: a member of a list of objects is that of each, a comparison with a list is one with each of its
//! elements, and what is missing is nothing rather than an error. A comparison of two types is unknown, which `&&` and
//! `||` treat as false where it decides; `!` would not, so that it only stands before `exists`, which is true or false.

use crate::{
    expression::{
        Bound, Comparison, Element, Expression, Moment, Name, NameTest, Scalar, Test, Time,
    },
    instant::Instant,
    keys::Keys,
};

/// Where the path finds a document.
#[derive(Clone, Copy)]
pub(crate) struct Roots {
    /// The root of the metadata's keys.
    metadata: &'static str,
}

impl Roots {
    /// The path is applied to the metadata alone.
    pub(crate) const METADATA: Self = Self { metadata: "$" };
    /// The path is applied to an object that has the metadata beside `id`, `title`, `source`, `created_at` and
    /// `updated_at`, the times in milliseconds since 1970.
    pub(crate) const DOCUMENT: Self = Self {
        metadata: "$.\"metadata\"",
    };
    /// An element of a list.
    const ELEMENT: Self = Self { metadata: "@" };

    pub(crate) fn predicate(self, expression: &Expression) -> String {
        match expression {
            Expression::All(parts) if parts.is_empty() => "(1 == 1)".to_owned(),
            Expression::Any(parts) if parts.is_empty() => "(1 == 0)".to_owned(),
            Expression::All(parts) => joined(parts.iter().map(|part| self.predicate(part)), "&&"),
            Expression::Any(parts) => joined(parts.iter().map(|part| self.predicate(part)), "||"),
            Expression::Not(inner) => format!("!exists($ ? ({}))", self.predicate(inner)),
            Expression::Metadata(keys, test) => self.test(keys, test),
            Expression::Name(name, test) => name_test(*name, test),
            Expression::Time(time, moment) => time_test(*time, *moment),
        }
    }

    fn test(self, keys: &Keys, test: &Test) -> String {
        let path = self.path(&keys.0);
        match test {
            Test::Equals(scalar) => format!("({path} == {})", literal(scalar)),
            Test::Compares(comparison, bound) => match bound {
                Bound::Number(number) => format!("({path} {} {number})", comparison.sign()),
                Bound::Text(bound) => format!("({path} {} {})", comparison.sign(), quoted(bound)),
                Bound::Instant(instant) => {
                    format!("exists({path} ? ({}))", time_of_text(*comparison, *instant))
                }
            },
            Test::Exists => format!("exists({path})"),
            Test::IsObject => format!("exists({path} ? (@.type() == \"object\"))"),
            Test::Holds(elements) => self.holds(keys, elements),
        }
    }

    /// The type of a list is asked of the object that has it: of the list itself, the mode would make its elements.
    fn holds(self, keys: &Keys, elements: &[Element]) -> String {
        let Some((key, parents)) = keys.0.split_last() else {
            return "(1 == 0)".to_owned();
        };
        let list = format!("@.{}", quoted(key));
        let conditions = [
            "(@.type() == \"object\")".to_owned(),
            format!("({list}.type() == \"array\")"),
        ];
        let conditions = conditions
            .into_iter()
            .chain(elements.iter().map(|element| list_contains(&list, element)));
        format!(
            "exists({} ? ({}))",
            self.path(parents),
            joined(conditions, "&&")
        )
    }

    pub(crate) fn path(self, keys: &[String]) -> String {
        keys.iter().fold(self.metadata.to_owned(), |path, key| {
            path + "." + &quoted(key)
        })
    }
}

/// That `list` has such an element.
fn list_contains(list: &str, element: &Element) -> String {
    match element {
        Element::Scalar(scalar) => format!("({list} == {})", literal(scalar)),
        Element::List(elements) => {
            let conditions = elements.iter().map(|element| list_contains("@", element));
            let conditions =
                std::iter::once("(@.type() == \"array\")".to_owned()).chain(conditions);
            format!("exists({list} ? ({}))", joined(conditions, "&&"))
        }
        Element::Object(expression) => {
            let conditions = [
                "(@.type() == \"object\")".to_owned(),
                Roots::ELEMENT.predicate(expression),
            ];
            format!(
                "exists({list} ? ({}))",
                joined(conditions.into_iter(), "&&")
            )
        }
    }
}

fn name_test(name: Name, test: &NameTest) -> String {
    let path = match name {
        Name::Id => "$.\"id\"",
        Name::Title => "$.\"title\"",
        Name::Source => "$.\"source\"",
    };
    match test {
        NameTest::OneOf(texts) if texts.is_empty() => "(1 == 0)".to_owned(),
        NameTest::OneOf(texts) => joined(
            texts
                .iter()
                .map(|text| format!("({path} == {})", quoted(text))),
            "||",
        ),
        NameTest::Compares(comparison, bound) => {
            format!("({path} {} {})", comparison.sign(), quoted(bound))
        }
        NameTest::Exists => format!("({path} != null)"),
    }
}

fn time_test(time: Time, moment: Moment) -> String {
    let path = match time {
        Time::Created => "$.\"created_at\"",
        Time::Updated => "$.\"updated_at\"",
    };
    let from = moment.from.map(|from| format!("({path} >= {from})"));
    let before = moment.before.map(|before| format!("({path} < {before})"));
    joined(from.into_iter().chain(before), "&&")
}

/// That the text `@` is a date or time that compares so with `instant`.
///
/// Most texts are days away from it, which the beginning of the text tells whatever the rest says; only the others are
/// read, in every form that is common, by whichever part understands them. Postgres before 17 does not understand a `Z`,
/// none an offset without a colon or a time without seconds, and comparing a time with an offset to one without is an
/// error that the mode does not suppress.
fn time_of_text(comparison: Comparison, instant: Instant) -> String {
    const DATE: &str = "^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9](?:[T ]|$)";
    let sign = comparison.sign();
    let (before, after) = instant.surely();
    let (before, after) = (quoted(&before), quoted(&after));
    let (possible, certain) = match comparison {
        Comparison::Greater | Comparison::AtLeast => {
            (format!("@ >= {before}"), format!("@ >= {after}"))
        }
        Comparison::Less | Comparison::AtMost => (format!("@ < {after}"), format!("@ < {before}")),
    };
    let written = quoted(&instant.written());
    let local = format!("{written}.datetime()");
    let zoned = format!(
        "{}.datetime()",
        quoted(&format!("{}+00:00", instant.written()))
    );
    let form =
        |template: &str, bound: &str| format!("(@.datetime({}) {sign} {bound})", quoted(template));
    let unnamed = |bound: &str| format!("(@.datetime() {sign} {bound})");

    let utc = forms(&["HH24:MI", "HH24:MI:SS", "HH24:MI:SS.US"], &["\"Z\""]);
    let utc = utc.iter().map(|template| form(template, &local));
    let plain = forms(&["HH24:MI"], &[""]);
    let plain = plain.iter().map(|template| form(template, &local));
    let offset = forms(&["HH24:MI"], &["TZH:TZM", "TZHTZM", "TZH"]);
    let offset = offset
        .into_iter()
        .chain(forms(&["HH24:MI:SS", "HH24:MI:SS.US"], &["TZHTZM"]));
    let offset: Vec<String> = offset.map(|template| form(&template, &zoned)).collect();

    let read = [
        format!("(@ like_regex \"Z$\" && {})", joined(utc, "||")),
        format!(
            "(@ like_regex \"^.{{10}}(?:.[0-9:.]*)?$\" && {})",
            joined(std::iter::once(unnamed(&local)).chain(plain), "||")
        ),
        format!(
            "(@ like_regex \"^.{{11}}[0-9:.]*[+-][0-9:]*$\" && {})",
            joined(std::iter::once(unnamed(&zoned)).chain(offset), "||")
        ),
        // More digits than Postgres reads.
        format!("(@ like_regex \"[.][0-9]{{7}}\" && @ {sign} {written})"),
    ];
    let read = joined(read.into_iter(), "||");
    format!(
        "@.type() == \"string\" && {possible} && @ like_regex {} && ({certain} || {read})",
        quoted(DATE)
    )
}

/// Templates of a date, a time in one of the forms `clocks`, and one of `zones`.
fn forms(clocks: &[&str], zones: &[&str]) -> Vec<String> {
    let mut forms = Vec::new();
    for between in ["\"T\"", " "] {
        for clock in clocks {
            for zone in zones {
                forms.push(format!("YYYY-MM-DD{between}{clock}{zone}"));
            }
        }
    }
    forms
}

fn literal(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Null => "null".to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(number) => number.clone(),
        Scalar::Text(text) => quoted(text),
    }
}

/// A string of jsonpath, in which the escapes of JSON mean the same.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Predicates between which `operator` stands, halved again and again: in a long row, each would be a level deeper for
/// Postgres' parser than the one before.
fn joined(predicates: impl Iterator<Item = String>, operator: &str) -> String {
    fn half(predicates: &[String], operator: &str) -> String {
        match predicates {
            [] => String::new(),
            [one] => one.clone(),
            many => {
                let (left, right) = many.split_at(many.len() / 2);
                format!(
                    "({} {operator} {})",
                    half(left, operator),
                    half(right, operator)
                )
            }
        }
    }
    half(&predicates.collect::<Vec<_>>(), operator)
}
