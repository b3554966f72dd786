//! Lines over time as SVG, drawn here so that they are there without a script, in the dark and on paper.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use schema::Lang;

use super::words;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 28.0;
/// More points than this cannot be told apart on a screen.
const POINTS_MAX: usize = 400;

/// One measure over time; `None` where nothing was proven.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) points: &'a [(Timestamp, Option<f64>)],
    pub(super) zone: &'a TimeZone,
    pub(super) lang: Lang,
}

impl Plot<'_> {
    /// A figure with its name; its table stands beside it for who cannot see it.
    pub(super) fn show(&self) -> Markup {
        let values: Vec<f64> =
            self.points.iter().filter_map(|(_, value)| *value).filter(|v| v.is_finite()).collect();
        let span = self.points.first().zip(self.points.last()).map(|(first, last)| (first.0, last.0));
        let (Some((from, to)), Some(highest)) = (span, values.iter().copied().reduce(f64::max)) else {
            return html! { figure { figcaption { (self.title) } p.soft { (self.lang.pick("Nothing measured yet.", "まだ測定結果がありません。")) } } };
        };
        let top = ceiling(highest);
        let seconds = (to.as_second() - from.as_second()).max(1) as f64;
        let x = |at: Timestamp| {
            LEFT + (at.as_second() - from.as_second()) as f64 / seconds * (WIDTH - LEFT - RIGHT)
        };
        let y = |value: f64| TOP + (1.0 - value / top) * (HEIGHT - TOP - BOTTOM);
        let label = self.lang.pick(
            format!("{}: at most {}, last {}", self.title, words::duration(highest, self.lang), self.last()),
            format!("{}：最大{}、直近{}", self.title, words::duration(highest, self.lang), self.last()),
        );
        html! {
            figure {
                figcaption { (self.title) }
                svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
                    @for part in [0.0, 0.5, 1.0] {
                        line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(top * part)) y2=(y(top * part)) {}
                        text x=(LEFT - 8.0) y=(y(top * part) + 4.0) text-anchor="end" { (words::duration(top * part, self.lang)) }
                    }
                    text x=(LEFT) y=(HEIGHT - 6.0) { (self.day(from)) }
                    text x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { (self.day(to)) }
                    @for run in self.runs() {
                        @if let [(at, value)] = run.as_slice() {
                            circle.dot cx=(format!("{:.1}", x(*at))) cy=(format!("{:.1}", y(*value))) r="3" {}
                        } @else {
                            polyline.line points=(run.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect::<Vec<_>>().join(" ")) {}
                        }
                    }
                }
            }
        }
    }

    /// Points without a gap between them: where nothing was proven there is no line.
    fn runs(&self) -> Vec<Vec<(Timestamp, f64)>> {
        let step = self.points.len().div_ceil(POINTS_MAX).max(1);
        let mut runs = vec![Vec::new()];
        for chunk in self.points.chunks(step) {
            // The worst of what falls onto one point: a plot that smooths would flatter.
            let worst =
                chunk.iter().filter_map(|(_, value)| *value).filter(|v| v.is_finite()).reduce(f64::max);
            match (chunk.last(), worst, runs.last_mut()) {
                (Some((at, _)), Some(worst), Some(run)) => run.push((*at, worst)),
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    fn last(&self) -> String {
        let last = self.points.last().and_then(|(_, value)| *value).unwrap_or(f64::NAN);
        words::duration(last, self.lang)
    }

    fn day(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// The next round number of seconds, minutes, hours or days.
fn ceiling(seconds: f64) -> f64 {
    let steps = [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0, 28_800.0, 43_200.0, 86_400.0,
    ];
    steps.into_iter().find(|step| *step >= seconds).unwrap_or_else(|| (seconds / 86_400.0).ceil() * 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_proof_is_a_gap_in_the_line_and_the_worst_of_many_points_stays() {
        let at = |n: i64| Timestamp::from_second(n * 60).unwrap();
        let show = |points: &[(Timestamp, Option<f64>)]| {
            Plot { title: "RPO", points, zone: &TimeZone::UTC, lang: Lang::En }.show().into_string()
        };
        let gap = show(&[
            (at(0), Some(1.0)),
            (at(1), Some(2.0)),
            (at(2), None),
            (at(3), Some(3.0)),
            (at(4), Some(3.0)),
        ]);
        assert_eq!(gap.matches("<polyline").count(), 2);
        let many: Vec<_> = (0..10_000).map(|n| (at(n), Some(if n == 777 { 500.0 } else { 1.0 }))).collect();
        let drawn = show(&many);
        assert!(drawn.len() < 12_000 && drawn.contains("at most 8.4 minutes"), "{drawn}");
        assert!(show(&[]).contains("Nothing measured yet"));
        assert!(show(&[(at(0), Some(f64::NAN))]).contains("Nothing measured yet"));
    }
}
