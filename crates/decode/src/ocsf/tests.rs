use jiff::Timestamp;
use proptest::prelude::*;
use schema::{Attack, Entity, Finding, FindingClass, Severity, Subject, SubjectRole, Tactic};
use serde_json::{Value, json};

use super::*;

const ARRIVED: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn read(line: &Value, trust: Trust) -> Line {
    parse(line.to_string().as_bytes(), "edr", trust, ARRIVED).unwrap()
}

fn finding(line: &Value, trust: Trust) -> (Event, Finding) {
    match read(line, trust) {
        Line::Finding(event, finding) => (*event, *finding),
        other => panic!("no finding: {other:?}"),
    }
}

fn names(finding: &Finding) -> Vec<String> {
    finding.subjects.iter().map(|subject| format!("{:?} {:?}", subject.role, subject.entity)).collect()
}

/// A Detection Finding as endpoint products print it.
fn detection() -> Value {
    json!({
        "activity_id": 1, "category_uid": 2, "class_uid": 2004, "class_name": "Detection Finding", "type_uid": 200_401,
        "time": 1_749_999_000_123_i64, "severity_id": 4, "severity": "High", "status_id": 1,
        "message": "Credential dumping by rundll32.exe",
        "metadata": {"version": "1.3.0", "product": {"name": "Acme EDR!", "vendor_name": "Acme"}},
        "finding_info": {
            "uid": "0b9f-1", "title": "LSASS memory read", "analytic": {"name": "lsass-read", "type_id": 1},
            "attacks": [{
                "version": "15.1",
                "tactics": [{"uid": "TA0006", "name": "Credential Access"}],
                "technique": {"uid": "T1003", "name": "OS Credential Dumping"},
                "sub_technique": {"uid": "T1003.001", "name": "LSASS Memory"}
            }]
        },
        "device": {"hostname": "EMR-DB01.Hospital.example.", "ip": "::ffff:10.1.2.3", "type_id": 1},
        "actor": {"user": {"name": "Backup", "domain": "HOSP"}, "process": {"name": "rundll32.exe", "pid": 4711}},
        "evidences": [{"src_endpoint": {"ip": "203.0.113.9", "port": 50022}, "dst_endpoint": {"ip": "127.0.0.1"}}],
        "resources": [{"type": "share", "name": "\\\\EMR\\charts"}, {"type": "Bucket", "name": "x"}]
    })
}

#[test]
fn a_detection_of_any_vendor_is_read() {
    let (event, finding) = finding(&detection(), Trust::External);
    assert_eq!(
        (finding.detector.as_str(), finding.title.as_str(), finding.severity_id, finding.class),
        ("external.acme_edr", "LSASS memory read", Severity::High, FindingClass::Detection)
    );
    assert_eq!((finding.uid.as_str(), finding.actor.as_str()), ("0b9f-1", "rundll32.exe"));
    assert_eq!(
        finding.attacks,
        [Attack {
            technique: "T1003.001".into(),
            name: "LSASS Memory".into(),
            tactic: Tactic::CredentialAccess
        }]
    );
    assert_eq!(
        names(&finding),
        [
            "Actor Address { address: 203.0.113.9 }",
            r#"Actor Account { name: "hosp\\backup" }"#,
            r#"Target Host { name: "emr-db01.hospital.example" }"#,
            "Target Address { address: 10.1.2.3 }",
            r#"Target Store { name: "//EMR/charts" }"#,
        ]
    );
    assert_eq!(finding.reasons, ["lsass-read", "Credential dumping by rundll32.exe"]);
    assert_eq!(finding.time.as_millisecond(), 1_749_999_000_123);
    assert_eq!((event.class_uid, event.severity_id, event.watcher.as_str()), (2004, 4, "edr"));
    assert_eq!(serde_json::from_str::<Value>(&event.json).unwrap(), detection());
}

