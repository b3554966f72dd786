//! What real SS-MIX2 stores hold beside good records. `tests` has the rest: undecodable and misnamed files, records of others,
//! duplicates, histories and deletions, several volumes, and the samples of the National Hospital Organization.

use std::fs;
use std::path::PathBuf;

use decode::ssmix2::patient_folder;
use encoding_rs::ISO_2022_JP;
use jiff::civil::date;
use schema::PatientId;

use super::tests::{ID, Storage, texts};
use super::*;

const PID: &str = "PID|1||0001234567||患者^太郎||19480405|M";

fn header(charset: &str) -> String {
    format!("MSH|^~\\&|HIS|S|GW|R|20181015||X^X|1|P|2.5||||||{charset}||ISO 2022-1994")
}

/// A document below extended storage; `rest` is what follows the order number in its folder's name.
fn document(storage: &Storage, rest: &str, content: &[u8]) -> PathBuf {
    let kind = "PN01^経過記録^99XYZ^11506-3^Progress note^LN";
    let folder = storage
        .dir
        .path()
        .join("ext")
        .join(patient_folder(&PatientId(ID.into())))
        .join("20181012")
        .join(kind);
    let folder = folder.join(format!("{ID}_20181012_{kind}_000000000000007_{rest}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("note.txt"), content).unwrap();
    folder.join("note.txt")
}

#[test]
fn both_spellings_of_the_character_set_and_broken_line_ends_are_read() {
    for (charset, separator) in
        [("~ISO IR87", "\r"), ("~ISOIR87", "\r"), ("~ISO IR87", "\n"), ("~ISOIR87", "\r\n")]
    {
        let storage = Storage::new();
        let text = [&header(charset), PID, "AL1|1|DA|1^ペニシリン^X", ""].join(separator);
        storage.put_bytes("-_ADT-00_999999999999999_20181014120000000_-_1", &ISO_2022_JP.encode(&text).0);
        let chart = storage.chart();
        assert_eq!(chart.banner.name.as_deref(), Some("患者 太郎"), "{charset:?} {separator:?}");
        assert_eq!((chart.allergies.len(), chart.unread.len()), (1, 0), "{charset:?} {separator:?}");
    }
}

#[test]
fn a_record_that_was_cut_off_shows_what_is_left_or_is_named() {
    let text = [&header("~ISO IR87"), PID, "AL1|1|DA|1^ペニシリン^X", "AL1|2|DA|2^セフェム^X", ""].join("\r");
    let whole = ISO_2022_JP.encode(&text).0.into_owned();
    for length in 0..whole.len() {
        let storage = Storage::new();
        storage.put("-_PPR-01_999999999999999_20181001120000000_01_1", "PRB|AD|20170101|1^感冒^MDCDX2|1");
        storage.put_bytes("-_ADT-00_999999999999999_20181014120000000_-_1", &whole[..length]);
        let chart = storage.chart();
        assert_eq!(chart.problems.len(), 1, "the rest still shows, at {length}");
        assert!(chart.allergies.len() <= 2);
        let has_alert = chart.alerts.iter().any(|alert| alert.kind == AlertKind::Unread);
        assert_eq!(has_alert, !chart.unread.is_empty(), "{length}");
    }
    let storage = Storage::new();
    storage.put("-_PPR-01_999999999999999_20181001120000000_01_1", "PRB|AD|20170101|1^感冒^MDCDX2|1");
    storage.put_bytes("-_ADT-00_999999999999999_20181014120000000_-_1", b"");
    assert_eq!(storage.chart().unread.len(), 1, "an empty record is no record without allergies");
}

#[test]
fn a_record_from_the_future_is_shown_as_it_is_and_ends_nothing() {
    let storage = Storage::new();
    let order = "ORC|NW|1\nRXE||1^薬^HOT9|1||TAB^錠^MR9P\nTQ1|1||||||20181001|29980101";
    storage.put("20181001_OMP-01_000000000000001_20181001120000000_01_1", order);
    storage.put("29990101_ADT-12_999999999999999_29990101120000000_01_1", "PV1|0001|O|01");
    let charts = Charts::open(Source::folder(storage.dir.path())).unwrap();
    let chart = charts.chart(&PatientId(ID.into()), None).unwrap();
    assert_eq!(chart.medication[0].value.state, Course::Current);
    assert_eq!(chart.newest_record.map(|at| at.date()), Some(date(2999, 1, 1)));
    assert_eq!(chart.visits.len(), 1);
}

#[test]
fn documents_are_read_with_and_without_a_department() {
    for rest in ["20181012100000000_01_1", "20181012100000000_1"] {
        let storage = Storage::new();
        document(&storage, rest, "経過良好".as_bytes());
        let chart = storage.chart();
        assert_eq!(texts(&chart.notes, |note| note.text.clone().unwrap_or_default()), ["経過良好"], "{rest}");
        assert_eq!(chart.notes[0].from.recorded_at, Some(date(2018, 10, 12).at(10, 0, 0, 0)), "{rest}");
    }
}

#[test]
fn a_document_of_fifty_megabytes_is_named_by_its_size() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "AL1|1|DA|1^ペニシリン^X");
    document(&storage, "20181012100000000_01_1", &vec![b'x'; 50_000_001]);
    let chart = storage.chart();
    assert_eq!((chart.allergies.len(), chart.unread.len()), (1, 0));
    assert_eq!((chart.notes[0].value.text.as_deref(), chart.notes[0].value.bytes), (None, 50_000_001));
}

