//! The terms of chunks, column by column, for the SQL functions that store them.

use analysis::Terms;
use database::Statement;

/// The terms of chunks.
#[derive(Debug, Default)]
pub(super) struct TermColumns {
    /// For each chunk its document's position in the list of ids, from 1.
    pub(super) documents: Vec<i32>,
    pub(super) ordinals: Vec<i32>,
    lengths: Vec<i32>,
    /// How many of `terms` are each chunk's.
    distinct: Vec<i32>,
    terms: Vec<String>,
    frequencies: Vec<i16>,
}

impl TermColumns {
    pub(super) fn push(&mut self, document: i32, ordinal: i32, terms: &Terms) {
        self.documents.push(document);
        self.ordinals.push(ordinal);
        self.lengths.push(terms.length);
        self.distinct
            .push(i32::try_from(terms.frequencies.len()).unwrap_or(i32::MAX));
        for (term, frequency) in &terms.frequencies {
            self.terms.push(term.clone());
            self.frequencies.push(*frequency);
        }
    }

    /// Binds all but the chunks' places.
    pub(super) fn bind(self, statement: Statement) -> Statement {
        statement
            .bind(self.lengths)
            .bind(self.distinct)
            .bind(self.terms)
            .bind(self.frequencies)
    }
}
