//! Compiles a filter to the parameters of a statement.

use serde::Serialize;

use crate::{
    expression::{Expression, Moment, Name, NameTest, Time},
    jsonpath::Roots,
    ranges::FieldRange,
};

/// The parameters of a filter; a document must meet each present one. The SQL functions take them as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compiled {
    /// A jsonpath predicate on the metadata; the index serves its equalities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// Ranges that an index may answer: `metadata` has the same conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<FieldRange>,
    /// What `metadata` has beside the conditions of `ranges`, if there are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
    /// A jsonpath predicate on an object of `metadata`, `id`, `title`, `source`, `created_at` and `updated_at`, the times in
    /// milliseconds since 1970: what cannot be said by the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The allowed ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// When the document was first stored.
    #[serde(skip_serializing_if = "Period::is_empty")]
    pub created_at: Period,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Period::is_empty")]
    pub updated_at: Period,
}

/// A period, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its first millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Its end, excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

impl Compiled {
    /// The same as JSON text. Two filters with one text match the same documents.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    pub(crate) fn of(expression: &Expression) -> Self {
        let mut compiled = Self::default();
        let (mut metadata, mut document, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let conjuncts = match expression {
            Expression::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        for part in conjuncts {
            match part {
                Expression::Name(Name::Id, NameTest::OneOf(ids)) if compiled.ids.is_none() => {
                    compiled.ids = Some(ids.clone());
                }
                Expression::Time(Time::Created, moment) => compiled.created_at.shorten(*moment),
                Expression::Time(Time::Updated, moment) => compiled.updated_at.shorten(*moment),
                part if part.names_own_fields() => document.push(part.clone()),
                part => {
                    match FieldRange::of(part) {
                        Some(range) => range.add_to(&mut compiled.ranges),
                        None => rest.push(part.clone()),
                    }
                    metadata.push(part.clone());
                }
            }
        }
        let predicate = |roots: Roots, parts: Vec<Expression>| {
            (!parts.is_empty()).then(|| roots.predicate(&Expression::All(parts)))
        };
        compiled.metadata = predicate(Roots::METADATA, metadata);
        if !compiled.ranges.is_empty() {
            compiled.rest = predicate(Roots::METADATA, rest);
        }
        compiled.document = predicate(Roots::DOCUMENT, document);
        compiled
    }
}

impl Period {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn shorten(&mut self, moment: Moment) {
        self.from = self.from.max(moment.from);
        self.before = match (self.before, moment.before) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}
