//! Charts from databases that were captured by a real backup: PostgreSQL, MariaDB and SQLite.

use std::path::Path;

use jiff::civil::date;
use jiff::tz::TimeZone;
use recover::charts::mapping::{Database, Mapping, Origin, Rooms};
use recover::charts::{Charts, Course, LabFlag, Source};
use schema::PatientId;

use crate::servers::{Mariadb, Postgres, Yard};

/// A small schema that all three understand.
const TABLES: &str = "
    CREATE TABLE person (no INTEGER PRIMARY KEY, chart VARCHAR(20), kanji VARCHAR(40), kana VARCHAR(40), born DATE, sex CHAR(1), ward VARCHAR(10));
    CREATE TABLE allergy (no INTEGER PRIMARY KEY, person INTEGER, what VARCHAR(40), grade VARCHAR(20));
    CREATE TABLE drug (no INTEGER PRIMARY KEY, person INTEGER, name VARCHAR(40), begins DATE, days INTEGER);
    CREATE TABLE result (no INTEGER PRIMARY KEY, person INTEGER, test VARCHAR(20), measured DECIMAL(6,1), at TIMESTAMP NOT NULL);
    CREATE TABLE entry (no INTEGER PRIMARY KEY, person INTEGER, at TIMESTAMP NOT NULL, body TEXT);
    INSERT INTO person VALUES (1, '0001234567', '患者 太郎', 'カンジャ タロウ', '1948-04-05', 'M', '3A'), (2, '0000000002', NULL, NULL, NULL, NULL, NULL);
    INSERT INTO allergy VALUES (1, 1, 'ペニシリン', 'severe'), (2, 2, 'ソバ', 'mild');
    INSERT INTO drug VALUES (1, 1, 'O''Brien''s \"tonic\"', '2018-10-10', 14);
    INSERT INTO result VALUES (1, 1, 'K', 6.0, '2018-10-15 09:00:00'), (2, 1, 'K', 4.0, '2018-10-01 09:00:00');
    INSERT INTO entry VALUES (1, 1, '2018-10-15 10:00:00', 'S: 咳\n\tO: NULL'), (2, 1, '2018-10-14 10:00:00', '');
";

const SECTIONS: &str = r#"
[sections]
patients = "SELECT chart AS patient, no AS patient_key, kanji AS name, kana, born AS birth_date, sex, ward FROM person"
allergies = "SELECT person AS patient, no AS row_id, what AS substance, 'drug' AS category, grade AS severity FROM allergy"
medication = "SELECT person AS patient, no AS row_id, name AS drug, begins AS start, days FROM drug"
labs = "SELECT person AS patient, no AS row_id, test, measured AS value, '3.6-4.8' AS normal_range, at FROM result"
notes = "SELECT person AS patient, no AS row_id, body AS text, at AS date FROM entry"
meals = "SELECT nothing FROM nowhere"
"#;

/// Reads the one chart from the newest snapshot, and checks it; the kinds of database must not differ.
fn reads(yard: &Yard, head: &str) {
    let snapshot = yard.vault.find("latest").unwrap();
    let restored = tempfile::tempdir_in(yard.dir.path()).unwrap();
    let engines = tempfile::tempdir_in(yard.dir.path()).unwrap();
    let mapping = Mapping::parse(&format!("{head}{SECTIONS}")).unwrap();
    let rooms = Rooms { restored: restored.path(), engines: engines.path() };
    let zone = TimeZone::UTC;
    let database =
        Database::open(&mapping, &Origin::Snapshot(&yard.vault, &snapshot), &rooms, zone.clone()).unwrap();
    let charts = Charts::open(Source::snapshot(&yard.vault, &snapshot)).unwrap().in_zone(zone);
    let charts = charts.with_database(database);
    let roster = charts.roster();
    assert_eq!((roster.patients.len(), roster.search("かんじゃ").len()), (2, 1), "{head}");
    assert!(roster.unread.iter().all(|unread| unread.kind == "meals"), "{:?}", roster.unread);
    let chart = charts.chart(&PatientId("0001234567".into()), Some(date(2018, 10, 15))).unwrap();
    assert_eq!(chart.banner.birth_date, Some(date(1948, 4, 5)));
    assert_eq!(chart.allergies.len(), 1, "only this patient's");
    assert_eq!(chart.allergies[0].value.substance, "ペニシリン");
    let drug = &chart.medication[0].value;
    assert_eq!((drug.drugs[0].name.as_str(), drug.state), ("O'Brien's \"tonic\"", Course::Current));
    let potassium = &chart.labs[0];
    assert_eq!((potassium.results.len(), potassium.flag()), (2, LabFlag::High));
    assert_eq!(potassium.results[0].value.at, Some(date(2018, 10, 15).at(9, 0, 0, 0)));
    let note = &chart.notes[0];
    assert_eq!(note.value.text.as_deref(), Some("S: 咳\n\tO: NULL"));
    assert_eq!(note.from.part.as_deref(), Some("notes#1"));
    assert_eq!(
        chart.unread.iter().map(|unread| unread.kind.as_str()).collect::<Vec<_>>(),
        ["meals", "notes"]
    );
    assert!(charts.chart(&PatientId("0001234567' OR '1'='1".into()), None).is_none());
}

