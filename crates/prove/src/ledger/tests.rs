use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use super::*;

const NOW: &str = "2026-03-02T17:14:00.123Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn fact(n: u64) -> Fact {
    Fact::LedgerExported { entries: n, head: format!("{n:064x}") }
}

/// A ledger with its genesis and `n` facts.
fn filled(dir: &Path, n: u64) -> Ledger {
    let ledger = Ledger::open(dir, now()).unwrap();
    for i in 0..n {
        ledger.append(fact(i), now()).unwrap();
    }
    ledger
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    fs::read(path).unwrap().split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
}

/// Verifies these lines against what is known from elsewhere.
fn check(lines: &[Vec<u8>], expect: &Expect) -> Option<(u64, Fault)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), lines.concat()).unwrap();
    verify(file.path(), expect).unwrap().first_bad
}

#[test]
fn what_was_appended_is_read_back_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 5);
    let entries = ledger.entries().unwrap();
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[0].fact, Fact::Genesis { public_key: ledger.public_key() });
    assert_eq!(entries[5].fact, fact(4));
    assert_eq!(entries[5].at, now());
    let head = ledger.head().unwrap();
    assert_eq!((head.seq, &head.hash), (5, &entries[5].hash));

    let again = Ledger::open(dir.path(), now()).unwrap();
    assert_eq!(again.head().unwrap(), head);
    let report = verify(ledger.path(), &Expect::from(&head)).unwrap();
    assert!(report.intact());
    assert_eq!((report.entries, report.head), (6, Some(head)));
}

