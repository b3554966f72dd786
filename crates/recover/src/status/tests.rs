use schema::{DatabaseCensus, ShortfallKind, Ssmix2Census};

use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1_000_000 + hours)
}

fn held(id: &str, hours: i64) -> Held {
    Held {
        id: SnapshotId(id.repeat(8)),
        time: at(hours),
        exceptions: 0,
        census: Some(census(3, 100)),
        opaque: Vec::new(),
    }
}

fn census(patients: u64, rows: u64) -> Census {
    let storage = Ssmix2Census { patients, current: patients * 3, ..Ssmix2Census::default() };
    let tables = [("patients".to_owned(), rows)].into();
    let database = DatabaseCensus {
        path: "/emr.sqlite".to_owned(),
        engine: "sqlite".to_owned(),
        tables,
        ..DatabaseCensus::default()
    };
    Census { files: 10, ssmix2: vec![storage], databases: vec![database], ..Census::default() }
}

fn proof(id: &str, hours: i64) -> Proof {
    Proof {
        version: 1,
        vault_id: "v".into(),
        snapshot: SnapshotId(id.repeat(8)),
        captured_at: at(hours),
        proven_at: at(hours),
        passed: true,
        newest_record: Some(at(hours - 1)),
        rpo_seconds: Some(3_600.0),
        rto_first_chart_seconds: Some(0.5),
        rto_full_seconds: 30.0,
        patients: 3,
        records: 9,
        unreadable_records: 0,
        files: 10,
        bytes: 100,
        database_rows: 5,
        shortfalls: Vec::new(),
        method: String::new(),
        not_proven: Vec::new(),
        evidence: schema::Evidence::default(),
    }
}

fn present(snapshots: Vec<Held>, proofs: Vec<Proof>) -> Medium {
    let jobs = vec![Job { label: "/srv/emr (emr01)".to_owned(), snapshots }];
    Medium::Present {
        jobs,
        proofs,
        packs_damaged: 0,
        files_unreadable: 0,
        coverage: None,
        room: None,
        lock: WriteLock::Nothing,
    }
}

/// Alarm ids at hour 0 for a medium, worst first.
fn check(medium: &Medium, remembered: Option<&str>, expected: &[&str]) -> Status {
    let remembered = remembered.map(|id| Remembered { snapshot: SnapshotId(id.repeat(8)), time: at(-1) });
    let status = assess(medium, remembered.as_ref(), &Limits::default(), at(0));
    let ids: Vec<&str> = status.alarms.iter().map(|alarm| alarm.id.as_str()).collect();
    assert_eq!(ids, expected);
    status
}

#[test]
fn a_fresh_proven_backup_raises_no_alarm_and_gives_the_three_figures() {
    let status = check(&present(vec![held("aa", -2)], vec![proof("aa", -2)]), Some("aa"), &[]);
    assert_eq!(
        status.rpo_seconds,
        Some(3.0 * 3_600.0),
        "the newest record is an hour older than the snapshot"
    );
    assert_eq!((status.rto_first_chart_seconds, status.rto_full_seconds), (Some(0.5), Some(30.0)));
}

#[test]
fn uda_the_medium_is_empty_although_the_job_said_success() {
    let status = check(&Medium::Empty, Some("aa"), &["backup.medium_empty"]);
    assert!(status.rpo_seconds.is_none(), "nothing is promised");
    assert!(status.alarms[0].title.contains("aaaaaaaa"), "{}", status.alarms[0].title);
}

#[test]
fn the_medium_is_absent() {
    check(&Medium::Absent, None, &["backup.medium_absent"]);
}

#[test]
fn a_backup_that_stopped_is_stale() {
    check(&present(vec![held("aa", -30)], vec![proof("aa", -30)]), Some("aa"), &["backup.stale"]);
}

#[test]
fn a_sealed_snapshot_that_is_gone_is_missed() {
    let medium = present(vec![held("aa", -2)], vec![proof("aa", -2)]);
    check(&medium, Some("bb"), &["backup.snapshot_missing"]);
}

#[test]
fn packs_cut_short_are_damage() {
    let mut medium = present(vec![held("aa", -2)], vec![proof("aa", -2)]);
    if let Medium::Present { packs_damaged, .. } = &mut medium {
        *packs_damaged = 1;
    }
    check(&medium, None, &["backup.damaged"]);
}

