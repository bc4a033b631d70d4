//! A valid chat, and its limits.

use document_store::Visibility;
use language_model::Message;
use retrieval::{Query, Search};

use crate::{config::ChatConfig, fields::SourceFields, small_talk::is_no_question};

/// A valid chat.
#[derive(Debug)]
pub(crate) struct Chat {
    /// The documents that the caller may see.
    pub(crate) visibility: Visibility,
    /// The messages before the question, oldest first.
    pub(crate) history: Vec<Message>,
    /// The user's last message.
    pub(crate) question: String,
    /// The same with titles in place of the numbers of sources.
    pub(crate) named_question: String,
    /// Wishes of the caller, below the rules.
    pub(crate) wishes: Vec<String>,
    /// Instructions beside the rules.
    pub(crate) instructions: Vec<String>,
    /// The search for the question's sources.
    pub(crate) search: Search,
    /// The number of sources that one document may fill if no other has any: it may be all there is. `None` if the caller
    /// limits the passages of a document.
    pub(crate) fills: Option<usize>,
    /// Neighbours on each side of a found chunk.
    pub(crate) expand: usize,
    pub(crate) source_fields: SourceFields,
    pub(crate) stream: bool,
    pub(crate) require_sources: bool,
    pub(crate) reasoning: bool,
    pub(crate) choice: Choice,
}

/// The caller's choices for the model's request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) model: Option<String>,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: Option<u32>,
    /// Sequences at which the answer ends.
    pub(crate) stop: Vec<String>,
}

impl Chat {
    /// The default number of sources.
    pub(crate) const SOURCES: i64 = 6;
    /// The default number of sources of one document, if others have some too.
    pub(crate) const PASSAGES: i64 = 3;
    /// The most sources: a model overlooks some of more.
    pub(crate) const MAX_SOURCES: i64 = 20;
    /// The most characters of a question. Beyond [`Query::MAX_CHARACTERS`], only a part is searched for, unless the
    /// model shortens it.
    pub(crate) const MAX_QUESTION: usize = 8_000;
    /// The most characters of a caller's instructions.
    pub(super) const MAX_INSTRUCTIONS: usize = 4_000;

    /// Whether to rewrite the question before the search.
    pub(crate) fn needs_rewriting(&self, config: &ChatConfig) -> bool {
        let long = self.question.chars().count() > Query::MAX_CHARACTERS;
        let follows = self
            .history
            .iter()
            .any(|message| !message.content.trim().is_empty());
        config.condense && (follows || long) && !is_no_question(&self.question)
    }
}
