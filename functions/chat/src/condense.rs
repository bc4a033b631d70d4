//! A question that follows others, made to stand alone, so that it can be searched for.

use std::time::Duration;

use shared::{
    Error, State,
    language_model::{LanguageModelError, Usage},
    search::Query,
};
use tokio::time::timeout;

use crate::{prompt, request::Chat};

/// The longest that a reader waits for a better question.
const LIMIT: Duration = Duration::from_secs(10);

/// Puts the question as it stands alone into the search, if something was said before it. If the model
/// fails at it, the question is searched for as it was asked: an answer from poorer sources is better
/// than none, and if the model is really away the answer itself will tell.
pub(crate) async fn condensed(state: &State, chat: &mut Chat) -> Result<Option<Usage>, Error> {
    if chat.history.is_empty() || !state.chat_config().condense {
        return Ok(None);
    }
    let messages = prompt::condense(&chat.history, &chat.question);
    let asked = timeout(LIMIT, state.language_model()?.complete(&messages)).await;
    match asked.unwrap_or(Err(LanguageModelError::Silent(LIMIT))) {
        Ok((text, usage)) => {
            if let Some(query) = query(&text) {
                chat.search.set_query(query);
            }
            Ok(usage)
        }
        Err(cause) => {
            tracing::warn!(%cause, "the question is searched for as it was asked");
            Ok(None)
        }
    }
}

/// A question as it is searched for; `None` if it is none.
fn query(text: &str) -> Option<Query> {
    let text: String = text.trim().chars().take(Query::MAX_CHARACTERS).collect();
    Query::parse(text).ok()
}
