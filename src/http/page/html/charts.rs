//! Curves, as SVG in the page. What they say stands beside them in words.

use maud::{Markup, html};

use super::sentence;
use crate::http::page::view::Chart;

/// Size of the drawing; the page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// With more points than this the curve says it all.
const DOTS: usize = 40;

pub(super) fn chart(chart: &Chart) -> Markup {
    html! {
        figure.panel {
            figcaption {
                strong { (chart.title) }
                @if !chart.newest.is_empty() { span { "now " strong { (chart.newest) } } }
            }
            @if chart.points.len() > 1 {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none"
                    role="img" aria-label=(format!("{}: {}", chart.title, chart.words)) {
                    path.axis d=(format!("M0 {HEIGHT}H{WIDTH}M0 0H{WIDTH}")) {}
                    path.area d=(area(&chart.points)) {}
                    path.curve d=(curve(&chart.points)) {}
                    @if chart.points.len() <= DOTS { path.dot d=(dots(&chart.points)) {} }
                }
                p.range.quiet { span { (chart.from) } span { "up to " (chart.most) } span { "now" } }
            }
            p.quiet { (sentence(&chart.words)) }
        }
    }
}

fn place(point: &(f64, f64)) -> String {
    format!("{:.1} {:.1}", point.0 * WIDTH, HEIGHT - point.1 * HEIGHT)
}

fn curve(points: &[(f64, f64)]) -> String {
    let places: Vec<String> = points.iter().map(place).collect();
    format!("M{}", places.join("L"))
}

/// The curve, closed along the bottom.
fn area(points: &[(f64, f64)]) -> String {
    let [first, .., last] = points else { return String::new() };
    format!("{}L{:.1} {HEIGHT}L{:.1} {HEIGHT}Z", curve(points), last.0 * WIDTH, first.0 * WIDTH)
}

/// A line of no length has round ends: a dot that stretching does not deform.
fn dots(points: &[(f64, f64)]) -> String {
    points.iter().map(|point| format!("M{}h0", place(point))).collect()
}
