#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read fixtures")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use schema::{
    AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Entity, Lang, LogRecord, Micros, Severity, Tactic,
    ValueKind,
};

use super::*;
use crate::{Detector, Entry, REGISTRY};

const AT: Micros = 1_777_856_400_000_000;
const SECOND: Micros = 1_000_000;

fn record(product: &'static str, channel: &str, event_id: Option<u32>, fields: &[(&str, &str)]) -> LogRecord {
    let mut record = LogRecord::default();
    (record.at, record.number, record.product, record.event_id) = (AT, 1, product, event_id);
    record.channel.push_str(channel);
    record.host.push_str("emr01");
    for (name, value) in fields {
        let kind = if *value == "\0" { ValueKind::Null } else { ValueKind::Text };
        record.push(name, value.trim_matches('\0'), kind);
    }
    record
}

fn rule(detection: &str) -> String {
    let detection: String = detection.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "title: test\nid: 1\nlogsource:\n    product: zeek\n    service: http\ndetection:\n{detection}level: high\n"
    )
}

fn load(rules: &[&str]) -> Engine {
    let files = rules.iter().enumerate().map(|(n, text)| (n.to_string(), (*text).to_owned())).collect();
    let (engine, not_loaded) = Engine::load(files, &Filter::default());
    assert_eq!(not_loaded, []);
    engine
}

/// Whether a detection holds for a record with these fields.
fn check(detection: &str, fields: &[(&str, &str)], expected: bool) {
    let mut engine = load(&[&rule(detection)]);
    let mut hits = Vec::new();
    engine.step(&record("zeek", "http", None, fields), AT, &mut hits);
    assert_eq!(!hits.is_empty(), expected, "{detection}\n{fields:?}");
}

#[test]
fn comparisons_hold_as_sigma_says() {
    let one = |item: &str| format!("selection:\n    {item}\ncondition: selection");
    for (item, value, expected) in [
        ("F: abc", "ABC", true),
        ("F: abc", "abcd", false),
        ("F|cased: abc", "ABC", false),
        ("F|contains: BC", "abcd", true),
        ("F|startswith: AB", "abcd", true),
        ("F|startswith: bc", "abcd", false),
        ("F|endswith: CD", "abcd", true),
        ("F: a*d", "a\nbc d", true),
        ("F: 'a?d'", "abbd", false),
        ("F: 'a?d'", "aあd", true),
        ("F: '*\\\\x.exe'", "C:\\x.exe", true),
        ("F: 'a\\*b'", "a*b", true),
        ("F: 'a\\*b'", "axb", false),
        ("F|contains: 'x?y*z'", "__x1y--z__", true),
        ("F|contains|cased: 'x?y*z'", "__X1y--z__", false),
        ("F: '*'", "", true),
        ("F: ''", "", true),
        ("F: ''", "x", false),
        ("F: null", "x", false),
        ("F: null", "\0", true),
        ("G: null", "x", true),
        ("F|exists: true", "x", true),
        ("G|exists: false", "x", true),
        ("F: 4", "4", true),
        ("F: 4", "4.0", true),
        ("F: 4", "45", false),
        ("F|gt: 4", "5", true),
        ("F|lte: 4", "5", false),
        ("F|neq: 4", "5", true),
        ("F: true", "True", true),
        ("F|re: '^a.c$'", "abc", true),
        ("F|re: '^a.c$'", "ABC", false),
        ("F|re|i: '^a.c$'", "ABC", true),
        ("F|cidr: 10.0.0.0/8", "10.2.3.4", true),
        ("F|cidr: 10.0.0.0/8", "::ffff:10.2.3.4", true),
        ("F|cidr: 10.0.0.0/8", "11.2.3.4", false),
        ("F|cidr: 10.0.0.0/8", "no address", false),
        ("F|contains|windash: ' -enc'", "p /enc", true),
        ("F|contains|windash: ' -enc'", "p \u{2013}ENC", true),
        ("F|contains|windash: 'non-x -e'", "non/x -e", false),
        ("F|base64offset|contains: 'http://'", "xxaHR0cDovLw", true),
        ("F|base64offset|contains: 'http://'", "xodHRwOi8v", true),
        ("F|wide|base64offset|contains: 'iex'", "AGkAZQB4AA", true),
        ("F|hour: 1", "2026-05-04T01:02:03Z", true),
        ("F|contains|all: [ab, cd]", "abxcd", true),
        ("F|contains|all: [ab, cd]", "abx", false),
        ("F|contains: [ab, cd]", "abx", true),
        ("F|endswith: 東京", "大阪・東京", true),
        ("F|contains: ÄÖ", "xäöy", true),
    ] {
        check(&one(item), &[("F", value)], expected);
    }
}