#[test]
fn weak_spots_and_broken_rules_are_findings_and_closed_findings_are_not() {
    let weak = json!({
        "class_uid": 2002, "time": 1_749_999_000_000_i64, "severity_id": 3,
        "finding_info": {"title": "VPN appliance out of support", "uid": "v1"},
        "vulnerabilities": [{"cve": {"uid": "CVE-2018-13379"}, "title": "Path traversal"}],
        "resources": [{"hostname": "vpn01", "ip": "198.51.100.7"}]
    });
    let (_, found) = finding(&weak, Trust::External);
    assert_eq!(
        (found.class, found.reasons),
        (FindingClass::Vulnerability, vec!["CVE-2018-13379".to_owned()])
    );
    assert_eq!(found.subjects.len(), 2);
    let rule = json!({"class_uid": 2003, "time": 1_749_999_000_000_i64, "finding_info": {"title": "no MFA"},
        "compliance": {"control": "MFA for remote access"}, "device": {"hostname": "vpn01"}});
    let (_, found) = finding(&rule, Trust::External);
    assert_eq!((found.class, found.severity_id), (FindingClass::Compliance, Severity::Low));
    let mut closed = detection();
    for (field, value) in [("activity_id", 3), ("status_id", 4), ("status_id", 3)] {
        let before = closed[field].take();
        closed[field] = value.into();
        assert!(matches!(read(&closed, Trust::External), Line::Event(_)), "{field} {value}");
        closed[field] = before;
    }
}

#[test]
fn flows_logins_and_mail_are_events() {
    let login = json!({
        "class_uid": 3002, "activity_id": 1, "status_id": 2, "time": "2025-06-15T14:00:00+09:00", "severity_id": 1,
        "user": {"name": "Nurse1", "domain": "HOSP"}, "src_endpoint": {"ip": "10.0.0.9", "port": 4444},
        "dst_endpoint": {"hostname": "dc01"}, "device": {"hostname": "DC01"}, "message": "An account failed to log on"
    });
    let Line::Event(event) = read(&login, Trust::External) else { panic!() };
    assert_eq!((event.class_uid, event.status_id, event.src_port), (3002, Some(2), Some(4444)));
    assert_eq!((event.user.as_deref(), event.hostname.as_deref()), (Some("hosp\\nurse1"), Some("dc01")));
    assert_eq!(event.time, "2025-06-15T05:00:00Z".parse().unwrap());
    let flow = json!({"class_uid": 4001, "time": 1_749_999_000_000_i64,
        "src_endpoint": {"ip": "10.0.0.9"}, "dst_endpoint": {"ip": "192.0.2.1", "port": 443}, "traffic": {"bytes_in": 5, "bytes_out": 7}});
    let Line::Event(event) = read(&flow, Trust::Own) else { panic!() };
    assert_eq!((event.class_uid, event.bytes, event.dst_port), (4001, Some(12), Some(443)));
}

#[test]
fn suricata_is_read_line_by_line() {
    let alert = json!({
        "timestamp": "2025-06-15T14:01:02.345678+0000", "flow_id": 1_234_567_890_u64, "in_iface": "eth1", "event_type": "alert",
        "src_ip": "203.0.113.9", "src_port": 41_000, "dest_ip": "10.0.0.5", "dest_port": 445, "proto": "TCP",
        "alert": {
            "action": "allowed", "gid": 1, "signature_id": 2_024_217, "rev": 3,
            "signature": "ET EXPLOIT Possible ETERNALBLUE Probe MS17-010", "category": "A Network Trojan was detected", "severity": 1,
            "metadata": {
                "mitre_tactic_id": ["TA0008"], "mitre_tactic_name": ["Lateral_Movement"],
                "mitre_technique_id": ["T1210"], "mitre_technique_name": ["Exploitation_Of_Remote_Services"]
            }
        }
    });
    let (event, found) = finding(&alert, Trust::External);
    assert_eq!((found.detector.as_str(), found.severity_id), ("external.suricata", Severity::High));
    assert_eq!(found.uid, "1234567890-2024217-2025-06-15T14:01:02.345678+0000");
    assert_eq!(found.attacks[0].tactic, Tactic::LateralMovement);
    assert_eq!(found.attacks[0].name, "Exploitation Of Remote Services");
    assert_eq!(
        names(&found),
        ["Actor Address { address: 203.0.113.9 }", "Target Address { address: 10.0.0.5 }"]
    );
    assert_eq!((event.dst_port, event.class_uid), (Some(445), 2004));
    assert_eq!(event.time.to_string(), "2025-06-15T14:01:02.345678Z");

    let mut answer = alert.clone();
    answer["alert"]["source"] = json!({"ip": "198.51.100.1", "port": 1});
    answer["alert"]["target"] = json!({"ip": "10.0.0.8", "port": 2});
    answer["alert"]["severity"] = json!(3);
    let (_, found) = finding(&answer, Trust::Own);
    assert_eq!((found.actor.as_str(), found.severity_id), ("198.51.100.1", Severity::Low));

    for (kind, extra, class, title) in [
        (
            "flow",
            json!({"flow": {"bytes_toserver": 10, "bytes_toclient": 32}, "app_proto": "tls"}),
            4001,
            "flow tls",
        ),
        (
            "http",
            json!({"http": {"hostname": "emr.example", "url": "/patient/0001"}}),
            4002,
            "http emr.example",
        ),
        ("dns", json!({"dns": {"rrname": "evil.example"}}), 4003, "dns evil.example"),
        ("tls", json!({"tls": {"sni": "c2.example"}}), 4001, "tls c2.example"),
        ("ssh", json!({"ssh": {}}), 4007, "ssh"),
    ] {
        let mut line = extra;
        line["event_type"] = kind.into();
        line["timestamp"] = "2025-06-15T14:01:02.000000+0900".into();
        line["src_ip"] = "10.0.0.1".into();
        let Line::Event(event) = read(&line, Trust::External) else { panic!("{kind}") };
        assert_eq!((event.class_uid, event.title.as_str()), (class, title));
        assert_eq!(event.bytes, (kind == "flow").then_some(42));
    }
    assert_eq!(read(&json!({"event_type": "stats", "stats": {}}), Trust::External), Line::Ignored);
}

