//! Two kinds of plots, as SVG whose colours the page's style sheet gives: `c0` to `c4` in order.

use std::fmt::Write as _;

/// Width of every plot, in the units of its own that the browser scales.
const WIDTH: f64 = 640.0;

/// A horizontal bar.
#[derive(Clone, Debug, Default)]
pub(super) struct Bar {
    pub(super) label: String,
    /// Lengths end to end, each with the number of its colour.
    pub(super) parts: Vec<(usize, f64)>,
    /// A mark beyond the bar's end, for a higher percentile.
    pub(super) mark: Option<f64>,
    /// What stands behind it.
    pub(super) text: String,
}

/// A curve.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) colour: usize,
    /// Each with a word beside it, or none.
    pub(super) points: Vec<(f64, f64, String)>,
    /// For what was not measured but follows from a model.
    pub(super) dashed: bool,
}

/// Horizontal bars on a common scale, with the names of their colours.
pub(super) fn bars(unit: &str, legend: &[&str], bars: &[Bar]) -> String {
    const LEFT: f64 = 190.0;
    const RIGHT: f64 = 120.0;
    const ROW: f64 = 26.0;
    let top = if legend.is_empty() { 6.0 } else { 28.0 };
    let height = top + ROW * bars.len() as f64 + 26.0;
    let length = |bar: &Bar| bar.parts.iter().map(|(_, part)| part).sum::<f64>();
    let most = bars
        .iter()
        .map(|bar| length(bar).max(bar.mark.unwrap_or_default()))
        .fold(0.0, f64::max);
    let ticks = ticks(0.0, most);
    let end = ticks.last().copied().unwrap_or(1.0).max(most);
    let x = |value: f64| LEFT + value / end * (WIDTH - LEFT - RIGHT);
    let mut svg = open(height);
    let names = legend
        .iter()
        .enumerate()
        .map(|(colour, name)| (colour, *name));
    write_legend(&mut svg, names, LEFT);
    let bottom = top + ROW * bars.len() as f64;
    for tick in &ticks {
        let at = x(*tick);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{bottom}"/>
<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 16.0,
            number(*tick)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="{:.1}">{}</text>"#,
        WIDTH - RIGHT + 24.0,
        bottom + 16.0,
        escaped(unit)
    );
    for (row, bar) in bars.iter().enumerate() {
        write_bar(&mut svg, bar, top + ROW * row as f64, &x);
    }
    svg + "</svg>"
}

fn write_bar(svg: &mut String, bar: &Bar, y: f64, x: &dyn Fn(f64) -> f64) {
    let middle = y + 17.0;
    let _ = write!(
        svg,
        r#"<text class="label" x="{:.1}" y="{middle:.1}" text-anchor="end">{}</text>"#,
        x(0.0) - 8.0,
        escaped(&bar.label)
    );
    let mut start = 0.0;
    for (colour, part) in &bar.parts {
        let _ = write!(
            svg,
            r#"<rect class="c{colour}" x="{:.1}" y="{:.1}" width="{:.1}" height="18"/>"#,
            x(start),
            y + 4.0,
            (x(start + part) - x(start)).max(0.5)
        );
        start += part;
    }
    let mut end = x(start);
    if let Some(mark) = bar.mark {
        let at = x(mark);
        let _ = write!(
            svg,
            r#"<path class="mark" d="M{end:.1} {m:.1}H{at:.1}M{at:.1} {:.1}V{:.1}"/>"#,
            y + 8.0,
            y + 18.0,
            m = y + 13.0
        );
        end = end.max(at);
    }
    let _ = write!(
        svg,
        r#"<text class="value" x="{:.1}" y="{middle:.1}">{}</text>"#,
        end + 6.0,
        escaped(&bar.text)
    );
}

