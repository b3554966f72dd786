use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureState as State, Entity, Finding, FindingClass, Incident,
    IncidentId, IncidentStatus, Severity, Subject, SubjectRole, WatcherClass,
};

use super::*;
use crate::NeverTouch;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn playbook(text: &str) -> Playbook {
    let mut value = serde_json::json!({
        "name": "stop", "classes": ["guard"], "detectors": ["*"], "severity_min": 4, "acts": [], "approval": "none",
    });
    let changes: serde_json::Value = serde_json::from_str(text).unwrap();
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn finding(severity_id: Severity, subjects: &[(SubjectRole, Entity)]) -> Finding {
    Finding {
        time: now(),
        class: FindingClass::Detection,
        detector: "encryption.burst".into(),
        title: "files were\r\nencrypted".into(),
        title_ja: "ファイルが暗号化されました".into(),
        severity_id,
        attacks: vec![],
        actor: String::new(),
        reasons: vec![],
        reasons_ja: vec![],
        uid: String::new(),
        subjects: subjects
            .iter()
            .map(|(role, entity)| Subject { role: *role, entity: entity.clone() })
            .collect(),
    }
}

fn incident(severity_id: Severity) -> Incident {
    Incident {
        id: IncidentId(7),
        first_at: now(),
        last_at: now(),
        status: IncidentStatus::Open,
        severity_id,
        title: String::new(),
        title_ja: String::new(),
        subjects: vec![],
        findings: 1,
        detectors: BTreeMap::new(),
        watchers: BTreeMap::new(),
        story: vec![],
        unknowns: vec![],
        samples: vec![],
    }
}

fn actor(text: &str) -> (SubjectRole, Entity) {
    (SubjectRole::Actor, Entity::Address { address: text.parse().unwrap() })
}

fn target(text: &str) -> (SubjectRole, Entity) {
    (SubjectRole::Target, Entity::Address { address: text.parse().unwrap() })
}

fn host(role: SubjectRole, name: &str) -> (SubjectRole, Entity) {
    (role, Entity::Host { name: name.into() })
}

fn block(text: &str) -> Act {
    Act::BlockAddress { address: text.parse().unwrap() }
}

/// A situation that a test changes where it matters.
struct Case {
    incident: Incident,
    findings: Vec<(WatcherClass, Finding)>,
    playbooks: Vec<Playbook>,
    armed: fn(ActKind, WatcherClass) -> bool,
    existing: Vec<Countermeasure>,
    last_minute: usize,
    never: NeverTouch,
    bounds: Bounds,
    now: Timestamp,
}

impl Case {
    fn new(playbooks: &[&str], findings: Vec<(WatcherClass, Finding)>) -> Self {
        Self {
            incident: incident(Severity::High),
            findings,
            playbooks: playbooks.iter().map(|text| playbook(text)).collect(),
            armed: |_, _| true,
            existing: vec![],
            last_minute: 0,
            never: serde_json::from_str(r#"{"networks": ["192.0.2.250"]}"#).unwrap(),
            bounds: Bounds::default(),
            now: now(),
        }
    }

    fn plan(&self) -> Planned {
        let findings: Vec<(WatcherClass, &Finding)> =
            self.findings.iter().map(|(class, said)| (*class, said)).collect();
        plan(PlanInput {
            incident: &self.incident,
            findings: &findings,
            playbooks: &self.playbooks,
            armed: &self.armed,
            existing: &self.existing,
            last_minute: &|_| self.last_minute,
            protects: &["emr".to_owned(), "pacs".to_owned()],
            never: &self.never,
            internal: &["203.0.113.0/24".parse().unwrap()],
            bounds: self.bounds,
            now: self.now,
        })
    }

    fn states(&self) -> Vec<(Act, State)> {
        self.plan().countermeasures.into_iter().map(|measure| (measure.act, measure.state)).collect()
    }
}

#[test]
fn each_act_takes_its_targets_from_the_findings_and_the_configuration() {
    let subjects = [
        actor("10.0.0.5"),
        actor("::ffff:10.0.0.6"),
        target("10.0.0.9"),
        (SubjectRole::Actor, Entity::Process { pid: 42, start_ticks: 9 }),
        (SubjectRole::Actor, Entity::Process { pid: 43, start_ticks: 0 }),
        (SubjectRole::Target, Entity::Process { pid: 44, start_ticks: 9 }),
        (SubjectRole::Actor, Entity::Cgroup { path: "/a.service".into() }),
        (SubjectRole::Target, Entity::Cgroup { path: "/b.service".into() }),
    ];
    let isolate = |text: &str| Act::IsolateHost { address: text.parse().unwrap() };
    let snapshot = |protect: &str| Act::SnapshotNow { protect: protect.into() };
    let notify = |channel: &str| Act::Notify { channel: channel.into() };
    let cases: [(&str, WatcherClass, Vec<Act>); 11] = [
        (r#"["block_address"]"#, WatcherClass::Guard, vec![block("10.0.0.5"), block("10.0.0.6")]),
        (r#"["isolate_host"]"#, WatcherClass::Logs, vec![isolate("10.0.0.5"), isolate("10.0.0.6")]),
        (r#"[{"act": "isolate_host", "of": "target"}]"#, WatcherClass::Logs, vec![isolate("10.0.0.9")]),
        (r#"["freeze"]"#, WatcherClass::Guard, vec![Act::Freeze { pid: 42, start_ticks: 9 }]),
        (r#"["freeze", "freeze_cgroup"]"#, WatcherClass::External, vec![]),
        (r#"["freeze_cgroup"]"#, WatcherClass::Guard, vec![Act::FreezeCgroup { path: "/a.service".into() }]),
        (r#"["snapshot_now"]"#, WatcherClass::Guard, vec![snapshot("emr"), snapshot("pacs")]),
        (r#"[{"act": "snapshot_now", "protect": "emr"}]"#, WatcherClass::Mail, vec![snapshot("emr")]),
        (r#"["lock_vault", "start_viewer"]"#, WatcherClass::Guard, vec![Act::LockVault, Act::StartViewer]),
        (r#"["notify"]"#, WatcherClass::Guard, vec![notify("mail"), notify("lamp")]),
        (r#"[]"#, WatcherClass::Guard, vec![]),
    ];
    for (acts, class, expected) in cases {
        let book = format!(
            r#"{{"acts": {acts}, "classes": ["guard", "logs", "mail", "external"], "channels": ["mail", "lamp"]}}"#
        );
        let case = Case::new(&[&book], vec![(class, finding(Severity::High, &subjects))]);
        let planned: Vec<Act> = case.states().into_iter().map(|(act, _)| act).collect();
        assert_eq!(planned, expected, "{acts}");
    }
}

#[test]
fn a_playbook_answers_its_own_classes_detectors_and_severities_only() {
    let subjects = [actor("10.0.0.5")];
    let said = |severity| vec![(WatcherClass::Sensor, finding(severity, &subjects))];
    for (book, severity, expected) in [
        (
            r#"{"classes": ["sensor"], "detectors": ["encryption.*"], "acts": ["block_address"]}"#,
            Severity::High,
            1,
        ),
        (
            r#"{"classes": ["guard"], "detectors": ["encryption.*"], "acts": ["block_address"]}"#,
            Severity::High,
            0,
        ),
        (
            r#"{"classes": ["sensor"], "detectors": ["login.*"], "acts": ["block_address"]}"#,
            Severity::High,
            0,
        ),
        (r#"{"classes": ["sensor"], "detectors": [], "acts": ["block_address"]}"#, Severity::High, 0),
        (r#"{"classes": ["sensor"], "acts": ["block_address"]}"#, Severity::Medium, 0),
        // What was raised by adding up calls for a notice, not for acts against whomever a mild finding names.
        (r#"{"classes": ["sensor"], "acts": ["lock_vault", "block_address"]}"#, Severity::Medium, 1),
    ] {
        assert_eq!(Case::new(&[book], said(severity)).states().len(), expected, "{book}");
    }
}

#[test]
fn globs_match_as_people_expect() {
    for (glob, text, expected) in [
        ("*", "", true),
        ("*", "a.b", true),
        ("encryption.*", "encryption.burst", true),
        ("encryption.*", "encryption", false),
        ("*.burst", "encryption.burst", true),
        ("e*n.*t", "encryption.burst", true),
        ("e*x*t", "encryption.burst", false),
        ("encryption.burst", "encryption.bursts", false),
        ("", "", true),
        ("", "a", false),
        ("a**b", "ab", true),
    ] {
        assert_eq!(matches(glob, text), expected, "{glob} {text}");
    }
    let (long, stars) = ("a".repeat(20_000), "a*".repeat(200) + "b");
    assert!(!matches(&stars, &long));
}

#[test]
fn arming_approval_and_the_never_touch_list_decide_the_state() {
    let said = || vec![(WatcherClass::Guard, finding(Severity::High, &[actor("10.0.0.5")]))];
    let alone = |case: &Case| case.states().iter().map(|(_, state)| *state).collect::<Vec<_>>();
    let at_once = r#"{"acts": ["block_address"], "lasts_seconds": 600}"#;
    let mut case = Case::new(&[at_once], said());
    let measure = case.plan().countermeasures.remove(0);
    assert_eq!((measure.state, measure.approved_by.as_deref()), (State::Approved, Some("playbook stop")));
    assert_eq!((measure.lasts_seconds, measure.caused_by), (Some(600), Some(WatcherClass::Guard)));
    assert_eq!(measure.deadline, now() + SignedDuration::from_secs(3600));
    assert_eq!(measure.incident, Some(IncidentId(7)));
    assert_eq!(
        measure.because,
        "playbook stop: a watcher of class guard said (encryption.burst): files were  encrypted"
    );
    assert!(measure.because_ja.contains("ファイルが暗号化されました"));
    case.armed = |kind, class| (kind, class) != (ActKind::BlockAddress, WatcherClass::Guard);
    assert_eq!(alone(&case), [State::ObserveOnly]);
    case.never.networks.push("10.0.0.0/24".parse().unwrap());
    assert_eq!(alone(&case), [State::NeverTouch]);
    let measure = case.plan().countermeasures.remove(0);
    assert!(measure.because.ends_with("the never-touch list has 10.0.0.0/24"), "{}", measure.because);
    let asks = r#"{"acts": ["block_address"], "approval": "person"}"#;
    let case = Case::new(&[asks], said());
    assert_eq!(alone(&case), [State::Proposed]);
    assert_eq!(case.plan().countermeasures[0].approved_by, None);
    // Of two playbooks the one that needs nobody wins, in whatever order they stand.
    for books in [[asks, at_once], [at_once, asks]] {
        assert_eq!(alone(&Case::new(&books, said())), [State::Approved]);
    }
}

#[test]
fn a_ban_waits_where_nobody_is_allowed_and_where_a_log_speaks_of_an_inside_address() {
    use State::{Approved, ObserveOnly, Proposed};
    use WatcherClass::{External, Guard, Logs, Sensor};
    let cases = [
        (Logs, "bruteforce.ssh", "198.51.100.7", Approved),
        (Logs, "bruteforce.ssh", "10.0.0.5", Proposed),
        (Logs, "lateral.smb", "fd00::5", Proposed),
        (External, "scan.ports", "::ffff:10.0.0.5", Proposed),
        (Logs, "bruteforce.ssh", "203.0.113.7", Proposed),
        (Sensor, "bruteforce.ssh", "10.0.0.5", Proposed),
        (Sensor, "login.first", "10.0.0.5", Proposed),
        (Sensor, "scan.ports", "10.0.0.5", Approved),
        (Guard, "encryption.burst", "10.0.0.5", Approved),
    ];
    for (class, detector, address, expected) in cases {
        let said = Finding { detector: detector.into(), ..finding(Severity::High, &[actor(address)]) };
        let playbook = r#"{"classes": ["guard", "sensor", "logs", "external"], "acts": ["block_address", "block_egress"]}"#;
        let mut case = Case::new(&[playbook], vec![(class, said)]);
        let of = |case: &Case, nth: usize| case.plan().countermeasures[nth].clone();
        assert_eq!(of(&case, 0).state, expected, "{detector} {address}");
        assert_eq!(of(&case, 0).because.contains("a person decides"), expected == Proposed);
        assert_eq!(of(&case, 1).state, Approved, "an outbound block follows its playbook");
        case.never = NeverTouch::default();
        assert_eq!((of(&case, 0).state, of(&case, 1).state), (ObserveOnly, Approved));
        assert!(of(&case, 0).because.contains("only noted") && of(&case, 0).because_ja.contains("記録だけ"));
    }
}

#[test]
fn a_listed_name_guards_its_machine_until_its_address_is_known() {
    let said = [actor("10.0.0.5"), host(SubjectRole::Actor, "EMR1"), target("10.0.0.9")];
    let book = r#"{"acts": ["block_address", {"act": "isolate_host", "of": "target"}]}"#;
    let mut case = Case::new(&[book], vec![(WatcherClass::Guard, finding(Severity::High, &said))]);
    // A second finding that leaves the name out does not get round it.
    case.findings.push((WatcherClass::Guard, finding(Severity::High, &[actor("10.0.0.5")])));
    case.never.hosts.push("emr1".into());
    let isolated = (Act::IsolateHost { address: "10.0.0.9".parse().unwrap() }, State::Approved);
    assert_eq!(case.states(), [(block("10.0.0.5"), State::NeverTouch), isolated.clone()]);
    case.findings.reverse();
    assert_eq!(case.states(), [(block("10.0.0.5"), State::NeverTouch), isolated.clone()]);
    // An attacker that calls itself emr1 is not emr1.
    case.never.know("emr1", ["10.0.0.77".parse().unwrap()]);
    assert_eq!(case.states(), [(block("10.0.0.5"), State::Approved), isolated]);
}

#[test]
fn what_is_planned_or_in_force_is_not_planned_again() {
    let said = finding(Severity::High, &[actor("10.0.0.5"), actor("10.0.0.5")]);
    let findings = vec![(WatcherClass::Guard, said.clone()), (WatcherClass::Guard, said)];
    let mut case = Case::new(&[r#"{"acts": ["block_address", "block_address"]}"#], findings);
    let planned = case.plan().countermeasures;
    assert_eq!(planned.len(), 1);
    for (state, again) in [
        (State::Approved, false),
        (State::Applied, false),
        (State::Rejected, false),
        (State::Undone, false),
        (State::NeverTouch, false),
        (State::Failed, false),
        (State::Expired, true),
        // Armed since, or found by a playbook that needs nobody.
        (State::ObserveOnly, true),
        (State::Proposed, true),
    ] {
        case.existing = vec![Countermeasure { state, ..planned[0].clone() }];
        assert_eq!(case.states().len(), usize::from(again), "{state:?}");
    }
    case.playbooks[0].approval = Approval::Person;
    case.existing[0].state = State::Proposed;
    assert_eq!(case.states(), []);
    case.armed = |_, _| false;
    case.existing[0].state = State::ObserveOnly;
    assert_eq!(case.states(), []);
    // What failed is tried again by a later finding, not by each.
    case.existing[0].state = State::Failed;
    case.now = now() + SignedDuration::from_secs(61);
    assert_eq!(case.states().len(), 1);
}

#[test]
fn a_watcher_that_names_ten_thousand_addresses_does_not_fill_the_wall_nor_hinder_others() {
    let named: Vec<_> =
        (0..10_000u32).map(|n| actor(&IpAddr::from((0x0a00_0001 + n).to_be_bytes()).to_string())).collect();
    let mut case = Case::new(
        &[r#"{"acts": ["block_address", "notify"], "channels": ["mail"], "classes": ["external", "guard"]}"#],
        vec![
            (WatcherClass::External, finding(Severity::High, &named)),
            (WatcherClass::Guard, finding(Severity::High, &[actor("192.0.2.1")])),
        ],
    );
    let planned = case.plan();
    assert_eq!((planned.countermeasures.len(), planned.left_out), (64 + 1 + 1, 9936));
    let told = planned.left_out_because.unwrap();
    assert!(told.en.starts_with("9936 further targets named by external were left out"), "{}", told.en);
    assert!(told.ja.contains("9936"));
    // The same again: what stands counts on.
    case.existing = planned.countermeasures;
    assert_eq!(case.plan().countermeasures, []);
    case.existing.clear();
    case.last_minute = 250;
    assert_eq!(case.plan().countermeasures.len(), 6 + 1 + 1);
    // Nothing was left out: nothing is said.
    case.findings.remove(0);
    assert_eq!((case.plan().left_out, case.plan().left_out_because), (0, None));
}

#[test]
fn the_configuration_is_read_strictly() {
    let read = |text: &str| serde_json::from_str::<Template>(text).map_err(|error| error.to_string());
    assert_eq!(read(r#""lock_vault""#), Ok(Template::from(ActKind::LockVault)));
    for (text, words) in [
        (r#""explode""#, "no act is called \"explode\""),
        (r#"{"act": "lock_vault", "of": "target"}"#, "`of` belongs to isolate_host"),
        (r#"{"act": "lock_vault", "protect": "emr"}"#, "`protect` belongs to snapshot_now"),
        (r#"{"of": "target"}"#, "missing field `act`"),
        (r#"{"act": "lock_vault", "whom": 1}"#, "unknown field `whom`"),
        ("3", "an act such as"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(serde_json::from_str::<Playbook>(r#"{"name": "x", "unknown": 1}"#).is_err());
}

fn any_entity() -> impl Strategy<Value = Entity> {
    let address = prop_oneof![
        any::<u8>().prop_map(|n| IpAddr::from([10, 0, 0, n % 8])),
        any::<u8>().prop_map(|n| IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, n % 8).to_ipv6_mapped())),
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    prop_oneof![
        address.prop_map(|address| Entity::Address { address }),
        (0..6i32, 0..3u64).prop_map(|(pid, start_ticks)| Entity::Process { pid, start_ticks }),
        "(/(a|b|\\.\\.|\\.)){0,4}".prop_map(|path| Entity::Cgroup { path }),
        "(emr|other)[12]".prop_map(|name| Entity::Host { name }),
    ]
}

proptest! {
    #[test]
    fn no_plan_ever_means_to_touch_what_is_never_touched(
        subjects in prop::collection::vec((any::<bool>(), any_entity()), 0..12),
        networks in prop::collection::vec(any::<u8>(), 0..6),
        pids in prop::collection::vec(0..6i32, 0..3),
        cgroup in "(/(a|b)){1,3}",
        armed in any::<bool>(),
        person in any::<bool>(),
    ) {
        let role = |is_actor| if is_actor { SubjectRole::Actor } else { SubjectRole::Target };
        let subjects: Vec<_> = subjects.into_iter().map(|(is_actor, entity)| (role(is_actor), entity)).collect();
        let book = r#"{"acts": ["block_address", "isolate_host", {"act": "isolate_host", "of": "target"}, "freeze", "freeze_cgroup"]}"#;
        let mut case = Case::new(&[book], vec![(WatcherClass::Guard, finding(Severity::Critical, &subjects))]);
        if person {
            case.playbooks[0].approval = Approval::Person;
        }
        if !armed {
            case.armed = |_, _| false;
        }
        case.never.networks = networks.iter().map(|n| IpAddr::from([10, 0, 0, n % 8]).into()).collect();
        case.never.pids = pids;
        case.never.cgroups = vec![cgroup];
        case.never.hosts = vec!["emr1".into()];
        let mut seen = std::collections::HashSet::new();
        for measure in case.plan().countermeasures {
            prop_assert!(seen.insert(measure.act.clone()), "planned twice: {:?}", measure.act);
            if case.never.forbids(&measure.act).is_some() {
                prop_assert_eq!(measure.state, State::NeverTouch);
            }
            if let Act::BlockAddress { address } | Act::IsolateHost { address } = measure.act {
                prop_assert_eq!(address, address.to_canonical());
            }
        }
    }
}
