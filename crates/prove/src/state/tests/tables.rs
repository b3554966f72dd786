use std::path::Path;

use super::super::*;
use jiff::Timestamp;
use rusqlite::params;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, Incident, IncidentId,
    IncidentStatus, Moment, Proof, Severity, SnapshotId, Stage, WatcherClass,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

fn open(dir: &Path) -> State {
    State::open(dir, at(0)).unwrap()
}

fn incident(id: u64, status: IncidentStatus, severity_id: Severity) -> Incident {
    Incident {
        id: IncidentId(id),
        first_at: at(0),
        last_at: at(id as i64 / 2),
        status,
        severity_id,
        title: "files are being encrypted".into(),
        title_ja: "ファイルが暗号化されています".into(),
        subjects: vec![],
        findings: 3,
        detectors: [("encryption.burst".to_owned(), 3)].into(),
        watchers: [("guard".to_owned(), WatcherClass::Guard)].into(),
        story: vec![],
        unknowns: vec![],
        samples: vec![],
    }
}

fn countermeasure(id: u64, state: CountermeasureState) -> Countermeasure {
    Countermeasure {
        id: CountermeasureId(id),
        incident: Some(IncidentId(1)),
        act: Act::BlockAddress { address: "192.0.2.7".parse().unwrap() },
        caused_by: Some(WatcherClass::Sensor),
        because: "it scans".into(),
        because_ja: "走査しています".into(),
        planned_at: at(0),
        deadline: at(100),
        lasts_seconds: Some(60),
        state,
        approved_by: None,
        applied_at: Some(at(10)),
        undone_at: None,
        detail: String::new(),
    }
}

#[test]
fn incidents_are_listed_latest_first_and_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    state
        .write(|tx| {
            for id in 1..=10 {
                assert_eq!(tx.next_incident_id()?, IncidentId(id));
                let status = if id % 2 == 0 { IncidentStatus::Open } else { IncidentStatus::Closed };
                tx.put_incident(&incident(id, status, Severity::High))?;
                tx.put_incident(&incident(
                    id,
                    status,
                    if id > 8 { Severity::Critical } else { Severity::Low },
                ))?;
            }
            Ok(())
        })
        .unwrap();
    let ids = |filter: &IncidentFilter, limit, before: Option<u64>| -> Vec<u64> {
        let found = state.incidents(filter, limit, before.map(IncidentId)).unwrap();
        found.iter().map(|incident| incident.id.0).collect()
    };
    let all = IncidentFilter::default();
    assert_eq!(ids(&all, 4, None), [10, 9, 8, 7]);
    assert_eq!(ids(&all, 4, Some(7)), [6, 5, 4, 3]);
    assert_eq!(ids(&all, 4, Some(3)), [2, 1]);
    let open = IncidentFilter { statuses: vec![IncidentStatus::Open], ..all.clone() };
    assert_eq!(ids(&open, 9, None), [10, 8, 6, 4, 2]);
    let both = IncidentFilter {
        statuses: vec![IncidentStatus::Open, IncidentStatus::Closed, IncidentStatus::Open],
        ..all.clone()
    };
    assert_eq!((ids(&both, 4, None), ids(&both, 4, Some(7))), (ids(&all, 4, None), ids(&all, 4, Some(7))));
    let worst = IncidentFilter { severity_at_least: Some(Severity::High), ..all };
    assert_eq!(ids(&worst, 9, None), [10, 9]);
    assert_eq!(state.incident_counts().unwrap(), [(IncidentStatus::Closed, 5), (IncidentStatus::Open, 5)]);
    assert_eq!(state.incident(IncidentId(9)).unwrap().unwrap().severity_id, Severity::Critical);
    assert_eq!(state.incident(IncidentId(99)).unwrap(), None);
}

#[test]
fn moments_come_in_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let moment = |n: i64| Moment { at: at(n), stage: Stage::Contain, en: format!("{n}"), ja: format!("{n}") };
    state
        .write(|tx| {
            tx.put_incident(&incident(1, IncidentStatus::Open, Severity::High))?;
            [3, 1, 2].into_iter().try_for_each(|n| tx.add_moment(IncidentId(1), &moment(n)))
        })
        .unwrap();
    assert_eq!(state.moments(IncidentId(1), 2).unwrap(), [moment(1), moment(2)]);
    assert!(state.write(|tx| tx.add_moment(IncidentId(2), &moment(1))).is_err(), "no such incident");
}

