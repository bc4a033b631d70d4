//! Horizontal bars.

use std::fmt::Write as _;

use super::{WIDTH, escaped, number, open, ticks, write_legend};

/// A horizontal bar.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Bar {
    pub(in crate::report) label: String,
    /// Segments end to end, each with its length and colour number.
    pub(in crate::report) parts: Vec<(usize, f64)>,
    /// A mark beyond the bar's end, for a higher percentile.
    pub(in crate::report) mark: Option<f64>,
    /// The text after it.
    pub(in crate::report) text: String,
}

/// Draws horizontal bars on a common scale, with a legend.
pub(in crate::report) fn bars(unit: &str, legend: &[&str], bars: &[Bar]) -> String {
    const LEFT: f64 = 214.0;
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

#[cfg(test)]
mod tests {
    use super::*;

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
