//! The state of an answer while its events arrive.

use super::{
    LanguageModelError,
    chunk::{Chunk, Delta},
    error::Empty,
    thoughts::Thoughts,
};

/// The state of an answer.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact from the events"
)]
pub(super) struct AnswerState {
    thoughts: Thoughts,
    /// Events so far.
    pub(super) events: usize,
    /// Whether any text of the answer arrived.
    said: bool,
    /// Whether a stream brought text, and whether it brought thoughts beside the text.
    wrote: bool,
    thought: bool,
    /// Whether text came without a finish reason, or a whole answer.
    began: bool,
    refusal: bool,
    tool_call: bool,
    finish_reason: Option<String>,
    /// Whether more came after a finish reason: the endpoint sends one with several pieces.
    repeats: bool,
    /// Whether the endpoint signalled the end.
    pub(super) ended: bool,
}

impl AnswerState {
    /// Of an answer that may begin with thoughts without a tag.
    pub(super) fn new(leading: bool) -> Self {
        Self {
            thoughts: Thoughts::leading(leading),
            ..Self::default()
        }
    }

    /// Reads an event. After the finish reason no event can fail an answer.
    pub(super) fn take(&mut self, data: &str) -> Result<Delta, LanguageModelError> {
        let chunk = match Chunk::parse(data) {
            Err(_) if self.finished() => Chunk::default(),
            chunk => chunk?,
        };
        self.events += 1;
        self.refusal |= chunk.refusal;
        self.tool_call |= chunk.tool_call;
        let mut delta = chunk.delta;
        if chunk.whole {
            self.take_whole(&mut delta);
        } else {
            self.wrote |= !delta.text.trim().is_empty();
            self.thought |= !delta.reasoning.is_empty();
        }
        let empty = delta.text.is_empty() && delta.reasoning.is_empty();
        self.repeats |= self.finished() && !empty;
        self.began |=
            !delta.text.trim().is_empty() && (chunk.whole || delta.finish_reason.is_none());
        let (text, thought) = self.thoughts.pass(&delta.text);
        delta.text = text;
        delta.reasoning.push_str(&thought);
        self.said |= !delta.text.trim().is_empty();
        if self.refusal && delta.finish_reason.is_some() {
            delta.finish_reason = Some("refusal".to_owned());
        }
        self.finish_reason = delta.finish_reason.clone().or(self.finish_reason.take());
        Ok(delta)
    }

    /// A whole answer is its own end. After a stream it repeats what the stream has brought.
    fn take_whole(&mut self, delta: &mut Delta) {
        delta.finish_reason.get_or_insert_with(|| "stop".to_owned());
        if self.wrote {
            delta.text.clear();
        }
        if self.wrote || self.thought {
            delta.reasoning.clear();
        }
        if self.events == 1 {
            // Nobody waits for a part of it.
            self.thoughts = Thoughts::leading(true);
        }
    }

    pub(super) fn finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// Whether only the token count may still come. A finish reason before any text, or one with each piece of it, is
    /// not yet the end.
    pub(super) fn ending(&self) -> bool {
        self.finished() && self.began && !self.repeats
    }

    /// Whether it began with thoughts that no tag had opened.
    pub(super) fn began_with_thoughts(&self) -> bool {
        self.thoughts.unopened()
    }

    /// The connection was closed, which may look like an end in the middle of an answer.
    pub(super) fn closed(&self) -> Result<(), LanguageModelError> {
        if self.finished() || self.ended {
            Ok(())
        } else if self.events == 0 {
            let detail = "it ended without any event".to_owned();
            Err(LanguageModelError::Unreadable(detail))
        } else {
            let detail = "it ended without a finish_reason".to_owned();
            Err(LanguageModelError::Cut(detail))
        }
    }