#[test]
fn conditions_hold_as_sigma_says() {
    let selections = "sel_a:\n    A: 1\nsel_b:\n    B: 2\nfilter_c:\n    C: 3\n_hidden:\n    D: 4\n";
    for (condition, fields, expected) in [
        ("1 of sel_*", [("A", "1"), ("X", "0")], true),
        ("all of sel_*", [("A", "1"), ("X", "0")], false),
        ("all of sel_*", [("A", "1"), ("B", "2")], true),
        ("2 of them", [("A", "1"), ("C", "3")], true),
        ("all of them", [("A", "1"), ("B", "2")], false),
        ("1 of them", [("D", "4"), ("X", "0")], false),
        ("sel_a and not filter_c", [("A", "1"), ("C", "3")], false),
        ("sel_a and not filter_c", [("A", "1"), ("C", "4")], true),
        ("not sel_a", [("A", "2"), ("C", "4")], true),
        ("not (sel_a or filter_c)", [("B", "2"), ("C", "3")], false),
    ] {
        check(&format!("{selections}condition: {condition}"), &fields, expected);
    }
    check("k:\n    - Needle\n    - other\ncondition: k", &[("A", "hay needle hay")], true);
    check("k:\n    '|all':\n        - one\n        - two\ncondition: k", &[("A", "one"), ("B", "two")], true);
    check("k:\n    '|all':\n        - one\n        - two\ncondition: k", &[("A", "one")], false);
    check("s:\n    A|fieldref: B\ncondition: s", &[("A", "x"), ("B", "X")], true);
    check("s:\n    A|fieldref|startswith: B\ncondition: s", &[("A", "xyz"), ("B", "xy")], true);
    check("s:\n    Data|contains|all: [one, two]\ncondition: s", &[("Data", "one"), ("Data", "two")], true);
    check("s:\n    - A: 1\n      B: 2\n    - C: 3\ncondition: s", &[("A", "1"), ("C", "3")], true);
}

#[test]
fn what_cannot_be_used_is_named_and_the_rest_is_loaded() {
    let good = rule("s:\n    A: 1\ncondition: s");
    for (bad, reason) in [
        ("title: [", "YAML"),
        ("just text", "mapping"),
        ("", ""),
        (&*rule("s:\n    A|re: '(?<=x)y'\ncondition: s"), "regular expression"),
        (&*rule(&format!("s:\n    A|re: '{}'\ncondition: s", "(a{999}){999}")), "regular expression"),
        (&*rule("s:\n    A: 1\ncondition: s and t"), "no selection `t`"),
        (&*rule("s:\n    A: 1\ncondition: 1 of t*"), "names no selection"),
        (&*rule("s:\n    A|expand: '%x%'\ncondition: s"), "placeholders"),
        (&*rule("s:\n    A|re|contains: x\ncondition: s"), "contradict"),
        (&*rule("s:\n    A|cidr: here\ncondition: s"), "not a network"),
        (
            "title: c\ncorrelation:\n    type: event_count\n    rules: [nobody]\n    timespan: 1m\n    condition:\n        gte: 2\n",
            "`nobody`",
        ),
    ] {
        let files = vec![("bad.yml".into(), bad.to_owned()), ("good.yml".into(), good.clone())];
        let (engine, not_loaded) = Engine::load(files, &Filter::default());
        assert_eq!(engine.rules().count(), 1, "{bad}");
        assert!(
            not_loaded.iter().any(|not| not.name.contains("bad.yml") && not.reason.contains(reason)),
            "{bad}: {not_loaded:?}"
        );
    }
}

