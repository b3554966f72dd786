use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use decode::hl7::Message;
use decode::ssmix2::{locate, locate_document};
use serde_json::{Value, json};

use super::*;
use crate::charts::{Charts, Source};
use crate::downtime::fixture::{self, PATIENT, kept};
use crate::downtime::reconcile::{State, compare};
use schema::Lang;

fn entries() -> Vec<Value> {
    let order = |kind: &str, what: &str| json!({"order": {"order": kind, "what": what, "directions": "1日1回 5日分", "ordered_by": "医師 一郎"}});
    vec![
        json!({"vitals": {"temperature": 37.2, "pulse": 88, "systolic": 120, "diastolic": 70, "respiration": 16, "spo2": 97, "weight": 50.5, "pain": 3}}),
        json!({"vitals": {"systolic": 118}}),
        json!({"given": {"drug": "セファゾリンNa注射用1g", "dose": "1 g", "route": "点滴静注", "was_given": true}}),
        json!({"given": {"drug": "アムロジピン錠5mg", "dose": "1錠", "route": "内服", "was_given": false, "remark": "血圧低値 | ^確認~済&\\"}}),
        json!({"given": {"drug": "インスリン", "dose": "適宜", "route": "皮下", "was_given": true}}),
        order("prescription", "ロキソプロフェン錠60mg"),
        order("injection", "生理食塩液500mL"),
        order("meal", "減塩食"),
        order("lab", "CRP"),
        order("examination", "胸部X線"),
        order("other", "安静度: 室内"),
        json!({"text": {"text": "髙橋様の家族へ説明。①了承。\n次回 10/20"}}),
    ]
}

fn accepted_notes(patient: &str) -> Vec<Accepted> {
    let with = |(number, entry): (usize, Value)| Accepted {
        kept: kept(u8::try_from(number + 1).unwrap(), "2018-10-16T15:30:00", entry, |_| ()),
        patient: Patient {
            id: PatientId(patient.into()),
            name: "斎藤 花子".into(),
            kana: "サイトウ ハナコ".into(),
            birth_date: Some("1948-04-05".parse().unwrap()),
            sex: Some(Sex::Female),
            is_inpatient: true,
        },
        choice: Choice::TakeNote,
        decision: "ab".repeat(16),
        decided_by: "医事課 鈴木".into(),
        decided_at: "2018-10-17T01:00:00Z".parse().unwrap(),
    };
    entries().into_iter().enumerate().map(with).collect()
}

fn export(dir: &Path, patient: &str, formats: &[Format]) -> (Vec<Accepted>, Export) {
    let accepted = accepted_notes(patient);
    let now = "2018-10-17T02:00:00Z".parse().unwrap();
    let zone = TimeZone::fixed(jiff::tz::offset(9));
    let formats: BTreeSet<Format> = formats.iter().copied().collect();
    let export = Export::make(&accepted, &formats, now, &zone, Lang::Ja).unwrap();
    let written = export.write(dir, &accepted, "鈴木", now).unwrap();
    assert_eq!(written.len(), export.files.len() + 1);
    (accepted, export)
}

#[test]
fn our_own_reader_reads_the_storage_back_without_a_fault_and_finds_the_notes_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // Beside what the EMR has.
    fixture::emr(&out.join("ssmix2"));
    let accepted = accepted_notes(PATIENT);
    let export = Export::make(
        &accepted,
        &[Format::Ssmix2].into(),
        "2018-10-17T02:00:00Z".parse().unwrap(),
        &TimeZone::UTC,
        Lang::En,
    )
    .unwrap();
    for (path, bytes) in &export.files {
        put(&out, path, bytes).unwrap();
        match locate(&out.join(path)) {
            Some(located) => assert!(!located.misplaced, "{path}"),
            None => assert!(!locate_document(&out.join(path)).unwrap().misplaced, "{path}"),
        }
    }
    let charts = Charts::open(Source::folder(&out)).unwrap();
    let chart = charts.chart(&PatientId(PATIENT.into()), None).unwrap();
    assert!(chart.unread.is_empty(), "{:?}", chart.unread);
    for one in &accepted {
        let finding = compare(&one.kept.note, &chart, Lang::Ja);
        let is_shown = !matches!(&one.kept.note.entry, crate::downtime::Entry::Order(order)
            if matches!(order.order, crate::downtime::OrderKind::Lab | crate::downtime::OrderKind::Examination | crate::downtime::OrderKind::Other));
        if is_shown {
            assert!(finding.counterpart.is_some(), "{:?}", one.kept.note.entry);
        }
        if matches!(&one.kept.note.entry, crate::downtime::Entry::Vitals(_) | crate::downtime::Entry::Text(_))
        {
            assert_eq!(finding.state, State::Equal, "{:?}", finding.fields);
        }
    }
    let not_given = chart
        .given
        .iter()
        .find(|item| item.value.drug.name == "アムロジピン錠5mg" && item.value.status == "NA");
    assert_eq!(not_given.unwrap().value.by, "看護師 山田");
}

