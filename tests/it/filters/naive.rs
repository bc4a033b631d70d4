//! What a filter means, said once more and as plainly as possible: from the JSON of the filter and of a document, without
//! anything of the product's.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value};

/// A document, as far as filters see it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) metadata: Value,
}

/// Whether the document matches.
pub(super) fn matches(filter: &Value, document: &Document) -> bool {
    members(filter)
        .iter()
        .all(|(key, wanted)| match key.as_str() {
            "$and" => elements(wanted)
                .iter()
                .all(|filter| matches(filter, document)),
            "$or" => elements(wanted)
                .iter()
                .any(|filter| matches(filter, document)),
            "$not" => !matches(wanted, document),
            "$id" => holds(&[&Value::from(document.id.as_str())], wanted),
            "$title" => title(&document.title, wanted),
            "$source" => own(wanted, &no_source),
            "$created_at" => time(document.created_at, wanted),
            "$updated_at" => time(document.updated_at, wanted),
            key => holds(&found(&[&document.metadata], key), wanted),
        })
}

/// Whether what was found is as `wanted`.
fn holds(found_values: &[&Value], wanted: &Value) -> bool {
    let any = |test: &dyn Fn(&Value) -> bool| alone(found_values).into_iter().any(test);
    match wanted {
        Value::Object(object) if object.is_empty() => any(&Value::is_object),
        Value::Object(object) => object.iter().all(|(key, wanted)| {
            if key.starts_with('$') {
                operator(found_values, key, wanted)
            } else {
                holds(&found(found_values, key), wanted)
            }
        }),
        Value::Array(_) => found_values
            .iter()
            .any(|value| value.as_array().is_some_and(|list| contains(list, wanted))),
        scalar => any(&|value| equal(value, scalar)),
    }
}

fn operator(found_values: &[&Value], operator: &str, wanted: &Value) -> bool {
    let compares = |test: &dyn Fn(Ordering) -> bool| {
        alone(found_values)
            .into_iter()
            .any(|value| compare(value, wanted).is_some_and(test))
    };
    let one_of = || {
        elements(wanted)
            .iter()
            .any(|wanted| holds(found_values, wanted))
    };
    match operator {
        "$eq" => holds(found_values, wanted),
        "$ne" | "$not" => !holds(found_values, wanted),
        "$gt" => compares(&Ordering::is_gt),
        "$gte" => compares(&Ordering::is_ge),
        "$lt" => compares(&Ordering::is_lt),
        "$lte" => compares(&Ordering::is_le),
        "$in" => one_of(),
        "$nin" => !one_of(),
        "$exists" => found_values.is_empty() != (*wanted == Value::Bool(true)),
        "$contains" => holds(found_values, &Value::from(vec![wanted.clone()])),
        "$and" => elements(wanted)
            .iter()
            .all(|wanted| holds(found_values, wanted)),
        "$or" => elements(wanted)
            .iter()
            .any(|wanted| holds(found_values, wanted)),
        other => panic!("{other} is no operator"),
    }
}

/// Whether a list contains another, as JSON contains JSON.
fn contains(list: &[Value], wanted: &Value) -> bool {
    elements(wanted).iter().all(|wanted| {
        list.iter().any(|element| match (element, wanted) {
            (Value::Array(list), Value::Array(_)) => contains(list, wanted),
            (Value::Object(_), Value::Object(object)) => object
                .iter()
                .all(|(key, wanted)| holds(&found(&[element], key), wanted)),
            (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
                false
            }
            (element, wanted) => equal(element, wanted),
        })
    })
}

/// What lies under a key, which may lead through several objects and lists of objects.
fn found<'a>(values: &[&'a Value], key: &str) -> Vec<&'a Value> {
    let mut values = values.to_vec();
    // The characters that replace an escaped dot and dollar of a key.
    let hidden = key.replace(r"\.", "\u{1}").replace(r"\$", "$");
    for key in hidden.split('.').map(|key| key.replace('\u{1}', ".")) {
        values = alone(&values)
            .into_iter()
            .filter_map(|value| value.get(&key))
            .collect();
    }
    values
}

