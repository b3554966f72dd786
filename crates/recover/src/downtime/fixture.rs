//! What the tests of notes share: a small EMR, and notes about its patients.

use std::fs;
use std::path::Path;

use decode::ssmix2::{RecordName, patient_folder};
use encoding_rs::ISO_2022_JP;
use jiff::Timestamp;
use schema::PatientId;
use serde_json::{Value, json};

use super::chain::Secret;
use super::{Journal, Kept, NoteId, Notes, Via};
use crate::charts::{Chart, Charts, Source};

pub(super) const PATIENT: &str = "0001234567";

/// An SS-MIX2 storage with one patient: who, an injection and a tablet given, a prescription, a meal, a pulse among the results.
pub(super) fn emr(dir: &Path) {
    let header = |event: &str| {
        format!(
            "MSH|^~\\&|H|S|G|R|20181017080000.000||{event}|1|P|2.5||||||~ISO IR87||ISO 2022-1994|X\rPID|1||{PATIENT}^^^^PI||斎藤^花子^^^^^L^I~サイトウ^ハナコ^^^^^L^P||19480405|F\r"
        )
    };
    let given = |at: &str, drug: &str, amount: &str, unit: &str| {
        format!(
            "ORC|NW|000000000000001||000000000000001_01_001\rRXA|0|1|{at}|{at}|1^{drug}^99XYZ|{amount}|{unit}^{unit}^99XYZ|||^看護^花子|||||||||CP\rRXR|PO^口^HL70162\r"
        )
    };
    record(dir, "-", "ADT-00", "999999999999999", &format!("{}PV1|1|I\r", header("ADT^A08")));
    record(
        dir,
        "20181016",
        "OMP-11",
        "000000000000001",
        &format!("{}{}", header("RAS^O17"), given("20181016083000", "ワーファリン錠1mg", "1", "錠")),
    );
    record(
        dir,
        "20181016",
        "OMP-11",
        "000000000000002",
        &format!("{}{}", header("RAS^O17"), given("20181016120000", "アムロジピン錠5mg", "1", "錠")),
    );
    record(
        dir,
        "20181016",
        "OMP-01",
        "000000000000003",
        &format!(
            "{}ORC|NW|000000000000003||000000000000003_01_001|||||20181016090000|||^医師^一郎\rRXE||1^ロキソニン錠60mg^99XYZ|1||TAB^錠^MR9P|||||9|TAB^錠^MR9P\rTQ1|1||1&毎食後&JAMISDP01|||3^d|20181016\rRXR|PO^口^HL70162\r",
            header("RDE^O11")
        ),
    );
    record(
        dir,
        "20181016",
        "OML-11",
        "000000000000004",
        &format!(
            "{}SPM|1|||023^血清^JC10|||||||||||||20181016140000\rOBR|1|000000000000004||E^x^99XYZ\rORC|SC|000000000000004\rOBX|1|NM|8867-4^脈拍^LN||90|/min|||||F|||20181016140000\rOBX|2|NM|8310-5^体温^LN||37.2|Cel|||||F|||20181016140000\r",
            header("OUL^R22")
        ),
    );
}

pub(super) fn record(dir: &Path, date: &str, kind: &str, order: &str, text: &str) {
    let name = format!("{PATIENT}_{date}_{kind}_{order}_20181017080000000_-_1");
    assert!(RecordName::parse(name.as_bytes()).is_some(), "{name}");
    let folder = dir.join(patient_folder(&PatientId(PATIENT.into()))).join(date).join(kind);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), ISO_2022_JP.encode(text).0).unwrap();
}

pub(super) fn chart(dir: &Path, patient: &PatientId) -> Option<Chart> {
    Charts::open(Source::folder(dir)).unwrap().chart(patient, None)
}

/// A note as JSON with an entry; `change` makes it another's.
pub(super) fn kept(number: u8, at: &str, entry: Value, change: impl FnOnce(&mut Value)) -> Kept {
    let mut note = json!({
        "id": format!("{number:02x}").repeat(16), "written_at": "2018-10-16T11:00:00Z", "at": at, "author": "看護師 山田",
        "device": "viewer", "patient": {"id": PATIENT, "name": "斎藤 花子", "birth_date": "1948-04-05", "checked": ["name", "birth_date"]},
        "entry": entry,
    });
    change(&mut note);
    Kept {
        note: serde_json::from_value(note).unwrap(),
        received_at: Timestamp::UNIX_EPOCH,
        by: "看護師 山田".into(),
        via: Via::Viewer,
        file: None,
    }
}

/// A journal of these notes, read back.
pub(super) fn notes(dir: &Path, all: &[Kept]) -> Notes {
    let (mut journal, _) =
        Journal::open(&dir.join("notes"), Secret::File(&dir.join("notes.key")), Timestamp::UNIX_EPOCH)
            .unwrap();
    for one in all {
        journal.add(one.clone()).unwrap();
    }
    journal.notes().clone()
}

pub(super) fn id(number: u8) -> NoteId {
    NoteId(format!("{number:02x}").repeat(16))
}
