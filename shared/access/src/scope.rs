//! What a caller may do.

use std::{collections::BTreeSet, fmt, str::FromStr};

use json::FieldError;

/// The scopes of a caller.
pub type Scopes = BTreeSet<Scope>;

/// A group of routes. None includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Search, read documents, and the Model Context Protocol.
    Search,
    /// Chat, which costs money at the language model.
    Chat,
    /// Store, change, import and delete documents; follow columns of tables.
    Write,
    /// Keys, and SQL expressions of followed tables.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Search, Self::Chat, Self::Write, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Chat => "chat",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = FieldError;

    fn from_str(name: &str) -> Result<Self, FieldError> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == name);
        found.ok_or_else(|| {
            let detail = format!("{name:?} is not a scope: search, chat, write and admin are");
            FieldError::new("scopes", detail)
        })
    }
}
