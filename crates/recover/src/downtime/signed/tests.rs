use serde_json::json;

use super::*;
use crate::downtime::Identifier;

const BUNDLE: &str = "00112233445566778899aabbccddeeff";

fn note(id: u8, temperature: f64) -> Value {
    json!({
        "id": format!("{id:032x}"), "written_at": "2018-10-16T05:40:00Z", "at": "2018-10-16T14:30:00", "author": "看護師 山田",
        "device": BUNDLE, "patient": {"id": "0001234567", "name": "斎藤 花子", "birth_date": "1948-04-05", "checked": ["name", "birth_date"]},
        "entry": {"vitals": {"temperature": temperature}},
    })
}

fn opened() -> Vec<Opened> {
    let at = "2018-10-16T05:39:00Z".parse().unwrap();
    vec![Opened { at, who: "山田".into(), patient: PatientId("0001234567".into()), what: Access::Read }]
}

fn file(notes: &Value) -> (Signer, Vec<u8>) {
    let signer = Signer::generate().unwrap();
    let file = signer.write(BUNDLE, "2018-10-16T06:00:00Z".parse().unwrap(), notes, &opened()).unwrap();
    (signer, file)
}

#[test]
fn what_a_bundle_signed_is_read() {
    let (signer, file) = file(&json!([note(1, 37.2), note(2, 36.5)]));
    let key = signer.public_key();
    let read = read(&file, |it| it == key).unwrap();
    assert_eq!((read.bundle.as_str(), read.notes.len(), read.refused.len()), (BUNDLE, 2, 0));
    assert!(read.notes[0].patient.checked.contains(&Identifier::Name));
    assert_eq!((read.opened, read.opened_unread), (opened(), 0));
    let again = Signer::from_pkcs8(signer.pkcs8()).unwrap();
    assert_eq!(again.public_key(), key);
}

#[test]
fn a_key_that_nobody_knows_proves_nothing() {
    let (_, file) = file(&json!([note(1, 37.2)]));
    assert!(matches!(read(&file, |_| false), Err(Invalid::Unknown { bundle, .. }) if bundle == BUNDLE));
}

#[test]
fn every_change_is_seen() {
    let (_, file) = file(&json!([note(1, 37.2)]));
    let other = STANDARD.encode(json!([note(1, 39.9)]).to_string());
    let fields = [
        ("notes", other.as_str()),
        ("opened", "W10="),
        ("bundle", "ffeeddccbbaa99887766554433221100"),
        ("exported_at", "2019-10-16T06:00:00Z"),
    ];
    for (field, value) in fields {
        let mut changed: Value = serde_json::from_slice(&file).unwrap();
        changed[field] = json!(value);
        let changed = serde_json::to_vec(&changed).unwrap();
        assert!(matches!(read(&changed, |_| true), Err(Invalid::Signature)), "{field}");
    }
}

#[test]
fn what_is_no_note_is_named_beside_what_is_one() {
    let mut one_identifier = note(3, 37.0);
    one_identifier["patient"]["checked"] = json!(["name"]);
    let mut misspelt = note(4, 37.0);
    misspelt["remarks"] = json!("x");
    let notes =
        json!([note(1, 37.2), note(1, 37.2), note(1, 39.9), note(2, 98.6), one_identifier, misspelt, 7]);
    let (_, file) = file(&notes);
    let read = read(&file, |_| true).unwrap();
    assert_eq!(read.notes.len(), 1, "said twice, taken once");
    let why: Vec<(usize, Why)> = read.refused.iter().map(|it| (it.entry, it.why.clone())).collect();
    let expected = [
        (3, Why::SameId),
        (4, Why::Fault(Fault::Range("temperature"))),
        (5, Why::Fault(Fault::Identifiers(1))),
        (6, Why::NotANote),
        (7, Why::NotANote),
    ];
    assert_eq!(why, expected);
    assert_eq!(read.refused[0].said, note(1, 39.9), "what was refused can be looked at");
}

#[test]
fn hostile_files_are_refused() {
    let (_, good) = file(&json!([note(1, 37.2)]));
    for cut in 0..good.len() {
        assert!(read(&good[..cut], |_| true).is_err(), "cut at {cut}");
    }
    let mut value: Value = serde_json::from_slice(&good).unwrap();
    for (field, wrong) in [
        ("format", json!("chartward-notes/2")),
        ("public_key", json!("AAAA")),
        ("signature", json!("")),
        ("signature", json!("%")),
        ("bundle", json!("../../x")),
        ("exported_at", json!("now\nand then")),
        ("extra", json!(1)),
    ] {
        let before = value.clone();
        value[field] = wrong.clone();
        assert!(read(&serde_json::to_vec(&value).unwrap(), |_| true).is_err(), "{field}: {wrong}");
        value = before;
    }
    assert!(matches!(read(&vec![b' '; BYTES_MAX + 1], |_| true), Err(Invalid::TooLarge { .. })));
    let (_, many) = file(&Value::Array(vec![json!(0); NOTES_MAX + 1]));
    assert!(matches!(read(&many, |_| true), Err(Invalid::TooMany { what: "notes", .. })));
}