#[test]
fn filters_choose_by_level_status_and_tag() {
    let make = |level: &str, status: &str, tag: &str| {
        format!(
            "title: {level}\nstatus: {status}\ntags: [{tag}]\nlogsource: {{product: zeek}}\ndetection:\n    s: {{A: 1}}\n    condition: s\nlevel: {level}\n"
        )
    };
    let files = || {
        vec![
            ("a".into(), make("low", "stable", "attack.t1110.003")),
            ("b".into(), make("high", "test", "attack.t1110")),
            ("c".into(), make("critical", "deprecated", "attack.t11101")),
        ]
    };
    let titles = |filter: &Filter| -> Vec<String> {
        Engine::load(files(), filter).0.rules().map(|rule| rule.title.clone()).collect()
    };
    assert_eq!(titles(&Filter::default()), ["low", "high"]);
    assert_eq!(titles(&Filter { level_min: Severity::High, ..Filter::default() }), ["high"]);
    assert_eq!(
        titles(&Filter {
            status_min: Status::Unsupported,
            tags: vec!["attack.t1110".into()],
            ..Filter::default()
        }),
        ["low", "high"]
    );
    assert_eq!(
        titles(&Filter {
            tags_not: vec!["attack.t1110".into()],
            status_min: Status::Deprecated,
            ..Filter::default()
        }),
        ["critical"]
    );
}

const FAILURE: &str =
    "title: f\nname: failure\nlogsource: {product: zeek}\ndetection:\n    s: {A: bad}\n    condition: s\n";

fn counting(kind: &str, rest: &str) -> String {
    format!(
        "title: c\nname: counting\nlevel: high\ncorrelation:\n    type: {kind}\n    rules: [failure]\n    group-by: [G]\n    timespan: 10s\n{rest}"
    )
}

fn step_at(engine: &mut Engine, seconds: i64, fields: &[(&str, &str)]) -> Vec<SigmaHit> {
    let mut hits = Vec::new();
    let mut record = record("zeek", "http", None, fields);
    record.at = AT + seconds * SECOND;
    engine.step(&record, AT + 1_000 * SECOND, &mut hits);
    hits
}

#[test]
fn a_correlation_goes_by_event_time_and_speaks_once_in_its_span() {
    let rule = counting("event_count", "    condition:\n        gte: 3\n");
    for (times, expected) in [
        (&[0, 1, 2][..], 1),
        (&[0, 1, 2, 3, 4, 5], 1),
        (&[2, 0, 1], 1),
        (&[0, 6, 12], 0),
        (&[0, 30, 1, 31, 2], 0),
        (&[0, 1, 2, 13, 14, 15], 2),
    ] {
        let mut engine = load(&[FAILURE, &rule]);
        let said: usize =
            times.iter().map(|at| step_at(&mut engine, *at, &[("A", "bad"), ("G", "g")]).len()).sum();
        assert_eq!(said, expected, "{times:?}");
    }
    let mut engine = load(&[FAILURE, &rule]);
    for group in ["a", "b", "-", "", "c"] {
        assert!(step_at(&mut engine, 0, &[("A", "bad"), ("G", group)]).is_empty());
    }
    assert_eq!(engine.groups(), 3);
}

