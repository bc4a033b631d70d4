//! How much of a conversation the model reads.

use shared::{
    Error, State,
    language_model::{Message, Role},
};

use crate::{citations::Citations, request::Chat};

/// Hardly any token has more characters.
const CHARACTERS_A_TOKEN: usize = 16;

/// Leaves of the history the last messages that have at most `tokens` tokens together.
///
/// It then begins with a question, as many models demand, and its answers cite nothing: their numbers
/// are those of sources that are gone.
pub(crate) async fn trim(state: &State, chat: &mut Chat, tokens: usize) -> Result<(), Error> {
    chat.history
        .retain(|message| !message.content.trim().is_empty());
    if chat.history.is_empty() {
        return Ok(());
    }
    // What is far too long is not even counted.
    let lengths = chat
        .history
        .iter()
        .map(|message| message.content.chars().count());
    let kept = fitting(lengths.rev(), tokens.saturating_mul(CHARACTERS_A_TOKEN));
    keep_last(&mut chat.history, kept);
    let contents = chat.history.iter().map(|message| message.content.clone());
    let counts = state.count_tokens(contents.collect()).await?;
    let kept = fitting(counts.into_iter().rev(), tokens);
    keep_last(&mut chat.history, kept);
    let answers = chat
        .history
        .iter()
        .take_while(|message| message.role == Role::Assistant);
    let unasked = answers.count();
    chat.history.drain(..unasked);
    for message in &mut chat.history {
        if message.role == Role::Assistant {
            message.content = Citations::stripped(&message.content);
        }
    }
    Ok(())
}

/// How many of these lengths, from the first, add up to at most `limit`.
pub(crate) fn fitting(lengths: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut total = 0_usize;
    lengths
        .take_while(|length| {
            total = total.saturating_add(*length);
            total <= limit
        })
        .count()
}

fn keep_last(history: &mut Vec<Message>, kept: usize) {
    history.drain(..history.len() - kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_not_exceeded() {
        assert_eq!(fitting([3, 4, 5].into_iter(), 7), 2);
        assert_eq!(fitting([3, 4, 5].into_iter(), 2), 0);
        assert_eq!(fitting([3, usize::MAX, 5].into_iter(), 100), 1);
    }
}
