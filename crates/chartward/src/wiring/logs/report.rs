//! What the watcher of logs says. A rule's hit may carry what a user typed; health carries numbers and names of sources alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use judge::sigma::{Engine, NotLoaded, SigmaHit};
use schema::{Finding, Lang, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use super::hit;
use super::pipeline::Counts;
use crate::wiring::said::Said;

/// Rules that are named with the reason why they do not work.
const NOT_LOADED_MAX: usize = 50;

/// Something that the watcher has to say.
#[derive(Debug)]
pub(crate) enum Report {
    /// It watches from now on.
    Ready(Box<Ready>),
    /// A detector spoke.
    Finding(Box<Finding>),
    /// A rule holds.
    Hit(Box<SigmaHit>),
    /// How it stands.
    Health(Box<Health>),
    /// Rules were read anew.
    Rules { loaded: usize, not_loaded: usize },
    /// Something does not work.
    Trouble {
        /// What and why.
        message: String,
    },
    /// It has ended, and everything is on the disk.
    Stopped,
}

/// What is watched, and what is not seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    pub(super) mode: &'static str,
    /// Files, doors, the journal.
    pub(super) paths: Vec<String>,
    pub(super) formats: Vec<&'static str>,
    pub(super) covers: Vec<&'static str>,
    pub(super) rules: usize,
    pub(super) rules_not_loaded: Vec<String>,
    pub(super) rules_not_loaded_count: usize,
    #[serde(flatten)]
    pub(super) blind_spots: Said,
    pub(super) not_enforced: Vec<String>,
}

/// How it stands, in numbers since its start.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(super) at: Timestamp,
    pub(super) counts: Counts,
    pub(super) lines_per_second: f64,
    pub(super) late: u64,
    /// Lines for which there was no room, lines that were cut, connections that were refused.
    pub(super) losses: [u64; 3],
    pub(super) sources: Vec<SourceHealth>,
    /// Files that are not there.
    pub(super) missing: Vec<String>,
    pub(super) rules: usize,
    pub(super) lost_lines: u64,
}

/// How a source stands.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SourceHealth {
    pub(super) name: String,
    pub(super) lines: u64,
    pub(super) events: u64,
    pub(super) last_at: Option<Timestamp>,
    /// How far its clock is behind ours; negative: ahead.
    pub(super) skew_seconds: Option<f64>,
}

impl Report {
    pub(super) fn trouble(error: &anyhow::Error) -> Self {
        Report::Trouble { message: format!("{error:#}") }
    }
}

/// Why rules do not work, bounded.
pub(crate) fn not_loaded(all: &[NotLoaded]) -> Vec<String> {
    all.iter().take(NOT_LOADED_MAX).map(|it| format!("{}: {}", it.name, it.reason)).collect()
}

/// Ids of the detectors of this watcher, from the registry; of the families of rules, those that its rules speak as.
pub(super) fn covers(rules: &Engine) -> Vec<&'static str> {
    let spoken = rules.detectors();
    let is_ours = |entry: &&judge::Entry| match entry.make {
        judge::Detector::Logins(_) => true,
        judge::Detector::Sigma(_) => spoken.contains(entry.id),
        _ => false,
    };
    judge::REGISTRY.iter().filter(is_ours).map(|entry| entry.id).collect()
}

pub(super) fn health_fields(health: &Health) -> Value {
    let Counts { lines, bytes, events, findings, unknown, dirty, ahead, formats, broken } = &health.counts;
    let [lost, cut, refused] = health.losses;
    let not_seen: Vec<&str> =
        decode::auth::formats().chain(["windows"]).filter(|name| !formats.contains_key(name)).collect();
    json!({
        "at": health.at,
        "lines": lines,
        "bytes": bytes,
        "lines_per_second": health.lines_per_second,
        "events": events,
        "findings": findings,
        "unknown": unknown,
        "dirty": dirty,
        "ahead": ahead,
        "late": health.late,
        "broken": broken,
        "lost": lost,
        "cut": cut,
        "refused": refused,
        "formats": formats,
        "formats_not_seen": not_seen,
        "sources": health.sources,
        "missing": health.missing,
        "rules": health.rules,
        "lost_lines": health.lost_lines,
    })
}