#[test]
fn correlations_count_values_add_and_follow_an_order() {
    let spray = counting("value_count", "    condition:\n        gte: 3\n        field: V\n");
    let mut engine = load(&[FAILURE, &spray]);
    let said = ["1", "1", "2", "2", "3"]
        .map(|v| step_at(&mut engine, 1, &[("A", "bad"), ("G", "g"), ("V", v)]).len());
    assert_eq!(said, [0, 0, 0, 0, 1]);
    let sum = counting("value_sum", "    condition:\n        gt: 10\n        field: V\n");
    let mut engine = load(&[FAILURE, &sum]);
    let said =
        ["4", "x", "6", "1"].map(|v| step_at(&mut engine, 1, &[("A", "bad"), ("G", "g"), ("V", v)]).len());
    assert_eq!(said, [0, 0, 0, 1]);
    let good = FAILURE.replace("failure", "good").replace("bad", "ok");
    let ordered = "title: o\nlevel: high\ncorrelation:\n    type: temporal_ordered\n    rules: [counting, good]\n    group-by: [G]\n    timespan: 1m\n";
    let count = counting("event_count", "    condition:\n        gte: 2\n");
    let run = |steps: &[(i64, &str)]| {
        let mut engine = load(&[FAILURE, &good, &count, ordered]);
        steps
            .iter()
            .map(|(at, what)| step_at(&mut engine, *at, &[("A", what), ("G", "g")]).len())
            .sum::<usize>()
    };
    assert_eq!(run(&[(0, "bad"), (1, "bad"), (2, "ok")]), 1);
    assert_eq!(run(&[(0, "ok"), (1, "bad"), (2, "bad")]), 0);
    assert_eq!(run(&[(0, "bad"), (2, "ok")]), 0);
}

#[test]
fn a_reload_keeps_what_correlations_saw_and_forgets_those_that_changed() {
    let rule = counting("event_count", "    condition:\n        gte: 3\n");
    let files = |rule: &str| vec![("a".into(), FAILURE.to_owned()), ("b".into(), rule.to_owned())];
    for (after, expected) in [(rule.clone(), 1), (rule.replace("10s", "20s"), 0)] {
        let mut engine = load(&[FAILURE, &rule]);
        let fields = [("A", "bad"), ("G", "g")];
        step_at(&mut engine, 0, &fields);
        step_at(&mut engine, 1, &fields);
        let written = serde_json::to_string(&engine.state()).unwrap();
        assert!(engine.reload(files(&after), &Filter::default()).is_empty());
        assert_eq!(step_at(&mut engine, 2, &fields).len(), expected);
        let (mut other, _) = Engine::load(files(&after), &Filter::default());
        other.restore(&serde_json::from_str(&written).unwrap());
        assert_eq!(step_at(&mut other, 2, &fields).len(), expected);
    }
}

#[test]
fn a_flood_of_groups_stays_bounded() {
    let mut engine = load(&[FAILURE, &counting("event_count", "    condition:\n        gte: 3\n")]);
    for n in 0..80_000 {
        step_at(&mut engine, n / 1000, &[("A", "bad"), ("G", &n.to_string())]);
    }
    assert!(engine.groups() <= 32_768, "{}", engine.groups());
    for n in 0..10 {
        step_at(&mut engine, n, &[("A", "bad"), ("G", "same")]);
    }
}

