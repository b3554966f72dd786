//! One incident as a report: what the state holds of it, with what nobody looked at.

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Head, Report, State, Written};
use schema::{Effect, Incident, IncidentId, IncidentReport, Lang, Moment, Stage, Tactic, WatcherClass};

use crate::wiring::sensor::evidence;

/// Moments that a report tells; an incident with more names the rest by their number.
const MOMENTS_MAX: u32 = 2_000;

/// Puts the report of an incident together from the state.
fn of(
    state: &State,
    incident: &Incident,
    network: Option<&[String; 2]>,
    zone: &TimeZone,
) -> anyhow::Result<IncidentReport> {
    let id = incident.id;
    let mut timeline: Vec<Moment> = incident.story.iter().map(|chapter| seen(chapter, zone)).collect();
    timeline.extend(state.moments(id, MOMENTS_MAX)?);
    timeline.sort_by_key(|moment| moment.at);
    Ok(IncidentReport {
        title: format!("{id}: {}", incident.title),
        synthetic: None,
        timeline,
        findings: incident.samples.clone(),
        effect: Effect::default(),
        proof: state.newest_proof()?,
        observed: incident
            .watchers
            .iter()
            .map(|(name, class)| observed(name, *class))
            .chain(network.map(|[en, _]| en.clone()))
            .collect(),
        not_observed: incident.unknowns.iter().map(|unknown| unknown.en.clone()).collect(),
    })
}

/// The page in one language, as it stands now. `folder` is the state folder, where the sensor remembers the network.
pub(crate) fn page(
    state: &State,
    folder: &Path,
    id: IncidentId,
    ledger: Head,
    zone: TimeZone,
    lang: Lang,
) -> anyhow::Result<String> {
    let incident = state.incident(id)?.with_context(|| format!("there is no incident {id}"))?;
    let now = Timestamp::now();
    let network = evidence::incident::told(folder, &incident, &zone, now);
    let told = of(state, &incident, network.as_ref(), &zone)?;
    let report = Report::new(&told, now).zone(zone).ledger(ledger);
    Ok(japanese(report, &incident, network, &told).html(lang))
}

/// Writes it in both languages into a folder; see [`page`].
pub(crate) fn write(
    state: &State,
    folder: &Path,
    id: IncidentId,
    ledger: Head,
    zone: TimeZone,
    to: &Path,
) -> anyhow::Result<Written> {
    let incident = state.incident(id)?.with_context(|| format!("there is no incident {id}"))?;
    let now = Timestamp::now();
    let network = evidence::incident::told(folder, &incident, &zone, now);
    let told = of(state, &incident, network.as_ref(), &zone)?;
    let report = Report::new(&told, now).zone(zone).ledger(ledger);
    let written = japanese(report, &incident, network, &told).write(to)?;
    Ok(written)
}

/// The Japanese of the sentences that a report carries in English only.
fn japanese<'a>(
    report: Report<'a>,
    incident: &Incident,
    network: Option<[String; 2]>,
    told: &IncidentReport,
) -> Report<'a> {
    let mut report = report.japanese(told.title.clone(), format!("{}: {}", incident.id, incident.title_ja));
    for (name, class) in &incident.watchers {
        let ja = format!("監視 {name}（{}）が検知した範囲", class_in_words(*class, Lang::Ja));
        report = report.japanese(observed(name, *class), ja);
    }
    if let Some([en, ja]) = network {
        report = report.japanese(en, ja);
    }
    for unknown in &incident.unknowns {
        report = report.japanese(unknown.en.clone(), unknown.ja.clone());
    }
    for finding in &incident.samples {
        report = report.japanese(finding.title.clone(), finding.title_ja.clone());
        for (en, ja) in finding.reasons.iter().zip(&finding.reasons_ja) {
            report = report.japanese(en.clone(), ja.clone());
        }
    }
    report
}

fn seen(chapter: &schema::Chapter, zone: &TimeZone) -> Moment {
    let technique =
        chapter.attack.as_ref().map_or(String::new(), |attack| format!(" [{}]", attack.technique));
    let last = chapter.last_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let is_impact = chapter.tactic == Some(Tactic::Impact);
    Moment {
        at: chapter.first_at,
        stage: if is_impact { Stage::Attack } else { Stage::Detect },
        en: format!("{}{technique} ({} findings until {last})", chapter.en, chapter.findings),
        ja: format!("{}{technique}（{}件、最終 {last}）", chapter.ja, chapter.findings),
    }
}

fn observed(name: &str, class: WatcherClass) -> String {
    format!("what the watcher {name} ({}) can see", class_in_words(class, Lang::En))
}

/// A class of watchers as people say it.
pub(crate) fn class_in_words(class: WatcherClass, lang: Lang) -> &'static str {
    match class {
        WatcherClass::Guard => lang.pick("file operations on this machine", "この機械のファイル操作"),
        WatcherClass::Share => lang.pick("a file share, from outside", "共有フォルダーの外からの監視"),
        WatcherClass::Sensor => lang.pick("network packets", "ネットワーク通信"),
        WatcherClass::Logs => lang.pick("logs", "ログ"),
        WatcherClass::Mail => lang.pick("mail", "メール"),
        WatcherClass::External => lang.pick("another product", "他社製品"),
    }
}