/// The lines for the hub.
pub(crate) fn as_json(report: &Report) -> Value {
    match report {
        Report::Ready(ready) => {
            let mut line = serde_json::to_value(ready).unwrap_or_default();
            line["type"] = "ready".into();
            line
        }
        Report::Finding(finding) => decode::ocsf::write(finding),
        Report::Hit(hit) => hit::line(hit),
        Report::Health(health) => {
            let mut line = health_fields(health);
            line["type"] = "health".into();
            line["message"] = told_health(health, Lang::En).into();
            line
        }
        Report::Rules { loaded, not_loaded } => json!({
            "type": "rules", "loaded": loaded, "not_loaded": not_loaded,
            "message": format!("{loaded} rules are at work, {not_loaded} could not be used"),
        }),
        Report::Trouble { message } => json!({"type": "trouble", "message": message}),
        Report::Stopped => json!({"type": "stopped", "message": "the watcher of logs has ended"}),
    }
}

fn told_health(health: &Health, lang: Lang) -> String {
    let Counts { lines, events, unknown, .. } = &health.counts;
    let [lost, cut, _] = health.losses;
    lang.pick(
        format!("{lines} lines, {events} logons, {unknown} lines of no known format, {lost} lost, {cut} cut"),
        format!("ログ{lines}行、ログオン{events}件、形式の分からない行{unknown}行、取りこぼし{lost}行、途中で切った行{cut}行"),
    )
}

/// How often each format came, as words.
pub(crate) fn coverage(formats: &BTreeMap<&'static str, u64>) -> String {
    formats.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// A finding for people.
pub(crate) fn told(
    title: (&str, &str),
    detector: &str,
    severity: Severity,
    reasons: &[String],
    lang: Lang,
) -> String {
    let mark =
        if severity > Severity::Low { lang.pick("ATTACK", "攻撃") } else { lang.pick("NOTICE", "注意") };
    format!("{mark}  {detector}  {}  ({})", lang.pick(title.0, title.1), reasons.join("; "))
}

/// For people; `None` where there is nothing to say to them.
pub(crate) fn words(report: &Report, lang: Lang) -> Option<String> {
    Some(match report {
        Report::Ready(ready) => {
            let spots: Vec<String> = ready.blind_spots.iter(lang).map(|spot| format!("  - {spot}")).collect();
            let seen = ready.paths.join(", ");
            format!(
                "{}\n{}\n{}",
                lang.pick(format!("watching {seen}"), format!("{seen} を監視しています")),
                lang.pick("Not seen:", "見えないもの:"),
                spots.join("\n")
            )
        }
        Report::Finding(finding) => {
            let reasons = lang.pick(&finding.reasons, &finding.reasons_ja);
            told((&finding.title, &finding.title_ja), &finding.detector, finding.severity_id, reasons, lang)
        }
        Report::Hit(hit) => {
            let finding = hit.finding();
            let reasons = lang.pick(&finding.reasons, &finding.reasons_ja);
            told((&finding.title, &finding.title_ja), &finding.detector, finding.severity_id, reasons, lang)
        }
        Report::Rules { loaded, not_loaded } => lang.pick(
            format!("{loaded} rules are at work, {not_loaded} could not be used"),
            format!("ルール{loaded}件が有効です（使えなかったもの{not_loaded}件）"),
        ),
        Report::Trouble { message } => lang.pick(format!("trouble: {message}"), format!("異常: {message}")),
        Report::Health(_) => return None,
        Report::Stopped => lang.pick("the watcher of logs has ended", "ログの監視を終了しました").to_owned(),
    })
}