#[test]
fn what_is_due_is_what_held_long_enough_or_waited_too_long() {
    use CountermeasureState::{Applied, Approved, Proposed, Rejected};
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    state
        .write(|tx| {
            tx.put_incident(&incident(1, IncidentStatus::Open, Severity::High))?;
            for (id, stand) in [(1, Applied), (2, Proposed), (3, Approved), (4, Rejected)] {
                assert_eq!(tx.next_countermeasure_id()?, CountermeasureId(id));
                tx.put_countermeasure(&countermeasure(id, stand))?;
            }
            Ok(())
        })
        .unwrap();
    let due = |second| -> Vec<u64> {
        state.countermeasures_due(at(second), 9).unwrap().iter().map(|it| it.id.0).collect()
    };
    assert_eq!(due(69), [] as [u64; 0]);
    assert_eq!(due(70), [1]);
    assert_eq!(due(100), [1, 2, 3]);
    let filter = CountermeasureFilter { incident: Some(IncidentId(1)), states: vec![Applied, Rejected] };
    let found = state.countermeasures(&filter, 9, None).unwrap();
    assert_eq!(found, [countermeasure(4, Rejected), countermeasure(1, Applied)]);
    assert_eq!(state.countermeasures(&filter, 9, Some(CountermeasureId(4))).unwrap().len(), 1);
    assert_eq!(state.countermeasure(CountermeasureId(2)).unwrap().unwrap().state, Proposed);
}

#[test]
fn an_act_is_observe_only_until_it_is_armed_for_that_class() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let arming = Arming { kind: ActKind::Freeze, class: WatcherClass::Guard, by: "mori".into(), at: at(1) };
    state.write(|tx| tx.arm(&arming)).unwrap();
    assert!(state.is_armed(ActKind::Freeze, WatcherClass::Guard).unwrap());
    assert!(!state.is_armed(ActKind::Freeze, WatcherClass::External).unwrap());
    assert_eq!(state.armed().unwrap(), [arming]);
    state.write(|tx| tx.disarm(ActKind::Freeze, WatcherClass::Guard)).unwrap();
    assert_eq!(state.armed().unwrap(), []);
}

#[test]
fn assets_jobs_settings_and_checkpoints_are_read_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let asset = Asset {
        name: "emr".into(),
        kind: AssetKind::Host,
        address: Some("10.0.0.5".parse().unwrap()),
        state: AssetState::Isolated,
        since: at(5),
        detail: String::new(),
    };
    let (done, running, missed) = state
        .write(|tx| {
            tx.put_asset(&asset)?;
            let done = tx.start_job("nightly", JobKind::Backup, at(10), at(11))?;
            tx.finish_job(done, JobOutcome::Found, at(12), r#"{"files":3}"#)?;
            let running = tx.start_job("nightly", JobKind::Backup, at(20), at(21))?;
            let missed = tx.miss_job("drill", JobKind::Drill, at(15))?;
            tx.put_setting("lang", &"ja")?;
            tx.put_checkpoint("correlator", 7, &vec![1, 2, 3])?;
            tx.put_checkpoint("other", 5, &())?;
            Ok((done, running, missed))
        })
        .unwrap();
    assert_eq!(state.asset("emr").unwrap(), Some(asset.clone()));
    assert_eq!(state.assets(9).unwrap(), [asset]);
    let ids = |runs: Vec<JobRun>| -> Vec<i64> { runs.iter().map(|run| run.id).collect() };
    assert_eq!(ids(state.job_runs(Some("nightly"), 9).unwrap()), [running, done]);
    assert_eq!(ids(state.job_runs(None, 2).unwrap()), [missed, running]);
    assert_eq!(ids(state.last_runs().unwrap()), [missed, running]);
    assert_eq!(ids(state.last_ended_runs().unwrap()), [missed, done]);
    assert_eq!(state.write(|tx| tx.interrupt_running_jobs(at(30))).unwrap(), 1);
    let ended = state.job_run(running).unwrap().unwrap();
    assert_eq!((ended.outcome, ended.finished_at), (JobOutcome::Interrupted, Some(at(30))));
    assert_eq!(state.job_run(done).unwrap().unwrap().detail, r#"{"files":3}"#);
    assert_eq!(state.setting::<String>("lang").unwrap().as_deref(), Some("ja"));
    assert_eq!(state.checkpoint::<Vec<u8>>("correlator").unwrap(), Some((7, vec![1, 2, 3])));
    assert_eq!(state.lowest_watermark().unwrap(), Some(5));
    assert!(state.checkpoint::<String>("correlator").is_err(), "the shape of another version");
}

#[test]
fn a_notice_waits_until_its_channel_accepted_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let (mail, lamp) = state
        .write(|tx| {
            Ok((
                tx.queue_notice("mail", None, &"one", at(0))?,
                tx.queue_notice("lamp", Some(IncidentId(1)), &"two", at(1))?,
            ))
        })
        .unwrap();
    let due = |second| -> Vec<i64> {
        state.notices_due(at(second), 9).unwrap().iter().map(|notice| notice.id).collect()
    };
    assert_eq!(due(1), [mail, lamp]);
    state
        .write(|tx| {
            tx.notice_failed(mail, Some(at(50)), "connection refused")?;
            tx.notice_delivered(lamp, at(2), "200 OK")
        })
        .unwrap();
    assert_eq!((due(49), due(50)), (vec![], vec![mail]));
    let lamp = state.notice(lamp).unwrap().unwrap();
    assert_eq!((lamp.tries, lamp.delivered_at, lamp.proof.as_str()), (1, Some(at(2)), "200 OK"));
    assert_eq!(state.notices(Some(IncidentId(1)), 9).unwrap(), [lamp]);
    state.write(|tx| tx.notice_failed(mail, None, "given up")).unwrap();
    assert_eq!(due(1_000_000), [] as [i64; 0]);
}

