//! An incident and the sensor's memory of that time.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use judge::network::Rules;
use schema::{Entity, Incident, Lang, WatcherClass};

use super::text::summary;
use super::{Evidence, Gathering, Question};
use crate::wiring::sensor::{Place, store};

/// Whoever takes records away does so before they encrypt, and calls home after.
const AROUND: SignedDuration = SignedDuration::from_hours(24);
/// Hosts that are asked about; an incident names at most 64 of whatever sort.
const HOSTS_MAX: usize = 32;

/// What to ask about an incident; `None` where no sensor found any of it.
pub(crate) fn question(incident: &Incident, now: Timestamp) -> Option<Question> {
    if !incident.watchers.values().any(|class| *class == WatcherClass::Sensor) {
        return None;
    }
    let internal = Rules::default().internal;
    let inside = |address: &IpAddr| internal.iter().any(|net: &IpNet| net.contains(address));
    let address = |entity: &Entity| match entity {
        Entity::Address { address } => Some(*address),
        _ => None,
    };
    let mut hosts: Vec<IpAddr> =
        incident.subjects.iter().filter_map(|(subject, _)| address(&subject.entity)).filter(inside).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(HOSTS_MAX);
    // To the second, since people copy it.
    let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let from = incident.first_at.checked_sub(AROUND).unwrap_or(Timestamp::MIN);
    let to = incident.last_at.checked_add(AROUND).unwrap_or(Timestamp::MAX).min(now).max(incident.last_at);
    let to = whole(to).checked_add(SignedDuration::from_secs(1)).unwrap_or(to);
    Some(Question { from: whole(from), to, hosts, internal: Vec::new() })
}

/// The words on the command line that ask it.
pub(crate) fn command(question: &Question) -> String {
    let mut words = format!("chartward sensor evidence --from {} --to {}", question.from, question.to);
    for host in &question.hosts {
        words.push_str(&format!(" --host {host}"));
    }
    words
}

/// What the sensor below a state folder remembers; `None` where it kept nothing.
pub(crate) fn look(state: &Path, question: Question) -> anyhow::Result<Option<Evidence>> {
    let dir = Place::flows(&state.join("sensor"));
    if !dir.is_dir() {
        return Ok(None);
    }
    let span = (question.from, question.to);
    let mut gathering = Gathering::new(question, &Rules::default().internal);
    let unread = store::read(&dir, span, &mut |record| gathering.take(record))?;
    Ok(Some(gathering.done(unread)))
}

/// For a report: one sentence with what it rests on, in English and in Japanese. `None` where no sensor found any of it.
pub(crate) fn told(
    state: &Path,
    incident: &Incident,
    zone: &TimeZone,
    now: Timestamp,
) -> Option<[String; 2]> {
    let question = question(incident, now)?;
    let asked = command(&question);
    let both = |en: &str, ja: &str| Some([format!("{en} ({asked})"), format!("{ja}（{asked}）")]);
    match look(state, question) {
        Ok(Some(evidence)) => {
            Some(Lang::ALL.map(|lang| summary(&evidence, lang, zone))).and_then(|[en, ja]| both(&en, &ja))
        }
        Ok(None) => both("The sensor kept no flows of that time.", "センサーの通信記録がありません。"),
        Err(_) => {
            both("What the sensor kept could not be read.", "センサーの通信記録を読み取れませんでした。")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schema::{IncidentId, IncidentStatus, Severity, Subject, SubjectRole};

    use super::*;

    fn incident(class: WatcherClass) -> Incident {
        let at = |text: &str| text.parse().unwrap();
        let subject = |address: &str| {
            let entity = Entity::Address { address: address.parse().unwrap() };
            (Subject { role: SubjectRole::Actor, entity }, 1)
        };
        Incident {
            id: IncidentId(7),
            first_at: at("2026-05-04T10:00:00.5Z"),
            last_at: at("2026-05-04T11:00:00Z"),
            status: IncidentStatus::Open,
            severity_id: Severity::High,
            title: "a scan".into(),
            title_ja: "スキャン".into(),
            subjects: vec![
                subject("10.0.0.9"),
                subject("198.51.100.7"),
                subject("10.0.0.9"),
                subject("fd00::9"),
            ],
            findings: 1,
            detectors: BTreeMap::new(),
            watchers: BTreeMap::from([("net".to_owned(), class)]),
            story: vec![],
            unknowns: vec![],
            samples: vec![],
        }
    }

    #[test]
    fn hosts_inside_are_asked_about_from_a_day_before_to_a_day_after_or_now() {
        let now: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let asked = question(&incident(WatcherClass::Sensor), now).unwrap();
        let expected = "chartward sensor evidence --from 2026-05-03T10:00:00Z --to 2026-05-04T12:00:01Z --host 10.0.0.9 --host fd00::9";
        assert_eq!(command(&asked), expected);
        let later: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let asked = question(&incident(WatcherClass::Sensor), later).unwrap();
        assert_eq!(asked.to.to_string(), "2026-05-05T11:00:01Z");
        assert!(question(&incident(WatcherClass::Mail), now).is_none());
    }

    #[test]
    fn a_report_says_that_nothing_was_kept_rather_than_that_nothing_left() {
        let state = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
        let told_of =
            |state: &Path| told(state, &incident(WatcherClass::Sensor), &TimeZone::UTC, now).unwrap();
        assert!(told_of(state.path())[0].starts_with("The sensor kept no flows"));
        std::fs::create_dir_all(state.path().join("sensor/flows")).unwrap();
        let [en, ja] = told_of(state.path());
        assert!(en.contains("No sensor watched in this time") && en.contains("--host 10.0.0.9"), "{en}");
        assert!(ja.contains("観測していません"), "{ja}");
    }
}
