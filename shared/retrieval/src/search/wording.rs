//! Exact phrases in quotes, and exclusions with a hyphen, in a question.

use analysis::{Excluded, Phrase};
use json::FieldError;
use serde_json::{Map, Value};

/// A question, and what it demands of hits beside meaning and words.
#[derive(Clone, Debug, Default)]
pub(super) struct Wording {
    /// What is searched for: the question without quotes and exclusions.
    pub(super) text: String,
    /// What each hit has in its passage, heading or title.
    phrases: Vec<Phrase>,
    /// Terms that no hit's document has.
    excluded: Vec<String>,
    /// What no hit's document has in its title or content.
    excluded_phrases: Vec<Phrase>,
}

/// A piece of a question.
#[derive(Debug, Eq, PartialEq)]
enum Piece<'q> {
    Text(&'q str),
    Phrase(&'q str),
    ExcludedWord(&'q str),
    ExcludedPhrase(&'q str),
}

impl Wording {
    /// The most phrases and exclusions of a question: each costs a comparison for every candidate.
    const MAX: usize = 10;

    /// A question in which quotes and hyphens mean nothing.
    pub(super) fn literal(question: &str) -> Self {
        Self {
            text: question.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a question with `"a phrase"`, `-excluded` and `-"an excluded phrase"`. Other quotes and hyphens are
    /// punctuation, and so is the hyphen before a word that the search ignores.
    ///
    /// # Errors
    /// Names the field `query`: nothing is left to search for, a phrase is too long, or there are too many.
    pub(super) fn parse(question: &str) -> Result<Self, FieldError> {
        let mut wording = Self::default();
        let mut demands = 0;
        for (piece, written) in pieces(question) {
            demands += 1;
            match piece {
                Piece::Text(text) => {
                    wording.text.push_str(text);
                    demands -= 1;
                }
                Piece::Phrase(text) => {
                    wording.text.push_str(text);
                    wording.phrases.extend(phrase(text)?);
                }
                Piece::ExcludedPhrase(text) => wording.excluded_phrases.extend(phrase(text)?),
                Piece::ExcludedWord(word) => match Excluded::of(word, question) {
                    Some(Excluded::Terms(terms)) => wording.excluded.extend(terms),
                    Some(Excluded::Phrase(phrase)) => wording.excluded_phrases.push(phrase),
                    None => wording.text.push_str(written),
                },
            }
        }
        if demands > 0 {
            wording.text = wording.text.trim().into();
        }
        let excludes = !(wording.excluded.is_empty() && wording.excluded_phrases.is_empty());
        if demands > Self::MAX {
            let detail = format!(
                "has {demands} phrases in quotes and excluded words (-word); at most {} are allowed",
                Self::MAX
            );
            Err(FieldError::new("query", detail))
        } else if excludes && !wording.text.contains(char::is_alphanumeric) {
            let detail = "only excludes words (-word); add what to search for";
            Err(FieldError::new("query", detail))
        } else {
            Ok(wording)
        }
    }

    /// The parameter `wording` of the function `search`; `None` if the question demands nothing.
    pub(super) fn to_json(&self) -> Option<String> {
        let patterns = |phrases: &[Phrase]| -> Value {
            let patterns = phrases.iter().map(|phrase| phrase.pattern.clone());
            patterns.collect()
        };
        let mut members = Map::new();
        if !self.phrases.is_empty() {
            members.insert("phrases".to_owned(), patterns(&self.phrases));
        }
        if let Some(query) = tsquery(&self.phrases) {
            members.insert("query".to_owned(), query.into());
        }
        if !self.excluded.is_empty() {
            members.insert("excluded".to_owned(), Value::from(self.excluded.clone()));
        }
        if !self.excluded_phrases.is_empty() {
            let patterns = patterns(&self.excluded_phrases);
            members.insert("excluded_phrases".to_owned(), patterns);
        }
        (!members.is_empty()).then(|| Value::Object(members).to_string())
    }
}

/// The phrase of a text in quotes; none of punctuation alone.
fn phrase(text: &str) -> Result<Option<Phrase>, FieldError> {
    let words = Phrase::words(text);
    if words > Phrase::MAX_WORDS {
        let detail = format!(
            "has a phrase of {words} words in quotes; at most {} are allowed",
            Phrase::MAX_WORDS
        );
        return Err(FieldError::new("query", detail));
    }
    Ok(Phrase::of(text))
}

/// The terms of passages with the phrases: one of each word. `None` if no word is certain to be a term.
fn tsquery(phrases: &[Phrase]) -> Option<String> {
    let quoted = |term: &String| format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"));
    let words = phrases.iter().flat_map(|phrase| &phrase.terms);
    let words: Vec<String> = words
        .map(|terms| {
            let terms: Vec<String> = terms.iter().map(quoted).collect();
            format!("({})", terms.join("|"))
        })
        .collect();
    (!words.is_empty()).then(|| words.join("&"))
}

/// The pieces of a question in order, each with how it is written.
fn pieces(question: &str) -> Vec<(Piece<'_>, &str)> {
    let mut pieces = Vec::new();
    let mut text_from = 0;
    let mut at = 0;
    while let Some(character) = question[at..].chars().next() {
        let before = question[..at].chars().next_back();
        let is_start = before.is_none_or(|before| before.is_whitespace() || before == '(');
        if let Some((piece, length)) = demand(&question[at..]).filter(|_| is_start) {
            if text_from < at {
                let text = &question[text_from..at];
                pieces.push((Piece::Text(text), text));
            }
            pieces.push((piece, &question[at..at + length]));
            at += length;
            text_from = at;
        } else {
            at += character.len_utf8();
        }
    }
    if text_from < at {
        let text = &question[text_from..];
        pieces.push((Piece::Text(text), text));
    }
    pieces
}

/// The phrase or exclusion that a text begins with, and its length in bytes.
fn demand(text: &str) -> Option<(Piece<'_>, usize)> {
    if let Some(quoted) = quoted(text) {
        return Some((Piece::Phrase(quoted), quoted.len() + 2));
    }
    let after = text.strip_prefix('-')?;
    if let Some(quoted) = quoted(after) {
        return Some((Piece::ExcludedPhrase(quoted), quoted.len() + 3));
    }
    // `-5` is a number, `--all` an option of a command, `-, ` a dash.
    if !after
        .trim_start_matches('.')
        .starts_with(char::is_alphabetic)
    {
        return None;
    }
    let end = after.find(|end: char| end.is_whitespace() || matches!(end, '"' | '(' | ')' | ','));
    let word = &after[..end.unwrap_or(after.len())];
    let word = word.trim_end_matches(['.', ';', ':', '!', '?', '…', '»', '”']);
    (!word.ends_with('-')).then(|| (Piece::ExcludedWord(word), word.len() + 1))
}

/// What is in quotes at the beginning of a text. A quote opens before something that is not blank and closes after such;
/// others are inches, seconds or left open.
fn quoted(text: &str) -> Option<&str> {
    let after = text.strip_prefix('"')?;
    let quoted = &after[..after.find('"')?];
    let rest = &after[quoted.len() + 1..];
    let is_close = !quoted.starts_with(char::is_whitespace)
        && !quoted.ends_with(char::is_whitespace)
        && !rest.starts_with(char::is_alphanumeric);
    (is_close && quoted.contains(char::is_alphanumeric)).then_some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(question: &str) -> (String, usize, Vec<String>, usize) {
        let wording = Wording::parse(question).expect("the question is valid");
        let Wording {
            text,
            phrases,
            excluded,
            excluded_phrases,
        } = wording;
        (text, phrases.len(), excluded, excluded_phrases.len())
    }

    #[test]
    fn phrases_and_exclusions_leave_the_question() {
        let travail = || vec!["travail".to_owned()];
        for (question, text, phrases, excluded, excluded_phrases) in [
            ("contrat -travail", "contrat", 0, travail(), 0),
            (
                "contrat -travail, durée",
                "contrat , durée",
                0,
                travail(),
                0,
            ),
            ("(-travail) contrat", "() contrat", 0, travail(), 0),
            (
                r#""clause de non-concurrence" cadre"#,
                "clause de non-concurrence cadre",
                1,
                vec![],
                0,
            ),
            (r#"le "bail", -"bail à ferme"."#, "le bail, .", 1, vec![], 1),
            ("langage -C++", "langage", 0, vec!["c++".to_owned()], 0),
            ("C++ -travail", "C++", 0, travail(), 0),
            ("courrier -e-mail", "courrier", 0, vec![], 1),
        ] {
            let expected = (text.to_owned(), phrases, excluded, excluded_phrases);
            assert_eq!(read(question), expected, "{question}");
        }
    }

    #[test]
    fn other_punctuation_means_nothing() {
        for question in [
            "-",
            "--",
            "- travail",
            "travail-",
            "bail - durée",
            "bail – durée",
            "bail -- durée",
            "git commit --amend",
            "-5 °C",
            "entre -10 et -5,5",
            "non-concurrence",
            "2020-2022",
            r#"écran 27" ou 24""#,
            r#"5' 10""#,
            r#""sans fin"#,
            r#"sans fin""#,
            r#""""#,
            r#"" ""#,
            r#""-""#,
            r#"a"b"c"#,
            "« bail commercial »",
            "“bail commercial”",
            "Par qui les Séfarades sont -ils chassés ?",
            "la loi -qui a changé- dit",
        ] {
            assert_eq!(
                read(question),
                (question.to_owned(), 0, vec![], 0),
                "{question}"
            );
            assert_eq!(Wording::literal(question).to_json(), None);
        }
    }

    #[test]
    fn what_cannot_be_searched_is_refused_by_name() {
        let long = format!("\"{}\"", "mot ".repeat(33).trim());
        let many = format!("bail {}", "-bruit ".repeat(11));
        for (question, named) in [
            ("-travail", "add what to search for"),
            (r#"-"bail commercial""#, "add what to search for"),
            (long.as_str(), "33 words"),
            (many.as_str(), "at most 10"),
        ] {
            let error = Wording::parse(question).expect_err(question);
            assert_eq!(error.field, "query");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
