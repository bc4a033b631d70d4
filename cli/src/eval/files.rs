//! A judged set in the BEIR layout: passages, questions, judgements.

use std::{
    collections::HashMap,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use analysis::Language;
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use crate::terminal::note;

/// The files of a judged set.
#[derive(Args, Clone, Debug)]
pub(crate) struct Files {
    /// Passages: JSON lines with _id, title, text, compressed or not. They are imported into a separate database. If
    /// absent, the documents that are loaded already are searched, and nothing is changed.
    #[arg(long, value_name = "FILE")]
    pub(crate) corpus: Option<PathBuf>,
    /// Questions: JSON lines with _id (or id) and text (or question), and language if it is not to be guessed.
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: PathBuf,
    /// Judgements: query-id, corpus-id, score, separated by tabs, with or without header line; or TREC's four columns.
    #[arg(long, value_name = "FILE")]
    pub(crate) qrels: PathBuf,
}

/// A question with a known answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) id: String,
    pub(crate) text: String,
    /// The code of its language, as the file names it or as it is guessed.
    pub(crate) language: String,
    /// The relevant documents with their grades, from 1.
    pub(crate) judged: HashMap<String, u32>,
}

/// Half of the questions, in file order: settings are chosen on one half and reported on the other.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Half {
    First,
    Second,
}

/// Grades of documents by question id and document id.
type Judgements = HashMap<String, HashMap<String, u32>>;

/// A line of a file of questions.
#[derive(Deserialize)]
struct QuestionRecord {
    #[serde(alias = "_id", deserialize_with = "id")]
    id: String,
    #[serde(alias = "question")]
    text: String,
    /// A tag such as `fr` or `fr-CA`.
    #[serde(default)]
    language: Option<String>,
}

impl Files {
    /// The questions that have a relevant document, in file order, at most `first` of them.
    pub(crate) fn questions(&self, first: Option<NonZeroUsize>) -> anyhow::Result<Vec<Question>> {
        let mut judgements = parse(&self.qrels, judgements)?;
        let mut questions = Vec::new();
        for record in parse(&self.queries, records)? {
            if let Some(judged) = judgements.remove(&record.id) {
                questions.push(record.judged(judged));
            }
        }
        let (queries, qrels) = (self.queries.display(), self.qrels.display());
        if !judgements.is_empty() {
            let missing = judgements.len();
            note(&format!("{missing} judged questions are not in {queries}"));
        }
        questions.truncate(first.map_or(usize::MAX, NonZeroUsize::get));
        ensure!(
            !questions.is_empty(),
            "no question of {queries} is judged in {qrels}: are they files of one set?"
        );
        Ok(questions)
    }

    /// The name of the corpus: its folder.
    pub(crate) fn corpus_name(&self) -> String {
        let Some(corpus) = &self.corpus else {
            return "loaded documents".to_owned();
        };
        let folder = corpus
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()));
        folder.unwrap_or_else(|| "corpus".to_owned())
    }
}

/// At most `most` of all, spread evenly over them.
pub(crate) fn spread<T>(all: Vec<T>, most: NonZeroUsize) -> Vec<T> {
    let (count, most) = (all.len(), most.get());
    // One where the share that is taken reaches the next whole number.
    let is_taken = |place: usize| count <= most || place * most % count < most;
    let places = (0..).zip(all).filter(|(place, _)| is_taken(*place));
    places.map(|(_, one)| one).collect()
}

/// The unanswerable questions in a file.
pub(crate) fn unanswerable(path: &Path) -> anyhow::Result<Vec<Question>> {
    let question = |record: QuestionRecord| record.judged(HashMap::new());
    let questions: Vec<Question> = parse(path, records)?.into_iter().map(question).collect();
    ensure!(
        !questions.is_empty(),
        "{} contains no question",
        path.display()
    );
    Ok(questions)
}

impl QuestionRecord {
    fn judged(self, judged: HashMap<String, u32>) -> Question {
        let named = self.language.as_deref().and_then(|tag| {
            let code = tag.trim().split(['-', '_']).next()?;
            (!code.is_empty()).then(|| code.to_lowercase())
        });
        let guessed = || Language::of_question(&self.text).map_or("other", Language::code);
        Question {
            language: named.unwrap_or_else(|| guessed().to_owned()),
            id: self.id,
            text: self.text,
            judged,
        }
    }
}

impl Half {
    /// Splits into halves; the first gets the odd one.
    pub(crate) fn both<T>(mut all: Vec<T>) -> (Vec<T>, Vec<T>) {
        let second = all.split_off(all.len().div_ceil(2));
        (all, second)
    }

