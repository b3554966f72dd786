//! The course of events, drawn and as a table. The numbers in the picture are the rows of the table.

use jiff::Timestamp;
use maud::{Markup, html};
use schema::{Lang, Moment, Stage};

use super::Report;
use crate::lang::{date_time, date_time_exact, duration, zone_name};

const LANES: [Stage; 7] = [
    Stage::Prepare,
    Stage::Attack,
    Stage::Detect,
    Stage::Contain,
    Stage::Continue,
    Stage::Restore,
    Stage::Prove,
];

// Units of the picture's own coordinates.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 148.0;
const RIGHT: f64 = 976.0;
const TOP: f64 = 52.0;
const LANE: f64 = 36.0;
const MARKER: f64 = 10.5;
/// Moments stand at least this far apart where there is room for it.
const STEP: f64 = 24.0;
/// Clock times above the picture stand at least this far apart.
const TICK: f64 = 118.0;

/// Name and colour. The colours differ in lightness too, and the lanes are named: nothing hangs on hue.
fn stage(stage: Stage, lang: Lang) -> (&'static str, &'static str) {
    match stage {
        Stage::Prepare => (lang.pick("Preparation", "備え"), "#5b6b7b"),
        Stage::Attack => (lang.pick("Attack", "攻撃"), "#a3211b"),
        Stage::Detect => (lang.pick("Detection", "検知"), "#b8651b"),
        Stage::Contain => (lang.pick("Containment", "封じ込め"), "#6b3f99"),
        Stage::Continue => (lang.pick("Care goes on", "診療継続"), "#1b7a8c"),
        Stage::Restore => (lang.pick("Restore", "復旧"), "#0b6b4f"),
        Stage::Prove => (lang.pick("Proof", "確認"), "#174a7c"),
    }
}

/// Moments in order of time.
pub(super) fn ordered<'a>(report: &Report<'a>) -> Vec<&'a Moment> {
    let mut moments: Vec<&Moment> = report.incident.timeline.iter().collect();
    moments.sort_by_key(|moment| moment.at);
    moments
}

/// One lane for each stage, time from left to right.
///
/// An attack takes milliseconds and a restore hours, so the distance grows with the logarithm of the time
/// between two moments; the times themselves are written above.
pub(super) fn picture(report: &Report<'_>, lang: Lang) -> Markup {
    let moments = ordered(report);
    if moments.is_empty() {
        return html! {};
    }
    let lanes: Vec<Stage> =
        LANES.into_iter().filter(|lane| moments.iter().any(|moment| moment.stage == *lane)).collect();
    let y = |stage: Stage| {
        let lane = lanes.iter().position(|lane| *lane == stage).unwrap_or(0);
        TOP + LANE * (lane as f64 + 0.5)
    };
    let xs = positions(&moments);
    let points: Vec<(f64, f64)> = xs.iter().zip(&moments).map(|(x, moment)| (*x, y(moment.stage))).collect();
    let bottom = TOP + LANE * lanes.len() as f64;
    let path: String = points.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
    html! {
        div.picture {
            svg viewBox=(format!("0 0 {WIDTH} {}", bottom + 30.0)) role="img" font-size="13" xmlns="http://www.w3.org/2000/svg" {
                title { (lang.pick("Course of events by stage; the table below says the same in words", "段階別の経緯図。下の表に同じ内容を文章で記載")) }
                @for (i, lane) in lanes.iter().enumerate() { (lane_band(*lane, i, lang)) }
                (attack_window(report, &moments, &xs, bottom, lang))
                (clock(report, &moments, &xs, bottom, lang))
                polyline points=(path.trim_end()) fill="none" stroke="#8a97a5" stroke-width="1.5" stroke-linejoin="round" {}
                (markers(&moments, &points, lang))
            }
        }
        p.note { (lang.pick(
            format!("Times: {}. Distances in the picture are not to scale.", zone_name(report.written_at, &report.zone)),
            format!("時刻：{}。図の間隔は時間に比例しません。", zone_name(report.written_at, &report.zone)),
        )) }
    }
}

fn lane_band(lane: Stage, index: usize, lang: Lang) -> Markup {
    let top = TOP + LANE * index as f64;
    let (name, colour) = stage(lane, lang);
    let fill = if index.is_multiple_of(2) { "#f4f7fa" } else { "#ffffff" };
    html! {
        rect x="0" y=(top) width=(WIDTH) height=(LANE) fill=(fill) {}
        rect x="0" y=(top) width="5" height=(LANE) fill=(colour) {}
        text x="16" y=(top + LANE / 2.0 + 4.5) fill="#16202c" font-weight="600" { (name) }
    }
}

/// Shades the time from the first harm to the first act against it.
fn attack_window(report: &Report<'_>, moments: &[&Moment], xs: &[f64], bottom: f64, lang: Lang) -> Markup {
    let Some(from) = moments.iter().position(|moment| moment.stage == Stage::Attack) else {
        return html! {};
    };
    let contained = moments.iter().skip(from).position(|moment| moment.stage == Stage::Contain);
    let (Some(to), Some(ms)) = (contained, report.incident.effect.time_to_stop_ms) else { return html! {} };
    let (left, right) = (xs[from], xs[from + to]);
    let told = duration(ms as f64 / 1000.0, lang);
    let label = lang.pick(format!("attacker stopped after {told}"), format!("{told}で攻撃を停止"));
    let middle = ((left + right) / 2.0).clamp(LEFT + 90.0, RIGHT - 90.0);
    html! {
        rect x=(format!("{left:.1}")) y=(TOP) width=(format!("{:.1}", right - left)) height=(bottom - TOP) fill="#a3211b" fill-opacity=".09" {}
        text x=(format!("{middle:.1}")) y=(bottom + 19.0) text-anchor="middle" fill="#a3211b" font-weight="600" { (label) }
    }
}

