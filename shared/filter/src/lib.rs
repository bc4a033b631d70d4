//! The filter language: conditions on documents, read strictly and compiled to parameters of SQL.
//!
//! A filter is a JSON object in the syntax of Pinecone, Chroma and `MongoDB`:
//! `{"year": {"$gte": 2022}, "$or": [{"lang": "fr"}, {"$id": {"$in": ["a", "b"]}}]}`.
//!
//! - A key is one of the document's metadata. A dot in it leads into an object or a list of objects; `\.` is a dot
//!   of the key itself, a leading `\$` a dollar sign.
//! - A value that a list holds is treated as if the list were the value.
//! - A text that is an ISO date or time is compared as an instant with others; numbers are compared with numbers alone,
//!   and texts with texts alone, by code points.
//! - `$ne`, `$nin` and `$not` are the opposites of `$eq`, `$in` and a filter: they match documents without the key.
//! - An object without operators holds for each of its members, and a list for a list that holds each of its elements.
//!
//! No text of a filter becomes SQL: [`Filter::compile`] makes a jsonpath, in which texts and keys are quoted, and typed
//! values, which [`Compiled`] carries as one JSON parameter.

mod compile;
mod expression;
mod instant;
mod jsonpath;
mod keys;
mod operands;
mod own;
mod parse;
mod place;
mod ranges;
mod schema;
#[cfg(test)]
mod tests;

use json::FieldError;

pub use self::{
    compile::{Compiled, Period},
    ranges::{FieldRange, RangeKind},
};
use self::{
    expression::Expression,
    jsonpath::Roots,
    keys::Keys,
    place::{Place, check_text, normalised},
};

/// Conditions on a document: its metadata, and its own fields `$id`, `$title`, `$source`, `$created_at` and `$updated_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expression);

impl Filter {
    /// The most bytes of a filter, as JSON.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Objects within each other, below the filter itself.
    pub const MAX_DEPTH: usize = 10;
    /// Conditions of one filter; each value of a list counts as one.
    pub const MAX_CONDITIONS: usize = 1_000;

    /// Reads a filter from JSON text.
    ///
    /// # Errors
    /// Names the first fault by its place, such as `filter.year.$gte`, and says what is allowed there.
    pub fn parse(json: &str) -> Result<Self, FieldError> {
        let place = Place::field("filter");
        if json.len() > Self::MAX_BYTES {
            let detail = format!(
                "has {} bytes as JSON; at most {} are allowed",
                json.len(),
                Self::MAX_BYTES
            );
            return Err(place.error(detail));
        }
        let expression = parse::filter(json, place)?;
        let conditions = expression.conditions();
        if conditions > Self::MAX_CONDITIONS {
            let detail = format!(
                "has {conditions} conditions, each value of a list counted; at most {} are allowed",
                Self::MAX_CONDITIONS
            );
            return Err(place.error(detail));
        }
        Ok(Self(expression.simplified()))
    }

    /// Whether it has no conditions, so that every document matches.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.0.is_true()
    }

    /// The filter of the documents that match both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(Expression::All(vec![self.0.clone(), other.0.clone()]).simplified())
    }

    /// The parameters of a statement.
    #[must_use]
    pub fn compile(&self) -> Compiled {
        Compiled::of(&self.0)
    }
}

/// The jsonpath of the values under a key of metadata, written as in a filter; of a list each of its elements. The key is in
/// Unicode's normal form C there, as in stored metadata. `field` is what holds it in the request.
///
/// # Errors
/// When it is not a valid key.
pub fn values_path(key: &str, field: &str) -> Result<String, FieldError> {
    let place = Place::field(field);
    check_text(key, &place)?;
    let keys = Keys::default().joined(&normalised(key.to_owned()), &place)?;
    Ok(Roots::METADATA.path(&keys.0) + "[*]")
}

/// The key of metadata whose values a path of [`values_path`] selects, written as in a filter; `None` for any other path.
#[must_use]
pub fn key_of(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix('$')?.strip_suffix("[*]")?;
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('.')?;
        let mut values = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
        keys.push(values.next()?.ok()?);
        rest = &quoted[values.byte_offset()..];
    }
    let written: Vec<String> = keys.iter().map(|key| written_key(key)).collect();
    (!written.is_empty()).then(|| written.join("."))
}

/// A key of metadata as a filter has it: a dot would lead into an object, and a dollar sign begins an operator.
#[must_use]
pub fn written_key(key: &str) -> String {
    let escaped = key.replace('\\', "\\\\").replace('.', "\\.");
    if escaped.starts_with('$') {
        format!("\\{escaped}")
    } else {
        escaped
    }
}
