use jiff::civil::date;
use proptest::prelude::*;
use schema::{PatientId, SnapshotId};

use super::*;
use crate::vault::{KeyCost, Password, Vault};

fn line(id: &str, name: &str, kana: &str, day: i8, bed: Option<[&str; 3]>) -> RosterLine {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let bed = bed.map(|[ward, room, bed]| Bed { ward: ward.into(), room: room.into(), bed: bed.into() });
    RosterLine {
        other_ids: Vec::new(),
        patient: PatientId(id.into()),
        name: some(name),
        kana: some(kana),
        birth_date: Some(date(1973, 4, day)),
        sex: Some(Sex::Female),
        bed,
    }
}

fn hospital() -> Index {
    let mut index = Index::default();
    for line in [
        line("0001000001", "佐藤 花子", "サトウ ハナコ", 1, None),
        line("0001000002", "齋藤 一郎", "サイトウ イチロウ", 2, Some(["3A", "301", "10"])),
        line("0001000003", "鈴木 一郎", "スズキ イチロウ", 3, Some(["3A", "301", "2"])),
        line("0001000010", "", "", 4, Some(["5B", "", ""])),
        line("0001000011", "高橋 京", "タカハシ ケイ", 5, None),
    ] {
        index.push(&line);
    }
    index.finish();
    index
}

fn ids(lines: &[RosterLine]) -> Vec<&str> {
    lines.iter().map(|line| line.patient.0.trim_start_matches("000100")).collect()
}

#[test]
fn patients_are_found_by_everything_that_people_know_of_them() {
    let index = hospital();
    let check = |typed: &str, expected: &[&str]| {
        let found = index.search(typed, 10);
        assert_eq!((ids(&found.lines).as_slice(), found.total), (expected, expected.len()), "{typed}");
    };
    // Inpatients first.
    check("", &["0002", "0003", "0010", "0001", "0011"]);
    check("さいとう", &["0002"]);
    check("ｻｲﾄｳ", &["0002"]);
    check("斎藤", &["0002"]);
    check("いちろう", &["0002", "0003"]);
    check("いちろう すずき", &["0003"]);
    check("佐藤花子", &["0001"]);
    check("髙橋", &["0011"]);
    check("0001000010", &["0010"]);
    check("00010", &["0002", "0003", "0010", "0001", "0011"]);
    check("S48.4.3", &["0003"]);
    check("昭和48年 4月 5日", &["0011"]);
    check("1973-04 3a", &["0002", "0003"]);
    check("3A", &["0002", "0003"]);
    check("5b", &["0010"]);
    check("いないひと", &[]);
    check("\n", &["0002", "0003", "0010", "0001", "0011"]);
    // A part of one text and a part of the next are no name.
    check("花子サトウ", &[]);
    assert_eq!(ids(&index.search("1", 2).lines), ["0002", "0003"]);
    assert_eq!(index.search("1", 2).total, 5);
    // Whose id it is comes first, even outside of the wards.
    assert_eq!(ids(&index.search("0001000001", 9).lines), ["0001"]);
}

#[test]
fn wards_are_listed_by_room_and_bed() {
    let index = hospital();
    let wards: Vec<_> = index.wards().into_iter().map(|ward| (ward.name, ward.patients)).collect();
    assert_eq!(wards, [("3A".to_owned(), 2), ("5B".to_owned(), 1)]);
    assert_eq!(ids(&index.ward("3A")), ["0003", "0002"], "bed 2 before bed 10");
    assert!(index.ward("9Z").is_empty());
    assert_eq!(index.get(&PatientId("0001000011".into())).unwrap().name.as_deref(), Some("高橋 京"));
    assert!(index.get(&PatientId("0001000012".into())).is_none());
}

