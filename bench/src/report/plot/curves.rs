//! Curves with common axes.

use std::fmt::Write as _;

use super::{WIDTH, escaped, number, open, ticks, write_legend};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 300.0;

/// A curve.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Curve {
    pub(in crate::report) name: String,
    pub(in crate::report) colour: usize,
    /// Each point with an optional label.
    pub(in crate::report) points: Vec<(f64, f64, String)>,
}

/// Maps values to plot coordinates.
struct Ground {
    logarithmic: bool,
    x_ticks: Vec<f64>,
    y_ticks: Vec<f64>,
    /// Minimum and maximum x, on the scale.
    x_range: (f64, f64),
    y_range: (f64, f64),
}

impl Ground {
    fn of(curves: &[Curve], logarithmic: bool) -> Self {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let range = |part: fn(&(f64, f64, String)) -> f64| {
            points().map(part).fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(least, most), value| (least.min(value), most.max(value)),
            )
        };
        let (x_least, x_most) = range(|point| point.0);
        let (y_least, y_most) = range(|point| point.1);
        // A share near 1 is zoomed in; anything else starts at 0.
        let is_share = y_least > 0.5 && y_most <= 1.0;
        let y_start = if is_share {
            ((y_least - 0.01) * 20.0).floor() / 20.0
        } else {
            0.0
        };
        let y_ticks = ticks(y_start, y_most);
        let y_end = y_ticks.last().copied().unwrap_or(1.0).max(y_most);
        let (x_start, x_ticks) = if logarithmic {
            (x_least, places(curves))
        } else {
            (x_least.min(0.0), ticks(x_least.min(0.0), x_most))
        };
        let mut ground = Self {
            logarithmic,
            x_range: (0.0, 0.0),
            y_range: (y_start, y_end),
            y_ticks,
            x_ticks,
        };
        let x_end = ground.x_ticks.last().copied().unwrap_or(x_most).max(x_most);
        ground.x_range = (ground.scaled(x_start), ground.scaled(x_end));
        ground
    }

    fn scaled(&self, x: f64) -> f64 {
        if self.logarithmic {
            x.max(f64::MIN_POSITIVE).log10()
        } else {
            x
        }
    }

    fn x(&self, value: f64) -> f64 {
        let (start, end) = self.x_range;
        LEFT + (self.scaled(value) - start) / (end - start).max(1e-9) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let (start, end) = self.y_range;
        BOTTOM - (value - start) / (end - start).max(1e-9) * (BOTTOM - TOP)
    }
}

/// Every distinct x of the curves, ascending.
fn places(curves: &[Curve]) -> Vec<f64> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut places: Vec<f64> = points.map(|point| point.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}

/// Draws curves with common axes. A `logarithmic` x axis is marked where there are points.
pub(in crate::report) fn curves(
    x_name: &str,
    y_name: &str,
    logarithmic: bool,
    curves: &[Curve],
) -> String {
    let ground = Ground::of(curves, logarithmic);
    let mut svg = open(BOTTOM + 44.0);
    let names = curves
        .iter()
        .map(|curve| (curve.colour, curve.name.as_str()));
    // Behind the name of y.
    let left = 24.0 + 6.3 * y_name.chars().count() as f64;
    write_legend(&mut svg, names, left);
    write_ground(&mut svg, &ground);
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>
<text class="tick" x="4" y="15">{}</text>"#,
        WIDTH - RIGHT,
        BOTTOM + 36.0,
        escaped(x_name),
        escaped(y_name)
    );
    let end = |curve: &Curve| curve.points.last().map_or(0.0, |point| point.1);
    let lowest = curves.iter().map(end).fold(f64::INFINITY, f64::min);
    for curve in curves {
        // Labels of two curves that nearly meet must not overlap: the lowest curve's are below it.
        let is_lowest = curves.len() > 1 && end(curve) <= lowest;
        let offset = if is_lowest { 17.0 } else { -9.0 };
        write_curve(&mut svg, curve, &ground, offset);
    }
    svg + "</svg>"
}

fn write_ground(svg: &mut String, ground: &Ground) {
    for tick in &ground.y_ticks {
        let at = ground.y(*tick);
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
    for tick in &ground.x_ticks {
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            ground.x(*tick),
            BOTTOM + 17.0,
            number(*tick)
        );
    }
}

fn write_curve(svg: &mut String, curve: &Curve, ground: &Ground, offset: f64) {
    let path: Vec<String> = curve
        .points
        .iter()
        .map(|(x, y, _)| format!("{:.1} {:.1}", ground.x(*x), ground.y(*y)))
        .collect();
    let colour = curve.colour;
    let _ = write!(
        svg,
        r#"<path class="curve s{colour}" d="M{}"/>"#,
        path.join("L")
    );
    for (x, y, word) in &curve.points {
        let (x, y) = (ground.x(*x), ground.y(*y));
        let _ = write!(
            svg,
            r#"<circle class="c{colour}" cx="{x:.1}" cy="{y:.1}" r="4"/>
<text class="value" x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            y + offset,
            escaped(word)
        );
    }
}