#[test]
fn what_our_own_watchers_say_of_themselves_is_typed() {
    let ready = json!({"type": "ready", "mode": "permission", "armed": true, "paths": ["/srv"], "holds": ["open"], "undoes": [], "blind_spots": ["x"]});
    let Line::Ready(said) = read(&ready, Trust::Own) else { panic!() };
    assert_eq!((said.mode.as_str(), said.armed, said.blind_spots.len()), ("permission", Some(true), 1));
    let at = "2025-06-15T14:01:02Z";
    let action = json!({"type": "action", "act": "freeze", "pid": 7, "start_ticks": 9, "outcome": "applied", "at": at});
    let Line::Act(said) = read(&action, Trust::Own) else { panic!() };
    assert!(matches!(*said, Said::Action(action) if action.act.process() == Some((7, 9))));
    let restored = json!({"type": "restored", "files_touched": 3, "files_put_back": 3, "files_irrecoverable": 0, "files_contested": 0,
        "files_moved_aside": 1, "time_to_stop_ms": 12, "first_harm_at": at, "stopped_at": at, "restored_at": at, "suffixes": [], "evidence": "/e"});
    let Line::Act(said) = read(&restored, Trust::Own) else { panic!() };
    assert!(matches!(*said, Said::Restored(Restored { files_put_back: 3, .. })));
    for line in [
        json!({"type": "missed", "overflows": 2}),
        json!({"type": "still_frozen", "pids": [7], "release": ["c"]}),
    ] {
        assert!(matches!(read(&line, Trust::Own), Line::Act(_)), "{line}");
    }
    // A stranger that says so did nothing of the sort.
    assert!(matches!(read(&action, Trust::External), Line::Note { .. }));
    assert!(matches!(read(&json!({"type": "summary", "seconds": 1}), Trust::Own), Line::Note { .. }));
}

#[test]
fn a_stranger_cannot_claim_a_detector_or_a_process_of_ours() {
    let mut line = detection();
    line["detector"] = "encryption.replacement".into();
    line["actor"]["process"]["uid"] = "4711-9".into();
    let (_, theirs) = finding(&line, Trust::External);
    assert_eq!(theirs.detector, "external.encryption.replacement");
    assert!(!theirs.subjects.iter().any(|subject| matches!(subject.entity, Entity::Process { .. })));
    let (_, ours) = finding(&line, Trust::Own);
    assert_eq!(ours.detector, "encryption.replacement");
    let process = Entity::Process { pid: 4711, start_ticks: 9 };
    assert!(ours.subjects.contains(&Subject { role: SubjectRole::Actor, entity: process }));
    line["detector"] = "external.encryption.replacement".into();
    assert_eq!(finding(&line, Trust::Own).1.detector, "unknown.external.encryption.replacement");
}