#[test]
fn lines_of_several_stores_become_one() {
    let mut index = Index::default();
    index.push(&line("b", "", "ベ", 1, None));
    index.push(&line("c", "三", "", 1, None));
    index.push(&line("a", "一", "ア", 1, None));
    index.push(&line("b", "二", "", 1, Some(["3A", "", ""])));
    assert!(index.get(&PatientId("a".into())).is_some(), "found before the list is finished");
    index.finish();
    let all = index.search("", 9);
    assert_eq!((ids(&all.lines), all.total, index.len()), (vec!["b", "a", "c"], 3, 3));
    let joint = index.get(&PatientId("b".into())).unwrap();
    assert_eq!((joint.name.as_deref(), joint.kana.as_deref()), (Some("二"), Some("ベ")));
    assert_eq!(index.search("べ", 9).total, 1);
    assert_eq!(index.ward("3A").len(), 1);
}

#[test]
fn a_list_is_kept_for_one_snapshot_and_opens_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        Vault::init_with_cost(&dir.path().join(name), &Password::new("x"), KeyCost::TEST).unwrap()
    };
    let (vault, other) = (open("vault"), open("other"));
    let folder = dir.path().join("state");
    let id = |text: &str| SnapshotId(text.into());
    let mut index = hospital();
    for number in 0..20_000 {
        index.push(&line(&format!("9{number:09}"), "多田 数", "タダ カズ", 6, None));
    }
    index.miss(Unread::because(Path::new("/x"), "ADT-00", "torn"));
    index.finish();
    index.keep(&folder, &vault, &id("aa11")).unwrap();
    let kept = Index::kept(&folder, &vault, &id("aa11")).unwrap();
    assert_eq!((kept.len(), kept.unread().1), (20_005, 1));
    assert_eq!(ids(&kept.search("さいとう", 9).lines), ["0002"]);
    assert!(Index::kept(&folder, &vault, &id("bb22")).is_none());
    assert!(Index::kept(&folder, &other, &id("aa11")).is_none(), "another vault's key");

    let file = folder.join("patients-aa11");
    let whole = std::fs::read(&file).unwrap();
    for needle in ["齋藤".as_bytes(), b"0001000002"] {
        assert!(!whole.windows(needle.len()).any(|part| part == needle), "it is not in the clear");
    }
    std::fs::copy(&file, folder.join("patients-cc33")).unwrap();
    assert!(Index::kept(&folder, &vault, &id("cc33")).is_none(), "renamed");
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    assert!(Index::kept(&folder, &vault, &id("aa11")).is_none(), "torn");
    index.keep(&folder, &vault, &id("dd44")).unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "those of other snapshots are gone");
}

proptest! {
    #[test]
    fn every_search_finds_what_looking_at_each_line_finds(
        names in proptest::collection::vec("[あ-おア-オa-c1-3 ]{0,6}", 1..40),
        typed in "[あ-おア-オa-c1-3 ]{0,5}",
    ) {
        let mut index = Index::default();
        let lines: Vec<RosterLine> = (100..).zip(&names).map(|(id, name)| line(&id.to_string(), name, "", 1, None)).collect();
        lines.iter().for_each(|line| index.push(line));
        index.finish();
        let roster = crate::charts::Roster { patients: lines, unread: Vec::new() };
        let expected: Vec<String> = roster.search(&typed).iter().map(|line| line.patient.0.clone()).collect();
        let mut found: Vec<String> = index.search(&typed, 99).lines.into_iter().map(|line| line.patient.0).collect();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_patient_is_found_by_every_id_that_a_source_knows() {
    let mut index = hospital();
    let known =
        RosterLine { other_ids: vec!["p1".into(), "X-77".into()], ..line("0001000003", "", "", 3, None) };
    index.push(&known);
    index.finish();
    for typed in ["P1", "x-77", "スズキ p1"] {
        let found = index.search(typed, 10);
        assert_eq!(ids(&found.lines), ["0003"], "{typed}");
        assert_eq!(found.lines[0].other_ids, ["p1", "X-77"]);
    }
    assert_eq!(index.search("1X", 10).total, 0, "ids are not read across");
}
