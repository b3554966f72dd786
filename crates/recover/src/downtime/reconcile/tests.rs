use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::downtime::chain::Secret;
use crate::downtime::fixture::{self, PATIENT, chart, id, kept};
use crate::downtime::words::Part;

fn patient() -> PatientId {
    PatientId(PATIENT.into())
}

fn given(drug: &str, dose: &str, more: Value) -> Value {
    let mut given = json!({"drug": drug, "dose": dose, "route": "内服", "was_given": true});
    for (name, value) in more.as_object().unwrap() {
        given[name] = value.clone();
    }
    json!({"given": given})
}

#[test]
fn a_note_is_held_against_what_the_emr_has_part_by_part() {
    let dir = tempfile::tempdir().unwrap();
    fixture::emr(dir.path());
    let chart = chart(dir.path(), &patient()).unwrap();
    let order = |kind: &str, what: &str, directions: &str| json!({"order": {"order": kind, "what": what, "directions": directions}});
    let none: &[Part] = &[];
    for (at, entry, state, odd) in [
        ("2018-10-16T08:30:00", given("ワーファリン錠1mg", "1錠", json!({})), State::Equal, none),
        ("2018-10-16T08:30:00", given("ﾜｰﾌｧﾘﾝ錠１ｍｇ", "１ 錠", json!({})), State::Equal, none),
        ("2018-10-16T08:50:00", given("ワーファリン錠1mg", "1錠", json!({})), State::TimeOnly, &[Part::Time]),
        ("2018-10-16T08:30:00", given("ワーファリン錠1mg", "2錠", json!({})), State::Conflict, &[Part::Dose]),
        ("2018-10-16T08:30:00", given("ワーファリン錠5mg", "1錠", json!({})), State::Conflict, &[Part::Drug]),
        (
            "2018-10-16T08:30:00",
            given("ワーファリン錠1mg", "1錠", json!({"was_given": false, "remark": "嘔気"})),
            State::Conflict,
            &[Part::WasGiven, Part::Remark],
        ),
        ("2018-10-16T19:30:00", given("ワーファリン錠1mg", "1錠", json!({})), State::OnlyInNotes, none),
        ("2018-10-16T08:30:00", given("セファゾリン", "1g", json!({})), State::OnlyInNotes, none),
        ("2018-10-16T14:00:00", json!({"vitals": {"pulse": 90, "temperature": 37.2}}), State::Equal, none),
        ("2018-10-16T14:20:00", json!({"vitals": {"pulse": 90}}), State::TimeOnly, &[Part::Time]),
        (
            "2018-10-16T14:00:00",
            json!({"vitals": {"pulse": 96, "temperature": 37.2}}),
            State::Conflict,
            &[Part::Pulse],
        ),
        ("2018-10-16T14:00:00", json!({"vitals": {"pulse": 90, "spo2": 97}}), State::Conflict, &[Part::Spo2]),
        ("2018-10-16T17:00:00", json!({"vitals": {"pulse": 90}}), State::OnlyInNotes, none),
        ("2018-10-16T10:00:00", order("prescription", "ロキソニン錠60mg", ""), State::Equal, none),
        (
            "2018-10-16T10:00:00",
            order("prescription", "ロキソニン錠60mg", "頓用"),
            State::Conflict,
            &[Part::Directions],
        ),
        (
            "2018-10-16T10:00:00",
            order("injection", "ロキソニン", ""),
            State::Conflict,
            &[Part::Order, Part::What],
        ),
        ("2018-10-16T10:00:00", order("meal", "減塩食", ""), State::OnlyInNotes, none),
        ("2018-10-16T10:00:00", json!({"text": {"text": "家族に説明した"}}), State::OnlyInNotes, none),
    ] {
        for lang in [Lang::En, Lang::Ja] {
            let finding = compare(&kept(1, at, entry.clone(), |_| ()).note, &chart, lang);
            let found: Vec<Part> = finding
                .fields
                .iter()
                .filter(|field| field.agrees == Some(false))
                .map(|field| field.part)
                .collect();
            assert_eq!(finding.state, state, "{at} {entry}: {:?}", finding.fields);
            if state != State::Conflict || !found.contains(&Part::Time) {
                assert_eq!(
                    found
                        .iter()
                        .filter(|part| **part != Part::Time || state == State::TimeOnly)
                        .copied()
                        .collect::<Vec<_>>(),
                    odd,
                    "{entry}"
                );
            }
            assert_eq!(finding.counterpart.is_none(), state == State::OnlyInNotes);
        }
    }
}

