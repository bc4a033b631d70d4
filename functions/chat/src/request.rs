//! What may be asked of a chat.

use serde::Deserialize;
use shared::{
    Error,
    documents::Metadata,
    error::FieldError,
    json::{self, Object},
    language_model::{Message, Role},
    search::{Search, SearchRequest},
};

/// A request to `POST /chat`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatRequest {
    /// The question, if nothing was said before it.
    question: Option<String>,
    /// The conversation, which ends with the question.
    messages: Option<Vec<Object<Turn>>>,
    /// Sources wanted, 1 to [`Chat::MAX_SOURCES`].
    #[serde(default, deserialize_with = "json::whole")]
    limit: Option<i64>,
    /// As in a search.
    max_distance: Option<f64>,
    filter: Option<Metadata>,
    mode: Option<String>,
    semantic_weight: Option<f64>,
    #[serde(default, deserialize_with = "json::whole")]
    expand: Option<i64>,
    rerank: Option<bool>,
    /// Whether the answer is sent while it is made; `true` if absent.
    stream: Option<bool>,
    /// Whether nothing is asked of the model when nothing was found; `true` if absent.
    require_sources: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: Speaker,
    content: String,
}

/// Who speaks in a caller's conversation; the rules are the function's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    User,
    Assistant,
}

/// A chat that can be answered: every limit holds.
#[derive(Debug)]
pub(crate) struct Chat {
    /// What was said before the question, oldest first.
    pub(crate) history: Vec<Message>,
    /// The last thing that the user said.
    pub(crate) question: String,
    /// The search for the question's sources.
    pub(crate) search: Search,
    pub(crate) stream: bool,
    pub(crate) require_sources: bool,
}

impl ChatRequest {
    /// Checks every field and names all that are wrong.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry a field.
    pub(crate) fn parse(self) -> Result<Chat, Error> {
        let mut errors = Vec::new();
        let (mut conversation, place) = match conversation(self.question, self.messages) {
            Ok(parts) => parts,
            Err(mut wrong) => {
                errors.append(&mut wrong);
                // What else is wrong is still worth telling.
                (vec![Message::new(Role::User, "?")], "question".to_owned())
            }
        };
        let question = conversation
            .pop()
            .map(|message| message.content)
            .unwrap_or_default();
        let limit = self.limit.unwrap_or(Chat::SOURCES);
        if !(1..=Chat::MAX_SOURCES).contains(&limit) {
            let detail = format!("is {limit}; 1 to {} are allowed", Chat::MAX_SOURCES);
            errors.push(FieldError::new("limit", detail));
        }
        let search = SearchRequest {
            query: question.clone(),
            limit: Some(limit.clamp(1, Chat::MAX_SOURCES)),
            max_distance: self.max_distance,
            filter: self.filter,
            mode: self.mode,
            semantic_weight: self.semantic_weight,
            expand: self.expand,
            explain: None,
            rerank: self.rerank,
        };
        match search
            .parse()
            .map_err(|error| error.blaming("query", &place))
        {
            Ok(search) if errors.is_empty() => Ok(Chat {
                history: conversation,
                question,
                search,
                stream: self.stream.unwrap_or(true),
                require_sources: self.require_sources.unwrap_or(true),
            }),
            Ok(_) => Err(Error::Invalid(errors)),
            Err(Error::Invalid(wrong)) => {
                errors.extend(wrong);
                Err(Error::Invalid(errors))
            }
            Err(other) => Err(other),
        }
    }
}

impl Chat {
    /// Sources of a chat that asks for no number of them.
    pub(crate) const SOURCES: i64 = 6;
    /// The most sources: more of them hide each other from a model.
    pub(crate) const MAX_SOURCES: i64 = 20;
}

/// The messages of a request, at least one, and the name of the field that the question is in.
fn conversation(
    question: Option<String>,
    messages: Option<Vec<Object<Turn>>>,
) -> Result<(Vec<Message>, String), Vec<FieldError>> {
    let one = |field: &str, detail: String| vec![FieldError::new(field, detail)];
    let turns = match (question, messages) {
        (Some(question), None) => {
            return Ok((
                vec![Message::new(Role::User, question)],
                "question".to_owned(),
            ));
        }
        (None, Some(turns)) => turns,
        (Some(_), Some(_)) => {
            let detail = "is given beside messages; the last message is the question";
            return Err(one("question", detail.to_owned()));
        }
        (None, None) => return Err(one("question", "is missing, and messages too".to_owned())),
    };
    let Some(last) = turns.len().checked_sub(1) else {
        return Err(one(
            "messages",
            "is empty; it must end with a question".to_owned(),
        ));
    };
    if turns[last].0.role != Speaker::User {
        let detail = "must be user: the last message is the question";
        return Err(one(&format!("messages[{last}].role"), detail.to_owned()));
    }
    let messages = turns
        .into_iter()
        .map(|Object(turn)| turn.into_message())
        .collect();
    Ok((messages, format!("messages[{last}].content")))
}

impl Turn {
    fn into_message(self) -> Message {
        let role = match self.role {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        Message::new(role, self.content)
    }
}