#[test]
fn every_fact_reads_back_as_it_was_written() {
    let proof = schema::Proof {
        version: 1,
        vault_id: "v".into(),
        snapshot: schema::SnapshotId("5e".repeat(32)),
        captured_at: now(),
        proven_at: now(),
        passed: false,
        newest_record: None,
        rpo_seconds: Some(2580.5),
        rto_first_chart_seconds: Some(0.25),
        rto_full_seconds: 9.5,
        patients: 3835,
        records: 1,
        files: 2,
        bytes: u64::MAX,
        database_rows: 3,
        unreadable_records: 1,
        shortfalls: vec![(schema::ShortfallKind::Fewer, 2)],
        method: "restored".into(),
        not_proven: Vec::new(),
        evidence: schema::Evidence::default(),
    };
    let action = schema::Action {
        act: schema::Act::Freeze { pid: 7, start_ticks: 9 },
        at: now(),
        outcome: schema::Outcome::Failed { cause: "gone".into() },
    };
    let text = || "訓練".to_owned();
    let facts = [
        Fact::VaultInitialised { vault_id: "v".into() },
        Fact::VaultOpened { vault_id: "v".into() },
        Fact::SnapshotSealed {
            vault_id: "v".into(),
            snapshot: proof.snapshot.clone(),
            captured_at: now(),
            files: 1,
            bytes: 2,
            exceptions: 3,
            patients: 4,
        },
        Fact::DrillPassed { proof: proof.clone() },
        Fact::DrillFailed { proof },
        Fact::ActionTaken { action },
        Fact::IncidentDeclared { title: text(), synthetic: true },
        Fact::IncidentClosed { title: text(), synthetic: true },
        Fact::ReportWritten { files: vec![WrittenFile { name: "report.json".into(), sha256: "ab".into() }] },
        fact(1),
        Fact::TornTail { file: "ledger.torn-1".into(), bytes: 3, sha256: "cd".into() },
        Fact::CountermeasureChanged { countermeasure: countermeasure() },
        Fact::Access {
            user: "mori".into(),
            role: "viewer".into(),
            what: "approve".into(),
            object: "countermeasure 3".into(),
            allowed: false,
        },
        Fact::Armed {
            act: schema::ActKind::Freeze,
            class: schema::WatcherClass::Guard,
            armed: true,
            by: "mori".into(),
        },
        Fact::HubStarted { version: "0.1.0".into(), config_sha256: "ef".into() },
        Fact::HubStopped { because: "SIGTERM".into() },
        Fact::IncidentOpened {
            id: schema::IncidentId(1),
            severity_id: schema::Severity::Critical,
            detectors: vec!["encryption.burst".into()],
        },
        Fact::IncidentMarked {
            id: schema::IncidentId(1),
            status: schema::IncidentStatus::Closed,
            by: "mori".into(),
        },
        Fact::NoticeDelivered { channel: "mail".into(), incident: None, proof: "250 OK".into() },
        Fact::StateRecovered { because: "gone".into(), changes: 3, missing: 0, set_aside: vec![] },
        Fact::JobFinished { name: "nightly".into(), due_at: now(), outcome: "done".into() },
        Fact::JobMissed { name: "nightly".into(), due_at: now() },
        Fact::ClockJumped { by_seconds: -86_400 },
        Fact::LetterChanged {
            letter: "L-0001".into(),
            network: "192.0.2.0/24".into(),
            addresses: 3,
            state: "replied".into(),
            by: "sato".into(),
            note: "antivirus found malware".into(),
        },
        Fact::HostReconnected {
            host: "emr".into(),
            proof: schema::SnapshotId("5e".repeat(32)),
            by: "mori".into(),
            watched_until: now(),
        },
        Fact::WallChanged {
            rules: true,
            gone: 2,
            countermeasures: vec![schema::CountermeasureId(3), schema::CountermeasureId(4)],
            put_back: true,
            because: "No such file or directory".into(),
        },
        Fact::GuardStopped {
            watcher: "emr-guard".into(),
            stop: "20181016T024000.000Z-4711".into(),
            evidence_sha256: Some("ab".repeat(32)),
            files_touched: 3,
            files_put_back: 3,
            files_irrecoverable: 0,
        },
        Fact::MailPolicyChanged {
            what: "silence link.ip".into(),
            by: "tanaka".into(),
            because: text(),
            sha256: "ef".into(),
        },
        Fact::WallPolicyChanged {
            event: "on_trial".into(),
            number: Some(3),
            sha256: Some("cd".repeat(32)),
            until: Some(now()),
            changes: 1,
            sentences: vec!["+ allow ward to emr".into()],
            by: "tanaka".into(),
            because: text(),
        },
        Fact::MailExpired {
            watcher: "mail".into(),
            by_age: 2,
            for_room: 0,
            ids: vec!["20261101-000000-0123abcd".into()],
        },
        Fact::GuardPolicy {
            watcher: "emr-guard".into(),
            approval: "7".into(),
            event: "allowed".into(),
            tool: "/usr/bin/gpg".into(),
            by: "admin".into(),
            because: "an export".into(),
            files: 12,
        },
    ];
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path(), now()).unwrap();
    for fact in &facts {
        ledger.append(fact.clone(), now()).unwrap();
    }
    let read: Vec<Fact> = ledger.entries().unwrap().into_iter().skip(1).map(|entry| entry.fact).collect();
    assert_eq!(read, facts);
}

fn countermeasure() -> schema::Countermeasure {
    schema::Countermeasure {
        id: schema::CountermeasureId(1),
        incident: None,
        act: schema::Act::LockVault,
        caused_by: None,
        because: "asked for".into(),
        because_ja: "依頼による".into(),
        planned_at: now(),
        deadline: now(),
        lasts_seconds: None,
        state: schema::CountermeasureState::Proposed,
        approved_by: None,
        applied_at: None,
        undone_at: None,
        detail: String::new(),
    }
}

