//! The course of a laboratory value as a small picture: the reference range as a band, values by time, those outside
//! of their range with another shape.

use jiff::civil::DateTime;
use maud::{Markup, html};
use schema::Lang;

use crate::charts::labs::{limits, number};
use crate::charts::model::{LabFlag, LabSeries};
use crate::charts::words;

const WIDTH: f64 = 150.0;
const HEIGHT: f64 = 40.0;
const MARGIN: f64 = 5.0;
/// Newest values that are drawn.
const POINTS_MAX: usize = 24;

struct Point {
    at: DateTime,
    value: f64,
    flag: LabFlag,
}

/// The picture; nothing for fewer than two plain numbers with a time.
pub(super) fn plot(series: &LabSeries, lang: Lang) -> Markup {
    let points: Vec<Point> = series
        .results
        .iter()
        .take(POINTS_MAX)
        .filter_map(|result| {
            let (at, value) = (result.value.at?, number(&result.value.value)?);
            Some(Point { at, value, flag: result.value.flag })
        })
        .collect();
    let [newest, .., oldest] = points.as_slice() else { return html! {} };
    let range = series.results.first().and_then(|latest| limits(&latest.value.range));
    let (low, high) = range.unwrap_or((None, None));
    let all = || points.iter().map(|point| point.value).chain(low).chain(high);
    let (bottom, top) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let spread = if top > bottom { top - bottom } else { 1.0 };
    let y = |value: f64| HEIGHT - MARGIN - (value - bottom) / spread * (HEIGHT - 2.0 * MARGIN);
    let seconds = |at: DateTime| {
        at.to_zoned(jiff::tz::TimeZone::UTC).map_or(0.0, |at| at.timestamp().as_second() as f64)
    };
    let (first, last) = (seconds(oldest.at), seconds(newest.at));
    let x = |at: DateTime| {
        let part = if last > first { (seconds(at) - first) / (last - first) } else { 0.5 };
        MARGIN + part * (WIDTH - 2.0 * MARGIN)
    };
    let line: Vec<String> =
        points.iter().map(|point| format!("{:.1},{:.1}", x(point.at), y(point.value))).collect();
    let (band_top, band_bottom) = (high.map_or(0.0, y), low.map_or(HEIGHT, y));
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img" aria-label=(told(series, &points, lang)) {
            @if range.is_some() {
                rect.band x="0" y=(format!("{band_top:.1}")) width=(WIDTH) height=(format!("{:.1}", (band_bottom - band_top).max(0.5))) {}
            }
            polyline.course points=(line.join(" ")) {}
            @for (index, point) in points.iter().enumerate() { (mark(x(point.at), y(point.value), point.flag, index == 0)) }
        }
    }
}

/// A dot, and a diamond for what is not normal; the newest is larger.
fn mark(x: f64, y: f64, flag: LabFlag, is_newest: bool) -> Markup {
    let size = if is_newest { 4.0 } else { 2.5 };
    html! {
        @if flag.is_abnormal() {
            path.out d=(format!("M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z", x - size, y - size, x + size, y + size)) {}
        } @else {
            circle.dot cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r=(size * 0.75) {}
        }
    }
}

/// What who does not see the picture hears.
fn told(series: &LabSeries, points: &[Point], lang: Lang) -> String {
    let values: Vec<String> = points
        .iter()
        .take(6)
        .map(|point| format!("{} ({})", point.value, words::day(Some(point.at.date()))))
        .collect();
    let values = values.join(", ");
    lang.pick(
        format!("{}, newest first: {values}", series.name),
        format!("{}（新しい順）: {values}", series.name),
    )
}