#[test]
fn lies_are_cut_down() {
    let mut line = detection();
    line["severity_id"] = 99.into();
    line["time"] = 4_102_444_800_000_i64.into();
    line["finding_info"]["title"] = format!("{}\u{202e}gpj.exe\u{7}", "あ".repeat(300)).into();
    line["finding_info"]["attacks"] = vec![json!({"technique": {"uid": "T1110"}}); 500].into();
    line["evidences"] = (0..60).map(|n| json!({"dst_endpoint": {"ip": format!("10.0.1.{n}")}})).collect();
    let (event, found) = finding(&line, Trust::External);
    assert_eq!((found.severity_id, event.severity_id, found.time), (Severity::Medium, 0, ARRIVED));
    assert!(found.title.len() <= STRING_MAX && found.title.chars().all(|c| c == 'あ'));
    assert_eq!((found.attacks.len(), found.subjects.len()), (1, SUBJECTS_MAX));
    assert!(found.reasons.last().unwrap().contains("cannot be"), "{:?}", found.reasons);
    let json: Value = serde_json::from_str(&event.json).unwrap();
    assert!(json["chartward_remark"].as_str().unwrap().contains("4102444800000"));
    assert!(!event.json.contains('\u{202e}') && event.json.contains("\\u202e"));
    line["severity_id"] = 6.into();
    assert_eq!(finding(&line, Trust::External).1.severity_id, Severity::Critical);
    assert_eq!(shown("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
    let mut old = detection();
    old["time"] = 1_700_000_000.into();
    assert_eq!(finding(&old, Trust::External).1.time, ARRIVED);
}

#[test]
fn lines_that_are_none_are_named() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LINE_MAX));
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    let check = |line: &str, expected: DecodeError| {
        assert_eq!(parse(line.as_bytes(), "x", Trust::Own, ARRIVED), Err(expected));
    };
    check(&long, DecodeError::LineTooLong { bytes: long.len(), limit: LINE_MAX });
    check(&deep, DecodeError::LineTooDeep { offset: 32, limit: DEPTH_MAX });
    check("[1]", DecodeError::NotJson { offset: 0 });
    check("{}", DecodeError::UnknownLine);
    assert!(matches!(parse(b"\xff", "x", Trust::Own, ARRIVED), Err(DecodeError::NotJson { offset: 0 })));
    assert!(matches!(parse(b"hello", "x", Trust::Own, ARRIVED), Err(DecodeError::NotJson { .. })));
    let brackets_in_text = json!({"type": "note", "message": "[".repeat(100)});
    assert!(matches!(read(&brackets_in_text, Trust::Own), Line::Note { .. }));
    // A line that is nearly too long keeps its bound with our remark in it.
    let line = json!({"class_uid": 4001, "time": 5, "message": "m", "x": "y".repeat(LINE_MAX - 60)});
    let Line::Event(event) = read(&line, Trust::External) else { panic!() };
    assert!(event.json.len() <= LINE_MAX);
    assert!(serde_json::from_str::<Value>(&event.json).unwrap()["chartward_remark"].is_string());
}

fn entity() -> impl Strategy<Value = Entity> {
    let word = "[a-z][a-z0-9-]{0,12}";
    prop_oneof![
        word.prop_map(|name| Entity::Host { name: format!("h-{name}") }),
        any::<[u8; 3]>().prop_map(|[b, c, d]| Entity::Address { address: [10, b, c, d].into() }),
        any::<u64>().prop_map(|n| Entity::Address {
            address: std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(n)).into()
        }),
        (word, word).prop_map(|(domain, name)| Entity::Account { name: format!("{domain}\\a{name}") }),
        word.prop_map(|name| Entity::Account { name: format!("a{name}") }),
        (1..i32::MAX, any::<u64>()).prop_map(|(pid, start_ticks)| Entity::Process { pid, start_ticks }),
        word.prop_map(|name| Entity::Cgroup { path: format!("/system.slice/{name}") }),
        "/[a-z /ぁ-ん]{0,20}x".prop_map(|name| Entity::Store { name }),
    ]
}

