//! Parses a filter from JSON; the first invalid part is an error.

use json::FieldError;
use serde_json::value::RawValue;

use crate::{
    Filter,
    expression::{Comparison, Element, Expression, Scalar, Test},
    keys::Keys,
    operands::{self, expected},
    own,
    place::{Place, Value, read},
};

/// The operators of a condition, as listed in messages.
const OPERATORS: &str =
    "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $contains, $and, $or and $not";

type Parsed = Result<Expression, FieldError>;

/// Reads a filter: the whole, or one within `$and`, `$or` and `$not`.
pub(crate) fn filter(json: &str, place: Place<'_>) -> Parsed {
    filter_at(json, &place, 0)
}

fn filter_at(json: &str, place: &Place<'_>, depth: usize) -> Parsed {
    let members = match read(json, place)? {
        Value::Object(members) => members,
        other => return Err(expected("an object of conditions", &other, place)),
    };
    check_depth(depth, place)?;
    let conditions = members.iter().map(|(key, value)| {
        let (json, place) = (value.get(), place.key(key));
        match key.as_str() {
            "$and" => each(json, &place, |json, place| {
                filter_at(json, place, depth + 1)
            })
            .map(Expression::All),
            "$or" => each(json, &place, |json, place| {
                filter_at(json, place, depth + 1)
            })
            .map(Expression::Any),
            "$not" => filter_at(json, &place, depth + 1).map(Expression::not),
            own if own.starts_with('$') => own::condition(own, json, &place, depth + 1),
            key => condition(
                &Keys::default().joined(key, &place)?,
                json,
                &place,
                depth + 1,
            ),
        }
    });
    conditions.collect::<Result<_, _>>().map(Expression::All)
}

/// Reads the condition on what lies under `keys`: a value that it must be, operators, or conditions on what is within it.
fn condition(keys: &Keys, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
    let Value::Object(members) = read(json, place)? else {
        return value(keys, json, place, depth);
    };
    check_depth(depth, place)?;
    if !members.iter().any(|(key, _)| key.starts_with('$')) {
        return within(keys, &members, place, |keys, json, place| {
            condition(keys, json, place, depth + 1)
        });
    }
    let conditions = members.iter().map(|(key, value)| {
        let place = place.key(key);
        if key.starts_with('$') {
            operator(keys, key, value.get(), &place, depth)
        } else {
            Err(place.error(MIXED))
        }
    });
    conditions.collect::<Result<_, _>>().map(Expression::All)
}

const MIXED: &str =
    "is a key beside operators: write the conditions on an object's members as a separate object";

fn operator(keys: &Keys, operator: &str, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
    let on_same_keys = |json: &str, place: &Place<'_>| match read(json, place)? {
        Value::Object(_) => condition(keys, json, place, depth + 1),
        other => Err(expected(
            "an object of operators or conditions",
            &other,
            place,
        )),
    };
    if let Some(comparison) = operands::comparison(operator) {
        return compared(keys, comparison, json, place);
    }
    let metadata = |test| Expression::Metadata(keys.clone(), test);
    match operator {
        "$eq" => value(keys, json, place, depth + 1),
        "$ne" => value(keys, json, place, depth + 1).map(Expression::not),
        "$in" => one_of(keys, json, place),
        "$nin" => one_of(keys, json, place).map(Expression::not),
        "$exists" => {
            let exists = metadata(Test::Exists);
            Ok(if operands::truth(json, place)? {
                exists
            } else {
                Expression::not(exists)
            })
        }
        "$contains" => {
            let element = operands::scalar(
                json,
                place,
                "one value that the list contains; combine several with $and",
            )?;
            Ok(metadata(Test::Holds(vec![Element::Scalar(element)])))
        }
        "$and" => each(json, place, on_same_keys).map(Expression::All),
        "$or" => each(json, place, on_same_keys).map(Expression::Any),
        "$not" => on_same_keys(json, place).map(Expression::not),
        own if own::is_field(own) => Err(place.error(format!(
            "is the document's own field {own}: write it outside of the metadata keys"
        ))),
        _ => Err(place.error(unknown(operator, OPERATORS))),
    }
}

