use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schema::{
    Attack, Entity, Finding, FindingClass, Incident, IncidentId, IncidentStatus, Severity, Subject,
    SubjectRole, Tactic, WatcherClass,
};
use serde::Deserialize;

use super::{Correlator, Settings, Sighting, Update};

const START: Timestamp = Timestamp::constant(1_750_000_000, 0);

/// `"<role><sort>:<name>"`: role `!` for an actor and `>` for a target; sorts `h a u p c s`.
fn subject(short: &str) -> Subject {
    let role = if short.starts_with('!') { SubjectRole::Actor } else { SubjectRole::Target };
    let name = short[3..].to_owned();
    let entity = match &short[1..2] {
        "h" => Entity::Host { name },
        "a" => Entity::Address { address: name.parse().unwrap() },
        "u" => Entity::Account { name },
        "p" => Entity::Process { pid: name.parse().unwrap(), start_ticks: 1 },
        "c" => Entity::Cgroup { path: name },
        "s" => Entity::Store { name },
        other => panic!("{other}"),
    };
    Subject { role, entity }
}

fn tactic(technique: &str) -> Tactic {
    match technique {
        "T1595" => Tactic::Reconnaissance,
        "T1566" | "T1078" => Tactic::InitialAccess,
        "T1003" | "T1110" => Tactic::CredentialAccess,
        "T1021" | "T1210" => Tactic::LateralMovement,
        "T1041" => Tactic::Exfiltration,
        "T1486" | "T1490" => Tactic::Impact,
        other => panic!("{other}"),
    }
}

/// A finding of that minute; `what` is a technique, `weak`, or a title.
fn said(minute: i64, severity: u8, what: &str, subjects: &[&str]) -> Finding {
    let is_technique = what.starts_with('T') && what.len() == 5;
    let attack = || Attack { technique: what.into(), name: what.into(), tactic: tactic(what) };
    Finding {
        time: START + SignedDuration::from_mins(minute),
        class: if what == "weak" { FindingClass::Vulnerability } else { FindingClass::Detection },
        detector: if is_technique { "lateral.test".into() } else { format!("family.{what}") },
        title: format!("{what} seen"),
        title_ja: format!("{what} を検知"),
        severity_id: severity.try_into().unwrap(),
        attacks: if is_technique { vec![attack()] } else { vec![] },
        actor: String::new(),
        reasons: vec![],
        reasons_ja: vec![],
        uid: String::new(),
        subjects: subjects.iter().map(|short| subject(short)).collect(),
    }
}

fn settings() -> Settings {
    Settings { watching: BTreeSet::from([WatcherClass::Guard, WatcherClass::Logs]), ..Settings::default() }
}

fn feed(correlator: &mut Correlator, finding: &Finding, out: &mut Vec<Update>) {
    let class = WatcherClass::Logs;
    correlator.step(&[Sighting { finding, watcher: "logs", class }], finding.time, out);
}

fn run(settings: Settings, findings: &[Finding]) -> (Correlator, Vec<Update>) {
    let mut correlator = Correlator::new(settings, IncidentId(1));
    let mut out = Vec::new();
    findings.iter().for_each(|finding| feed(&mut correlator, finding, &mut out));
    (correlator, out)
}

/// Numbers of findings in each incident, by its number.
fn counts(correlator: &Correlator) -> Vec<(u64, u64)> {
    correlator.incidents().map(|incident| (incident.id.0, incident.findings)).collect()
}

fn check(rule: &str, findings: &[Finding], expected: &[(u64, u64)]) {
    let (correlator, _) = run(settings(), findings);
    assert_eq!(counts(&correlator), expected, "{rule}");
}

