//! Rewrites a follow-up question as a standalone one for the search.

use language_model::{Ask, LanguageModelError, Usage, without_any_thoughts};
use retrieval::Query;
use shared::Error;
use tokio::time::timeout;

use crate::{
    prompt,
    request::{Chat, query},
    state::ChatState,
};

/// Puts the standalone question into the search, and returns it with the cost. If the model fails, searches for the
/// original question: an answer from poorer sources is better than none, and if the model is unavailable, the
/// answer itself reports it.
pub(crate) async fn condensed(
    state: &ChatState,
    chat: &mut Chat,
) -> Result<(Option<String>, Option<Usage>), Error> {
    let config = &state.config;
    if !chat.needs_rewriting(config) {
        return Ok((None, None));
    }
    let ask = Ask {
        messages: prompt::condense(&chat.history, &chat.named_question),
        model: config.condense_model.clone(),
        max_tokens: Some(config.condense_tokens),
        temperature: None,
        whole: true,
    };
    let limit = config.condense_timeout;
    let asked = timeout(limit, state.language_model()?.complete(ask)).await;
    match asked.unwrap_or(Err(LanguageModelError::Silent(limit))) {
        Ok((text, usage)) => {
            let question = standing_alone(&text);
            if let Ok(query) = Query::parse(query(&question)) {
                chat.search.set_query(query);
                return Ok((Some(question), usage));
            }
            Ok((None, usage))
        }
        Err(cause) => {
            tracing::warn!(%cause, "cannot rewrite the question; searching for it unchanged");
            Ok((None, None))
        }
    }
}

/// The question without the usual additions of models: thoughts, quotation marks, a label, more lines.
fn standing_alone(text: &str) -> String {
    const QUOTES: [char; 8] = ['"', '“', '”', '«', '»', '\'', '`', '*'];
    let text = without_any_thoughts(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = lines.next().unwrap_or_default();
    // "Question:", "Rewritten question:", "Question reformulée :"
    if let Some((label, rest)) = line.split_once(':')
        && label.to_lowercase().contains("question")
        && label.chars().count() < 40
    {
        line = if rest.trim_matches('*').trim().is_empty() {
            lines.next().unwrap_or_default()
        } else {
            rest
        };
    }
    let quoted = |c: char| QUOTES.contains(&c) || c.is_whitespace();
    let bare = line.trim_matches(quoted);
    // A quotation within the question keeps its closing mark.
    let opened = line.trim_start().starts_with(QUOTES);
    if opened { bare } else { line.trim() }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::standing_alone;

    #[test]
    fn a_rewritten_question_is_extracted_from_its_wrapping() {
        for (text, expected) in [
            (
                "Quelle est la durée du bail ?",
                "Quelle est la durée du bail ?",
            ),
            (
                "<think>Hm.\nHm.</think>\n\n« Quand ferme la plage ? »\n",
                "Quand ferme la plage ?",
            ),
            (
                "Hm.</think>Quand ferme la plage ?",
                "Quand ferme la plage ?",
            ),
            (
                "He means <think> tags.</think>Quand ferme la plage ?",
                "Quand ferme la plage ?",
            ),
            (
                "<think>a</think>b</think>\nQuand ferme la plage ?",
                "Quand ferme la plage ?",
            ),
            (
                "**Rewritten question:** \"When does it close?\"",
                "When does it close?",
            ),
            (
                "Question:\n\nWhen does it close?\n\nI hope this helps.",
                "When does it close?",
            ),
            ("What is \"condense\"", "What is \"condense\""),
            ("Quand : matin ou soir ?", "Quand : matin ou soir ?"),
            ("", ""),
        ] {
            assert_eq!(standing_alone(text), expected, "{text:?}");
        }
    }
}