#[test]
fn a_snapshot_of_encrypted_records_is_told_from_a_failed_restore() {
    for (kind, id) in
        [(ShortfallKind::Encrypted, "backup.encrypted"), (ShortfallKind::NotRestored, "backup.drill_failed")]
    {
        let failed = Proof { passed: false, shortfalls: vec![(kind, 7)], ..proof("bb", -1) };
        let medium = present(vec![held("aa", -2), held("bb", -1)], vec![proof("aa", -2), failed]);
        let status = check(&medium, None, &[id]);
        assert_eq!(
            status.snapshot,
            Some(SnapshotId("aa".repeat(8))),
            "the promise rests on the older proven one"
        );
    }
}

#[test]
fn a_snapshot_that_failed_its_last_drill_promises_nothing() {
    let failed =
        Proof { passed: false, shortfalls: vec![(ShortfallKind::NotRestored, 1)], ..proof("aa", -1) };
    let medium = present(vec![held("aa", -3)], vec![proof("aa", -2), failed]);
    let status = check(&medium, None, &["backup.drill_failed", "backup.unproven"]);
    assert!(status.proven_at.is_none());
}

#[test]
fn a_proof_whose_snapshot_is_gone_promises_nothing() {
    let status = check(&present(vec![held("aa", -2)], vec![proof("bb", -3)]), None, &["backup.unproven"]);
    assert!(status.proven_at.is_none());
}

#[test]
fn a_backup_never_restored_is_unproven_and_an_old_proof_is_stale() {
    check(&present(vec![held("aa", -2)], vec![]), None, &["backup.unproven"]);
    check(&present(vec![held("aa", -2)], vec![proof("aa", -24 * 8)]), None, &["backup.proof_stale"]);
}

#[test]
fn a_snapshot_from_the_future_is_a_wrong_clock_and_promises_nothing() {
    let status = check(&present(vec![held("aa", 5)], vec![proof("aa", 5)]), None, &["backup.clock"]);
    assert_eq!(status.rpo_seconds, None);
    // What was proven before the clock was wrong, or since it is right again, still is.
    let both = present(vec![held("aa", -2), held("bb", 8_760)], vec![proof("bb", 8_760), proof("aa", -2)]);
    assert_eq!(check(&both, None, &["backup.clock"]).rpo_seconds, Some(3.0 * 3_600.0));
}

#[test]
fn an_empty_snapshot_that_said_success_is_an_alarm() {
    let empty = Held { census: Some(Census::default()), ..held("aa", -1) };
    check(&present(vec![empty], vec![proof("aa", -1)]), None, &["backup.empty"]);
}

#[test]
fn a_newest_snapshot_with_fewer_patients_or_without_the_database_has_shrunk() {
    let gone = Census { databases: Vec::new(), ..census(3, 100) };
    for shrunk in [census(2, 100), census(3, 49), gone] {
        let newest = Held { census: Some(shrunk), ..held("bb", -1) };
        check(&present(vec![held("aa", -2), newest], vec![proof("aa", -2)]), None, &["backup.shrunk"]);
    }
    let grown = Held { census: Some(census(4, 90)), ..held("bb", -1) };
    check(&present(vec![held("aa", -2), grown], vec![proof("aa", -2)]), None, &[]);
}

#[test]
fn a_job_that_runs_says_nothing_of_another_that_stopped() {
    let emr = Job { label: "emr".to_owned(), snapshots: vec![held("aa", -30)] };
    let papers = Job { label: "papers".to_owned(), snapshots: vec![held("bb", -1)] };
    let medium = |proofs| Medium::Present {
        jobs: vec![emr.clone(), papers.clone()],
        proofs,
        packs_damaged: 0,
        files_unreadable: 0,
        coverage: None,
        room: None,
        lock: WriteLock::Nothing,
    };
    let status = check(&medium(vec![proof("aa", -30), proof("bb", -1)]), None, &["backup.stale"]);
    assert!(status.alarms[0].title.starts_with("emr: "), "{}", status.alarms[0].title);
    assert_eq!(status.rpo_seconds, Some(31.0 * 3_600.0), "the worst job counts");
    let status = check(&medium(vec![proof("bb", -1)]), None, &["backup.stale", "backup.unproven"]);
    assert!(status.rpo_seconds.is_none(), "everything includes the job that was never proven");
}

#[test]
fn a_record_from_the_future_is_an_alarm() {
    let proof = Proof { newest_record: Some(at(1_000)), ..proof("aa", -2) };
    let status = check(&present(vec![held("aa", -2)], vec![proof]), None, &["backup.record_time"]);
    assert_eq!(status.rpo_seconds, Some(2.0 * 3_600.0), "the capture bounds it");
}