#[test]
fn findings_join_by_what_they_share() {
    let a = |subjects: &[&str]| said(0, 4, "T1110", subjects);
    check(
        "one address acts twice",
        &[a(&["!a:10.0.0.9", ">h:x"]), said(1, 4, "T1210", &["!a:10.0.0.9", ">h:y"])],
        &[(1, 2)],
    );
    check(
        "one account acts twice",
        &[a(&["!u:v", ">h:x"]), said(1, 4, "T1021", &["!u:v", ">h:y"])],
        &[(1, 2)],
    );
    check("one process acts twice", &[a(&["!p:7"]), said(1, 4, "T1486", &["!p:7", ">h:y"])], &[(1, 2)]);
    check("one store is harmed twice", &[a(&["!p:7", ">s:/srv"]), a(&["!p:8", ">s:/srv"])], &[(1, 2)]);
    check(
        "nothing is shared",
        &[a(&["!a:10.0.0.9", ">h:x"]), a(&["!a:10.0.0.8", ">h:y"])],
        &[(1, 1), (2, 1)],
    );
    check(
        "a victim meets another tactic",
        &[a(&["!a:10.0.0.9", ">h:x"]), said(1, 4, "T1486", &["!p:7", ">h:x"])],
        &[(1, 2)],
    );
    check(
        "a victim meets another technique of the same tactic",
        &[a(&["!a:10.0.0.9", ">h:x"]), said(1, 4, "T1003", &["!a:10.0.0.8", ">h:x"])],
        &[(1, 1), (2, 1)],
    );
    check(
        "many do the same to one victim",
        &[a(&["!a:203.0.113.1", ">h:x"]), a(&["!a:203.0.113.2", ">h:x"]), a(&["!a:203.0.113.3", ">h:x"])],
        &[(1, 3)],
    );
    check(
        "a victim acts",
        &[a(&["!a:203.0.113.1", ">h:x"]), said(1, 4, "T1021", &["!h:x", ">h:y"])],
        &[(1, 2)],
    );
    check(
        "too late",
        &[a(&["!a:10.0.0.9", ">h:x"]), said(361, 4, "T1110", &["!a:10.0.0.9", ">h:x"])],
        &[(2, 1)],
    );
    let slides = [0, 300, 600, 900].map(|minute| said(minute, 4, "T1110", &["!a:10.0.0.9", ">h:x"]));
    check("the window slides", &slides, &[(1, 4)]);
    let backwards = [900, 600, 300, 0].map(|minute| said(minute, 4, "T1110", &["!a:10.0.0.9", ">h:x"]));
    check("times out of order", &backwards, &[(1, 4)]);
    check("nobody is named", &[said(0, 4, "strange", &[]), said(1, 4, "strange", &[])], &[(1, 2)]);
}

#[test]
fn a_name_that_means_something_on_one_machine_only_joins_what_one_watcher_says() {
    let finding = said(0, 4, "T1486", &["!p:7", ">s:/srv"]);
    let mut correlator = Correlator::new(settings(), IncidentId(1));
    for watcher in ["guard-a", "guard-b"] {
        correlator.step(
            &[Sighting { finding: &finding, watcher, class: WatcherClass::Guard }],
            START,
            &mut vec![],
        );
    }
    assert_eq!(counts(&correlator), [(1, 1), (2, 1)]);
}

#[test]
fn a_known_address_is_its_host() {
    let settings =
        Settings { hosts: [("10.0.0.5".parse().unwrap(), "emr01".to_owned())].into(), ..settings() };
    let findings =
        [said(0, 4, "T1210", &["!a:203.0.113.1", ">a:10.0.0.5"]), said(1, 4, "T1486", &["!p:7", ">h:emr01"])];
    assert_eq!(counts(&run(settings, &findings).0), [(1, 2)]);
}

#[test]
fn two_incidents_that_share_who_acts_become_one() {
    let findings = [
        said(0, 4, "T1110", &["!a:203.0.113.1", ">h:x"]),
        said(1, 4, "T1003", &["!u:admin", ">h:y"]),
        said(2, 4, "T1021", &["!a:203.0.113.1", "!u:admin", ">h:z"]),
    ];
    let (correlator, out) = run(settings(), &findings);
    assert_eq!(counts(&correlator), [(1, 3)]);
    let expected = [
        Update::Opened(IncidentId(1)),
        Update::Opened(IncidentId(2)),
        Update::Merged { into: IncidentId(1), from: IncidentId(2) },
        Update::Grown(IncidentId(1)),
    ];
    assert_eq!(out, expected);
    let tactics: Vec<_> = correlator
        .incident(IncidentId(1))
        .unwrap()
        .story
        .iter()
        .map(|chapter| chapter.attack.clone().unwrap().technique)
        .collect();
    assert_eq!(tactics, ["T1110", "T1003", "T1021"]);
}