    /// This half of `all`.
    pub(crate) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let (first, second) = Self::both(all);
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// Reads and parses a file; errors name it.
fn parse<T>(path: &Path, parser: fn(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    parser(text).with_context(|| path.display().to_string())
}

fn judgements(text: &str) -> anyhow::Result<Judgements> {
    let mut judgements = Judgements::new();
    for (number, line) in filled_lines(text) {
        let (query, document, score) = judgement(line).map_err(|found| {
            anyhow!("line {number}: {found} fields separated by tabs, not three")
        })?;
        let score = match score.parse::<i64>() {
            Ok(score) => score,
            // The header line.
            Err(_) if number == 1 => continue,
            Err(_) => bail!("line {number}: the score {score:?} is not a whole number"),
        };
        // 0 and below: judged irrelevant.
        if score > 0 {
            let grade = u32::try_from(score)
                .with_context(|| format!("line {number}: the score {score} is too large"))?;
            judgements
                .entry(query.to_owned())
                .or_default()
                .insert(document.to_owned(), grade);
        }
    }
    Ok(judgements)
}

/// The question, the document and the score of a line; the number of its fields if it has others. TREC's files have a
/// number between the first two that means nothing, and blanks between all.
fn judgement(line: &str) -> Result<(&str, &str, &str), usize> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    match (fields.as_slice(), words.as_slice()) {
        (&[query, document, score], _) | (_, &[query, _, document, score]) => {
            Ok((query, document, score))
        }
        _ => Err(fields.len()),
    }
}

/// An id, which may be a number.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(Number),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

fn records(text: &str) -> anyhow::Result<Vec<QuestionRecord>> {
    filled_lines(text)
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| anyhow!("line {number}: {error}"))
        })
        .collect()
}

/// The non-blank lines with their numbers, from 1.
fn filled_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_are_read_with_and_without_a_header() {
        let lines = "q1\td1\t1\nq1\td2\t2\r\n\nq2\td1\t1\n";
        let bare = judgements(lines).expect("a file without a header");
        let headed = judgements(&format!("query-id\tcorpus-id\tscore\n{lines}"));
        assert_eq!(bare, headed.expect("a file with a header"));
        assert_eq!(bare["q1"]["d2"], 2);
        assert_eq!(bare["q2"].len(), 1);
    }

    #[test]
    fn judgements_of_trec_are_read() {
        let judged = judgements("q1 0 d1 2\nq1\t0\td2\t0\nq 2\td 1\t1\n").expect("a good file");
        assert_eq!(judged["q1"].len(), 1);
        assert_eq!((judged["q1"]["d1"], judged["q 2"]["d 1"]), (2, 1));
    }

    #[test]
    fn numeric_ids_and_a_byte_order_mark_are_read() {
        let folder = std::env::temp_dir().join(format!("rappel-files-{}", std::process::id()));
        fs::write(&folder, "\u{feff}{\"_id\": 7, \"text\": \"Why?\"}\n").expect("a file");
        let read = parse(&folder, records);
        fs::remove_file(&folder).expect("it is there");
        assert_eq!(read.expect("a good file")[0].id, "7");
    }

    #[test]
    fn irrelevant_documents_do_not_count() {
        let judged = judgements("q1\td1\t0\nq2\td1\t-1\nq3\td1\t1\n").expect("a good file");
        assert_eq!(judged.keys().collect::<Vec<_>>(), ["q3"]);
    }

    #[test]
    fn an_invalid_judgement_is_reported_with_its_line() {
        for (text, reason) in [
            ("q1\td1\t1\nq1 d2 1\n", "line 2: 1 fields"),
            ("q1\td1\t1\nq1\td2\tgood\n", "line 2: the score \"good\""),
            ("q1\td1\t5000000000\n", "line 1: the score 5000000000"),
        ] {
            let error = judgements(text).expect_err("it is not a file of judgements");
            assert!(error.to_string().starts_with(reason), "{error}");
        }
    }

    #[test]
    fn questions_are_read_in_either_spelling() {
        let text = "{\"_id\":\"q1\",\"text\":\"Why?\",\"metadata\":{}}\n\n{\"id\":\"q2\",\"question\":\"How?\"}\n";
        let records = records(text).expect("a good file");
        let read: Vec<(&str, &str)> = records
            .iter()
            .map(|record| (record.id.as_str(), record.text.as_str()))
            .collect();
        assert_eq!(read, [("q1", "Why?"), ("q2", "How?")]);
    }

    #[test]
    fn a_question_has_the_language_that_its_file_names() {
        let text = "{\"id\":\"q1\",\"text\":\"Quand ferme la piscine ?\"}\n\
                    {\"id\":\"q2\",\"text\":\"Quand ?\",\"language\":\"ZH-tw\"}\n";
        let records = records(text).expect("a good file").into_iter();
        let languages: Vec<String> = records
            .map(|record| record.judged(HashMap::new()).language)
            .collect();
        assert_eq!(languages, ["fr", "zh"]);
    }

    #[test]
    fn an_invalid_question_is_reported_with_its_line() {
        let error = records("{\"_id\":\"q1\",\"text\":\"Why?\"}\n{\"_id\":\"q2\"}\n")
            .map(|records| records.len())
            .expect_err("a question without a text");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }

    #[test]
    fn as_many_as_wanted_are_spread_over_all() {
        let taken = |count: usize, most| {
            spread(
                (0..count).collect(),
                NonZeroUsize::new(most).expect("above 0"),
            )
        };
        assert_eq!(taken(10, 4), [0, 3, 5, 8]);
        assert_eq!(taken(3, 4), [0, 1, 2]);
        assert_eq!(taken(2_000, 1_999).len(), 1_999);
        assert_eq!(taken(401, 400).len(), 400);
    }

    #[test]
    fn the_halves_are_disjoint_and_complete() {
        assert_eq!(Half::both(vec![1, 2, 3]), (vec![1, 2], vec![3]));
        assert_eq!(Half::First.of(vec![1, 2, 3, 4]), [1, 2]);
        assert_eq!(Half::Second.of(vec![1, 2, 3, 4]), [3, 4]);
    }
}
