//! The operands of operators.

use json::FieldError;

use crate::{
    expression::{Bound, Comparison, Scalar},
    instant::Instant,
    place::{Place, Value, read},
};

/// The comparison that an operator makes, if it makes one.
pub(crate) fn comparison(operator: &str) -> Option<Comparison> {
    match operator {
        "$gt" => Some(Comparison::Greater),
        "$gte" => Some(Comparison::AtLeast),
        "$lt" => Some(Comparison::Less),
        "$lte" => Some(Comparison::AtMost),
        _ => None,
    }
}

/// The error for a value that is not what is `wanted`.
pub(crate) fn expected(wanted: &str, value: &Value<'_>, place: &Place<'_>) -> FieldError {
    place.error(format!("is {}, not {wanted}", value.kind()))
}

pub(crate) fn bound(json: &str, place: &Place<'_>) -> Result<Bound, FieldError> {
    match read(json, place)? {
        Value::Number(number) => Ok(Bound::Number(number.to_owned())),
        Value::Text(text) => Ok(Instant::parse(&text).map_or(Bound::Text(text), Bound::Instant)),
        other => Err(expected(
            "a number or a string, such as a date",
            &other,
            place,
        )),
    }
}

pub(crate) fn truth(json: &str, place: &Place<'_>) -> Result<bool, FieldError> {
    match read(json, place)? {
        Value::Bool(value) => Ok(value),
        other => Err(expected("true or false", &other, place)),
    }
}

pub(crate) fn scalar(json: &str, place: &Place<'_>, wanted: &str) -> Result<Scalar, FieldError> {
    match read(json, place)? {
        Value::Null => Ok(Scalar::Null),
        Value::Bool(value) => Ok(Scalar::Bool(value)),
        Value::Number(number) => Ok(Scalar::Number(number.to_owned())),
        Value::Text(text) => Ok(Scalar::Text(text)),
        other => Err(expected(wanted, &other, place)),
    }
}

pub(crate) fn list<T>(
    json: &str,
    place: &Place<'_>,
    read_one: impl Fn(&str, &Place<'_>) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    match read(json, place)? {
        Value::List(elements) => {
            let elements = elements.iter().enumerate();
            let read =
                elements.map(|(index, element)| read_one(element.get(), &place.element(index)));
            read.collect()
        }
        other => Err(expected("a list", &other, place)),
    }
}