#[test]
fn common_subjects_do_not_glue_everything_together() {
    // A NAT from which many people work: each account is an affair of its own.
    let people: Vec<_> = (0..40)
        .flat_map(|n| {
            let (account, host) = (format!("!u:user{n}"), format!(">h:pc{n}"));
            let technique = ["T1003", "T1021", "T1041"][n % 3];
            [said(n as i64, 4, technique, &["!a:10.0.0.1", &account, &host])]
        })
        .collect();
    let (correlator, _) = run(settings(), &people);
    let largest = correlator.incidents().map(|incident| incident.findings).max().unwrap();
    assert!(correlator.incidents().count() >= 2, "{:?}", counts(&correlator));
    assert!(largest < 25, "{:?}", counts(&correlator));

    // The same NAT, named by the configuration, joins nothing but the same technique.
    let nat = Settings { common: BTreeSet::from([subject("!a:10.0.0.1").entity]), ..settings() };
    let pair = [said(0, 4, "T1003", &["!a:10.0.0.1", ">h:x"]), said(1, 4, "T1021", &["!a:10.0.0.1", ">h:y"])];
    assert_eq!(run(nat, &pair).0.incidents().count(), 2);
    assert_eq!(run(settings(), &pair).0.incidents().count(), 1);

    // A subject that makes incidents one stops doing so.
    let mut findings = Vec::new();
    for n in 0..30 {
        let account = format!("!u:user{n}");
        findings.push(said(n, 4, "T1003", &[&account, &format!(">h:pc{n}")]));
    }
    for n in 0..30 {
        findings.push(said(40 + n, 4, "T1041", &["!h:proxy", &format!("!u:user{n}"), ">a:198.51.100.9"]));
    }
    let (correlator, _) = run(settings(), &findings);
    assert!(correlator.incidents().count() > 15, "{:?}", counts(&correlator));
}

#[test]
fn scans_from_thousands_of_addresses_are_one_incident() {
    let mut findings: Vec<_> = (0..3000)
        .map(|n: u32| {
            let from = std::net::Ipv4Addr::from(0xcb00_7100 + n * 8);
            said(i64::from(n / 60), 2, "T1595", &[&format!("!a:{from}"), ">h:gate"])
        })
        .collect();
    let (mut correlator, _) = run(settings(), &findings);
    assert_eq!(counts(&correlator), [(1, 3000)]);
    let scans = correlator.incident(IncidentId(1)).unwrap();
    assert_eq!(scans.title, "Scans of gate from 3,000 addresses outside");
    assert_eq!(scans.title_ja, "外部の3,000個のアドレスから gate が探索されています");
    assert_eq!((scans.severity_id, scans.subjects.len()), (Severity::Low, 64));
    // One of them gets in: an incident of its own, which tells of its scan and of nobody else's.
    let got_in = said(60, 4, "T1078", &["!a:203.0.113.0", ">h:gate"]);
    feed(&mut correlator, &got_in, &mut vec![]);
    assert_eq!(counts(&correlator), [(1, 3000), (2, 1)]);
    let attack = correlator.incident(IncidentId(2)).unwrap();
    assert_eq!(attack.story.len(), 2);
    assert!(attack.story[0].en.starts_with("203.0.113.0 had looked around"), "{}", attack.story[0].en);
    assert_eq!(attack.title, "Somebody is getting into gate from outside, after scans from 203.0.113.0");
    // Scans from inside are no noise.
    findings = vec![said(0, 3, "T1595", &["!a:10.0.0.66", ">h:gate"])];
    assert_eq!(run(settings(), &findings).1, [Update::Opened(IncidentId(1))]);
}

#[test]
fn weak_spots_open_no_attack_and_are_told_where_one_is() {
    let findings = [
        said(0, 5, "weak", &[">h:x"]),
        said(1, 4, "weak", &[">h:y"]),
        said(2, 4, "T1486", &["!p:7", ">h:x", ">s:/srv"]),
    ];
    let (correlator, _) = run(settings(), &findings);
    assert_eq!(counts(&correlator), [(1, 2), (2, 1)]);
    let (weak, attack) =
        (correlator.incident(IncidentId(1)).unwrap(), correlator.incident(IncidentId(2)).unwrap());
    assert_eq!(weak.severity_id, Severity::Medium);
    let last = attack.story.last().unwrap();
    assert_eq!((last.tactic, last.en.as_str()), (None, "Known weak spot of x: weak seen"));
    assert_eq!(attack.findings, 1);
    // Also when it is found later.
    let (correlator, out) = run(settings(), &[findings[2].clone(), findings[0].clone()]);
    assert_eq!(correlator.incident(IncidentId(1)).unwrap().story.len(), 2);
    assert!(out.ends_with(&[Update::Grown(IncidentId(1)), Update::Opened(IncidentId(2))]));
}

