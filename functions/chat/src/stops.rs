//! Sequences at which a caller wants an answer to end. They are looked for here, because many reasoning models refuse the
//! field `stop`.

use json::FieldError;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// Ends the text of an answer before the first of some sequences.
#[derive(Debug)]
pub(crate) struct Stops {
    sequences: Vec<String>,
    /// Text that may begin a sequence.
    held: String,
    reached: bool,
}

/// The most sequences, as at `OpenAI`.
const MOST: usize = 4;
/// The most characters of a sequence.
const LONGEST: usize = 200;

impl Stops {
    pub(crate) fn new(sequences: Vec<String>) -> Self {
        Self {
            sequences,
            held: String::new(),
            reached: false,
        }
    }

    /// The text of a piece before a sequence. What may begin one is held back.
    pub(crate) fn pass(&mut self, piece: &str) -> String {
        if self.sequences.is_empty() {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        // The first that is complete, however the text was cut into pieces.
        let places = self.sequences.iter().filter_map(|sequence| {
            let at = self.held.find(sequence.as_str())?;
            Some((at + sequence.len(), at))
        });
        if let Some((_, at)) = places.min() {
            self.reached = true;
            self.held.truncate(at);
            return self.rest();
        }
        let shown = self.held.len() - self.begun();
        let held = self.held.split_off(shown);
        std::mem::replace(&mut self.held, held)
    }

    /// Whether the answer ends here.
    pub(crate) fn reached(&self) -> bool {
        self.reached
    }

    /// The held text, when the answer ends without a sequence.
    pub(crate) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text with which a sequence begins.
    fn begun(&self) -> usize {
        let begun = |sequence: &String| {
            let mut beginnings = sequence.char_indices().map(|(at, _)| &sequence[..at]);
            beginnings
                .rfind(|beginning| self.held.ends_with(*beginning))
                .map_or(0, str::len)
        };
        self.sequences.iter().map(begun).max().unwrap_or_default()
    }
}

/// Reads a sequence, or a list of them; empty ones mean nothing.
///
/// # Errors
/// When it is neither, or there are too many or too long ones.
pub(crate) fn read(stop: Option<&Value>) -> Result<Vec<String>, FieldError> {
    let wrong = || {
        let detail = format!("must be a string or up to {MOST} strings of {LONGEST} characters");
        FieldError::new("stop", detail)
    };
    let given: &[Value] = match stop {
        None | Some(Value::Null) => &[],
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let sequences: Option<Vec<&str>> = given.iter().map(Value::as_str).collect();
    let sequences = sequences.ok_or_else(wrong)?;
    let is_short = |sequence: &&str| sequence.chars().count() <= LONGEST;
    if sequences.len() > MOST || !sequences.iter().all(is_short) {
        return Err(wrong());
    }
    let sequences = sequences
        .into_iter()
        .filter(|sequence| !sequence.is_empty());
    Ok(sequences.map(str::to_owned).collect())
}

pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string", "maxLength": LONGEST },
        { "type": "array", "items": { "type": "string", "maxLength": LONGEST }, "maxItems": MOST },
        { "type": "null" },
    ] })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// The text until a sequence, however it is cut into pieces.
    fn ended(text: &str, sequences: &[&str]) -> String {
        let sequences = owned(sequences);
        let characters: Vec<char> = text.chars().collect();
        let mut outcomes = (1..=characters.len()).map(|size| {
            let mut stops = Stops::new(sequences.clone());
            let mut said = String::new();
            for piece in characters.chunks(size) {
                said += &stops.pass(&piece.iter().collect::<String>());
                if stops.reached() {
                    break;
                }
            }
            said + &stops.rest()
        });
        let first = outcomes.next().expect("there is one way to cut a text");
        for other in outcomes {
            assert_eq!(other, first, "{text:?} depends on how it is cut");
        }
        first
    }

    #[test]
    fn an_answer_ends_before_the_first_sequence() {
        for (text, sequences, expected) in [
            (
                "Oui [1].\nObservation: non",
                &["\nObservation:"][..],
                "Oui [1].",
            ),
            ("Oui.\n\nNon.", &["###", "\n\n"], "Oui."),
            ("aab", &["ab"], "a"),
            ("abcd", &["abcd", "bc"], "a"),
            ("été à Noël", &["à N", "x"], "été "),
            ("Oui.\n", &["\n\n"], "Oui.\n"),
            ("Oui.", &[], "Oui."),
        ] {
            assert_eq!(ended(text, sequences), expected, "{text:?}");
        }
    }

    #[test]
    fn only_what_may_begin_a_sequence_is_held_back() {
        let mut stops = Stops::new(vec!["###".to_owned()]);
        assert_eq!(stops.pass("Oui #"), "Oui ");
        assert_eq!(stops.pass(" 1 ##"), "# 1 ");
        assert_eq!(stops.pass("#"), "");
        assert!(stops.reached());
    }

    #[test]
    fn sequences_are_read_alone_and_in_lists() {
        let read = |stop: Value| read(Some(&stop)).ok();
        let texts = |texts: &[&str]| Some(owned(texts));
        assert_eq!(read(json!(null)), texts(&[]));
        assert_eq!(read(json!("a")), texts(&["a"]));
        assert_eq!(read(json!(["a", "", "b"])), texts(&["a", "b"]));
        for wrong in [
            json!(7),
            json!(["a", 7]),
            json!(vec!["a"; MOST + 1]),
            json!("a".repeat(201)),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }
}