#[test]
fn messages_have_the_segments_fields_and_names_that_the_standard_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let (_, export) = export(&dir.path().join("out"), PATIENT, &[Format::Hl7, Format::Ssmix2]);
    let mut kinds = BTreeSet::new();
    for (path, bytes) in export.files.iter().filter(|(path, _)| path.starts_with("ssmix2/")) {
        let message = Message::parse(bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        let located = locate(Path::new(path)).unwrap();
        assert!(message.is_terminated() && bytes.is_ascii(), "{path}");
        let field = |segment: &str, number| message.get(segment, number, 1).text().into_owned();
        assert_eq!(field("MSH", 7).replace('.', ""), located.name.stamp);
        assert_eq!(message.first("MSH").unwrap().field(18).raw(), "~ISO IR87");
        assert_eq!((field("MSH", 20).as_str(), field("MSH", 21).as_str()), ("ISO 2022-1994", "SS-MIX2_1.20"));
        assert_eq!(field("PID", 3), PATIENT);
        assert_eq!(field("ORC", 2), located.name.order);
        assert_eq!(located.name.order.len(), 15);
        let care = if message.event() == "RAS^O17" { field("RXA", 3) } else { field("ORC", 9) };
        assert_eq!(located.name.care_date_text(), care[..8]);
        kinds.insert(located.name.kind);
    }
    let expected = ["OMD", "OML-01", "OMP-01", "OMP-02", "OMP-11", "OMP-12"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    let remark =
        export.files.iter().find(|(path, _)| path.starts_with("hl7/") && path.contains("000004")).unwrap();
    let remark = Message::parse(&remark.1).unwrap();
    assert_eq!(
        remark.get("RXA", 9, 2).text(),
        "1錠 / 血圧低値 | ^確認~済&\\",
        "separators in text come back as text"
    );
}

#[test]
fn the_national_hospital_organizations_rules_hold() {
    let Some(root) = testkit::shared("the_national_hospital_organizations_rules_hold", "hospital/ssmix2-nho")
    else {
        return;
    };
    let rules = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(root.join("include").join(file)).unwrap()).unwrap()
    };
    let (orders, segments) = (rules("HL7_SEGMENTORDER.json"), rules("HL7_SEGMENT.json"));
    let dir = tempfile::tempdir().unwrap();
    let (_, export) = export(&dir.path().join("out"), PATIENT, &[Format::Ssmix2]);
    let mut checked = 0;
    for (path, bytes) in &export.files {
        let Ok(message) = Message::parse(bytes) else {
            assert!(path.ends_with(".txt"), "{path}");
            continue;
        };
        let names: String = message.segments().map(|segment| segment.name().to_owned()).collect();
        let shape = regex::Regex::new(&format!("{}$", orders[message.event()].as_str().unwrap())).unwrap();
        assert!(shape.is_match(&names), "{path}: {names}");
        let kind = locate(Path::new(path)).map(|located| located.name.kind).unwrap_or_default();
        for segment in message.segments() {
            let fields: Vec<(usize, &Value)> = match &segments[segment.name()] {
                Value::Array(list) => list.iter().enumerate().collect(),
                Value::Object(map) => {
                    map.iter().filter_map(|(n, field)| Some((n.parse().ok()?, field))).collect()
                }
                _ => panic!("no rule for {}", segment.name()),
            };
            for (number, field) in fields.into_iter().filter(|(number, _)| *number > 0) {
                let required = &field["ssmix2-required"];
                if required.get(&kind).or_else(|| required.get("*")).is_some_and(|asked| asked == "R") {
                    assert!(!segment.field(number).is_empty(), "{}-{number} in {path}", segment.name());
                }
            }
        }
        checked += 1;
    }
    assert_eq!(checked, 9);
}

#[test]
fn what_the_encoding_cannot_hold_is_listed_and_fhir_holds_it_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut accepted = accepted_notes(PATIENT);
    accepted.truncate(1);
    accepted[0].patient.name = "髙橋 花子".into();
    let now = "2018-10-17T02:00:00Z".parse().unwrap();
    let export =
        Export::make(&accepted, &[Format::Ssmix2, Format::Fhir].into(), now, &TimeZone::UTC, Lang::En)
            .unwrap();
    export.write(&dir.path().join("out"), &accepted, "鈴木", now).unwrap();
    let list: Value = serde_json::from_slice(&fs::read(dir.path().join("out/export.json")).unwrap()).unwrap();
    assert_eq!(list["replaced_characters"][0]["code"], "U+9AD9");
    assert_eq!(list["replaced_characters"][0]["by"], "〓");
    let fhir = fs::read_to_string(dir.path().join(format!("out/fhir/{PATIENT}.json"))).unwrap();
    assert!(fhir.contains("髙橋"));
    let again = export.write(&dir.path().join("out"), &accepted, "鈴木", now);
    assert!(matches!(again, Err(Error::NotEmpty { .. })));
}