#[test]
fn signs_below_medium_wait_until_their_actor_attacks() {
    let findings = [
        said(0, 2, "odd", &["!a:10.0.0.9", ">h:x"]),
        said(1, 1, "odd", &["!a:10.0.0.8", ">h:x"]),
        said(2, 4, "T1021", &["!a:10.0.0.9", ">h:y"]),
        said(3, 2, "odd", &["!a:10.0.0.9", ">h:z"]),
    ];
    let (correlator, _) = run(settings(), &findings);
    assert_eq!(counts(&correlator), [(1, 2), (2, 2)]);
    let story = &correlator.incident(IncidentId(2)).unwrap().story;
    assert!(story.iter().any(|chapter| chapter.en.contains("had been noticed before")), "{story:?}");
}

#[test]
fn severity_rises_where_signs_agree() {
    let severity = |findings: &[Finding]| {
        let (correlator, _) = run(settings(), findings);
        correlator.incidents().map(|incident| u8::from(incident.severity_id)).collect::<Vec<_>>()
    };
    let at = |minute, what| said(minute, 3, what, &["!a:203.0.113.1", ">h:x"]);
    assert_eq!(severity(&[at(0, "T1110"), at(1, "T1078")]), [3]);
    assert_eq!(severity(&[at(0, "T1110"), at(1, "T1078"), at(2, "T1021")]), [4]);
    // Each in the window of the one before, and never three within one.
    assert_eq!(severity(&[at(0, "T1110"), at(200, "T1078"), at(400, "T1021")]), [3]);
    assert_eq!(severity(&[said(0, 3, "T1486", &["!p:7", ">h:x"])]), [3]);
    assert_eq!(severity(&[said(0, 3, "T1490", &["!p:7", ">s:/srv"])]), [5]);
    let mut correlator = Correlator::new(settings(), IncidentId(1));
    let finding = at(0, "T1110");
    for (watcher, class) in [("logs", WatcherClass::Logs), ("core", WatcherClass::Sensor)] {
        correlator.step(&[Sighting { finding: &finding, watcher, class }], START, &mut vec![]);
    }
    assert_eq!(correlator.incident(IncidentId(1)).unwrap().severity_id, Severity::High);
}

#[test]
fn a_finding_said_twice_counts_once_and_only_for_its_own_watcher() {
    let finding = Finding { uid: "u1".into(), ..said(0, 4, "T1110", &["!a:10.0.0.9"]) };
    let mut correlator = Correlator::new(settings(), IncidentId(1));
    for watcher in ["a", "a", "b", "a"] {
        correlator.step(
            &[Sighting { finding: &finding, watcher, class: WatcherClass::Logs }],
            START,
            &mut vec![],
        );
    }
    assert_eq!(counts(&correlator), [(1, 2)]);
}

#[test]
fn what_nobody_looks_at_is_not_called_absent() {
    let (mut correlator, _) = run(settings(), &[said(0, 4, "T1486", &["!p:7", ">h:x", ">s:/srv"])]);
    let told = |correlator: &Correlator| {
        let unknowns = &correlator.incident(IncidentId(1)).unwrap().unknowns;
        assert!(unknowns.iter().all(|unknown| !unknown.ja.is_ascii()));
        unknowns.iter().map(|unknown| unknown.en.clone()).collect::<Vec<_>>().join("\n")
    };
    let before = told(&correlator);
    for expected in [
        "How the attacker came in is not known",
        "Nobody looks at mail",
        "Nobody looks at the network",
        "Whether data left",
    ] {
        assert!(before.contains(expected), "{expected}: {before}");
    }
    assert!(!before.contains("Nobody looks at logs"));
    let mut out = Vec::new();
    correlator.watch(WatcherClass::ALL.into(), &mut out);
    assert_eq!(out, [Update::Grown(IncidentId(1))]);
    let after = told(&correlator);
    assert!(
        !after.contains("Nobody looks")
            && after.contains("No sign that data left was seen by the network sensor"),
        "{after}"
    );
    feed(&mut correlator, &said(1, 4, "T1566", &["!u:x", ">h:x"]), &mut out);
    assert!(!told(&correlator).contains("How the attacker came in"));
}

