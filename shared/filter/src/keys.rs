//! A key of a filter: the path to a value in a document's metadata.

use json::FieldError;

use crate::place::Place;

/// Keys of objects, from the outside in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys(pub(crate) Vec<String>);

impl Keys {
    /// These keys and those that `written` leads through: a dot divides them, `\.` is a dot, `\\` a backslash, and
    /// `\$` at the beginning of a key a dollar sign. A backslash before anything else is itself.
    pub(crate) fn joined(&self, written: &str, place: &Place<'_>) -> Result<Self, FieldError> {
        let mut keys = self.0.clone();
        let first = keys.len();
        let mut key = String::new();
        let mut characters = written.chars().peekable();
        let mut at_start = true;
        while let Some(character) = characters.next() {
            match character {
                '\\' if at_start && characters.next_if_eq(&'$').is_some() => key.push('$'),
                '\\' => key.push(
                    characters
                        .next_if(|next| matches!(next, '.' | '\\'))
                        .unwrap_or('\\'),
                ),
                '.' => {
                    keys.push(std::mem::take(&mut key));
                    at_start = true;
                    continue;
                }
                '$' if at_start => return Err(place.error(DOLLAR)),
                other => key.push(other),
            }
            at_start = false;
        }
        keys.push(key);
        let is_path = keys.len() - first > 1;
        if is_path && keys[first..].iter().any(String::is_empty) {
            return Err(place.error(EMPTY));
        }
        Ok(Self(keys))
    }
}

const DOLLAR: &str = "has a key that begins with $, as operators do: write a condition as {\"key\": {\"$gt\": 1}}, \
                      and a key that begins with $ with \\ before it";
const EMPTY: &str = "has an empty key between its dots: write a dot that belongs to a key as \\.";
