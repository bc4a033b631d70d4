//! The meaning of a filter.

use crate::{instant::Instant, keys::Keys};

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Every one holds; true without any.
    All(Vec<Expression>),
    /// At least one holds; false without any.
    Any(Vec<Expression>),
    Not(Box<Expression>),
    /// What lies under the keys of the metadata.
    Metadata(Keys, Test),
    /// The document's own id, title or source.
    Name(Name, NameTest),
    /// The document's own time.
    Time(Time, Moment),
}

/// What a value of metadata must be. A list passes if one of its elements does, except where the test is of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equals(Scalar),
    Compares(Comparison, Bound),
    /// There is a value, be it null.
    Exists,
    IsObject,
    /// It is a list that holds each of these.
    Holds(Vec<Element>),
}

/// An element that a list must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Scalar(Scalar),
    /// A list that holds each of these.
    List(Vec<Element>),
    /// An object of which this is true.
    Object(Expression),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// The operand of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// As it was written.
    Number(String),
    Text(String),
    Instant(Instant),
}

/// A text of the document's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Id,
    Title,
    Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameTest {
    OneOf(Vec<String>),
    Compares(Comparison, String),
    Exists,
}

/// A time of the document's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    Created,
    Updated,
}

/// From when, and before when, in milliseconds since 1970, to which documents' times are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) from: Option<i64>,
    pub(crate) before: Option<i64>,
}

impl Expression {
    pub(crate) const TRUE: Self = Self::All(Vec::new());
    pub(crate) const FALSE: Self = Self::Any(Vec::new());

    pub(crate) fn not(inner: Self) -> Self {
        Self::Not(Box::new(inner))
    }

    pub(crate) fn is_true(&self) -> bool {
        *self == Self::TRUE
    }

    pub(crate) fn is_false(&self) -> bool {
        *self == Self::FALSE
    }

    /// Whether it says anything of the document's own fields.
    pub(crate) fn names_own_fields(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::names_own_fields),
            Self::Not(inner) => inner.names_own_fields(),
            Self::Metadata(..) => false,
            Self::Name(..) | Self::Time(..) => true,
        }
    }

    /// How many tests it makes of a document.
    pub(crate) fn conditions(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::conditions).sum(),
            Self::Not(inner) => inner.conditions(),
            Self::Metadata(_, Test::Holds(elements)) => {
                1 + elements.iter().map(Element::conditions).sum::<usize>()
            }
            Self::Name(_, NameTest::OneOf(texts)) => texts.len(),
            Self::Metadata(..) | Self::Name(..) | Self::Time(..) => 1,
        }
    }

    /// The same without what is true or false whatever the document, and without groups of one.
    pub(crate) fn simplified(self) -> Self {
        match self {
            Self::All(parts) => {
                let mut kept = Vec::new();
                for part in parts {
                    match part.simplified() {
                        Self::All(inner) => kept.extend(inner),
                        other => kept.push(other),
                    }
                }
                if kept.iter().any(Self::is_false) {
                    return Self::FALSE;
                }
                if kept.len() == 1 {
                    kept.remove(0)
                } else {
                    Self::All(kept)
                }
            }
            Self::Any(parts) => {
                let mut kept = Vec::new();
                for part in parts {
                    match part.simplified() {
                        Self::Any(inner) => kept.extend(inner),
                        other => kept.push(other),
                    }
                }
                if kept.iter().any(Self::is_true) {
                    return Self::TRUE;
                }
                if kept.len() == 1 {
                    kept.remove(0)
                } else {
                    Self::Any(kept)
                }
            }
            Self::Not(inner) => match inner.simplified() {
                Self::Not(inner) => *inner,
                inner if inner.is_true() => Self::FALSE,
                inner if inner.is_false() => Self::TRUE,
                inner => Self::not(inner),
            },
            Self::Name(_, NameTest::OneOf(texts)) if texts.is_empty() => Self::FALSE,
            Self::Time(
                _,
                Moment {
                    from: None,
                    before: None,
                },
            ) => Self::TRUE,
            other => other,
        }
    }
}

impl Element {
    fn conditions(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::List(elements) => 1 + elements.iter().map(Self::conditions).sum::<usize>(),
            Self::Object(expression) => 1 + expression.conditions(),
        }
    }
}

impl Comparison {
    /// As jsonpath writes it.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Moment {
    /// The times that compare so with `instant`, of which documents' times tell no more than milliseconds.
    pub(crate) fn that(comparison: Comparison, instant: Instant) -> Self {
        let (floor, exact) = instant.milliseconds();
        let ceiling = if exact { floor } else { floor + 1 };
        match comparison {
            Comparison::AtLeast => Self {
                from: Some(ceiling),
                before: None,
            },
            Comparison::Greater => Self {
                from: Some(floor + 1),
                before: None,
            },
            Comparison::Less => Self {
                from: None,
                before: Some(ceiling),
            },
            Comparison::AtMost => Self {
                from: None,
                before: Some(floor + 1),
            },
        }
    }

    /// The very millisecond; an instant between two is none that a document has.
    pub(crate) fn exactly(instant: Instant) -> Self {
        let (floor, exact) = instant.milliseconds();
        let before = if exact { floor + 1 } else { floor };
        Self {
            from: Some(floor),
            before: Some(before),
        }
    }
}