#[test]
fn what_a_person_said_stands() {
    let finding = said(0, 4, "T1110", &["!a:10.0.0.9", ">h:x"]);
    let (mut correlator, _) = run(settings(), std::slice::from_ref(&finding));
    assert_eq!(
        correlator.mark(IncidentId(1), IncidentStatus::FalseAlarm).unwrap().status,
        IncidentStatus::FalseAlarm
    );
    feed(&mut correlator, &finding, &mut vec![]);
    assert_eq!(counts(&correlator), [(1, 2)]);
    let other = Finding { detector: "other.detector".into(), ..finding.clone() };
    feed(&mut correlator, &other, &mut vec![]);
    assert_eq!(counts(&correlator), [(1, 2), (2, 1)]);
    assert!(correlator.mark(IncidentId(2), IncidentStatus::Closed).is_some());
    assert_eq!(correlator.mark(IncidentId(2), IncidentStatus::Closed), None);
    feed(&mut correlator, &other, &mut vec![]);
    assert_eq!(counts(&correlator), [(1, 2), (3, 1)]);
}

#[test]
fn a_flood_of_small_incidents_does_not_push_out_the_one_that_matters() {
    let mut findings = vec![said(0, 5, "T1486", &["!p:7", ">h:emr", ">s:/srv"])];
    findings.extend((0..200).map(|n| said(1, 3, "T1021", &[&format!("!u:u{n}"), &format!(">h:h{n}")])));
    let (correlator, out) = run(Settings { open_max: 16, ..settings() }, &findings);
    assert_eq!(correlator.size().incidents, 16);
    assert!(correlator.incident(IncidentId(1)).is_some());
    let left: Vec<_> = out.iter().filter(|update| matches!(update, Update::Left(_))).collect();
    assert_eq!(left.len(), 201 - 16);
    assert!(
        matches!(left[0], Update::Left(incident) if incident.id == IncidentId(2) && !incident.title.is_empty())
    );
    let (correlator, _) = run(Settings { subjects_max: 40, ..settings() }, &findings);
    assert!(correlator.size().subjects <= 40);
}

/// What collects scans and signs is less severe than any attack, and would be the first to go.
#[test]
fn a_flood_of_attacks_does_not_push_out_what_collects_scans_and_signs() {
    let mut findings = Vec::new();
    for n in 0..200 {
        findings.push(said(1, 4, "T1021", &[&format!("!u:u{n}"), &format!(">h:h{n}")]));
        findings.push(said(1, 2, "T1595", &["!a:203.0.113.9", ">h:fw"]));
        findings.push(said(1, 2, "", &["!a:10.0.0.9", ">h:emr"]));
    }
    let (correlator, _) = run(Settings { open_max: 16, ..settings() }, &findings);
    let of = |id| correlator.incident(IncidentId(id)).map(|incident| incident.findings);
    assert_eq!((correlator.size().incidents, of(2), of(3)), (18, Some(200), Some(200)));
    assert_eq!(correlator.next, IncidentId(203), "one for each attack, and the two");
}

#[test]
fn a_checkpoint_of_another_version_is_refused() {
    let json = serde_json::to_string(&Correlator::new(settings(), IncidentId(1))).unwrap();
    assert!(serde_json::from_str::<Correlator>(&json).is_ok());
    let other = json.replacen("\"version\":1", "\"version\":9", 1);
    assert!(serde_json::from_str::<Correlator>(&other).unwrap_err().to_string().contains("version 9"));
}

/// One line of a fixture.
#[derive(Deserialize)]
struct Line {
    watcher: String,
    class: WatcherClass,
    finding: Finding,
}

