//! Requests of a chat, and their limits.

mod chat;
mod completion;

use document_store::{Count, Visibility};
use filter::Filter;
use json::{self, FieldError, Object};
use retrieval::{Mode, Query, Search, SearchRequest};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::Error;

use crate::{
    config::{CallerParameter, ChatConfig},
    conversation::{Conversation, Turn},
    fields::SourceFields,
};

pub(crate) use self::{
    chat::{Chat, Choice},
    completion::CompletionRequest,
};

/// A request to `POST /chat`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatRequest {
    /// The question, without earlier messages.
    #[schemars(length(min = 1, max = Chat::MAX_QUESTION), pattern(r"\S"))]
    question: Option<String>,
    /// The conversation; it ends with the question.
    #[schemars(length(min = 1))]
    messages: Option<Vec<Object<Turn>>>,
    /// The most sources; 6 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Chat::MAX_SOURCES))]
    limit: Option<i64>,
    /// As in a search.
    #[schemars(range(min = 0, max = 2))]
    max_distance: Option<f64>,
    /// As in a search, but the configured one if absent.
    #[schemars(range(min = 0, max = 1))]
    min_relevance: Option<f64>,
    /// As in a search.
    #[schemars(with = "Option<Filter>")]
    filter: Option<Box<RawValue>>,
    /// As in a search.
    #[schemars(with = "Option<Mode>")]
    mode: Option<String>,
    /// As in a search.
    #[schemars(range(min = 0, max = 1))]
    semantic_weight: Option<f64>,
    /// As in a search; if absent 3, or as many as there are if no other document has any.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Search::MAX_PASSAGES))]
    passages: Option<i64>,
    /// As in a search.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 0, max = Search::MAX_EXPAND))]
    expand: Option<i64>,
    /// As in a search.
    rerank: Option<bool>,
    /// Metadata and dates of the sources for the model.
    #[schemars(length(max = SourceFields::MAX))]
    source_fields: Option<Vec<String>>,
    /// Whether to stream the answer; `true` if absent.
    stream: Option<bool>,
    /// Whether to skip the model when nothing was found; `true` if absent.
    require_sources: Option<bool>,
    /// Whether to send the model's thoughts; `false` if absent.
    reasoning: Option<bool>,
    /// Instructions beside the rules, if callers may add them.
    #[schemars(length(max = Chat::MAX_INSTRUCTIONS))]
    instructions: Option<String>,
    /// The language model, like the next two only if callers may choose it.
    model: Option<String>,
    /// The randomness of the answer, 0 to 2.
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    /// The most tokens of the answer.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = u32::MAX))]
    max_tokens: Option<i64>,
    /// Sequences at which the answer ends, of another API's requests.
    #[serde(skip)]
    stop: Vec<String>,
}

impl ChatRequest {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry per invalid field.
    pub(crate) fn parse(
        mut self,
        config: &ChatConfig,
        visibility: Visibility,
    ) -> Result<Chat, Error> {
        let mut errors = Vec::new();
        let choice = self.choice(config, &mut errors);
        let mut instructions: Vec<String> = config.instructions.clone().into_iter().collect();
        if let Some(own) = self
            .instructions
            .take()
            .filter(|own| !own.trim().is_empty())
        {
            errors.extend(instructions_error(&own, config));
            instructions.push(own);
        }
        let source_fields = SourceFields::parse(self.source_fields.take().unwrap_or_default())
            .map_err(|error| errors.push(error))
            .unwrap_or_default();
        let mut conversation = match conversation(self.question.take(), self.messages.take()) {
            Ok(conversation) => conversation,
            Err(mut wrong) => {
                errors.append(&mut wrong);
                // Continues, to report the other errors too.
                Conversation::asked("?".to_owned())
            }
        };
        errors.extend(question_error(&conversation));
        let mut wishes = std::mem::take(&mut conversation.wishes);
        if config.caller_instructions {
            instructions.append(&mut wishes);
        }
        let named_question = conversation.question_with_titles();
        let search = self.search(&named_question, config, &mut errors);
        match search.parse() {
            Ok(search) if errors.is_empty() => Ok(Chat {
                visibility,
                history: conversation.history,
                question: conversation.question,
                named_question,
                wishes,
                instructions,
                search,
                fills: match self.passages {
                    Some(_) => None,
                    None => usize::try_from(self.limit.unwrap_or(Chat::SOURCES)).ok(),
                },
                expand: self
                    .expand
                    .and_then(|expand| usize::try_from(expand).ok())
                    .unwrap_or_default(),
                source_fields,
                stream: self.stream.unwrap_or(true),
                require_sources: self.require_sources.unwrap_or(true),
                reasoning: self.reasoning.unwrap_or_default(),
                choice,
            }),
            Ok(_) => Err(Error::Invalid(errors)),
            Err(Error::Invalid(wrong)) => {
                // The query is the question, whose errors are already reported.
                errors.extend(wrong.into_iter().filter(|error| error.field != "query"));
                Err(Error::Invalid(errors))
            }
            Err(other) => Err(other),
        }
    }