#[test]
fn a_patient_of_several_sources_has_one_chart_of_all() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "AL1|1|DA|1^ペニシリン^X");
    let lab = "SPM|1|||1\nOBX|1|NM|3H015^カリウム^JC10||4.0|mEq/L^mEq/L^99|3.6-4.8|N|||F|||20181001090000";
    storage.put("20181001_OML-11_000000000000001_20181001100000000_01_1", lab);
    let export = storage.dir.path().join("fhir");
    fs::create_dir(&export).unwrap();
    let write = |born: &str| {
        let lines = format!(
            r#"{{"resourceType":"Patient","id":"p1","identifier":[{{"type":{{"coding":[{{"code":"MR"}}]}},"value":"1234567"}}],"birthDate":"{born}"}}
{{"resourceType":"AllergyIntolerance","id":"a","patient":{{"reference":"Patient/p1"}},"code":{{"text":"そば"}}}}
{{"resourceType":"Observation","id":"k1","subject":{{"reference":"Patient/p1"}},"code":{{"coding":[{{"system":"urn:oid:1.2.392.200119.4.1005","code":"3H015"}}],"text":"カリウム"}},"valueQuantity":{{"value":6.5,"unit":"mEq/L"}},"interpretation":[{{"coding":[{{"code":"HH"}}]}}],"effectiveDateTime":"2018-10-10"}}
"#
        );
        fs::write(export.join("all.ndjson"), lines).unwrap();
    };
    write("1948-04-05");
    let charts = || Charts::open(Source::folder(storage.dir.path())).unwrap();
    let roster = charts().roster();
    assert_eq!(roster.patients.len(), 1);
    assert_eq!((roster.patients[0].patient.0.as_str(), roster.search("p1").len()), (ID, 1));
    for id in [ID, "1234567", "p1"] {
        let chart = charts().chart(&PatientId(id.into()), None).unwrap();
        assert_eq!((chart.patient.0.as_str(), chart.unread.len()), (ID, 0), "{id}");
        assert_eq!(texts(&chart.allergies, |one| one.substance.clone()), ["ペニシリン", "そば"]);
        assert_eq!(
            (chart.labs.len(), chart.labs[0].results.len(), chart.labs[0].trend),
            (1, 2, Some(Trend::Up))
        );
        assert!(chart.alerts.iter().any(|alert| alert.kind == AlertKind::Critical));
        assert_eq!(chart.kinds_label(&["OML-11"]), "OML-11 · Observation");
    }
    write("1980-01-01");
    let chart = charts().chart(&PatientId(ID.into()), None).unwrap();
    assert_eq!(chart.banner.birth_date, Some(date(1948, 4, 5)));
    assert!(chart.unread[0].cause.contains("two people may have this id"), "{:?}", chart.unread);
}