#[test]
fn an_id_that_would_lead_out_of_the_folder_is_refused() {
    let accepted = accepted_notes("../../../x");
    let made =
        Export::make(&accepted, &[Format::Ssmix2].into(), Timestamp::UNIX_EPOCH, &TimeZone::UTC, Lang::En);
    assert!(matches!(made, Err(Error::Decision { .. })));
}

#[test]
fn the_fhir_transaction_is_whole_and_another_implementation_reads_it() {
    let test = "the_fhir_transaction_is_whole_and_another_implementation_reads_it";
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (accepted, _) = export(&out, PATIENT, &[Format::Fhir]);
    let path = out.join(format!("fhir/{PATIENT}.json"));
    let bundle: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entries = bundle["entry"].as_array().unwrap();
    let of = |kind: &str| entries.iter().filter(|entry| entry["resource"]["resourceType"] == kind).count();
    assert_eq!(of("Provenance"), accepted.len());
    assert_eq!((of("Observation"), of("MedicationAdministration"), of("MedicationRequest")), (8, 3, 2));
    assert_eq!((of("ServiceRequest"), of("DocumentReference")), (4, 1));
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(names.len(), entries.len());
    for entry in entries.iter().filter(|entry| entry["resource"]["resourceType"] == "Observation") {
        let it = &entry["resource"];
        assert_eq!(it["status"], "final");
        assert_eq!(it["effectiveDateTime"], "2018-10-16T15:30:00+09:00");
        assert_eq!(it["code"]["coding"][0]["system"], "http://loinc.org");
        assert!(it["valueQuantity"]["system"] == "http://unitsofmeasure.org" || it["component"].is_array());
    }
    for target in
        entries.iter().flat_map(|entry| entry["resource"]["target"].as_array().into_iter().flatten())
    {
        assert!(names.contains(target["reference"].as_str().unwrap()));
    }
    // fhir.resources knows R4B as the nearest release to R4; the resources used here are the same in both.
    let Some(python) = fhir_python(test) else { return };
    let script = "import sys,json\nfrom fhir.resources.R4B.bundle import Bundle\nb=Bundle.model_validate(json.load(open(sys.argv[1])))\nprint(len(b.entry))";
    let checked = Command::new(python).args(["-c", script]).arg(&path).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(String::from_utf8_lossy(&checked.stdout).trim(), entries.len().to_string());
}

/// A Python with `fhir.resources` from PyPI, in a folder that outlives the test.
fn fhir_python(test: &str) -> Option<std::path::PathBuf> {
    let python = testkit::tool(test, "python3")?;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fhir-python");
    let own = cache.join("bin/python");
    let has = |python: &Path| {
        let found = Command::new(python).args(["-c", "import fhir.resources.R4B.bundle"]).output();
        found.is_ok_and(|found| found.status.success())
    };
    if has(&own) {
        return Some(own);
    }
    let made = Command::new(python).args(["-m", "venv"]).arg(&cache).output();
    let installed = made.is_ok_and(|made| made.status.success())
        && Command::new(&own)
            .args(["-m", "pip", "install", "--quiet", "fhir.resources==8.0.0"])
            .output()
            .is_ok_and(|installed| installed.status.success());
    if !installed || !has(&own) {
        testkit::skip(test, "fhir.resources cannot be installed from PyPI");
        return None;
    }
    Some(own)
}

#[test]
fn the_list_to_be_signed_has_every_note_in_both_languages() {
    let test = "the_list_to_be_signed_has_every_note_in_both_languages";
    let dir = tempfile::tempdir().unwrap();
    let (accepted, now) = (accepted_notes(PATIENT), "2018-10-17T02:00:00Z".parse().unwrap());
    for (lang, expected) in [(Lang::Ja, "血圧低値"), (Lang::En, "systolic pressure")] {
        let export = Export::make(&accepted, &[Format::Pdf].into(), now, &TimeZone::UTC, lang).unwrap();
        let out = dir.path().join(format!("{lang:?}"));
        export.write(&out, &accepted, "鈴木", now).unwrap();
        let Some(tool) = testkit::tool(test, "pdftotext") else { return };
        let read = Command::new(tool).arg(out.join(format!("pdf/{PATIENT}.pdf"))).arg("-").output().unwrap();
        let text = String::from_utf8_lossy(&read.stdout).replace(['\n', ' '], "");
        for words in [expected, "看護師山田", "医事課鈴木", "髙橋様", "減塩食"] {
            assert!(text.contains(&words.replace(' ', "")), "{words}: {text}");
        }
    }
}
