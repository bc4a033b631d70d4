//! The messages of a conversation, from callers and clients of other APIs.

use json::FieldError;
use language_model::{Message, Role, without_thoughts};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::citations::Citations;

/// A message of a request. Unknown keys are ignored: clients send many more.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ChatMessage")]
pub(crate) struct Turn {
    /// Who said it.
    role: Speaker,
    /// The text, or parts of which some have text.
    content: Option<Content>,
    /// The text of messages of Vercel's AI SDK.
    parts: Option<Vec<Value>>,
    /// The sources that an answer cites, from the event `sources`.
    sources: Option<Value>,
}

/// The role of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ChatRole")]
enum Speaker {
    User,
    Assistant,
    System,
    Developer,
    /// The result of a tool; the chat has no tools.
    Tool,
    Function,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ChatContent")]
#[serde(untagged, expecting = "must be a string or a list of parts with text")]
enum Content {
    Text(String),
    Parts(Vec<Value>),
}

/// A conversation that ends with a question.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The messages before the question, oldest first, with titles in place of citations.
    pub(crate) history: Vec<Message>,
    /// The user's last message.
    pub(crate) question: String,
    /// The text of the caller's `system` and `developer` messages.
    pub(crate) wishes: Vec<String>,
    /// The sources of the last answer, by their numbers.
    earlier: Vec<(usize, String)>,
    /// The field of the question.
    pub(crate) place: String,
}

/// The most characters of a title in place of a citation.
const TITLE: usize = 120;
/// The highest number of a source, for an answer without its sources.
const HIGHEST: usize = 20;

impl Conversation {
    /// A question without earlier messages.
    pub(crate) fn asked(question: String) -> Self {
        Self {
            question,
            place: "question".to_owned(),
            ..Self::default()
        }
    }

