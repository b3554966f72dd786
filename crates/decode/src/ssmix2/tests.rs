use std::path::{Path, PathBuf};

use jiff::civil::{date, datetime};
use proptest::prelude::*;

use super::*;

const LAB: &str = "9999013_20111220_OML-11_000000011000354_20111220103059123_01_1";

#[test]
fn a_name_is_read_and_written_back() {
    let name = RecordName::parse(LAB.as_bytes()).unwrap();
    assert_eq!(name.patient.0, "9999013");
    assert_eq!(name.care_date, Some(date(2011, 12, 20)));
    assert_eq!((name.kind.as_str(), name.dept.as_str(), name.flag), ("OML-11", "01", Flag::Current));
    assert_eq!(name.recorded_at(), Some(datetime(2011, 12, 20, 10, 30, 59, 123_000_000)));
    assert_eq!(name.file_name(), LAB);
    let old = RecordName { flag: Flag::History, stamp: "20111219000000000".into(), ..name.clone() };
    assert_eq!(old.key(), name.key());
}

#[test]
fn names_that_are_not_records_are_refused() {
    let check = |name: &str, expected: bool| {
        assert_eq!(RecordName::parse(name.as_bytes()).is_some(), expected, "{name}");
    };
    check(LAB, true);
    check("9999013_-_ADT-00_999999999999999_20111220224447339_-_1", true);
    check("9999013_20111220_OMG-11_2011122000300_20111220224447339_24_0", true);
    check(&format!("{LAB}.KRAB"), false);
    check(&format!("{LAB}_1"), false);
    check("9999013_20111220_OML-11_000000011000354_20111220103059123_1", false);
    check("9999013_20111320_OML-11_000000011000354_20111220103059123_01_1", false);
    check("9999013_20111220_OML-11_000000011000354_20111220103059123_01_3", false);
    check("9999013_20111220_OML-11_000000011000354_2011122010305_01_1", false);
    check("9999013_20111220_lab_000000011000354_20111220103059123_01_1", false);
    check(".._20111220_OML-11_000000011000354_20111220103059123_01_1", false);
    check("", false);
    check("KRAB-DECRYPT.txt", false);
    assert!(RecordName::parse(b"\xff\xfe_-_ADT-00_1_20111220224447339_-_1").is_none());
}

#[test]
fn names_that_once_were_records_are_recognised() {
    assert!(resembles_record_name(format!("{LAB}.KRAB").as_bytes()));
    assert!(resembles_record_name(b"9999013_-_ADT-00"));
    assert!(!resembles_record_name(b"KRAB-DECRYPT.txt"));
    assert!(!resembles_record_name(b"2018_report_final"));
}

#[test]
fn a_record_is_placed_by_its_path() {
    let check = |path: &str, expected: Option<(&str, bool)>| {
        let found = locate(Path::new(path)).map(|located| (located.root, located.misplaced));
        assert_eq!(found, expected.map(|(root, misplaced)| (PathBuf::from(root), misplaced)), "{path}");
    };
    check(&format!("/srv/ssmix2/999/901/9999013/20111220/OML-11/{LAB}"), Some(("/srv/ssmix2", false)));
    check(&format!("999/901/9999013/20111220/OML-11/{LAB}"), Some(("", false)));
    check(&format!("/999/901/9999013/20111220/OML-11/{LAB}"), Some(("/", false)));
    check(&format!("/s/999/901/9999013/20111220/OML-01/{LAB}"), Some(("/s", true)));
    check(&format!("/s/999/901/9999013/20111221/OML-11/{LAB}"), Some(("/s", true)));
    check(&format!("/s/000/000/0000001/20111220/OML-11/{LAB}"), Some(("/s", true)));
    check(&format!("/s/999/901/9999013/{LAB}"), Some(("/s", true)));
    check(&format!("/s/{LAB}"), None);
    check(&format!("/s/999/902/9999013/20111220/OML-11/{LAB}"), None);
    check("/s/999/901/9999013/20111220/OML-11/Thumbs.db", None);
    check("", None);
    assert_eq!(patient_folder(&schema::PatientId("9999013".into())), Path::new("999/901/9999013"));
}

#[test]
fn a_document_of_extended_storage_is_placed_by_its_path() {
    let kind = "L01^経過記録^99HOSP^11506-3^Progress note^LN";
    let content = |kind: &str| format!("9999013_20111220_{kind}_000000000000001_20111220103059123_01_1");
    let check = |content: &str, misplaced| {
        let path = format!("/ext/999/901/9999013/20111220/{kind}/{content}/note.xml");
        let found = locate_document(Path::new(&path)).unwrap();
        assert_eq!(found.root, Path::new("/ext"));
        assert_eq!((found.kind.name.as_str(), found.kind.standard_code.as_str()), ("経過記録", "11506-3"));
        assert_eq!(found.inside, Path::new("note.xml"));
        assert_eq!(found.misplaced, misplaced, "{content}");
    };
    check(&content(kind), false);
    check(&content("L01"), false);
    check(&content(kind).replace("_01_1", "_1"), false);
    check(&content("L02"), true);
    check(&content(kind).replace("9999013_", "9999014_"), true);
    assert!(locate_document(Path::new(&format!("/s/999/901/9999013/20111220/OML-11/{LAB}"))).is_none());
}

#[test]
fn folder_names_in_shift_jis_are_decoded_before_they_are_split() {
    // ダ is 0x83 0x5f: its second byte is that of `_`.
    let text = "9999013_20111220_D1^ダータ^99^^^_000000000000001_20111220103059123_01_1";
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
    let name = RecordName::parse_extended(&bytes).unwrap();
    assert_eq!(name.kind, "D1^ダータ^99^^^");
}

#[test]
fn the_misplaced_sample_of_the_national_hospital_organization_is_named() {
    let Some(root) = testkit::shared("nho_samples_locate", "hospital/ssmix2-nho/sampleData") else { return };
    let located: Vec<_> =
        crate::corpus::files(&root).iter().map(|(path, _)| locate(path).expect("a record's name")).collect();
    assert_eq!(located.len(), 22);
    assert!(located.iter().all(|found| found.root == root));
    assert_eq!(located.iter().filter(|found| found.misplaced).count(), 1);
}

proptest! {
    #[test]
    fn no_name_makes_it_panic(bytes: Vec<u8>, text in "[0-9A-Z_^-]{0,80}") {
        for name in [bytes.as_slice(), text.as_bytes()] {
            let _ = (RecordName::parse(name), RecordName::parse_extended(name), resembles_record_name(name));
        }
    }

    #[test]
    fn no_path_makes_it_panic(path in "(/|[0-9]{1,4}|-|[A-Z_^-]{0,9}|\\.\\.|あ){0,20}") {
        let path = Path::new(&path);
        let _ = (locate(path), locate_document(path));
    }

    #[test]
    fn a_name_in_its_own_folder_is_never_misplaced(
        patient in "[0-9]{1,15}", order in "[0-9]{15}", stamp in "[0-9]{17}", flag in "[012]"
    ) {
        let path = format!("{patient}_-_ADT-00_{order}_{stamp}_-_{flag}");
        let name = RecordName::parse(path.as_bytes()).unwrap();
        prop_assert_eq!(&name.file_name(), &path);
        // Ids of fewer than four characters have no second folder and so no place in a storage.
        prop_assume!(patient.len() > 3);
        let path = Path::new("/r").join(patient_folder(&name.patient)).join("-/ADT-00").join(path);
        let located = locate(&path).unwrap();
        prop_assert!(!located.misplaced && located.root == Path::new("/r"));
    }
}