/// Curves over a common ground; `logarithmic` concerns x alone.
pub(super) fn curves(x_name: &str, y_name: &str, logarithmic: bool, curves: &[Curve]) -> String {
    const LEFT: f64 = 56.0;
    const RIGHT: f64 = 30.0;
    const TOP: f64 = 34.0;
    const BOTTOM: f64 = 300.0;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let scale = |x: f64| {
        if logarithmic {
            x.max(f64::MIN_POSITIVE).log10()
        } else {
            x
        }
    };
    let least =
        |part: fn(&(f64, f64, String)) -> f64| points().map(part).fold(f64::INFINITY, f64::min);
    let most =
        |part: fn(&(f64, f64, String)) -> f64| points().map(part).fold(f64::NEG_INFINITY, f64::max);
    let (x_least, x_most) = (least(|point| point.0), most(|point| point.0));
    let (y_least, y_most) = (least(|point| point.1), most(|point| point.1));
    // A share near 1 is looked at closely, anything else from 0 on.
    let y_start = if y_least > 0.5 && y_most <= 1.0 {
        (y_least * 20.0).floor() / 20.0
    } else {
        0.0
    };
    let y_ticks = ticks(y_start, y_most);
    let y_end = y_ticks.last().copied().unwrap_or(1.0).max(y_most);
    let x_ticks = if logarithmic {
        decades(x_least, x_most)
    } else {
        ticks(x_least.min(0.0), x_most)
    };
    let x_start = if logarithmic {
        scale(x_least)
    } else {
        x_least.min(0.0)
    };
    let x_end = scale(x_most).max(x_ticks.last().copied().map_or(f64::MIN, scale));
    let x = |value: f64| {
        LEFT + (scale(value) - x_start) / (x_end - x_start).max(1e-9) * (WIDTH - LEFT - RIGHT)
    };
    let y = |value: f64| BOTTOM - (value - y_start) / (y_end - y_start).max(1e-9) * (BOTTOM - TOP);
    let mut svg = open(BOTTOM + 44.0);
    write_legend(
        &mut svg,
        curves
            .iter()
            .map(|curve| (curve.colour, curve.name.as_str())),
        LEFT,
    );
    for tick in &y_ticks {
        let at = y(*tick);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>
<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(*tick)
        );
    }
    for tick in &x_ticks {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x(*tick),
            BOTTOM + 17.0,
            number(*tick)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>
<text class="tick" x="4" y="{:.1}">{}</text>"#,
        WIDTH - RIGHT,
        BOTTOM + 36.0,
        escaped(x_name),
        TOP - 10.0,
        escaped(y_name)
    );
    for curve in curves {
        write_curve(&mut svg, curve, &x, &y);
    }
    svg + "</svg>"
}

fn write_curve(svg: &mut String, curve: &Curve, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    let path: Vec<String> = curve
        .points
        .iter()
        .map(|(at, value, _)| format!("{:.1} {:.1}", x(*at), y(*value)))
        .collect();
    let dashed = if curve.dashed { " dashed" } else { "" };
    let _ = write!(
        svg,
        r#"<path class="curve s{}{dashed}" d="M{}"/>"#,
        curve.colour,
        path.join("L")
    );
    for (at, value, word) in &curve.points {
        if !curve.dashed {
            let _ = write!(
                svg,
                r#"<circle class="c{}" cx="{:.1}" cy="{:.1}" r="4"/>"#,
                curve.colour,
                x(*at),
                y(*value)
            );
        }
        let _ = write!(
            svg,
            r#"<text class="value" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            x(*at),
            y(*value) - 9.0,
            escaped(word)
        );
    }
}

fn write_legend<'a>(svg: &mut String, names: impl Iterator<Item = (usize, &'a str)>, left: f64) {
    let mut x = left;
    for (colour, name) in names.filter(|(_, name)| !name.is_empty()) {
        let _ = write!(
            svg,
            r#"<rect class="c{colour}" x="{x:.1}" y="6" width="10" height="10"/>
<text class="tick" x="{:.1}" y="15">{}</text>"#,
            x + 14.0,
            escaped(name)
        );
        x += 30.0 + 6.3 * name.chars().count() as f64;
    }
}

fn open(height: f64) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">"#)
}

/// Round numbers from `least` to at least `most`: steps of 1, 2 or 5 times a power of ten, four to eight.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let span = (most - least).max(1e-9);
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| span / (power * factor) <= 6.0);
    let step = power * factor.unwrap_or(10.0);
    let mut tick = (least / step).floor() * step;
    let mut ticks = vec![tick];
    while tick < most {
        tick += step;
        // The sum of many steps is off by their last bits.
        ticks.push((tick / step).round() * step);
    }
    ticks
}

/// 1, 2 and 5 times the powers of ten between two numbers.
fn decades(least: f64, most: f64) -> Vec<f64> {
    let mut power = 10_f64.powf(least.max(1e-9).log10().floor());
    let mut all = Vec::new();
    while power <= most {
        all.extend([1.0, 2.0, 5.0].map(|factor| factor * power));
        power *= 10.0;
    }
    all.retain(|tick| (least..=most).contains(tick));
    all
}

/// A number as short as it can be read.
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

/// Text that means nothing to HTML.
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
        assert_eq!(decades(50_000.0, 1e6), [5e4, 1e5, 2e5, 5e5, 1e6]);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 12.34, 567.8, 50_000.0, 1e6].map(number);
        assert_eq!(shown, ["0", "0.5", "12.3", "568", "50 k", "1 M"]);
    }

    #[test]
    fn text_cannot_break_out_of_a_plot() {
        let bar = Bar {
            label: "<script>".to_owned(),
            parts: vec![(0, 1.0)],
            ..Bar::default()
        };
        let svg = bars("ms", &[], &[bar]);
        assert!(
            svg.contains("&lt;script&gt;") && !svg.contains("<script>"),
            "{svg}"
        );
    }
}
