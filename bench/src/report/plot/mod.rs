//! Bar and curve plots as SVG, with colours `c0` to `c4` of the page's style sheet.

mod bars;
mod curves;

use std::fmt::Write as _;

pub(super) use self::{
    bars::{Bar, bars},
    curves::{Curve, curves},
};

/// Width of every plot, in SVG units.
const WIDTH: f64 = 640.0;

/// A legend in one line, from `left` on, or further left if it would not fit.
fn write_legend<'a>(svg: &mut String, names: impl Iterator<Item = (usize, &'a str)>, left: f64) {
    let names: Vec<_> = names.filter(|(_, name)| !name.is_empty()).collect();
    let width = |name: &str| 30.0 + 6.3 * name.chars().count() as f64;
    let total: f64 = names.iter().map(|(_, name)| width(name)).sum();
    let mut x = left.min(WIDTH - total).max(0.0);
    for (colour, name) in names {
        let _ = write!(
            svg,
            r#"<rect class="c{colour}" x="{x:.1}" y="6" width="10" height="10"/>
<text class="tick" x="{:.1}" y="15">{}</text>"#,
            x + 14.0,
            escaped(name)
        );
        x += width(name);
    }
}

fn open(height: f64) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">"#)
}

/// Four to eight round numbers from `least` to at least `most`, in steps of 1, 2 or 5 times a power of ten.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let span = (most - least).max(1e-9);
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| span / (power * factor) <= 6.0);
    let step = power * factor.unwrap_or(10.0);
    let mut tick = (least / step + 1e-9).floor() * step;
    let mut ticks = vec![tick];
    while tick < most {
        tick += step;
        // The sum of many steps has rounding errors.
        ticks.push((tick / step).round() * step);
    }
    ticks
}

/// A number in short form.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => trimmed(value / 1e6, 1) + " M",
        size if size >= 1e4 => trimmed(value / 1e3, 1) + " k",
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => trimmed(value, 1),
        _ => trimmed(value, 2),
    }
}

fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// HTML-escaped text.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 9.3), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            ticks(0.95, 1.0).first().map(|tick| number(*tick)),
            Some("0.95".to_owned())
        );
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 12.34, 567.8, 50_000.0, 1e6].map(number);
        assert_eq!(shown, ["0", "0.5", "12.3", "568", "50 k", "1 M"]);
    }
}