/// With `CHARTWARD_BLESS=1` the expected incidents are written anew, to be read before they are committed.
#[test]
#[allow(clippy::disallowed_methods, reason = "tests read fixtures")]
fn fixtures_become_the_incidents_beside_them() {
    for side in ["attack", "benign"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/correlate").join(side);
        assert!(dir.join("README.md").is_file());
        let mut seen = 0;
        for path in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            let lines: Vec<Line> = fs::read_to_string(&path)
                .unwrap()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let mut correlator = Correlator::new(settings(), IncidentId(1));
            for Line { watcher, class, finding } in &lines {
                correlator.step(&[Sighting { finding, watcher, class: *class }], finding.time, &mut vec![]);
            }
            let incidents: Vec<&Incident> = correlator.incidents().collect();
            let golden = path.with_extension("json");
            if std::env::var("CHARTWARD_BLESS").is_ok() {
                fs::write(&golden, serde_json::to_string_pretty(&incidents).unwrap() + "\n").unwrap();
            }
            let expected: Vec<Incident> =
                serde_json::from_str(&fs::read_to_string(&golden).unwrap()).unwrap();
            assert_eq!(incidents, expected.iter().collect::<Vec<_>>(), "{}", path.display());
            let severe = incidents.iter().any(|incident| incident.severity_id >= Severity::High);
            assert_eq!(severe, side == "attack", "{}", path.display());
            seen += 1;
        }
        assert!(seen > 0, "{} holds no fixture", dir.display());
    }
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let what = proptest::sample::select(vec![
        "T1595", "T1566", "T1078", "T1003", "T1110", "T1021", "T1210", "T1041", "T1486", "T1490", "odd",
        "weak",
    ]);
    let subject = prop_oneof![
        (0..30u8).prop_map(|n| format!("!a:203.0.113.{n}")),
        (0..30u8).prop_map(|n| format!("!a:10.0.0.{n}")),
        (0..20u8).prop_map(|n| format!("!u:user{n}")),
        (1..9u8).prop_map(|n| format!("!p:{n}")),
        (0..20u8).prop_map(|n| format!(">h:host{n}")),
        (0..20u8).prop_map(|n| format!("!h:host{n}")),
        (0..5u8).prop_map(|n| format!(">s:/srv{n}")),
        (0..20u8).prop_map(|n| format!(">a:10.0.0.{n}")),
    ];
    (0..2000i64, 1..=5u8, what, proptest::collection::vec(subject, 0..5), 0..500u16).prop_map(
        |(minute, severity, what, subjects, uid)| {
            let subjects: Vec<_> = subjects.iter().map(String::as_str).collect();
            Finding { uid: uid.to_string(), ..said(minute, severity, what, &subjects) }
        },
    )
}

fn small() -> Settings {
    Settings { open_max: 12, subjects_max: 60, common_after: 3, ..settings() }
}

fn step_all(correlator: &mut Correlator, findings: &[Finding], cuts: &[usize]) {
    let mut rest = findings;
    for cut in cuts.iter().copied().chain([findings.len()]) {
        let (batch, later) = rest.split_at(cut.min(rest.len()));
        rest = later;
        let sightings: Vec<_> = batch
            .iter()
            .map(|finding| Sighting { finding, watcher: "logs", class: WatcherClass::Logs })
            .collect();
        correlator.step(&sightings, START + SignedDuration::from_hours(30), &mut vec![]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_bounds_and_checkpoints_do_not_change_what_is_told(
        findings in proptest::collection::vec(any_finding(), 1..120),
        cuts in proptest::collection::vec(0..30usize, 0..10),
        half in 0..120usize,
    ) {
        let mut whole = Correlator::new(small(), IncidentId(1));
        step_all(&mut whole, &findings, &[]);
        let mut cut = Correlator::new(small(), IncidentId(1));
        step_all(&mut cut, &findings, &cuts);
        prop_assert_eq!(&whole, &cut);

        let (first, second) = findings.split_at(half.min(findings.len()));
        let mut halted = Correlator::new(small(), IncidentId(1));
        step_all(&mut halted, first, &[]);
        let json = serde_json::to_string(&halted).unwrap();
        let mut resumed: Correlator = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&resumed, &halted);
        step_all(&mut resumed, second, &[]);
        prop_assert_eq!(&resumed, &whole);

        let size = whole.size();
        let attacks = whole.cases.values().filter(|case| case.kind == super::case::Kind::Attack).count();
        prop_assert!(attacks <= 12 && size.incidents <= 12 + 67);
        prop_assert!(size.subjects <= 60 || size.incidents == 1, "{:?}", size);
        for incident in whole.incidents() {
            prop_assert!(incident.story.len() <= 64 && incident.subjects.len() <= 64 && incident.samples.len() <= 64);
            prop_assert!(!incident.title.is_empty() && !incident.title_ja.is_empty());
        }
    }
}
