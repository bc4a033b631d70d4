//! Finds the sources of a question, and makes the model's request.

use language_model::{Message, Role, Usage};
use retrieval::Hit;
use serde_json::value::{RawValue, to_raw_value};
use shared::Error;

use crate::{
    budget,
    condense::condensed,
    prompt::Prompt,
    request::Chat,
    small_talk::is_no_question,
    sources::{self, ChatSource},
    state::ChatState,
};

/// A question with its sources.
#[derive(Debug)]
pub(crate) struct Retrieved {
    question: String,
    /// The searched question.
    query: String,
    history: Vec<Message>,
    prompt: Prompt,
    sources: Vec<ChatSource>,
    /// The number of sources in the prompt.
    read: usize,
    /// Neighbours on each side of the found chunks.
    expand: usize,
    /// Whether to ask the model.
    asked: bool,
    /// The tokens spent before the answer.
    pub(crate) usage: Option<Usage>,
}

impl Retrieved {
    /// Rewrites a follow-up question, and finds its sources.
    ///
    /// # Errors
    /// When the search fails.
    pub(crate) async fn by(state: &ChatState, mut chat: Chat) -> Result<Self, Error> {
        let wishes = std::mem::take(&mut chat.wishes);
        let prompt = Prompt::new(&chat.instructions, wishes, chat.named_question.clone());
        let budget = budget::trim(state, &mut chat, &prompt).await?;
        let (rewritten, usage) = condensed(state, &mut chat).await?;
        let hits = found(state, &chat).await?;
        let asked = !hits.is_empty() || !chat.require_sources;
        let sources = sources::within(state, hits, budget, &chat).await?;
        Ok(Self {
            question: chat.question,
            query: rewritten.unwrap_or(chat.named_question),
            history: chat.history,
            prompt,
            read: sources.len(),
            expand: chat.expand,
            sources,
            asked,
            usage,
        })
    }

    /// Whether to ask the model.
    pub(crate) fn asks_model(&self) -> bool {
        self.asked
    }

    pub(crate) fn question(&self) -> &str {
        &self.question
    }

    /// The user's messages before the question, the last first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &str> {
        let turns = self.history.iter().rev();
        let turns = turns.filter(|turn| turn.role == Role::User);
        turns.map(|turn| turn.content.as_str())
    }

    /// The number of sources to cite.
    pub(crate) fn count(&self) -> usize {
        self.sources.len()
    }

    /// The searched question, and the sources for the reader.
    ///
    /// # Errors
    /// When they cannot be serialised, which is a bug.
    pub(crate) fn for_reader(&self) -> Result<(String, Box<RawValue>), Error> {
        let sources = to_raw_value(&self.sources)
            .map_err(|error| Error::Internal(format!("serialising sources: {error}")))?;
        Ok((self.query.clone(), sources))
    }

    /// The model's request.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.prompt
            .messages(&self.history, &self.sources[..self.read])
    }

    /// Keeps about half: the nearest sources, and the last exchange.
    pub(crate) fn shorten(&mut self) {
        match self.sources.first_mut() {
            Some(only) if self.read == 1 => only.shorten(2, 1, self.expand),
            _ => self.read /= 2,
        }
        let before = self.history.len().saturating_sub(2);
        self.history.drain(..before);
    }
}

/// The passages to answer from. A manual may be the whole corpus: if only one document has any, it fills all places.
async fn found(state: &ChatState, chat: &Chat) -> Result<Vec<Hit>, Error> {
    if is_no_question(&chat.question) {
        return Ok(Vec::new());
    }
    let (search, visibility) = (chat.search.clone(), &chat.visibility);
    let hits = state.search.run(search, visibility).await?.hits;
    let is_one = |hits: &[Hit]| match hits {
        [first, rest @ ..] => rest.iter().all(|hit| hit.document_id == first.document_id),
        [] => false,
    };
    if chat.fills.is_none_or(|places| hits.len() >= places) || !is_one(&hits) {
        return Ok(hits);
    }
    let search = chat.search.clone().of_any_document();
    Ok(state.search.run(search, visibility).await?.hits)
}