/// The values, and instead of a list its elements.
fn alone<'a>(values: &[&'a Value]) -> Vec<&'a Value> {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => all.extend(list),
            other => all.push(*other),
        }
    }
    all
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq() || (one - other).abs() == 0.0,
        (None, None) => one == other,
        _ => false,
    }
}

fn compare(value: &Value, bound: &Value) -> Option<Ordering> {
    match (value, bound) {
        (Value::Number(value), Value::Number(bound)) => {
            value.as_f64()?.partial_cmp(&bound.as_f64()?)
        }
        (Value::String(value), Value::String(bound)) => match instant(bound) {
            Some(bound) => instant(value).map(|value| value.cmp(&bound)),
            None => Some(value.cmp(bound)),
        },
        _ => None,
    }
}

/// Microseconds since 1970.
fn instant(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return (text.len() == 10).then(|| {
            date.and_hms_opt(0, 0, 0)
                .expect("midnight")
                .and_utc()
                .timestamp_micros()
        });
    }
    let text = text.replace(' ', "T");
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(time.timestamp_micros());
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(&text, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    None
}

/// Documents that were stored by requests have no source.
fn no_source(operator: &str, wanted: &Value) -> bool {
    match operator {
        "$eq" => wanted.is_null(),
        "$ne" => !wanted.is_null(),
        "$nin" => true,
        "$exists" => *wanted == Value::Bool(false),
        _ => false,
    }
}

/// An empty title is none, and has no other value.
fn title(title: &str, wanted: &Value) -> bool {
    own(wanted, &|operator, wanted| match (operator, wanted) {
        ("$eq", Value::Null) | ("$exists", Value::Bool(false)) => title.is_empty(),
        ("$ne", Value::Null) | ("$exists", Value::Bool(true)) => !title.is_empty(),
        _ => {
            let value = Value::from(title);
            match operator {
                "$gt" | "$gte" | "$lt" | "$lte" => {
                    let ordering = title.cmp(wanted.as_str().expect("a text"));
                    compared(operator, ordering)
                }
                _ => self::operator(&[&value], operator, wanted),
            }
        }
    })
}

/// Documents tell milliseconds.
fn time(milliseconds: i64, wanted: &Value) -> bool {
    let ordering = |wanted: &Value| {
        (milliseconds * 1_000).cmp(&wanted.as_str().and_then(instant).expect("a time"))
    };
    own(wanted, &|operator, wanted| match operator {
        "$eq" => ordering(wanted).is_eq(),
        "$ne" => ordering(wanted).is_ne(),
        "$in" => elements(wanted)
            .iter()
            .any(|wanted| ordering(wanted).is_eq()),
        "$nin" => elements(wanted)
            .iter()
            .all(|wanted| ordering(wanted).is_ne()),
        "$exists" => *wanted == Value::Bool(true),
        _ => compared(operator, ordering(wanted)),
    })
}

fn compared(operator: &str, ordering: Ordering) -> bool {
    match operator {
        "$gt" => ordering.is_gt(),
        "$gte" => ordering.is_ge(),
        "$lt" => ordering.is_lt(),
        "$lte" => ordering.is_le(),
        other => panic!("{other} is no comparison"),
    }
}

/// A condition on a field of the document's own: one value, or operators.
fn own(wanted: &Value, test: &dyn Fn(&str, &Value) -> bool) -> bool {
    match wanted {
        Value::Object(operators) => {
            operators
                .iter()
                .all(|(operator, wanted)| match operator.as_str() {
                    "$and" => elements(wanted).iter().all(|wanted| own(wanted, test)),
                    "$or" => elements(wanted).iter().any(|wanted| own(wanted, test)),
                    "$not" => !own(wanted, test),
                    operator => test(operator, wanted),
                })
        }
        value => test("$eq", value),
    }
}

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("a filter is an object")
}

fn elements(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
