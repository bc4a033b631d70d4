//! A turn of a conversation.

use serde::{Deserialize, Serialize};

/// One message, in the endpoint's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The text.
    pub content: String,
}

/// A speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The author of the rules.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// The messages for strict templates: without blank ones, neighbours of one role merged, and without `system` the rules
/// start the user's first turn.
#[must_use]
pub fn alternating(messages: &[Message], system: bool) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        if message.content.trim().is_empty() {
            continue;
        }
        let role = match message.role {
            Role::System if !system => Role::User,
            role => role,
        };
        match turns.last_mut() {
            Some(last) if last.role == role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => turns.push(Message::new(role, message.content.clone())),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::{
        Role::{Assistant, System, User},
        *,
    };

    fn turns(messages: &[(Role, &str)], system: bool) -> Vec<(Role, String)> {
        let messages: Vec<Message> = messages
            .iter()
            .map(|(role, text)| Message::new(*role, *text))
            .collect();
        let turns = alternating(&messages, system).into_iter();
        turns.map(|turn| (turn.role, turn.content)).collect()
    }

    #[test]
    fn turns_alternate_in_any_conversation() {
        let said = [
            (System, "Be brief."),
            (User, "a"),
            (Assistant, " \n"),
            (User, "b"),
            (Assistant, "c"),
            (User, "d"),
        ];
        let merged = [
            (System, "Be brief."),
            (User, "a\n\nb"),
            (Assistant, "c"),
            (User, "d"),
        ];
        assert_eq!(
            turns(&said, true),
            merged.map(|(role, text)| (role, text.to_owned()))
        );
        let folded = [(User, "Be brief.\n\na\n\nb"), (Assistant, "c"), (User, "d")];
        assert_eq!(
            turns(&said, false),
            folded.map(|(role, text)| (role, text.to_owned()))
        );
    }
}