#[test]
fn a_batch_is_in_the_ledger_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 2);
    let before = fs::read(ledger.path()).unwrap();
    let entries = ledger.append_all((10..14).map(fact).collect(), now()).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(ledger.entries().unwrap()[3..], entries);
    assert_eq!(ledger.append_all(vec![], now()).unwrap(), []);
    assert_eq!(ledger.append(fact(9), now()).unwrap().seq, 7);

    // A batch cut at any byte but its last.
    let whole: usize = fs::read(ledger.path()).unwrap().len();
    let batch_end = whole - lines(ledger.path()).last().unwrap().len();
    let written = fs::read(ledger.path()).unwrap();
    for end in (before.len() + 1..batch_end).step_by(37).chain([batch_end - 1]) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE_NAME), &written[..end]).unwrap();
        fs::copy(ledger.path().with_file_name(KEY_NAME), dir.path().join(KEY_NAME)).unwrap();
        let cut = Ledger::open(dir.path(), now()).unwrap();
        let facts: Vec<Fact> = cut.entries().unwrap().into_iter().map(|entry| entry.fact).skip(1).collect();
        assert_eq!(facts[..2], [fact(0), fact(1)], "cut at {end}");
        assert_eq!(facts.len(), 3, "cut at {end}: {facts:?}");
        let Fact::TornTail { bytes, .. } = facts[2] else { panic!("{:?}", facts[2]) };
        assert_eq!(bytes, (end - before.len()) as u64);
    }
}

#[test]
fn a_batch_that_is_too_long_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1);
    let long = || Fact::IncidentDeclared { title: "x".repeat(60_000), synthetic: true };
    let refused = ledger.append_all((0..200).map(|_| long()).collect(), now()).unwrap_err();
    assert!(matches!(refused, Error::FactTooLong { limit: MAX_BATCH, .. }), "{refused}");
    assert_eq!(ledger.entries().unwrap().len(), 2);
}

#[test]
fn every_change_to_a_line_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 4);
    let expect = Expect::from(&ledger.head().unwrap());
    let whole = lines(ledger.path());
    assert_eq!(check(&whole, &expect), None);

    // Without anything known from elsewhere, each byte of each line, the line's end too.
    for (n, line) in whole.iter().enumerate() {
        for at in 0..line.len() {
            let mut edited = whole.clone();
            edited[n][at] ^= 0x20;
            let found = check(&edited, &Expect::default());
            assert!(found.is_some_and(|(at, _)| at == n as u64 + 1), "line {n} byte {at}");
        }
    }
}

#[test]
fn removal_order_insertion_and_truncation_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 5);
    let expect = Expect::from(&ledger.head().unwrap());
    let whole = lines(ledger.path());
    let last = whole.len() - 1;

    for n in 0..=last {
        let mut removed = whole.clone();
        removed.remove(n);
        assert!(check(&removed, &expect).is_some(), "line {n} removed");
        // Only a cut-off end needs the head that was kept elsewhere.
        assert_eq!(check(&removed, &Expect::default()).is_some(), n != last, "line {n} removed");

        for to in 0..=last {
            let mut inserted = whole.clone();
            inserted.insert(to, whole[n].clone());
            assert!(check(&inserted, &Expect::default()).is_some(), "line {n} repeated before {to}");
            let mut swapped = whole.clone();
            swapped.swap(n, to);
            assert_eq!(check(&swapped, &Expect::default()).is_some(), n != to, "{n} and {to} swapped");
        }
        let found = check(&whole[..n], &expect);
        let fault = match n {
            0 => Fault::Empty,
            _ => Fault::HeadMissing { missing: expect.head.clone().unwrap() },
        };
        assert_eq!(found, Some((n as u64 + 1, fault)));
    }
    for junk in ["\n", "{}\n", "null\n", "\u{feff}\n", " "] {
        let mut added = whole.clone();
        added.push(junk.into());
        let fault = if junk == " " { Fault::Unfinished } else { Fault::NotAnEntry };
        assert_eq!(check(&added, &expect), Some((whole.len() as u64 + 1, fault)));
    }
}