#[test]
fn matchers_on_threads_see_what_the_engine_sees() {
    let mut engine = load(&[
        FAILURE,
        &counting("event_count", "    condition:\n        gte: 4\n"),
        &rule("s:\n    A|contains: a\ncondition: s"),
    ]);
    let looked: Vec<(usize, Vec<Sighting>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let mut matcher = engine.matcher();
                scope.spawn(move || {
                    let (mut hits, mut sightings) = (Vec::new(), Vec::new());
                    for _ in 0..2 {
                        matcher.look(
                            &record("zeek", "http", None, &[("A", "bad"), ("G", "g")]),
                            AT,
                            &mut hits,
                            &mut sightings,
                        );
                    }
                    (hits.len(), sightings)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut hits = Vec::new();
    for (count, sightings) in looked {
        assert_eq!(count, 2);
        engine.join(&sightings, &mut hits);
    }
    assert_eq!(hits.len(), 1);
}

fn said_by_own_rules(path: &Path) -> Vec<SigmaHit> {
    let (mut engine, not_loaded) = Engine::load(own_rules(false), &Filter::default());
    assert_eq!(not_loaded, []);
    let mut hits = Vec::new();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (number, line) in text.lines().enumerate() {
        let line: scene::Line =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let record = line.record(number as u64);
        engine.step(&record, i64::MAX / 2, &mut hits);
    }
    hits
}

#[test]
fn every_own_rule_finds_its_attack_and_leaves_its_benign_twin_alone() {
    let (engine, _) =
        Engine::load(own_rules(false), &Filter { level_min: Severity::Low, ..Filter::default() });
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sigma");
    let names: Vec<String> = engine
        .rules()
        .filter(|rule| rule.level > Severity::Informational)
        .map(|rule| rule.name.clone().unwrap_or_default())
        .collect();
    assert_eq!(names.len() + 1, own_rules(false).len());
    for name in names {
        let folder = dir.join(name.strip_prefix("chartward_").unwrap_or(&name));
        let says = |side: &str| -> usize {
            let hits = said_by_own_rules(&folder.join(side));
            hits.iter().filter(|hit| hit.rule.name.as_ref() == Some(&name)).count()
        };
        assert!(says("attack.jsonl") > 0, "{name} misses its attack");
        assert_eq!(says("benign.jsonl"), 0, "{name} alarms at its benign twin");
    }
}

#[test]
fn a_finding_names_author_techniques_and_subjects_but_no_typed_text() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sigma");
    let hits = said_by_own_rules(&dir.join("shadow_copies_deleted/attack.jsonl"));
    let finding = hits[0].finding();
    assert_eq!(finding.detector, "backup.sigma");
    assert_eq!(finding.severity_id, Severity::Critical);
    assert_eq!(finding.attacks[0].technique, "T1490");
    assert!(finding.title_ja.contains("シャドウコピー"));
    let told = finding.reasons.join("\n");
    assert!(told.contains("Chartward") && told.contains("CommandLine") && !told.contains("/All"), "{told}");
    let account = Entity::Account { name: "hospital\\sato".into() };
    assert!(finding.subjects.iter().any(|subject| subject.entity == account), "{:?}", finding.subjects);
    let guess = said_by_own_rules(&dir.join("guessing_rdp_source/attack.jsonl"));
    let guess = guess.iter().find(|hit| hit.together.is_some()).unwrap().finding();
    assert_eq!(guess.detector, "bruteforce.sigma");
    assert_eq!(guess.actor, "203.0.113.7");
}

/// A sort of logons that is passed over is one for which no rule holds.
#[test]
fn logons_of_every_sort_are_judged_as_their_records_are() {
    let of_logons = |detection: &str| {
        rule(detection).replace("    product: zeek\n    service: http\n", "    category: authentication\n")
    };
    let detections = [
        "selection:\n    outcome: success\n    protocol: rdp\ncondition: selection",
        "selection:\n    outcome: failure\nfilter:\n    reason: wrong_secret\ncondition: selection and not filter",
        "selection:\n    protocol|contains: s\nfilter:\n    account: yamada\ncondition: not selection and not filter",
        "a:\n    protocol: vpn\nb:\n    outcome: ended\nc:\n    source|cidr: 192.0.2.0/24\ncondition: 2 of them",
        "selection:\n    reason: null\n    host: emr1\n    outcome|startswith: re\ncondition: selection",
        "keywords:\n    - console\ncondition: keywords",
        "selection:\n    reason|exists: true\n    domain: other\ncondition: selection",
    ];
    let protocols =
        [AuthProtocol::Rdp, AuthProtocol::Ssh, AuthProtocol::Vpn, AuthProtocol::Console, AuthProtocol::Web];
    let outcomes = [
        AuthOutcome::Reached,
        AuthOutcome::Failure,
        AuthOutcome::Success,
        AuthOutcome::Ended,
        AuthOutcome::Resumed,
    ];
    let reasons = [AuthReason::None, AuthReason::WrongSecret, AuthReason::Locked, AuthReason::Unknown];
    let mut passed_over = 0;
    for detection in detections {
        let (mut quick, mut plain) = (load(&[&of_logons(detection)]), load(&[&of_logons(detection)]));
        let (mut record, mut all) = (LogRecord::default(), 0);
        for (n, protocol) in (0..2).flat_map(|n| protocols.map(|protocol| (n, protocol))) {
            for (outcome, reason) in
                outcomes.into_iter().flat_map(|outcome| reasons.map(|reason| (outcome, reason)))
            {
                let event = AuthEvent {
                    at: AT,
                    host: "emr1",
                    protocol,
                    outcome,
                    reason,
                    account: Some(["yamada", "suzuki"][n]),
                    domain: None,
                    source: Some([192, 0, 2, 1].into()),
                    workstation: None,
                    logon_type: None,
                    session: None,
                };
                let (mut by_sort, mut by_record) = (Vec::new(), Vec::new());
                record.clear();
                quick.step_logon(&event, &mut record, &mut by_sort);
                passed_over += u32::from(record.is_empty());
                logon_record(&event, 0, &mut record);
                plain.step(&record, 0, &mut by_record);
                assert_eq!(by_sort.len(), by_record.len(), "{detection} {event:?}");
                all += by_sort.len();
            }
        }
        assert!(all > 0 || detection.contains("other"), "{detection}");
    }
    assert!(passed_over > 400, "{passed_over}");
}

#[test]
fn whatever_its_tags_are_a_rule_speaks_as_a_detector_of_the_registry() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sigma");
    let mut hit = said_by_own_rules(&dir.join("log_cleared_security/attack.jsonl")).swap_remove(0);
    let techniques = family::BY_TECHNIQUE.iter().map(|(technique, _)| format!("attack.{technique}.001"));
    let tactics = Tactic::ALL.map(|tactic| format!("attack.{}", tactic.name(Lang::En)));
    let others = ["", "attack.t9999", "cve.2021-44228"].map(str::to_owned);
    let mut spoken = BTreeSet::new();
    for tag in techniques.chain(tactics).chain(others) {
        Arc::make_mut(&mut hit.rule).tags = vec![tag.clone()];
        let said = hit.finding().detector;
        let entry = crate::entry(&said).unwrap_or_else(|| panic!("{tag} speaks as {said}"));
        assert!(matches!(entry.make, Detector::Sigma(_)), "{tag} speaks as {said}");
        spoken.insert(entry.id);
    }
    let is_ours = |entry: &&Entry| matches!(entry.make, Detector::Sigma(_));
    let known: BTreeSet<&str> = REGISTRY.iter().filter(is_ours).map(|entry| entry.id).collect();
    assert_eq!(spoken, known, "every family can be spoken of");
}

#[test]
fn an_engine_names_the_detectors_of_rules_that_speak() {
    let (engine, _) = Engine::load(own_rules(true), &Filter::default());
    let named: Vec<&str> = engine.detectors().into_iter().collect();
    let own =
        ["backup.sigma", "beacon.sigma", "exposure.sigma", "lateral.sigma", "malware.sigma", "tamper.sigma"];
    assert_eq!(named, own);
    // What only feeds a correlation has no tags, and would be of another family.
    let logons: Vec<_> =
        own_rules(false).into_iter().filter(|rule| !own_rules(true).contains(rule)).collect();
    let (engine, _) = Engine::load(logons, &Filter::default());
    assert_eq!(engine.detectors().into_iter().collect::<Vec<_>>(), ["bruteforce.sigma"]);
}