    fn search(
        &self,
        question: &str,
        config: &ChatConfig,
        errors: &mut Vec<FieldError>,
    ) -> SearchRequest {
        let limit = self.limit.unwrap_or(Chat::SOURCES);
        if !(1..=Chat::MAX_SOURCES).contains(&limit) {
            let detail = format!("is {limit}; 1 to {} are allowed", Chat::MAX_SOURCES);
            errors.push(FieldError::new("limit", detail));
        }
        SearchRequest {
            query: query(question),
            limit: Some(limit.clamp(1, Chat::MAX_SOURCES)),
            max_distance: self.max_distance,
            min_relevance: Some(self.min_relevance.unwrap_or(config.min_relevance)),
            filter: self.filter.clone(),
            mode: self.mode.clone(),
            semantic_weight: self.semantic_weight,
            passages: Some(self.passages.unwrap_or(Chat::PASSAGES)),
            expand: self.expand,
            explain: None,
            rerank: self.rerank,
            count: Some(Count::None.name().to_owned()),
            literal: true,
            ..SearchRequest::default()
        }
    }

    fn choice(&mut self, config: &ChatConfig, errors: &mut Vec<FieldError>) -> Choice {
        let given = [
            ("model", self.model.is_some(), CallerParameter::Model),
            (
                "temperature",
                self.temperature.is_some(),
                CallerParameter::Temperature,
            ),
            (
                "max_tokens",
                self.max_tokens.is_some(),
                CallerParameter::MaxTokens,
            ),
        ];
        for (name, given, parameter) in given {
            if given && !config.allows(parameter) {
                let detail =
                    "is set by the service; CHAT_CALLER_PARAMETERS lists what callers may set";
                errors.push(FieldError::new(name, detail));
            }
        }
        if self
            .temperature
            .is_some_and(|it| !(0.0..=2.0).contains(&it))
        {
            errors.push(FieldError::new("temperature", "must be from 0 to 2"));
        }
        let max_tokens = self
            .max_tokens
            .map(u32::try_from)
            .transpose()
            .ok()
            .flatten();
        if self.max_tokens.is_some() && max_tokens.is_none_or(|tokens| tokens == 0) {
            errors.push(FieldError::new(
                "max_tokens",
                "must be a whole number above 0",
            ));
        }
        Choice {
            model: self.model.take(),
            temperature: self.temperature,
            max_tokens,
            stop: std::mem::take(&mut self.stop),
        }
    }
}

/// The messages of a request, at least one, and the field of the question.
fn conversation(
    question: Option<String>,
    messages: Option<Vec<Object<Turn>>>,
) -> Result<Conversation, Vec<FieldError>> {
    let one = |field: &str, detail: &str| Err(vec![FieldError::new(field, detail)]);
    match (question, messages) {
        (Some(question), None) => Ok(Conversation::asked(question)),
        (None, Some(turns)) if turns.is_empty() => {
            one("messages", "is empty; it must end with a question")
        }
        (None, Some(turns)) => {
            Conversation::read(turns.into_iter().map(|Object(turn)| turn).collect())
        }
        (Some(_), Some(_)) => one(
            "question",
            "cannot be combined with messages; the last message is the question",
        ),
        (None, None) => one("question", "is required, unless messages are given"),
    }
}

fn question_error(conversation: &Conversation) -> Option<FieldError> {
    let characters = conversation.question.chars().count();
    let detail = if conversation.question.trim().is_empty() {
        format!(
            "must have 1 to {} characters that are not all white space",
            Chat::MAX_QUESTION
        )
    } else if characters > Chat::MAX_QUESTION {
        format!(
            "has {characters} characters; the limit is {}",
            Chat::MAX_QUESTION
        )
    } else {
        return None;
    };
    Some(FieldError::new(&*conversation.place, detail))
}

fn instructions_error(instructions: &str, config: &ChatConfig) -> Option<FieldError> {
    let characters = instructions.chars().count();
    let detail = if !config.caller_instructions {
        "are set by the service; CHAT_CALLER_INSTRUCTIONS lets callers add to them".to_owned()
    } else if characters > Chat::MAX_INSTRUCTIONS {
        format!(
            "has {characters} characters; the limit is {}",
            Chat::MAX_INSTRUCTIONS
        )
    } else {
        return None;
    };
    Some(FieldError::new("instructions", detail))
}

/// The text to search for: the question, or the beginning and the end of a long one, where questions usually are.
pub(crate) fn query(question: &str) -> String {
    let characters: Vec<char> = question.trim().chars().collect();
    if characters.len() <= Query::MAX_CHARACTERS {
        return characters.into_iter().collect();
    }
    let half = Query::MAX_CHARACTERS / 2 - 1;
    let (head, tail) = (&characters[..half], &characters[characters.len() - half..]);
    head.iter().chain(&[' ']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_question_both_ends_are_searched_for() {
        assert_eq!(query(" Quand ? "), "Quand ?");
        let long = format!("Début {}fin ?", "é".repeat(3_000));
        let query = query(&long);
        assert!(
            query.starts_with("Début") && query.ends_with("fin ?"),
            "{query}"
        );
        Query::parse(query).expect("it can be searched for");
    }
}