#[test]
fn a_forged_entry_and_a_rewritten_ledger_are_found() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (filled(ours.path(), 3), filled(theirs.path(), 3));
    let expect = Expect::from(&ours.head().unwrap());

    // Whole and consistent, signed with another key: only who knows ours can tell.
    let rewritten = lines(theirs.path());
    assert_eq!(check(&rewritten, &Expect::default()), None);
    let other_key = Fault::OtherKey { found: theirs.public_key() };
    assert_eq!(check(&rewritten, &expect), Some((1, other_key)));

    // Chained to our last entry with the right number, signed with another key.
    let head = ours.head().unwrap();
    let (_, line) = line::encode(&theirs.key, head.seq + 1, now(), fact(9), &head.hash, None).unwrap();
    let mut appended = lines(ours.path());
    appended.push(line.clone());
    assert_eq!(check(&appended, &Expect::default()), Some((5, Fault::Signature)));
    OpenOptions::new().append(true).open(ours.path()).unwrap().write_all(&line).unwrap();
    assert!(matches!(ours.append(fact(9), now()), Err(Error::LastLine { fault: Fault::Signature, .. })));

    // Signed with our key after the end was cut off.
    let stolen = tempfile::tempdir().unwrap();
    let mut cut = lines(ours.path());
    cut.truncate(3);
    fs::write(stolen.path().join(FILE_NAME), cut.concat()).unwrap();
    fs::copy(ours.path().with_file_name(KEY_NAME), stolen.path().join(KEY_NAME)).unwrap();
    let stolen = filled(stolen.path(), 4);
    assert_eq!(check(&lines(stolen.path()), &Expect::default()), None);
    assert!(matches!(check(&lines(stolen.path()), &expect), Some((8, Fault::HeadMissing { .. }))));
}

#[test]
fn a_torn_last_line_is_set_aside_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 2);
    let whole = lines(ledger.path());
    let key = fs::read(dir.path().join(KEY_NAME)).unwrap();
    let (kept, last) = (whole[..2].concat(), &whole[2]);
    for cut in 1..last.len() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(KEY_NAME), &key).unwrap();
        let path = state.path().join(FILE_NAME);
        fs::write(&path, [&kept[..], &last[..cut]].concat()).unwrap();
        assert_eq!(verify(&path, &Expect::default()).unwrap().first_bad, Some((3, Fault::Unfinished)));

        let entries = Ledger::open(state.path(), now()).unwrap().entries().unwrap();
        assert_eq!(fs::read(state.path().join("ledger.torn-1")).unwrap(), &last[..cut]);
        assert!(fs::read(&path).unwrap().starts_with(&kept));
        assert_eq!(entries.len(), 3);
        let Fact::TornTail { file, bytes, .. } = &entries[2].fact else { panic!("{:?}", entries[2]) };
        assert_eq!((file.as_str(), *bytes), ("ledger.torn-1", cut as u64));
    }
}

#[test]
fn a_ledger_torn_in_its_first_line_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = lines(filled(dir.path(), 0).path());
    for cut in [0, 1, 100, whole[0].len() - 1] {
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, &whole[0][..cut]).unwrap();
        let ledger = filled(dir.path(), 1);
        assert_eq!(ledger.entries().unwrap().len(), if cut == 0 { 2 } else { 3 });
    }
}

#[test]
fn a_kill_while_a_torn_line_is_set_aside_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1);
    // Set aside and cut off, not yet recorded; then the record of it was torn as well.
    fs::write(dir.path().join("ledger.torn-1.unrecorded"), "first").unwrap();
    OpenOptions::new().append(true).open(ledger.path()).unwrap().write_all(b"second").unwrap();
    ledger.append(fact(7), now()).unwrap();
    let facts: Vec<Fact> = ledger.entries().unwrap().into_iter().map(|entry| entry.fact).skip(2).collect();
    assert!(matches!(&facts[0], Fact::TornTail { file, bytes: 5, .. } if file == "ledger.torn-1"));
    assert!(matches!(&facts[1], Fact::TornTail { file, bytes: 6, .. } if file == "ledger.torn-2"));
    assert_eq!(facts[2..], [fact(7)]);
    assert_eq!(fs::read(dir.path().join("ledger.torn-2")).unwrap(), b"second");
}

