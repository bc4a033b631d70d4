//! Conditions on the document's own fields.

use json::FieldError;

use crate::{
    expression::{Expression, Moment, Name, NameTest, Time},
    instant::Instant,
    operands::{self, expected},
    parse::{check_depth, unknown},
    place::{Place, Value, read},
};

/// The document's own fields, as listed in messages.
const FIELDS: &str = "$and, $or, $not and the document's own $id, $title, $source, $created_at and $updated_at; \
                      write a metadata key that begins with $ with \\ before it";
/// The operators of these conditions, as listed in messages.
const OPERATORS: &str =
    "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $and, $or and $not for it";

/// The error for an object without operators.
const EMPTY: &str =
    "is an empty object; write a value, or an operator with one, such as {\"$in\": [\"a\", \"b\"]}";

type Parsed = Result<Expression, FieldError>;

/// A field of a document beside its metadata.
#[derive(Clone, Copy)]
enum Field {
    Name(Name),
    Time(Time),
}

pub(crate) fn is_field(word: &str) -> bool {
    Field::named(word).is_some()
}

/// Reads the condition on a field of the document's own.
pub(crate) fn condition(word: &str, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
    match Field::named(word) {
        Some(field) => field.condition(json, place, depth),
        None => Err(place.error(unknown(word, FIELDS))),
    }
}

impl Field {
    fn named(word: &str) -> Option<Self> {
        match word {
            "$id" => Some(Self::Name(Name::Id)),
            "$title" => Some(Self::Name(Name::Title)),
            "$source" => Some(Self::Name(Name::Source)),
            "$created_at" => Some(Self::Time(Time::Created)),
            "$updated_at" => Some(Self::Time(Time::Updated)),
            _ => None,
        }
    }

    fn condition(self, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
        let Value::Object(members) = read(json, place)? else {
            return self.equals(json, place);
        };
        check_depth(depth, place)?;
        // Without operators, it would match every document.
        if members.is_empty() {
            return Err(place.error(EMPTY));
        }
        let conditions = members.iter().map(|(operator, value)| {
            self.operator(operator, value.get(), &place.key(operator), depth)
        });
        conditions.collect::<Result<_, _>>().map(Expression::All)
    }

    fn operator(self, operator: &str, json: &str, place: &Place<'_>, depth: usize) -> Parsed {
        if let Some(comparison) = operands::comparison(operator) {
            return Ok(match self {
                Self::Name(name) => Expression::Name(
                    name,
                    NameTest::Compares(comparison, name.text(json, place)?),
                ),
                Self::Time(time) => {
                    Expression::Time(time, Moment::that(comparison, instant(json, place)?))
                }
            });
        }
        let same_field = |json: &str, place: &Place<'_>| self.condition(json, place, depth + 1);
        match operator {
            "$eq" => self.equals(json, place),
            "$ne" => self.equals(json, place).map(Expression::not),
            "$in" => self.one_of(json, place),
            "$nin" => self.one_of(json, place).map(Expression::not),
            "$exists" => {
                let exists = self.exists();
                Ok(if operands::truth(json, place)? {
                    exists
                } else {
                    Expression::not(exists)
                })
            }
            "$and" => operands::list(json, place, same_field).map(Expression::All),
            "$or" => operands::list(json, place, same_field).map(Expression::Any),
            "$not" => same_field(json, place).map(Expression::not),
            other => Err(place.error(unknown(other, OPERATORS))),
        }
    }

    fn equals(self, json: &str, place: &Place<'_>) -> Parsed {
        match (self, read(json, place)?) {
            (Self::Name(Name::Title | Name::Source), Value::Null) => {
                Ok(Expression::not(self.exists()))
            }
            (Self::Name(name), _) => {
                let text = name.text(json, place)?;
                Ok(Expression::Name(name, NameTest::OneOf(vec![text])))
            }
            (Self::Time(time), _) => Ok(Expression::Time(
                time,
                Moment::exactly(instant(json, place)?),
            )),
        }
    }

    fn one_of(self, json: &str, place: &Place<'_>) -> Parsed {
        match self {
            Self::Name(name) => {
                let texts = operands::list(json, place, |json, place| name.text(json, place))?;
                Ok(Expression::Name(name, NameTest::OneOf(texts)))
            }
            Self::Time(_) => operands::list(json, place, |json, place| self.equals(json, place))
                .map(Expression::Any),
        }
    }

    /// Every document has an id and times, and an empty title is none.
    fn exists(self) -> Expression {
        match self {
            Self::Name(Name::Id) | Self::Time(_) => Expression::TRUE,
            Self::Name(Name::Title) => Expression::not(Expression::Name(
                Name::Title,
                NameTest::OneOf(vec![String::new()]),
            )),
            Self::Name(Name::Source) => Expression::Name(Name::Source, NameTest::Exists),
        }
    }
}

impl Name {
    /// Reads a text; an id may be a whole number.
    fn text(self, json: &str, place: &Place<'_>) -> Result<String, FieldError> {
        match read(json, place)? {
            Value::Text(text) => Ok(text),
            Value::Number(number) if self == Self::Id && !number.contains(['.', 'e', 'E']) => {
                Ok(number.to_owned())
            }
            other => Err(expected("a string", &other, place)),
        }
    }
}

fn instant(json: &str, place: &Place<'_>) -> Result<Instant, FieldError> {
    const WANTED: &str = "an ISO date or time, such as \"2026-03-01\" or \"2026-03-01T10:30:00Z\"";
    match read(json, place)? {
        Value::Text(text) => {
            Instant::parse(&text).ok_or_else(|| place.error(format!("is {text:?}, not {WANTED}")))
        }
        other => Err(expected(WANTED, &other, place)),
    }
}
