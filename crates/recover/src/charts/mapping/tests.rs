use std::path::Path;

use jiff::civil::date;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use schema::PatientId;

use super::{Database, Mapping, Origin, Rooms};
use crate::charts::{AlertKind, Charts, Course, LabFlag, Source, Trend};

/// A small clinic's tables, in no EMR's likeness.
const TABLES: &str = "
    CREATE TABLE person (no INTEGER PRIMARY KEY, chart TEXT, kanji TEXT, kana TEXT, born TEXT, sex TEXT, ward TEXT);
    CREATE TABLE finding (no INTEGER PRIMARY KEY, person INTEGER, sort TEXT, what TEXT, code TEXT, since TEXT, until TEXT, grade TEXT);
    CREATE TABLE drug (person INTEGER, name TEXT, dose TEXT, how TEXT, begins TEXT, days INTEGER);
    CREATE TABLE value (person INTEGER, test TEXT, value TEXT, unit TEXT, low REAL, high REAL, at TEXT);
    CREATE TABLE entry (person INTEGER, at TEXT, body TEXT, booked INTEGER);
    INSERT INTO person VALUES (1, '0001234567', '患者 太郎', 'カンジャ タロウ', '1948-04-05', '男', '3A'),
        (2, 'abc', '山田 花子', 'ヤマダ ハナコ', '1980/12/01', '女', NULL), (3, 'ABC', '別人 一郎', NULL, NULL, NULL, NULL),
        (4, NULL, '名無し', NULL, NULL, NULL, NULL);
    INSERT INTO finding VALUES (11, 1, 'a', 'ペニシリン', '', '2001', NULL, '重度'), (12, 1, 'p', '糖尿病', 'E11', '2016-01-01', NULL, NULL),
        (13, 1, 'p', '感冒', 'J00', '2017-01-01', '2017-01-10', NULL), (14, 1, 'a', NULL, NULL, NULL, NULL, NULL);
    INSERT INTO drug VALUES (1, 'アムロジピン', '1 錠', '1日1回朝食後', '2018-10-10', 14), (2, '別の薬', '1 錠', '', '2018-10-10', 14);
    INSERT INTO value VALUES (1, 'K', '6.0', 'mEq/L', 3.6, 4.8, '2018-10-15 09:00:00'), (1, 'K', '4.0', 'mEq/L', 3.6, 4.8, '2018-10-01 09:00:00');
    INSERT INTO entry VALUES (1, '2018-10-15 10:00', '経過良好', 0), (1, '2018-10-20 09:30', '再診', 1), (1, 'someday', 'いつか', 0);
";

const MAPPING: &str = r#"
kind = "sqlite"
file = "/srv/emr.db"
[sections]
patients = "SELECT chart AS patient, no AS patient_key, kanji AS name, kana, born AS birth_date, sex, ward, 'N' || no AS other_id FROM person"
allergies = "SELECT person AS patient, no AS row_id, what AS substance, 'drug' AS category, grade AS severity, since FROM finding WHERE sort = 'a'"
problems = "SELECT person AS patient, no AS row_id, what AS name, code AS icd10, since, until FROM finding WHERE sort = 'p';"
medication = "SELECT person AS patient, name AS drug, dose, how AS directions, begins AS start, days, 1 AS colour FROM drug"
labs = """
SELECT person AS patient, test, value, unit, low || '-' || high AS normal_range, at
FROM value -- the last line may be a remark"""
notes = "SELECT person AS patient, body AS text, at AS date FROM entry WHERE NOT booked"
appointments = "SELECT person AS patient, at, body AS what FROM entry WHERE booked"
meals = "SELECT no_such_column FROM person"
visits = "SELECT person AS patient FROM entry"
"#;

fn database(dir: &Path) -> Database {
    let file = dir.join("folder/srv/emr.db");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    Connection::open(&file).unwrap().execute_batch(TABLES).unwrap();
    let restored = dir.join("restored");
    std::fs::create_dir(&restored).unwrap();
    let rooms = Rooms { restored: &restored, engines: &restored };
    let mapping = Mapping::parse(MAPPING).unwrap();
    Database::open(&mapping, &Origin::Folder(&dir.join("folder")), &rooms, TimeZone::UTC).unwrap()
}

