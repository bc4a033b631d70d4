//! The page: ratios, plots and method in one file without scripts.

use super::{
    figures,
    plot::{escaped, number},
};
use crate::results::{Ratio, Results, Setting};

const STYLE: &str = include_str!("style.css");

/// The method, and what Rappel and its peer have in common.
const METHOD: &str = include_str!("method.html");

/// The whole page.
pub(super) fn of(results: &Results) -> String {
    let figures: Vec<String> = figures::all(results)
        .iter()
        .map(|figure| {
            format!(
                "<figure><h2>{}</h2>{}<figcaption>{}</figcaption></figure>\n",
                figure.heading,
                figure.svg,
                escaped(&figure.caption)
            )
        })
        .collect();
    let notes: Vec<String> = results
        .notes
        .iter()
        .map(|note| format!("<li>{}</li>", escaped(note)))
        .collect();
    let notes = match notes.concat().as_str() {
        "" => String::new(),
        notes => format!("<h2>Left out</h2><ul>{notes}</ul>"),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>How fast Rappel is</title>\n\
         <style>{STYLE}</style></head>\n<body><main>\n<h1>How fast Rappel is</h1>\n{}\n{}\n\
         <div class=\"figures\">{}</div>\n<section class=\"text\">{notes}{METHOD}</section>\n</main></body></html>\n",
        setting(results),
        ratios(results),
        figures.concat(),
    )
}

fn setting(results: &Results) -> String {
    let setting = &results.setting;
    let warning = if setting.profile == "release" {
        ""
    } else {
        "<p class=\"warning\">Measured on a debug build: the figures are meaningless.</p>"
    };
    format!(
        "<p class=\"setting\">Commit {} ({}); {} on {} documents in {} passages of {}; {} cores of {}, load {:.1} \
         at the start; {:.1} minutes. Every ratio is of two measurements of this run.</p>{warning}",
        escaped(&setting.commit),
        setting.profile,
        escaped(&setting.model),
        number(setting.documents as f64),
        number(setting.passages as f64),
        escaped(&setting.corpus),
        setting.cores,
        escaped(&setting.processor),
        setting.load,
        setting.seconds / 60.0,
    )
}

/// A row per ratio, and with runs on other machines one per machine.
fn ratios(results: &Results) -> String {
    let others = &results.others;
    let row = |setting: &Setting, ratio: &Ratio| {
        let (class, verdict) = if ratio.is_met() {
            ("met", "✓ met")
        } else {
            ("missed", "✗ missed")
        };
        let sign = if ratio.at_most { "≤" } else { "≥" };
        format!(
            "<tr class=\"{class}\"><td>{}</td>{}<td class=\"ratio\">{}</td><td>{sign} {}</td><td>{verdict}</td>\
             <td>{}</td></tr>\n",
            escaped(&ratio.name),
            if others.is_empty() {
                String::new()
            } else {
                format!("<td>{}</td>", escaped(&setting.processor))
            },
            fraction(ratio.value),
            fraction(ratio.aim),
            escaped(&ratio.from)
        )
    };
    if results.ratios.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = results
        .ratios
        .iter()
        .flat_map(|ratio| {
            let elsewhere = others.iter().flat_map(|other| {
                let same = other.ratios.iter().filter(|one| one.name == ratio.name);
                same.map(|ratio| row(&other.setting, ratio))
            });
            [row(&results.setting, ratio)].into_iter().chain(elsewhere)
        })
        .collect();
    let rows = rows.concat();
    let machine = if others.is_empty() {
        ""
    } else {
        "<th>processor</th>"
    };
    format!(
        "<table><thead><tr><th>what is compared</th>{machine}<th>ratio</th><th>aim</th><th></th><th>measured</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

/// A small ratio as a fraction, such as 1/25.
fn fraction(value: f64) -> String {
    if value > 0.0 && value < 0.35 {
        format!("1/{}", number(1.0 / value))
    } else if (0.35..1.0).contains(&value) {
        format!("{value:.3}").trim_end_matches('0').to_owned()
    } else {
        number(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Other;

    #[test]
    fn small_ratios_are_fractions() {
        assert_eq!(fraction(0.125), "1/8");
        assert_eq!(fraction(0.6), "0.6");
        assert_eq!(fraction(0.9851), "0.985");
        assert_eq!(fraction(3.0), "3");
    }

    #[test]
    fn a_run_on_another_machine_is_shown_beside_this_one() {
        let ratio = |value| Ratio {
            name: "warm p50".to_owned(),
            value,
            aim: 0.6,
            at_most: true,
            from: String::new(),
        };
        let setting = |processor: &str| Setting {
            processor: processor.to_owned(),
            ..Setting::default()
        };
        let mut results = Results {
            setting: setting("one with AVX2 without VNNI"),
            ratios: vec![ratio(0.5)],
            ..Results::default()
        };
        assert!(!of(&results).contains("<th>processor</th>"));
        results.others.push(Other {
            setting: setting("one with AVX-512 VNNI"),
            ratios: vec![ratio(0.7)],
        });
        let page = of(&results);
        let rows: Vec<&str> = page.lines().filter(|line| line.contains("<td>")).collect();
        assert!(rows[0].contains("AVX2 without VNNI") && rows[0].contains("0.5"));
        assert!(rows[1].contains("AVX-512 VNNI") && rows[1].contains("0.7"));
    }

    #[test]
    fn a_page_without_results_renders() {
        let page = of(&Results::default());
        assert!(
            page.contains("<h1>") && !page.contains("<figure>"),
            "{page}"
        );
    }
}