    /// Reads the messages of a request; the last one is the question.
    ///
    /// # Errors
    /// Names each invalid message.
    pub(crate) fn read(turns: Vec<Turn>) -> Result<Self, Vec<FieldError>> {
        let mut conversation = Self::default();
        let (mut errors, mut last) = (Vec::new(), None);
        for (at, turn) in turns.into_iter().enumerate() {
            let role = turn.role;
            if matches!(role, Speaker::User | Speaker::Assistant) {
                last = Some((at, role));
            }
            match turn.text(&format!("messages[{at}]")) {
                Ok(text) => conversation.add(role, text, turn.sources.as_ref()),
                Err(error) => errors.push(error),
            }
        }
        match last {
            Some((at, Speaker::User)) => conversation.place = format!("messages[{at}].content"),
            Some((at, _)) => {
                let detail = "must be user: the last message is the question";
                errors.push(FieldError::new(format!("messages[{at}].role"), detail));
            }
            None => {
                let detail = "has no message of the role user; it must end with a question";
                errors.push(FieldError::new("messages", detail));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let question = conversation.history.pop();
        conversation.question = question.map(|message| message.content).unwrap_or_default();
        Ok(conversation)
    }

    /// The question with titles in place of the numbers of sources: "explain [2]".
    pub(crate) fn question_with_titles(&self) -> String {
        titled(&self.question, &self.earlier, false)
    }

    fn add(&mut self, role: Speaker, text: String, sources: Option<&Value>) {
        match role {
            Speaker::User => self.history.push(Message::new(Role::User, text)),
            Speaker::Assistant => {
                let earlier = sources.map(earlier).unwrap_or_default();
                let said = titled(&without_thoughts(&text), &earlier, true);
                self.history.push(Message::new(Role::Assistant, said));
                self.earlier = earlier;
            }
            Speaker::System | Speaker::Developer if !text.trim().is_empty() => {
                self.wishes.push(text);
            }
            Speaker::System | Speaker::Developer | Speaker::Tool | Speaker::Function => {}
        }
    }
}

impl Turn {
    fn text(&self, place: &str) -> Result<String, FieldError> {
        match (&self.content, &self.parts) {
            (Some(Content::Text(text)), _) => Ok(text.clone()),
            (Some(Content::Parts(parts)), _) => self.joined(parts, &format!("{place}.content")),
            (None, Some(parts)) => self.joined(parts, &format!("{place}.parts")),
            // Answers with tool calls have none.
            (None, None) if self.role != Speaker::User => Ok(String::new()),
            (None, None) => Err(FieldError::new(format!("{place}.content"), "is missing")),
        }
    }

    /// The texts of the parts. Skips the other parts of an answer, such as thoughts, steps and tool calls; refuses
    /// those of a user, who must learn that nobody sees an image.
    fn joined(&self, parts: &[Value], place: &str) -> Result<String, FieldError> {
        let mut texts = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let thought = matches!(part["type"].as_str(), Some("reasoning" | "thinking"));
            match part.as_str().or_else(|| part["text"].as_str()) {
                Some(text) if !thought => texts.push(text),
                None if self.role == Speaker::User => {
                    let detail =
                        "has no text; other kinds of parts, such as images, are not supported";
                    return Err(FieldError::new(format!("{place}[{at}]"), detail));
                }
                _ => {}
            }
        }
        Ok(texts.join("\n"))
    }
}

/// Numbers and titles of the readable sources.
fn earlier(sources: &Value) -> Vec<(usize, String)> {
    let sources = sources.as_array().into_iter().flatten().take(100);
    let read = |source: &Value| {
        let number = usize::try_from(source["number"].as_u64()?).ok()?;
        let named = |field: &str| {
            source[field]
                .as_str()
                .filter(|name| !name.trim().is_empty())
        };
        let title = named("title").or_else(|| named("document_id"))?;
        Some((number, title.chars().take(TITLE).collect()))
    };
    sources.filter_map(read).collect()
}

/// The text with titles in place of numbers. Drops numbers without a known title from an `answer`, because they
/// now mean other sources.
fn titled(text: &str, earlier: &[(usize, String)], answer: bool) -> String {
    let highest = earlier.iter().map(|(number, _)| *number).max();
    let title = |number: &usize| {
        let known = earlier.iter().find(|(known, _)| known == number);
        known.map(|(_, title)| title.as_str())
    };
    Citations::replaced(text, highest.unwrap_or(HIGHEST), |cited| {
        let titles: Vec<&str> = cited.iter().flatten().filter_map(title).collect();
        let titles = titles.join("”, “");
        match (titles.is_empty(), answer) {
            (true, true) => cited.iter().any(Option::is_some).then(String::new),
            (true, false) => None,
            (false, true) => Some(format!("(source: “{titles}”)")),
            (false, false) => Some(format!("“{titles}”")),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(messages: Value) -> Conversation {
        let turns = serde_json::from_value(messages).expect("they are messages");
        Conversation::read(turns).expect("they can be read")
    }

    #[test]
    fn messages_of_other_clients_are_understood() {
        let conversation = read(json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Bonjour" }], "id": "m1", "name": "ada" },
            { "role": "assistant", "content": null, "tool_calls": [{}] },
            { "role": "tool", "content": "7" },
            { "role": "assistant", "content": "<think>Hm</think>Oui [1]." },
            { "role": "developer", "content": "In French." },
            { "role": "user", "content": "Et la plage ?" },
        ]));
        assert_eq!(conversation.question, "Et la plage ?");
        assert_eq!(conversation.wishes, ["Be brief.", "In French."]);
        let said: Vec<_> = conversation
            .history
            .iter()
            .map(|message| message.content.as_str())
            .collect();
        assert_eq!(said, ["Bonjour", "", "Oui."]);
    }

    #[test]
    fn parts_are_read_as_far_as_they_are_text() {
        let conversation = read(json!([
            { "id": "u1", "role": "user", "parts": [{ "type": "text", "text": "Bonjour" }] },
            { "id": "a1", "role": "assistant", "parts": [
                { "type": "step-start" }, { "type": "reasoning", "text": "Hm" }, { "type": "text", "text": "Oui" }] },
            { "role": "user", "parts": [{ "type": "text", "text": "Et la" }, { "type": "text", "text": "plage ?" }] },
        ]));
        assert_eq!(conversation.history[1].content, "Oui");
        assert_eq!(conversation.question, "Et la\nplage ?");
        let turns = json!([{ "role": "user", "parts": [{ "type": "file", "url": "data:," }] }]);
        let turns = serde_json::from_value(turns).expect("they are messages");
        let errors = Conversation::read(turns).expect_err("nobody sees the file");
        assert_eq!(errors[0].field, "messages[0].parts[0]");
    }

    #[test]
    fn a_citation_of_an_earlier_answer_becomes_a_title() {
        let conversation = read(json!([
            { "role": "user", "content": "La plage ?" },
            { "role": "assistant", "content": "À 22 heures [2], en été [1, 2].", "sources": [
                { "number": 1, "title": "", "document_id": "ete" }, { "number": 2, "title": "Plage" }] },
            { "role": "user", "content": "Explique [2] et [7]." },
        ]));
        assert_eq!(
            conversation.history[1].content,
            "À 22 heures (source: “Plage”), en été (source: “ete”, “Plage”)."
        );
        assert_eq!(
            conversation.question_with_titles(),
            "Explique “Plage” et [7]."
        );
    }
}
