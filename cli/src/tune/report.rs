//! The settings tried on some questions, and the quality of the best on others.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::Serialize;

use super::climb::Tried;
use crate::eval::{
    measures::{Measures, write_comparison, write_head, write_row},
    report::write_method,
    settings::Settings,
    statistics::{Comparison, SIGNIFICANT},
};

/// The outcome of `rappel tune`.
#[derive(Serialize)]
pub(crate) struct Tuning {
    pub(crate) model: String,
    pub(crate) chosen_on: QuestionSample,
    pub(crate) tried: Vec<Tried>,
    pub(crate) reported_on: QuestionSample,
    pub(crate) default: Configuration,
    pub(crate) tuned: Configuration,
    /// nDCG@10 of the tuned settings minus the defaults, on the questions for reporting.
    pub(crate) comparison: Comparison,
    /// Whether the tuned settings are significantly better.
    pub(crate) is_better: bool,
    /// The variables to set: of the tuned settings if they are better, else of the defaults.
    pub(crate) environment: BTreeMap<&'static str, String>,
}

/// The questions used for a step.
#[derive(Serialize)]
pub(crate) struct QuestionSample {
    /// The folder of the corpus.
    pub(crate) corpus: String,
    pub(crate) documents: i64,
    pub(crate) questions: usize,
    /// All, or which half.
    pub(crate) part: &'static str,
}

/// Settings with their measures in mode `hybrid`.
#[derive(Serialize)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    pub(crate) measures: Measures,
}

impl Tuning {
    /// Compares tuned and default settings; `(chosen_on, reported_on)` describe the questions used.
    pub(crate) fn new(
        model: String,
        (chosen_on, reported_on): (QuestionSample, QuestionSample),
        tried: Vec<Tried>,
        default: Configuration,
        tuned: Configuration,
    ) -> Self {
        let comparison = tuned
            .measures
            .compare(&default.measures.ndcg_at_10_by_question);
        let is_better = comparison.is_better();
        let recommended = if is_better { &tuned } else { &default };
        let environment = recommended.settings.environment().into();
        Self {
            model,
            chosen_on,
            tried,
            reported_on,
            default,
            tuned,
            comparison,
            is_better,
            environment,
        }
    }

    /// Prints tables of at most 110 columns, and the variables to set.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}, mode hybrid", self.model)?;
        self.chosen_on.write(out, "chosen on")?;
        self.write_tried(out)?;
        writeln!(out)?;
        self.reported_on.write(out, "reported on")?;
        writeln!(out, "default   {}", self.default.settings)?;
        writeln!(out, "tuned     {}\n", self.tuned.settings)?;
        write_head(out, "settings")?;
        write_row(out, "default", &self.default.measures)?;
        write_row(out, "tuned", &self.tuned.measures)?;
        writeln!(out, "\nnDCG@10 minus that of the default settings")?;
        write_comparison(out, "tuned", &self.comparison)?;
        write_method(out)?;
        writeln!(out)?;
        self.write_verdict(out)
    }

    fn write_tried(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nsemantic weight    k1     b  nDCG@10")?;
        for Tried {
            settings,
            ndcg_at_10,
        } in &self.tried
        {
            let Settings {
                semantic_weight,
                k1,
                b,
                ..
            } = settings;
            let mark = if self.tuned.settings == *settings {
                "  best"
            } else {
                ""
            };
            writeln!(
                out,
                "{semantic_weight:>15.2} {k1:>5.2} {b:>5.2} {ndcg_at_10:>8.4}{mark}"
            )?;
        }
        Ok(())
    }

    fn write_verdict(&self, out: &mut impl Write) -> io::Result<()> {
        if self.is_better {
            writeln!(out, "The tuned settings are better. Set:")?;
        } else {
            writeln!(
                out,
                "warning: the tuned settings are not significantly better (p below {SIGNIFICANT}): \
                 keep the defaults, which are:"
            )?;
        }
        self.environment
            .iter()
            .try_for_each(|(name, value)| writeln!(out, "{name}={value}"))
    }
}

impl QuestionSample {
    fn write(&self, out: &mut impl Write, verb: &str) -> io::Result<()> {
        let Self {
            corpus,
            documents,
            questions,
            part,
        } = self;
        writeln!(
            out,
            "{verb} {corpus}: {documents} documents, {questions} questions ({part})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(settings: Settings, values: &[f64]) -> Configuration {
        Configuration {
            settings,
            measures: Measures::of_values(values),
        }
    }

    fn printed(gain: f64) -> String {
        let tuned = Settings {
            semantic_weight: 0.5,
            ..Settings::default()
        };
        let part = |part| QuestionSample {
            corpus: "corpus".to_owned(),
            documents: 3,
            questions: 20,
            part,
        };
        let report = Tuning::new(
            "model".to_owned(),
            (part("first half"), part("second half")),
            vec![Tried {
                settings: tuned,
                ndcg_at_10: 0.5,
            }],
            configuration(Settings::default(), &[0.5; 20]),
            configuration(tuned, &[0.5 + gain; 20]),
        );
        let mut printed = Vec::new();
        report.write(&mut printed).expect("memory is writable");
        String::from_utf8(printed).expect("it is text")
    }

    #[test]
    fn better_settings_are_recommended() {
        let printed = printed(0.1);
        assert!(
            printed.contains("The tuned settings are better"),
            "{printed}"
        );
        assert!(
            printed.contains("SEARCH_SEMANTIC_WEIGHT=0.5\n"),
            "{printed}"
        );
    }

    #[test]
    fn without_a_gain_the_defaults_are_recommended() {
        let printed = printed(0.0);
        assert!(printed.contains("warning: "), "{printed}");
        let default = Settings::default().semantic_weight;
        let kept = format!("SEARCH_SEMANTIC_WEIGHT={default}\n");
        assert!(printed.contains(&kept), "{printed}");
    }
}