#[test]
fn rows_of_a_database_make_a_chart_and_what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let charts = Charts::open(Source::folder(&dir.path().join("folder")));
    assert!(charts.is_err(), "the folder is made with the database");
    let database = database(dir.path());
    let charts = Charts::open(Source::folder(&dir.path().join("folder"))).unwrap().with_database(database);
    assert!(charts.has_records() && charts.roots().is_empty());
    let roster = charts.roster();
    let listed: Vec<&str> = roster.patients.iter().map(|line| line.patient.0.as_str()).collect();
    assert_eq!(listed, ["0001234567", "ABC", "abc"]);
    let causes: Vec<String> =
        roster.unread.iter().map(|unread| format!("{}: {}", unread.kind, unread.cause)).collect();
    let expected = [
        "medication: columns that nobody knows are not shown: colour",
        "visits: its query has no column at",
        "meals: its query fails: cannot query",
        "patients: 1 rows have nothing in patient",
    ];
    for (cause, expected) in causes.iter().zip(expected) {
        assert!(cause.starts_with(expected), "{cause}");
    }
    assert_eq!(causes.len(), expected.len());
    for found in ["かんじゃ", "1948-04-05", "N1", "1234567", "3A"] {
        assert_eq!(roster.search(found).len(), 1, "{found}");
    }

    let chart = charts.chart(&PatientId("1234567".into()), Some(date(2018, 10, 15))).unwrap();
    assert_eq!(chart.patient.0, "0001234567", "zeros in front are no difference");
    assert_eq!(
        (chart.banner.age, chart.banner.ward.as_ref().map(|bed| bed.value.ward.as_str())),
        (Some(70), Some("3A"))
    );
    assert_eq!(chart.allergies.len(), 1);
    assert_eq!(chart.allergies[0].from.part.as_deref(), Some("allergies#11"));
    assert_eq!(chart.allergies[0].from.path, "/srv/emr.db");
    let problems: Vec<_> =
        chart.problems.iter().map(|item| (item.value.name.as_str(), item.value.active)).collect();
    assert_eq!(problems, [("糖尿病", true), ("感冒", false)]);
    assert_eq!((chart.medication.len(), chart.medication[0].value.state), (1, Course::Current));
    assert_eq!(chart.medication[0].value.until, Some(date(2018, 10, 23)));
    let series = &chart.labs[0];
    assert_eq!((series.results.len(), series.trend, series.flag()), (2, Some(Trend::Up), LabFlag::High));
    assert_eq!((chart.notes.len(), chart.appointments.len()), (2, 1));
    assert!(chart.alerts.iter().any(|alert| alert.kind == AlertKind::Allergy && alert.what == "ペニシリン"));
    let unread: Vec<String> =
        chart.unread.iter().map(|unread| format!("{}: {}", unread.kind, unread.cause)).collect();
    assert!(unread.contains(&"allergies: allergies#14 has nothing in substance".to_owned()), "{unread:?}");
    assert!(unread.contains(&"notes: date of notes#2 is no time".to_owned()), "{unread:?}");

    let other = charts.chart(&PatientId("abc".into()), None).unwrap();
    assert_eq!((other.banner.name.as_deref(), other.medication.len()), (Some("山田 花子"), 1));
    for nobody in ["", "N9", "x' OR 1=1 --", "9999"] {
        assert!(charts.chart(&PatientId(nobody.into()), None).is_none(), "{nobody}");
    }
}

#[test]
fn a_hostile_database_can_neither_write_nor_run_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("emr.db");
    Connection::open(&file).unwrap().execute_batch(TABLES).unwrap();
    let restored = dir.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let open = |sql: &str| {
        let text = format!("kind = 'sqlite'\nfile = '/emr.db'\n[sections]\npatients = \"{sql}\"");
        let rooms = Rooms { restored: &restored, engines: &restored };
        let _ = std::fs::remove_file(restored.join("database"));
        Database::open(&Mapping::parse(&text).unwrap(), &Origin::Folder(dir.path()), &rooms, TimeZone::UTC)
    };
    for refused in [
        "SELECT 1 AS patient) AS q; DROP TABLE person; --",
        "DELETE FROM person RETURNING chart AS patient",
        "SELECT load_extension('x') AS patient",
        "SELECT 1 AS name",
        "",
    ] {
        assert!(open(refused).is_err(), "{refused}");
    }
    assert_eq!(open("SELECT chart AS patient FROM person").unwrap().roster().len(), 3);
}