#[test]
fn bytes_that_nobody_has_read_for_a_month_are_an_alarm() {
    for (bytes_covered, bytes_overdue, expected) in
        [(1000, 0, &[][..]), (900, 0, &[]), (999, 1, &["backup.unread"]), (0, 1000, &["backup.unread"])]
    {
        let mut medium = present(vec![held("aa", -2)], vec![proof("aa", -2)]);
        if let Medium::Present { coverage, .. } = &mut medium {
            let oldest_read = None;
            *coverage = Some(Coverage { bytes: 1000, bytes_covered, bytes_overdue, oldest_read });
        }
        check(&medium, Some("aa"), expected);
    }
}

#[test]
fn a_lock_that_ends_under_what_is_still_needed_is_an_alarm() {
    let day = 24;
    // The newest, four days before it, one that no generation counts, and the newest proven one, which is older than all of them.
    let ids = ["aa", "bb", "cc", "dd", "ee", "ff", "11"];
    let hours = [-9 * day, -8 * day, -4 * day, -3 * day, -2 * day, -day, -2];
    let snapshots: Vec<Held> = ids.iter().zip(hours).map(|(id, hours)| held(id, hours)).collect();
    let medium = |lasts: &[(&str, i64)]| {
        let mut medium =
            present(snapshots.clone(), vec![Proof { proven_at: at(-1), ..proof("aa", -9 * day) }]);
        if let Medium::Present { lock, .. } = &mut medium {
            let of = |id: &&str| lasts.iter().find(|(it, _)| it == id).map_or(30 * day, |(_, hours)| *hours);
            let snapshots = ids.iter().map(|id| (SnapshotId(id.repeat(8)), at(of(id)))).collect();
            *lock = WriteLock::Until { asked: at(0), immutable: true, snapshots };
        }
        medium
    };
    for (lasts, expected) in [
        (&[][..], &[][..]),
        // Nobody needs it any more.
        (&[("bb", 1)], &[]),
        (&[("bb", -5), ("aa", 4 * day)], &[]),
        (&[("aa", 2 * day)], &["backup.lock_expiring"]),
        (&[("cc", 1)], &["backup.lock_expiring"]),
        (&[("11", 3 * day)], &["backup.lock_expiring"]),
        (&[("cc", 1), ("dd", -1)], &["backup.lock_ended"]),
    ] {
        let status = check(&medium(lasts), None, expected);
        assert!(status.remarks.is_empty());
    }
    let said =
        check(&medium(&[("cc", 12), ("dd", 60)]), None, &["backup.lock_expiring"]).alarms.remove(0).title;
    assert!(said.contains("of 2 snapshots") && said.contains("cccccccc in 12 hours"), "{said}");
    let folder = check(&present(vec![held("aa", -2)], vec![proof("aa", -2)]), None, &[]);
    assert_eq!(folder.remarks[0].id, "vault.not_locked");
}

#[test]
fn drills_of_parts_are_told_with_what_they_come_to_together() {
    let part = |hours: i64, files| {
        let coverage =
            schema::Coverage { seed: "s".into(), files, files_total: 100, bytes: files, bytes_total: 100 };
        let evidence = schema::Evidence { coverage: Some(coverage), ..schema::Evidence::default() };
        Proof { evidence, proven_at: at(hours), ..proof("aa", -60) }
    };
    let remarks = |proofs| {
        let status = assess(&present(vec![held("aa", -60)], proofs), None, &Limits::default(), at(0));
        status
            .remarks
            .into_iter()
            .filter(|it| it.id == "backup.sampled")
            .map(|it| it.title)
            .collect::<Vec<_>>()
    };
    assert!(remarks(vec![proof("aa", -60)]).is_empty());
    let said =
        remarks(vec![proof("aa", -60), part(-40 * 24, 100), part(-50, 50), part(-20, 50), part(-10, 50)]);
    assert!(said[0].contains("3 drills read a part, 50.0 %") && said[0].contains("about 88 %"), "{said:?}");
    assert!(said[0].contains("The last drill of everything passed on"), "{said:?}");
    assert!(remarks(vec![part(-10, 5)])[0].contains("never drilled as a whole"));
}

