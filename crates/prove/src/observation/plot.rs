use maud::{Markup, html};
use schema::telescope::{ArticleLine, ArticlePlot};

const WIDTH: f32 = 720.0;
const HEIGHT: f32 = 240.0;
const LEFT: f32 = 56.0;
const RIGHT: f32 = 12.0;
const TOP: f32 = 16.0;
const BOTTOM: f32 = 40.0;
/// Told apart by people who do not see colours alike (Okabe and Ito), and by their dashes on grey paper.
const INKS: [(&str, &str); 5] =
    [("#0072b2", ""), ("#d55e00", "6 2"), ("#009e73", "2 2"), ("#6b3fa0", "8 3 2 3"), ("#444444", "1 3")];

/// A plot as SVG, without a script.
pub(super) fn plot(plot: &ArticlePlot) -> Markup {
    let top =
        ceiling(plot.lines.iter().flat_map(|line| line.points.iter().flatten()).copied().fold(1.0, f32::max));
    let x = |place: f32| LEFT + place * (WIDTH - LEFT - RIGHT);
    let y = |value: f32| TOP + (1.0 - value / top) * (HEIGHT - TOP - BOTTOM);
    let inked = || plot.lines.iter().zip(INKS.iter().cycle()).enumerate();
    html! {
        figure {
            figcaption { (plot.title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } xmlns="http://www.w3.org/2000/svg" role="img" aria-label=(plot.title) font-family="sans-serif" font-size="11" {
                @for part in [0.0, 0.5, 1.0] {
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(top * part)) y2=(y(top * part)) stroke="#cccccc" {}
                    text x=(LEFT - 6.0) y=(y(top * part) + 4.0) text-anchor="end" { (crate::lang::count((top * part).round() as u64)) }
                }
                @for (place, name) in &plot.marks {
                    text x=(x(*place)) y=(HEIGHT - BOTTOM + 14.0) text-anchor="middle" { (name) }
                }
                @for (place, name) in &plot.events {
                    line x1=(x(*place)) x2=(x(*place)) y1=(TOP) y2=(HEIGHT - BOTTOM) stroke="#aa0000" stroke-dasharray="4 3" {}
                    text x=(x(*place) + 4.0) y=(TOP + 10.0) fill="#aa0000" { (name) }
                }
                @for (place, (line, (ink, dashes))) in inked() {
                    @for run in runs(line) {
                        polyline fill="none" stroke=(ink) stroke-width="1.2" stroke-dasharray=(dashes)
                            points=(run.iter().map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value))).collect::<Vec<_>>().join(" ")) {}
                    }
                    line x1=(LEFT + place as f32 * 110.0) x2=(LEFT + place as f32 * 110.0 + 22.0) y1=(HEIGHT - 8.0) y2=(HEIGHT - 8.0) stroke=(ink) stroke-width="2" stroke-dasharray=(dashes) {}
                    text x=(LEFT + place as f32 * 110.0 + 27.0) y=(HEIGHT - 4.0) { (line.name) }
                }
            }
        }
    }
}

/// Points without a gap between them, by place (0 to 1) and value.
pub(super) fn runs(line: &ArticleLine) -> Vec<Vec<(f32, f32)>> {
    let last = line.points.len().max(2) as f32 - 1.0;
    let mut runs = vec![Vec::new()];
    for (place, point) in line.points.iter().enumerate() {
        match (point, runs.last_mut()) {
            (Some(value), Some(run)) => run.push((place as f32 / last, *value)),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// The next of 1, 2, 5, 10 and so on.
fn ceiling(value: f32) -> f32 {
    let power = 10f32.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(value)
}