#[test]
fn the_wrong_patient_is_asked_about_and_decided_on_only_when_a_person_named_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    fixture::emr(dir.path());
    let entry = || json!({"vitals": {"pulse": 90}});
    let at = "2018-10-16T14:00:00";
    let all = [
        kept(1, at, entry(), |_| ()),
        kept(2, at, entry(), |note| note["patient"]["birth_date"] = json!("1948-04-06")),
        kept(3, at, entry(), |note| note["patient"]["id"] = json!("0009999999")),
        kept(4, at, entry(), |note| {
            note["patient"] =
                json!({"downtime_number": "D-7", "name": "不明", "checked": ["downtime_number", "name"]});
        }),
    ];
    let notes = fixture::notes(dir.path(), &all);
    let log_path = dir.path().join("log");
    let key = dir.path().join("notes.key");
    let (mut log, _) = DecisionLog::open(&log_path, Secret::File(&key), Timestamp::UNIX_EPOCH).unwrap();
    let of = |log: &DecisionLog, subject: &Subject| {
        view(&notes, log.decisions(), subject, |id| chart(dir.path(), id), Lang::En)
    };
    let exists = |id: &PatientId| chart(dir.path(), id).is_some();

    let known = of(&log, &Subject::Patient(patient()));
    let identity = |lines: &[Line], number| {
        lines.iter().find(|line| line.kept.note.id == id(number)).map(|line| line.identity.clone()).unwrap()
    };
    assert_eq!(identity(&known, 1), Identity::Fits);
    assert!(matches!(identity(&known, 2), Identity::Contradicts(odd) if odd.len() == 1));
    let stranger = Subject::Patient(PatientId("0009999999".into()));
    assert_eq!(of(&log, &stranger)[0].identity, Identity::NoChart);
    let newcomer = Subject::Number("D-7".into());
    assert_eq!(of(&log, &newcomer)[0].identity, Identity::Unassigned);

    let seen =
        |lines: &[Line], number| lines.iter().find(|line| line.kept.note.id == id(number)).unwrap().seen();
    let take = |seen: Seen, choice| Act::Decide { seen, patient: patient(), choice, reason: String::new() };
    may(&take(seen(&known, 1), Choice::TakeNote), &known, exists).unwrap();
    let refused = |act: &Act, lines: &[Line]| may(act, lines, exists).unwrap_err().to_string();
    assert!(refused(&take(seen(&known, 2), Choice::TakeNote), &known).contains("wrong patient"));
    may(&take(seen(&known, 2), Choice::Reject), &known, exists).unwrap();
    let mut stale = seen(&known, 1);
    stale.hash = "0".repeat(64);
    assert!(refused(&take(stale, Choice::TakeNote), &known).contains("has changed"));

    // A person says whose the note of the downtime number is; then it can be decided on.
    let lines = of(&log, &newcomer);
    let assign = |to: &str, is_new| Act::Assign {
        notes: vec![id(4)],
        to: PatientId(to.into()),
        is_new,
        reason: "保険証で確認".into(),
    };
    assert!(refused(&assign("0000000042", false), &lines).contains("no patient with this id"));
    assert!(refused(&assign(PATIENT, true), &lines).contains("it is not new"));
    assert!(refused(&assign("../../etc", true), &lines).contains("no patient id"));
    may(&assign(PATIENT, false), &lines, exists).unwrap();
    let assigned = log.record(assign(PATIENT, false), "医事課 鈴木", Timestamp::UNIX_EPOCH).unwrap();
    let lines = of(&log, &newcomer);
    assert_eq!((&lines[0].identity, lines[0].finding.state), (&Identity::Assigned, State::Equal));
    may(&take(lines[0].seen(), Choice::TakeNote), &lines, exists).unwrap();
    log.record(Act::Undo { decision: assigned.id, reason: String::new() }, "鈴木", Timestamp::UNIX_EPOCH)
        .unwrap();
    assert_eq!(of(&log, &newcomer)[0].identity, Identity::Unassigned);
}

