//! Quality by the language of questions: the best mode on average may not be the best in each of them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use retrieval::Mode;
use serde::Serialize;

use super::{measures::Measures, set::EmbeddedQuestion};

/// The questions of a language.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct InLanguage {
    pub(crate) questions: usize,
    /// The mean by mode name.
    pub(crate) ndcg_at_10: BTreeMap<String, f64>,
}

/// Fewer questions of a language say nothing, and may be those of another, wrongly guessed.
const FEW: usize = 10;

/// The quality of each mode in each language, by its code.
pub(crate) fn by_language(
    asked: &[EmbeddedQuestion],
    modes: &BTreeMap<String, Measures>,
) -> BTreeMap<String, InLanguage> {
    let questions = asked.iter().map(|asked| &asked.question);
    let questions: Vec<(&str, &str)> = questions
        .map(|question| (question.id.as_str(), question.language.as_str()))
        .collect();
    of(&questions, modes)
}

/// The same of questions given by id and language.
fn of(
    questions: &[(&str, &str)],
    modes: &BTreeMap<String, Measures>,
) -> BTreeMap<String, InLanguage> {
    let mut languages: BTreeMap<String, InLanguage> = BTreeMap::new();
    for (_, language) in questions {
        let language = languages.entry((*language).to_owned()).or_default();
        language.questions += 1;
    }
    for (code, language) in &mut languages {
        for (mode, measures) in modes {
            let values = &measures.ndcg_at_10_by_question;
            let sum: f64 = questions
                .iter()
                .filter(|(_, language)| language == code)
                .filter_map(|(id, _)| values.get(*id))
                .sum();
            let mean = sum / language.questions as f64;
            language.ndcg_at_10.insert(mode.clone(), mean);
        }
    }
    languages
}

/// Prints the languages of several questions, if there is more than one.
pub(crate) fn write(
    out: &mut impl Write,
    languages: &BTreeMap<String, InLanguage>,
) -> io::Result<()> {
    let rows: Vec<(&String, &InLanguage)> = languages
        .iter()
        .filter(|(_, language)| language.questions >= FEW)
        .collect();
    if rows.len() < 2 {
        return Ok(());
    }
    let modes = Mode::ALL.map(Mode::name);
    let modes = modes.into_iter().filter(|mode| {
        rows.iter()
            .any(|(_, language)| language.ndcg_at_10.contains_key(*mode))
    });
    let modes: Vec<&str> = modes.collect();
    write!(
        out,
        "\nnDCG@10 by the language of questions\nlanguage  questions"
    )?;
    for mode in &modes {
        write!(out, " {mode:>9}")?;
    }
    writeln!(out)?;
    for (code, language) in rows {
        write!(out, "{code:<9} {:>9}", language.questions)?;
        for mode in &modes {
            let mean = language.ndcg_at_10.get(*mode).copied().unwrap_or_default();
            write!(out, " {mean:>9.3}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_means() {
        let ids: Vec<String> = (0..40).map(|number| format!("q{number}")).collect();
        let language = |at: usize| match at {
            0..20 => "fr",
            20..39 => "zh",
            _ => "it",
        };
        let questions: Vec<(&str, &str)> =
            (0..40).map(|at| (ids[at].as_str(), language(at))).collect();
        let value = |at: usize| if language(at) == "fr" { 0.75 } else { 0.5 };
        let values: Vec<f64> = (0..40).map(value).collect();
        let modes = BTreeMap::from([("hybrid".to_owned(), Measures::of_values(&values))]);
        let languages = of(&questions, &modes);
        assert_eq!(languages["fr"].questions, 20);
        assert!((languages["fr"].ndcg_at_10["hybrid"] - 0.75).abs() < 1e-12);

        let mut printed = Vec::new();
        write(&mut printed, &languages).expect("memory is writable");
        let printed = String::from_utf8(printed).expect("it is text");
        let rows = "language  questions    hybrid\nfr               20     0.750\nzh               19     0.500\n";
        assert!(printed.ends_with(rows), "{printed}");
    }
}