fn own_finding() -> impl Strategy<Value = Finding> {
    let class = prop_oneof![
        Just(FindingClass::Detection),
        Just(FindingClass::Vulnerability),
        Just(FindingClass::Compliance)
    ];
    let attack =
        ("T1[0-9]{3}(\\.[0-9]{3})?", "[A-Za-z ]{1,30}", proptest::sample::select(Tactic::ALL.to_vec()))
            .prop_map(|(technique, name, tactic)| Attack { technique, name, tactic });
    let attacks = proptest::collection::vec(attack, 0..ATTACKS_MAX);
    let role = prop_oneof![Just(SubjectRole::Actor), Just(SubjectRole::Target)];
    let subject = (role, entity()).prop_map(|(role, entity)| Subject { role, entity });
    let subjects = proptest::collection::btree_set(subject, 0..SUBJECTS_MAX);
    let text = "[a-zA-Zぁ-ん0-9][a-zA-Zぁ-ん0-9 .]{0,40}";
    let reasons = proptest::collection::vec((text, text), 0..REASONS_MAX);
    (
        class,
        attacks,
        subjects,
        reasons,
        (text, text, text, text),
        1u8..=5,
        1_000_000_000_000_i64..1_750_000_000_000,
    )
        .prop_map(
            |(class, mut attacks, subjects, reasons, (title, title_ja, actor, uid), severity, ms)| {
                let mut seen = std::collections::BTreeSet::new();
                attacks.retain(|attack| seen.insert((attack.technique.clone(), attack.tactic)));
                let (reasons, reasons_ja) = reasons.into_iter().unzip();
                Finding {
                    time: Timestamp::from_millisecond(ms).unwrap(),
                    class,
                    detector: "encryption.replacement".into(),
                    title,
                    title_ja,
                    severity_id: severity.try_into().unwrap(),
                    attacks,
                    actor,
                    reasons,
                    reasons_ja,
                    uid,
                    subjects: subjects.into_iter().collect(),
                }
            },
        )
}

proptest! {
    #[test]
    fn what_we_write_reads_the_same(finding in own_finding()) {
        let line = write(&finding).to_string();
        let Line::Finding(event, read) = parse(line.as_bytes(), "guard", Trust::Own, ARRIVED).unwrap() else { panic!() };
        prop_assert_eq!(&*read, &finding);
        prop_assert_eq!(event.json, line);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse(&bytes, "x", Trust::External, ARRIVED);
    }

    #[test]
    fn any_values_in_the_places_that_are_read_keep_the_bounds(
        values in proptest::collection::vec((0usize..40, "\\PC{0,600}", any::<i64>(), 0u8..6), 0..30),
        eve in any::<bool>(),
    ) {
        let mut line = if eve { json!({"event_type": "alert"}) } else { json!({"class_uid": 2004}) };
        const PLACES: [&[&str]; 20] = [
            &["time"], &["timestamp"], &["severity_id"], &["finding_info", "title"], &["finding_info", "uid"], &["attacks"],
            &["attacks", "0"], &["src_endpoint", "ip"], &["src_endpoint", "hostname"], &["device"], &["actor", "user", "name"],
            &["actor", "process", "pid"], &["resources"], &["evidences"], &["alert", "severity"], &["alert", "metadata"],
            &["flow_id"], &["detector"], &["metadata", "product", "name"], &["reasons"],
        ];
        for (place, text, number, shape) in values {
            let value = match shape {
                0 => json!(text),
                1 => json!(number),
                2 => json!([text, number, null, {"type": "store", "name": text, "ip": text}]),
                3 => json!({"name": text, "uid": text, "hostname": text, "ip": number}),
                4 => json!([{"technique": {"uid": text}, "tactics": [text, number]}, [], 0.5e300]),
                _ => Value::Null,
            };
            let mut at = &mut line;
            for name in PLACES[place % PLACES.len()] {
                if !at.is_object() {
                    *at = json!({});
                }
                at = at.as_object_mut().unwrap().entry(*name).or_insert(Value::Null);
            }
            *at = value;
        }
        if let Ok(Line::Finding(event, finding)) = parse(line.to_string().as_bytes(), "x", Trust::External, ARRIVED) {
            prop_assert!(event.json.len() <= LINE_MAX && serde_json::from_str::<Value>(&event.json).is_ok());
            prop_assert!(finding.detector.starts_with("external."));
            prop_assert!(finding.subjects.len() <= SUBJECTS_MAX && finding.reasons.len() <= REASONS_MAX);
            prop_assert!(finding.title.len() <= STRING_MAX && finding.time <= ARRIVED + jiff::SignedDuration::from_hours(24));
        }
    }
}