#[test]
fn what_no_drill_can_look_into_is_told_by_name_and_count() {
    let newest = Held {
        opaque: vec![
            Opaque { source: "sql".into(), kinds: vec![(3, "SQL Server backup".into())] },
            Opaque {
                source: "vm".into(),
                kinds: vec![(1, "VMware disk image".into()), (2, "NTFS volume".into())],
            },
        ],
        ..held("aa", -2)
    };
    let status = check(&present(vec![newest], vec![proof("aa", -2)]), None, &["backup.not_proven"]);
    let title = &status.alarms[0].title;
    assert!(
        title.starts_with("6 files in 2 sources") && title.contains("sql (3 × SQL Server backup)"),
        "{title}"
    );
    assert!(status.proven_at.is_some(), "the rest is proven all the same");
}

#[test]
fn a_job_that_is_green_and_implausible_is_an_alarm() {
    let with = |change: &dyn Fn(&mut Census)| {
        let mut newest = held("bb", -1);
        if let Some(census) = &mut newest.census {
            change(census);
        }
        newest
    };
    let days = |count: i64| SignedDuration::from_hours(24 * count);
    let fresh = at(-31);
    let mut proven = held("aa", -30);
    if let Some(census) = &mut proven.census {
        *census = Census { files: 1_000, bytes: 1 << 30, newest_record: Some(fresh), ..census.clone() };
    }
    let like = |census: &mut Census| {
        *census = Census { files: 1_000, bytes: 1 << 30, newest_record: Some(at(-2)), ..census.clone() };
    };
    for (newest, expected) in [
        (with(&like), &[][..]),
        (
            with(&|census| {
                like(census);
                census.files = 400
            }),
            &["backup.implausible"],
        ),
        (
            with(&|census| {
                like(census);
                census.bytes = 1 << 28
            }),
            &["backup.implausible"],
        ),
        (
            with(&|census| {
                like(census);
                census.newest_record = Some(fresh - days(1))
            }),
            &["backup.implausible"],
        ),
    ] {
        check(&present(vec![proven.clone(), newest], vec![proof("aa", -30)]), None, expected);
    }
    // A store in which something was written every hour has been silent for eleven days.
    let old = Held { time: at(-24 * 12), ..proven.clone() };
    let mut early = old.clone();
    early.census.as_mut().unwrap().newest_record = Some(at(-24 * 12 - 1));
    let mut newest = with(&like);
    newest.census.as_mut().unwrap().newest_record = Some(at(-24 * 12));
    let status = assess(
        &present(vec![early, newest], vec![proof("aa", -24 * 12)]),
        None,
        &Limits { proof_age_max: days(30), ..Limits::default() },
        at(0),
    );
    assert_eq!(
        status.alarms.iter().map(|alarm| alarm.id.as_str()).collect::<Vec<_>>(),
        ["backup.implausible"]
    );
}

#[test]
fn a_medium_that_is_nearly_full_is_an_alarm_before_it_is_full() {
    const GIB: u64 = 1 << 30;
    let full = &["backup.medium_full"][..];
    // Free bytes and files of a thousand each, bytes that are free, bytes of the vault.
    let cases = [
        (60, 1000, 10 * GIB, 100 * GIB, &[][..]),
        (40, 1000, 10 * GIB, 100 * GIB, full),
        // The vault fits in once more: a large disk with a small vault.
        (40, 1000, 10 * GIB, 5 * GIB, &[]),
        (40, 1000, GIB / 2, GIB / 1000, full),
        (900, 40, 10 * GIB, 5 * GIB, full),
    ];
    for (free_permille, files_permille, free_bytes, vault_bytes, expected) in cases {
        let mut medium = present(vec![held("aa", -2)], vec![proof("aa", -2)]);
        if let Medium::Present { room, .. } = &mut medium {
            *room = Some(Room { free_permille, files_permille, free_bytes, vault_bytes });
        }
        check(&medium, None, expected);
    }
}

#[test]
fn a_sample_keeps_no_promise_alive() {
    let sampled = |hours| {
        let mut proof = proof("aa", hours);
        proof.evidence.coverage =
            Some(schema::Coverage { seed: "s".into(), files: 1, files_total: 10, bytes: 1, bytes_total: 10 });
        proof
    };
    check(&present(vec![held("aa", -2)], vec![sampled(-1)]), None, &["backup.unproven"]);
    check(&present(vec![held("aa", -2)], vec![proof("aa", -2), sampled(-1)]), None, &[]);
    let failed = Proof { passed: false, shortfalls: vec![(ShortfallKind::Fewer, 1)], ..sampled(-1) };
    check(
        &present(vec![held("aa", -2)], vec![proof("aa", -2), failed]),
        None,
        &["backup.drill_failed", "backup.unproven"],
    );
}