#[test]
fn hostile_files_are_named_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let deep = format!("{}{}\n", "[".repeat(30_000), "]".repeat(30_000));
    let cases: [(Vec<u8>, Fault); 5] = [
        (Vec::new(), Fault::Empty),
        (vec![b'x'; 3 * MAX_LINE], Fault::TooLong),
        (vec![0; MAX_LINE], Fault::Unfinished),
        (deep.into_bytes(), Fault::NotAnEntry),
        (b"\xff\xfe\n".to_vec(), Fault::NotAnEntry),
    ];
    for (content, fault) in cases {
        fs::write(&path, content).unwrap();
        assert_eq!(verify(&path, &Expect::default()).unwrap().first_bad, Some((1, fault)));
    }
    // Longer than any line that a kill can leave: nobody's torn line, so it is not moved.
    let state = tempfile::tempdir().unwrap();
    let ledger = filled(state.path(), 1);
    OpenOptions::new().append(true).open(ledger.path()).unwrap().write_all(&vec![b'x'; MAX_LINE]).unwrap();
    assert!(matches!(Ledger::open(state.path(), now()), Err(Error::LastLine { fault: Fault::TooLong, .. })));
    assert!(matches!(verify(Path::new("/nowhere"), &Expect::default()), Err(Error::NoLedger(_))));
}

#[test]
fn a_fact_too_long_to_be_read_back_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 1);
    let long = Fact::IncidentDeclared { title: "x".repeat(MAX_LINE), synthetic: false };
    assert!(matches!(ledger.append(long, now()), Err(Error::FactTooLong { .. })));
    assert!(matches!(ledger.append(Fact::Unknown, now()), Err(Error::Json { .. })));
    assert_eq!(ledger.entries().unwrap().len(), 2);
}

#[test]
fn facts_of_another_version_keep_the_chain_intact() {
    for other in [
        r#"{"kind":"moon_landed","by":{"whom":["us"]}}"#,
        r#"{"kind":"vault_opened","vault":{"shape":"other"}}"#,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = filled(dir.path(), 0);
        let opened = Fact::VaultOpened { vault_id: "v".into() };
        let ours = serde_json::to_string(&opened).unwrap();
        let head = ledger.head().unwrap();
        let (entry, line) = line::encode(&ledger.key, 1, now(), opened, &head.hash, None).unwrap();
        let text = String::from_utf8(line).unwrap();
        let body = text.split(",\"hash\"").next().unwrap().replace(&ours, other) + "}";
        let line = line::seal(&ledger.key, body.into_bytes()).1;
        OpenOptions::new().append(true).open(ledger.path()).unwrap().write_all(&line).unwrap();
        ledger.append(fact(1), now()).unwrap();
        let entries = ledger.entries().unwrap();
        assert_ne!(entries[1].hash, entry.hash);
        assert_eq!(entries[1].fact, Fact::Unknown);
        assert_eq!(entries[2].fact, fact(1));
    }
}

#[test]
fn a_lost_key_is_not_replaced_under_a_ledger_with_entries() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1);
    let key = dir.path().join(KEY_NAME);
    fs::write(&key, "not a key").unwrap();
    assert!(matches!(Ledger::open(dir.path(), now()), Err(Error::KeyMalformed(_))));
    fs::remove_file(&key).unwrap();
    assert!(matches!(Ledger::open(dir.path(), now()), Err(Error::KeyMissing(_))));
    assert!(!key.exists());
}

#[test]
fn the_key_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 0);
    for name in [KEY_NAME, FILE_NAME] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_export_is_verified_recorded_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 3);
    let to = dir.path().join("copy.jsonl");
    let exported = ledger.export(&to, now()).unwrap();
    assert_eq!(exported.entries, 4);
    assert!(verify(&to, &Expect::from(&exported.head)).unwrap().intact());
    let recorded = ledger.entries().unwrap().pop().unwrap().fact;
    assert_eq!(recorded, Fact::LedgerExported { entries: 4, head: exported.head.hash });
    assert!(matches!(ledger.export(&to, now()), Err(Error::TargetExists(_))));

    let mut edited = lines(ledger.path());
    edited[2][20] ^= 1;
    fs::write(ledger.path(), edited.concat()).unwrap();
    let other = dir.path().join("other.jsonl");
    assert!(matches!(ledger.export(&other, now()), Err(Error::NotIntact { line: 3, .. })));
    assert!(!other.exists() && !other.with_extension("jsonl.partial").exists());
}

