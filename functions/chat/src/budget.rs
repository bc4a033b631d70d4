//! The token budget of the conversation and its sources.

use language_model::{Message, Role, alternating};
use shared::Error;

use crate::{cut::share, prompt::Prompt, request::Chat, state::ChatState};

/// Tokens for history and sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenBudget {
    pub(crate) history: usize,
    /// History and sources together.
    total: usize,
    sources: usize,
}

/// Almost no token has more characters.
const CHARACTERS_A_TOKEN: usize = 16;
/// The usable share of the context: another tokenizer may count 10 to 20 % more tokens.
const USED: f64 = 0.85;
/// Tokens for the answer, if no setting limits it and the context is large enough.
const ANSWER: usize = 2_000;
/// The smallest useful number of tokens.
const LEAST: usize = 64;
/// Replaces the cut part of a text.
const GAP: &str = " […] ";

impl TokenBudget {
    /// The tokens of a context without `fixed` ones and an answer; history gets at most a third of them.
    fn new(context: usize, answer: Option<usize>, fixed: usize, limits: (usize, usize)) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a whole number above 0"
        )]
        let usable = (context as f64 * USED) as usize;
        let answer = answer.unwrap_or(ANSWER).min(context / 3);
        let total = usable.saturating_sub(answer + fixed).max(LEAST);
        let (history, sources) = limits;
        Self {
            history: history.min(total / 3),
            total,
            sources,
        }
    }

    /// Tokens for sources beside so many tokens of history.
    pub(crate) fn sources(self, history: usize) -> usize {
        self.sources
            .min(self.total.saturating_sub(history))
            .max(LEAST.min(self.sources))
    }
}

/// Trims the history to fit, and returns the tokens for sources.
///
/// Always keeps the last exchange, cut in the middle if it is too long. The history then begins with a question,
/// and its turns alternate, as many models require.
pub(crate) async fn trim(
    state: &ChatState,
    chat: &mut Chat,
    prompt: &Prompt,
) -> Result<usize, Error> {
    let config = &state.config;
    let mut history = alternating(&chat.history, true);
    let begins = history.iter().position(|turn| turn.role == Role::User);
    history.drain(..begins.unwrap_or(history.len()));
    // Skips the count of texts that are far too long.
    let longest = config.history_tokens.saturating_mul(CHARACTERS_A_TOKEN);
    for turn in &mut history {
        turn.content = cut_in_the_middle(&turn.content, longest);
    }
    let mut texts = vec![prompt.fixed()];
    texts.extend(history.iter().map(|turn| turn.content.clone()));
    let counts = state.search.embedder.count_tokens(texts).await?;
    let (fixed, counts) = counts
        .split_first()
        .map_or((0, &[][..]), |(first, rest)| (*first, rest));
    let model = state.language_model()?;
    let answer = chat
        .choice
        .max_tokens
        .and_then(|tokens| usize::try_from(tokens).ok());
    let budget = TokenBudget::new(
        model.context_tokens(),
        answer.or(model.answer_tokens()),
        fixed,
        (config.history_tokens, config.source_tokens),
    );
    let (history, tokens) = keep_last(history, counts, budget.history);
    chat.history = history;
    Ok(budget.sources(tokens))
}

/// The last turns with at most `limit` tokens together, and their number of tokens.
fn keep_last(mut history: Vec<Message>, counts: &[usize], limit: usize) -> (Vec<Message>, usize) {
    let Some(last) = history.iter().rposition(|turn| turn.role == Role::User) else {
        return (Vec::new(), 0);
    };
    let mut total: usize = counts[last..].iter().sum();
    if total > limit {
        // The question is usually short, and gives the topic of the answer. A long one gets a quarter, or more if the
        // answer leaves it.
        let answers = total - counts[last];
        let question = counts[last].min((limit / 4).max(limit.saturating_sub(answers)));
        let rest = limit - question;
        shorten(&mut history[last], counts[last], question);
        for (turn, count) in history.iter_mut().zip(counts).skip(last + 1) {
            shorten(turn, *count, rest);
        }
        history.drain(..last);
        return (history, question + answers.min(rest));
    }
    // Earlier exchanges, each whole: a question and its answer.
    let mut from = last;
    while from >= 2 && total + counts[from - 1] + counts[from - 2] <= limit {
        total += counts[from - 1] + counts[from - 2];
        from -= 2;
    }
    history.drain(..from);
    (history, total)
}

/// Cuts a text of `tokens` tokens to `limit`.
fn shorten(turn: &mut Message, tokens: usize, limit: usize) {
    if tokens > limit {
        turn.content = cut_in_the_middle(&turn.content, share(&turn.content, tokens, limit));
    }
}

/// The beginning and the end of a text longer than so many characters.
fn cut_in_the_middle(text: &str, characters: usize) -> String {
    let all = text.chars().count();
    if all <= characters {
        return text.to_owned();
    }
    let kept = characters.saturating_sub(GAP.chars().count());
    let (head, tail) = (kept - kept / 3, kept / 3);
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(all - tail).collect();
    format!("{head}{GAP}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(lengths: &[usize]) -> (Vec<Message>, Vec<usize>) {
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let turns = lengths
            .iter()
            .zip(roles)
            .map(|(length, role)| Message::new(role, "é".repeat(*length)));
        (turns.collect(), lengths.to_vec())
    }

    fn lengths(history: &[usize], limit: usize) -> Vec<usize> {
        let (history, counts) = turns(history);
        let (history, tokens) = keep_last(history, &counts, limit);
        assert!(tokens <= limit);
        history
            .iter()
            .map(|turn| turn.content.chars().count())
            .collect()
    }

    #[test]
    fn whole_exchanges_are_kept_from_the_last() {
        assert_eq!(lengths(&[10, 10, 10, 10], 100), [10, 10, 10, 10]);
        assert_eq!(lengths(&[50, 30, 10, 10], 60), [10, 10]);
        assert!(lengths(&[], 100).is_empty());
    }

    #[test]
    fn the_last_exchange_is_there_whatever_its_length() {
        assert_eq!(lengths(&[10, 10, 20, 5_000], 100), [20, 72]);
        let both = lengths(&[400, 5_000], 100);
        assert!(both[0] <= 25 && both[1] <= 75 && both[0] > 10, "{both:?}");
    }

    #[test]
    fn a_long_question_gets_what_its_answer_leaves() {
        assert_eq!(lengths(&[10, 10, 5_000, 20], 100), [72, 20]);
        assert_eq!(lengths(&[5_000], 100), [90]);
        for history in [&[5_000, 20][..], &[20, 5_000], &[5_000, 5_000], &[5_000]] {
            let (history, counts) = turns(history);
            assert_eq!(keep_last(history, &counts, 100).1, 100);
        }
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        assert_eq!(
            cut_in_the_middle("abcdefghijklmnopqrst", 14),
            "abcdef […] rst"
        );
        assert_eq!(cut_in_the_middle("short", 14), "short");
    }

    #[test]
    fn a_small_context_leaves_room_for_an_answer() {
        let budget = TokenBudget::new(4_096, None, 500, (2_000, 6_000));
        assert_eq!(budget.history, 538);
        assert!(
            budget.sources(538) + 538 + 500 + 1_365 <= 3_481,
            "{budget:?}"
        );
        let budget = TokenBudget::new(128_000, None, 500, (2_000, 6_000));
        assert_eq!((budget.history, budget.sources(2_000)), (2_000, 6_000));
        let tiny = TokenBudget::new(1_024, None, 5_000, (2_000, 6_000));
        assert_eq!(tiny.sources(0), LEAST, "something is read in any case");
    }
}