#[test]
fn decisions_are_kept_with_who_and_when_can_be_taken_back_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    fixture::emr(dir.path());
    let at = "2018-10-16T14:00:00";
    let all = [
        kept(1, at, json!({"vitals": {"pulse": 90}}), |_| ()),
        kept(2, at, json!({"vitals": {"pulse": 99}}), |_| ()),
        kept(3, at, json!({"vitals": {"pulse": 98}}), |note| note["replaces"] = json!("02".repeat(16))),
    ];
    let notes = fixture::notes(dir.path(), &all);
    let (path, key) = (dir.path().join("log"), dir.path().join("notes.key"));
    let open = || DecisionLog::open(&path, Secret::File(&key), Timestamp::UNIX_EPOCH).unwrap().0;
    let mut log = open();
    let subject = Subject::Patient(patient());
    let lines = view(&notes, log.decisions(), &subject, |id| chart(dir.path(), id), Lang::Ja);
    let seen = |number| lines.iter().find(|line| line.kept.note.id == id(number)).unwrap().seen();
    let decide = |number, choice, reason: &str| Act::Decide {
        seen: seen(number),
        patient: patient(),
        choice,
        reason: reason.into(),
    };
    let exists = |_: &PatientId| true;
    let confirm = |notes: Vec<Seen>| Act::Confirm { notes, patient: patient() };
    assert!(
        may(&confirm(vec![seen(1), seen(3)]), &lines, exists).is_err(),
        "a conflict is not confirmed with others"
    );
    may(&confirm(vec![seen(1)]), &lines, exists).unwrap();
    assert!(
        may(&decide(2, Choice::TakeNote, ""), &lines, exists).is_err(),
        "a replaced note is not decided on"
    );
    assert!(
        log.record(decide(3, Choice::Reject, " "), "鈴木", Timestamp::UNIX_EPOCH).is_err(),
        "a rejection says why"
    );
    assert!(log.record(decide(3, Choice::Both, ""), " ", Timestamp::UNIX_EPOCH).is_err(), "nobody decided");

    log.record(confirm(vec![seen(1)]), "鈴木", Timestamp::UNIX_EPOCH).unwrap();
    let first = log.record(decide(3, Choice::TakeNote, ""), "鈴木", Timestamp::UNIX_EPOCH).unwrap();
    log.record(
        Act::Undo { decision: first.id.clone(), reason: "見直し".into() },
        "佐藤",
        Timestamp::UNIX_EPOCH,
    )
    .unwrap();
    assert!(!log.decisions().standing().contains_key(&id(3)));
    assert!(
        log.record(Act::Undo { decision: first.id, reason: String::new() }, "佐藤", Timestamp::UNIX_EPOCH)
            .is_err()
    );
    log.record(decide(3, Choice::Both, ""), "佐藤", Timestamp::UNIX_EPOCH).unwrap();
    drop(log);

    let log = open();
    let standing = log.decisions().standing();
    assert_eq!((standing[&id(1)].choice, standing[&id(3)].choice), (Choice::KeepEmr, Choice::Both));
    assert_eq!(log.decisions().people(), [("佐藤", 2), ("鈴木", 2)].into());
    let pile = &piles(&notes, log.decisions())[0];
    assert_eq!((pile.notes, pile.decided, pile.to_export), (2, 2, 1));
}