#[test]
fn threads_append_to_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 0);
    thread::scope(|scope| {
        for t in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || (0..25).for_each(|n| drop(ledger.append(fact(t * 100 + n), now()).unwrap())));
        }
    });
    assert_eq!(ledger.entries().unwrap().len(), 101);
}

/// Where the children of the tests below append; unset, and nothing happens, in the tests' own process.
const CHILD: &str = "PROVE_TEST_LEDGER";

#[test]
fn child_that_appends_until_it_is_told_to_stop() {
    let Some(dir) = env::var_os(CHILD).map(PathBuf::from) else { return };
    let limit = env::var("PROVE_TEST_APPENDS").map_or(u64::MAX, |n| n.parse().unwrap());
    let mut acknowledged =
        OpenOptions::new().append(true).create(true).open(dir.join("acknowledged")).unwrap();
    for n in 0..limit {
        // Opened each time, so that a kill may also hit opening and the first line.
        let entry = Ledger::open(&dir, now()).unwrap().append(fact(n), now()).unwrap();
        acknowledged.write_all(format!("{}\n", entry.hash).as_bytes()).unwrap();
    }
}

fn child(dir: &Path, appends: u64) -> std::process::Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "ledger::tests::child_that_appends_until_it_is_told_to_stop"])
        .env(CHILD, dir)
        .env("PROVE_TEST_APPENDS", appends.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn assert_all_acknowledged(dir: &Path) -> usize {
    let entries = Ledger::open(dir, now()).unwrap().entries().unwrap();
    let hashes: std::collections::HashSet<String> = entries.into_iter().map(|entry| entry.hash).collect();
    let acknowledged = fs::read_to_string(dir.join("acknowledged")).unwrap_or_default();
    // A kill may leave the last line of this list unfinished; that one says nothing.
    let whole: Vec<&str> = acknowledged.split('\n').filter(|line| line.len() == 64).collect();
    assert!(whole.iter().all(|hash| hashes.contains(*hash)));
    whole.len()
}

#[test]
fn processes_append_to_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..4).map(|_| child(dir.path(), 25)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(assert_all_acknowledged(dir.path()), 100);
    assert_eq!(Ledger::open(dir.path(), now()).unwrap().entries().unwrap().len(), 101);
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for round in 0..30u64 {
        let mut child = child(dir.path(), u64::MAX);
        let began = Instant::now();
        // Some kills hit the start; most of them hit a child that is at work.
        let patience = Duration::from_millis(2 + round * 3);
        while began.elapsed() < patience {
            thread::sleep(Duration::from_micros(700));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now_seen = assert_all_acknowledged(dir.path());
        assert!(now_seen >= seen);
        seen = now_seen;
    }
    assert!(seen > 0, "no child got as far as appending");
}

/// A stranger's verifier agrees: Python's standard library and the `openssl` command, none of our code.
#[test]
fn an_independent_script_verifies_the_same() {
    let test = "an_independent_script_verifies_the_same";
    let (Some(python), Some(_)) = (testkit::tool(test, "python3"), testkit::tool(test, "openssl")) else {
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/verify-ledger.py");
    let dir = tempfile::tempdir().unwrap();
    let ledger = filled(dir.path(), 3);
    ledger.append_all((10..13).map(fact).collect(), now()).unwrap();
    let agrees = |path: &Path| Command::new(&python).arg(script).arg(path).output().unwrap().status.success();
    assert!(agrees(ledger.path()));
    let whole = lines(ledger.path());
    for (n, at) in [(0, 30), (2, 50), (3, whole[3].len() - 10), (1, whole[1].len() - 180)] {
        let mut edited = whole.clone();
        edited[n][at] ^= 1;
        fs::write(ledger.path(), edited.concat()).unwrap();
        assert!(!agrees(ledger.path()), "line {n} byte {at}");
    }
    fs::write(ledger.path(), [&whole[..1], &whole[2..]].concat().concat()).unwrap();
    assert!(!agrees(ledger.path()));
}