#[test]
fn proofs_and_promises_make_the_history_of_the_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let proof = |second, passed| Proof {
        version: 1,
        vault_id: "v".into(),
        snapshot: SnapshotId("5e".repeat(32)),
        captured_at: at(0),
        proven_at: at(second),
        passed,
        newest_record: None,
        rpo_seconds: Some(60.0),
        rto_first_chart_seconds: None,
        rto_full_seconds: 9.5,
        patients: 1,
        records: 1,
        unreadable_records: 0,
        files: 2,
        bytes: 3,
        database_rows: 0,
        shortfalls: vec![],
        method: "restored".into(),
        not_proven: Vec::new(),
        evidence: schema::Evidence::default(),
    };
    let promise = |second| Promise {
        at: at(second),
        rpo_seconds: Some(1.5),
        rto_first_chart_seconds: None,
        rto_full_seconds: Some(2.5),
        alarms: 1,
    };
    let sealed = Sealed {
        id: SnapshotId("5e".repeat(32)),
        captured_at: at(0),
        patients: 1,
        files: 2,
        bytes: u64::MAX,
        exceptions: 0,
    };
    state
        .write(|tx| {
            tx.put_snapshot(&sealed)?;
            tx.add_drill(&proof(1, true))?;
            tx.add_drill(&proof(2, false))?;
            (0..5).try_for_each(|second| tx.put_promise(&promise(second)))
        })
        .unwrap();
    assert_eq!(state.drills(9).unwrap(), [proof(2, false), proof(1, true)]);
    assert_eq!(state.newest_proof().unwrap(), Some(proof(1, true)));
    assert_eq!(state.promises(at(1), 3).unwrap(), [promise(2), promise(3), promise(4)]);
    assert_eq!(state.snapshots(1).unwrap(), [Sealed { bytes: i64::MAX as u64, ..sealed }]);
}

#[test]
fn daily_counts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let row = |day: &str, lines| Daily {
        day: day.parse().unwrap(),
        class_uid: 2004,
        watcher: "guard".into(),
        detector: "encryption.burst".into(),
        severity_id: 4,
        lines,
    };
    state
        .write(|tx| {
            tx.add_daily(&[row("2026-03-01", 2), row("2026-03-02", 1)])?;
            tx.add_daily(&[row("2026-03-02", 4)])
        })
        .unwrap();
    let from = |day: &str| state.daily(day.parse().unwrap(), 9).unwrap();
    assert_eq!(from("2026-03-01"), [row("2026-03-01", 2), row("2026-03-02", 5)]);
    assert_eq!(from("2026-03-02"), [row("2026-03-02", 5)]);
    state.write(|tx| tx.expire_daily("2026-03-02".parse().unwrap())).unwrap();
    assert_eq!(from("2026-03-01"), [row("2026-03-02", 5)]);
}

#[test]
fn a_change_past_the_writer_or_one_that_cannot_be_repeated_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let insert = "INSERT INTO settings VALUES (?1, ?2)";
    let past = state.write(|tx| {
        tx.execute(insert, params!["a", "1"])?;
        tx.conn().execute(insert, params!["b", "2"])
    });
    assert!(past.is_err());
    for sql in
        ["INSERT INTO settings VALUES ('r', random())", "INSERT INTO settings VALUES ('t', datetime('now'))"]
    {
        assert!(state.write(|tx| tx.execute(sql, params![])).is_err(), "{sql}");
    }
    assert_eq!(state.settings(9).unwrap(), []);
}