/// Clock times above, as many as fit, with a line down to the moment.
fn clock(report: &Report<'_>, moments: &[&Moment], xs: &[f64], bottom: f64, lang: Lang) -> Markup {
    let mut ticks: Vec<usize> = Vec::new();
    for (i, x) in xs.iter().enumerate() {
        if ticks.last().is_none_or(|last| x - xs[*last] >= TICK) {
            ticks.push(i);
        }
    }
    let mut day = String::new();
    let labels = ticks.iter().map(|&i| {
        let told = date_time(moments[i].at, &report.zone);
        let (date, time) = told.split_once(' ').unwrap_or(("", &told));
        let changed = std::mem::replace(&mut day, date.to_owned()) != date;
        (xs[i], if changed { date.to_owned() } else { String::new() }, time.to_owned())
    });
    let labels: Vec<_> = labels.collect();
    let gaps = ticks.windows(2).map(|pair| {
        let between = seconds_between(moments[pair[0]].at, moments[pair[1]].at);
        ((xs[pair[0]] + xs[pair[1]]) / 2.0, xs[pair[1]] - xs[pair[0]], duration(between, lang))
    });
    html! {
        @for (x, date, time) in &labels {
            line x1=(format!("{x:.1}")) x2=(format!("{x:.1}")) y1=(TOP - 6.0) y2=(bottom) stroke="#c3ccd6" stroke-dasharray="2 3" {}
            text x=(format!("{x:.1}")) y="18" text-anchor="middle" font-size="11.5" fill="#566372" { (date) }
            text x=(format!("{x:.1}")) y="34" text-anchor="middle" fill="#16202c" { (time) }
        }
        @for (x, room, told) in gaps {
            @if room >= TICK + 40.0 {
                text x=(format!("{x:.1}")) y="18" text-anchor="middle" font-size="11.5" fill="#566372" { "+ " (told) }
            }
        }
    }
}

fn markers(moments: &[&Moment], points: &[(f64, f64)], lang: Lang) -> Markup {
    let crowded = points.windows(2).any(|pair| pair[1].0 - pair[0].0 < 2.0 * MARKER);
    html! {
        @for (i, (moment, (x, y))) in moments.iter().zip(points).enumerate() {
            @let (name, colour) = stage(moment.stage, lang);
            circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r=(if crowded { 4.0 } else { MARKER }) fill=(colour) stroke="#fff" stroke-width="1.5" {
                title { (i + 1) " " (name) (lang.pick(": ", "：")) (lang.pick(&moment.en, &moment.ja)) }
            }
            @if !crowded {
                text x=(format!("{x:.1}")) y=(format!("{:.1}", y + 4.0)) text-anchor="middle" font-size="11" font-weight="700" fill="#fff" { (i + 1) }
            }
        }
    }
}

/// Every moment gets its step where there is room; what is left goes to the gaps by the logarithm of their time.
fn positions(moments: &[&Moment]) -> Vec<f64> {
    let room = RIGHT - LEFT - 2.0 * MARKER;
    let weights: Vec<f64> = moments
        .windows(2)
        .map(|pair| (1.0 + seconds_between(pair[0].at, pair[1].at).max(0.0) * 20.0).ln())
        .collect();
    let step = STEP.min(room / (moments.len().max(2) - 1) as f64);
    let spare = room - step * weights.len() as f64;
    let total: f64 = weights.iter().sum();
    let mut x = LEFT + MARKER;
    let mut xs = vec![x];
    for weight in &weights {
        x += step + if total > 0.0 { spare * weight / total } else { 0.0 };
        xs.push(x);
    }
    xs
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// The same in words, with the time since the line before.
pub(super) fn table(report: &Report<'_>, lang: Lang) -> Markup {
    let moments = ordered(report);
    if moments.is_empty() {
        return html! { p { (lang.pick("No course of events is on record.", "経緯の記録はありません。")) } };
    }
    let since: Vec<Option<f64>> = std::iter::once(None)
        .chain(moments.windows(2).map(|pair| Some(seconds_between(pair[0].at, pair[1].at))))
        .collect();
    html! {
        table {
            thead { tr {
                th.number { "#" }
                th { (lang.pick("Time", "時刻")) }
                th { (lang.pick("Later by", "前の項目から")) }
                th { (lang.pick("Stage", "段階")) }
                th { (lang.pick("Event", "内容")) }
            } }
            tbody { @for (i, (moment, since)) in moments.iter().zip(since).enumerate() {
                @let (name, colour) = stage(moment.stage, lang);
                tr {
                    td.number { (i + 1) }
                    td.time { (date_time_exact(moment.at, &report.zone)) }
                    td.time { @if let Some(since) = since { (duration(since, lang)) } }
                    td.stage { i style=(format!("background:{colour}")) {} (name) }
                    td { (lang.pick(&moment.en, &moment.ja)) }
                }
            } }
        }
    }
}