#[test]
fn a_chart_is_read_from_a_dump_of_postgresql() {
    let Some(server) = Postgres::start("a_chart_from_postgresql", &[]) else { return };
    server.sql("postgres", "CREATE DATABASE emr");
    server.sql("emr", &TABLES.replace("'S: 咳\\n\\tO", "E'S: 咳\\n\\tO").replace("\\\"", "\""));
    let yard = Yard::new();
    yard.capture(&[&server.source("postgresql", "")], &[]).unwrap();
    drop(server);
    reads(&yard, "kind = 'postgresql'\ndatabase = 'emr'\n");
}

#[test]
fn a_chart_is_read_from_a_dump_and_from_a_copy_of_mariadb() {
    let Some(server) = Mariadb::start("a_chart_from_mariadb") else { return };
    server.sql(&format!(
        "SET time_zone = '+00:00'; CREATE DATABASE emr CHARACTER SET utf8mb4; USE emr; {TABLES}"
    ));
    let yard = Yard::new();
    yard.capture(&[&server.source("mariadb")], &[]).unwrap();
    reads(&yard, "kind = 'mariadb'\ndatabase = 'emr'\nsource = 'emr'\n");
    yard.capture(&[&server.source("mariadb-copy")], &[]).unwrap();
    drop(server);
    reads(&yard, "kind = 'mariadb'\ndatabase = 'emr'\n");
}

#[test]
fn a_chart_is_read_from_an_sqlite_file_of_a_snapshot() {
    let yard = Yard::new();
    let store = yard.dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let file = store.join("emr.db");
    let live = rusqlite::Connection::open(&file).unwrap();
    // A live one, whose newest pages are in its log.
    live.pragma_update(None, "journal_mode", "WAL").unwrap();
    let tables = TABLES.replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"");
    live.execute_batch(&tables).unwrap();
    yard.capture(&[], &[&store]).unwrap();
    drop(live);
    reads(&yard, &format!("kind = 'sqlite'\nfile = '{}'\n", file.display()));
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let yard = Yard::new();
    let store = yard.dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    std::fs::write(store.join("x"), "x").unwrap();
    yard.capture(&[], &[&store]).unwrap();
    let snapshot = yard.vault.find("latest").unwrap();
    let check = |head: &str, expected: &str| {
        let restored = tempfile::tempdir_in(yard.dir.path()).unwrap();
        let rooms = Rooms { restored: restored.path(), engines: Path::new("/nonexistent") };
        let mapping = Mapping::parse(&format!("{head}{SECTIONS}")).unwrap();
        let opened =
            Database::open(&mapping, &Origin::Snapshot(&yard.vault, &snapshot), &rooms, TimeZone::UTC);
        let error = opened.err().map(|error| error.to_string()).unwrap();
        assert!(error.contains(expected), "{error}");
    };
    check("kind = 'postgresql'\ndatabase = 'emr'\n", "holds no captured database");
    check("kind = 'sqlite'\nfile = '/nowhere.db'\n", "/nowhere.db");
}