/// The error for an unknown word that begins with $.
pub(crate) fn unknown(word: &str, known: &str) -> String {
    format!("{word} is not an operator; the operators are {known}")
}

fn compared(keys: &Keys, comparison: Comparison, json: &str, place: &Place<'_>) -> Parsed {
    let bound = operands::bound(json, place)?;
    Ok(Expression::Metadata(
        keys.clone(),
        Test::Compares(comparison, bound),
    ))
}

fn one_of(keys: &Keys, json: &str, place: &Place<'_>) -> Parsed {
    let equal = |json: &str, place: &Place<'_>| {
        let scalar = operands::scalar(json, place, "a string, a number, true, false or null")?;
        Ok(Expression::Metadata(keys.clone(), Test::Equals(scalar)))
    };
    operands::list(json, place, equal).map(Expression::Any)
}

/// Reads a value that is meant as it is written: no operators are in it.
fn value(keys: &Keys, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
    let test = match read(json, place)? {
        Value::Object(members) => {
            check_depth(depth, place)?;
            return within(keys, &members, place, |keys, json, place| {
                value(keys, json, place, depth + 1)
            });
        }
        Value::List(elements) => Test::Holds(all_elements(&elements, place, depth)?),
        other => Test::Equals(scalar(other)),
    };
    Ok(Expression::Metadata(keys.clone(), test))
}

/// Reads the members of an object that lies under `keys`.
fn within(
    keys: &Keys,
    members: &[(String, &RawValue)],
    place: &Place<'_>,
    read: impl Fn(&Keys, &str, &Place<'_>) -> Parsed,
) -> Parsed {
    if members.is_empty() {
        return Ok(Expression::Metadata(keys.clone(), Test::IsObject));
    }
    let conditions = members.iter().map(|(key, value)| {
        let place = place.key(key);
        read(&keys.joined(key, &place)?, value.get(), &place)
    });
    conditions.collect::<Result<_, _>>().map(Expression::All)
}

fn all_elements(
    elements: &[&RawValue],
    place: &Place<'_>,
    depth: usize,
) -> Result<Vec<Element>, FieldError> {
    check_depth(depth, place)?;
    let elements = elements.iter().enumerate().map(|(index, element)| {
        let (json, place) = (element.get(), place.element(index));
        match read(json, &place)? {
            Value::Object(_) => {
                value(&Keys::default(), json, &place, depth + 1).map(Element::Object)
            }
            Value::List(elements) => all_elements(&elements, &place, depth + 1).map(Element::List),
            other => Ok(Element::Scalar(scalar(other))),
        }
    });
    elements.collect()
}

/// Reads a list of filters. It must not be empty, because its meaning, all or none, would be ambiguous.
fn each(
    json: &str,
    place: &Place<'_>,
    read_one: impl Fn(&str, &Place<'_>) -> Parsed,
) -> Result<Vec<Expression>, FieldError> {
    let filters = operands::list(json, place, read_one)?;
    if filters.is_empty() {
        return Err(place.error("is empty; at least one filter is expected"));
    }
    Ok(filters)
}

/// A value that is neither a list nor an object.
pub(crate) fn scalar(value: Value<'_>) -> Scalar {
    match value {
        Value::Bool(value) => Scalar::Bool(value),
        Value::Number(number) => Scalar::Number(number.to_owned()),
        Value::Text(text) => Scalar::Text(text),
        Value::Null | Value::List(_) | Value::Object(_) => Scalar::Null,
    }
}

pub(crate) fn check_depth(depth: usize, place: &Place<'_>) -> Result<(), FieldError> {
    if depth > Filter::MAX_DEPTH {
        return Err(place.error(format!(
            "is nested deeper than {} levels",
            Filter::MAX_DEPTH
        )));
    }
    Ok(())
}