    /// The held-back text at the end of the answer, which must not be empty.
    pub(super) fn rest(&mut self) -> Result<Delta, LanguageModelError> {
        let text = self.thoughts.rest();
        if self.said || !text.trim().is_empty() {
            return Ok(Delta {
                text,
                ..Delta::default()
            });
        }
        Err(LanguageModelError::Empty(
            match self.finish_reason.as_deref() {
                _ if self.tool_call => Empty::ToolCall,
                Some("tool_calls" | "function_call") => Empty::ToolCall,
                Some("content_filter" | "refusal") => Empty::Filtered,
                Some("length") => Empty::Exhausted,
                _ => Empty::Silent,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn piece(delta: &Value, finish_reason: Option<&str>) -> String {
        json!({ "choices": [{ "delta": delta, "finish_reason": finish_reason }] }).to_string()
    }

    fn text(text: &str, finish_reason: Option<&str>) -> String {
        piece(&json!({ "content": text }), finish_reason)
    }

    /// The answer and the thoughts of these events, and the state after them.
    fn read(events: &[String]) -> (String, String, AnswerState) {
        let mut answer = AnswerState::default();
        let (mut text, mut thought) = (String::new(), String::new());
        for data in events {
            let delta = answer.take(data).expect("it can be read");
            text += &delta.text;
            thought += &delta.reasoning;
        }
        (text, thought, answer)
    }

    #[test]
    fn an_answer_ends_with_a_finish_reason_after_text() {
        let end = piece(&json!({}), Some("stop"));
        let thought = piece(&json!({ "reasoning_content": "Hm" }), Some("stop"));
        for (events, ending) in [
            (vec![text("Oui", None)], false),
            (vec![text("Oui", None), end.clone()], true),
            (vec![text("Oui", None), text(".", Some("stop"))], true),
            // Before any text.
            (vec![end.clone()], false),
            (vec![thought.clone(), end.clone()], false),
            // With each piece.
            (vec![text("Oui", Some("stop"))], false),
            (vec![text("Oui", Some("stop")), end.clone()], false),
            // It was not the end.
            (vec![text("O", None), end.clone(), text("ui", None)], false),
            (vec![thought, text("Oui", None), end], false),
        ] {
            let (_, _, answer) = read(&events);
            assert_eq!(answer.ending(), ending, "{events:?}");
        }
    }

    #[test]
    fn nothing_fails_an_answer_after_a_finish_reason() {
        let (_, _, mut answer) = read(&[text("Oui", Some("stop"))]);
        for data in ["{\"error\":{\"message\":\"late\"}}", "{\"cho"] {
            let delta = answer.take(data).expect("it is passed over");
            assert_eq!(delta, Delta::default(), "{data}");
        }
        let (_, _, mut answer) = read(&[text("Oui", None)]);
        answer.take("{\"cho").expect_err("it is not finished");
    }

    #[test]
    fn a_whole_message_after_a_stream_is_not_a_second_answer() {
        let message = json!({ "content": "Oui.", "reasoning_content": "Hm" });
        let usage = json!({ "prompt_tokens": 7, "completion_tokens": 2 });
        let choice = json!({ "message": message, "finish_reason": "length" });
        let whole = json!({ "choices": [choice], "usage": usage }).to_string();
        let thought = piece(&json!({ "reasoning_content": "Hm" }), None);
        for before in [
            vec![thought, text("Oui", None), text(".", None)],
            vec![text("Oui.", Some("stop"))],
        ] {
            let (said, _, mut answer) = read(&before);
            assert_eq!(said, "Oui.");
            let last = answer.take(&whole).expect("it can be read");
            assert_eq!((last.text.as_str(), last.reasoning.as_str()), ("", ""));
            assert_eq!(last.finish_reason.as_deref(), Some("length"));
            assert_eq!(last.usage.map(|usage| usage.completion_tokens), Some(2));
        }
        // Alone, it is the answer.
        let (said, thought, mut answer) = read(&[whole]);
        let rest = answer.rest().expect("there is text");
        assert_eq!(
            (said + &rest.text, thought),
            ("Oui.".to_owned(), "Hm".to_owned())
        );
    }

    #[test]
    fn a_whole_answer_is_searched_for_thoughts_that_a_template_opened() {
        let message = json!({ "content": "Hm.</think>\n\nOui." });
        let whole = json!({ "choices": [{ "message": message }] }).to_string();
        let (said, thought, answer) = read(&[whole]);
        assert_eq!((said.as_str(), thought.as_str()), ("Oui.", "Hm."));
        assert!(answer.finished() && answer.began_with_thoughts());
    }
}
