//! PostgreSQL, captured from a real server and started again by a drill.

use schema::{Drill, ShortfallKind};

use crate::servers::{Postgres, Yard};

const RECORDS: &str = "CREATE TABLE patient (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO patient SELECT n, 'patient ' || n FROM generate_series(1, 500) n;
    CREATE TABLE \"Order\nof day\" (patient int REFERENCES patient, at timestamptz, due timestamp);
    INSERT INTO \"Order\nof day\" SELECT n, '2026-01-01'::timestamptz + n * interval '1 minute', '2999-01-01'
        FROM generate_series(1, 500) n;
    CREATE TABLE visit (at timestamptz) PARTITION BY RANGE (at);
    CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
    INSERT INTO visit SELECT '2025-06-01'::timestamptz + n * interval '1 day' FROM generate_series(1, 100) n;
    SELECT lo_from_bytea(70000 + n, convert_to(repeat('image ' || n, 1000), 'UTF8')) FROM generate_series(1, 20) n";

fn rows(drill: &Drill, database: &str, table: &str) -> u64 {
    let census = drill.census.databases.iter().find(|it| it.path == database);
    census.and_then(|census| census.tables.get(table)).copied().unwrap_or_default()
}

#[test]
fn every_database_comes_back_with_its_rows_roles_and_large_objects() {
    let Some(server) = Postgres::start("every_database_comes_back", &[]) else { return };
    server.sql("postgres", "CREATE ROLE doctor LOGIN PASSWORD 'secret'");
    server.sql("postgres", "CREATE DATABASE emr OWNER doctor");
    // A hospital's old system: its own encoding, and a name that nobody should have chosen.
    server.sql(
        "postgres",
        "CREATE DATABASE \"医事 dbname='x'/..\" ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0",
    );
    server.sql("emr", RECORDS);
    server.sql(
        "医事 dbname='x'/..",
        "CREATE TABLE claim (n int, t text); INSERT INTO claim VALUES (1, '診療報酬')",
    );
    let yard = Yard::new();
    let captured = yard.capture(&[&server.source("postgresql", "")], &[]).unwrap();
    assert_eq!(captured.manifest.exceptions, []);
    assert_eq!(captured.manifest.sources[0].kind, "postgresql");

    // What comes after the capture is not in it, and does not disturb the drill.
    server.sql("emr", "DELETE FROM \"Order\nof day\"; DROP TABLE visit");
    let drill = yard.drill();
    assert_eq!((drill.shortfalls.as_slice(), drill.remarks.as_slice()), (&[][..], &[][..]));
    let emr = "postgresql:emr/emr";
    assert_eq!(rows(&drill, emr, "public.patient"), 500);
    assert_eq!(rows(&drill, emr, "public.\"Order\nof day\""), 500);
    assert_eq!(rows(&drill, emr, "public.visit_old"), 100);
    assert_eq!(rows(&drill, emr, "large objects"), 20);
    assert_eq!(rows(&drill, "postgresql:emr/医事 dbname='x'/..", "public.claim"), 1);
    assert_eq!(rows(&drill, "postgresql:emr", "roles"), 2);
    // Appointments in the future are no records.
    assert_eq!(drill.census.newest_record, "2026-01-01T08:20:00Z".parse().ok());
}

#[test]
fn what_is_not_in_the_dump_as_it_was_fails_the_drill() {
    let Some(server) = Postgres::start("what_is_not_in_the_dump", &[]) else { return };
    server.sql("postgres", "CREATE DATABASE emr");
    server.sql("emr", RECORDS);
    let yard = Yard::new();
    let mut captured = yard.capture(&[&server.source("postgresql", ",database=emr")], &[]).unwrap();
    let found = yard.drill().census;
    let database =
        captured.manifest.census.databases.iter_mut().find(|it| it.path.ends_with("/emr")).unwrap();
    assert_eq!(found.databases.iter().find(|it| it.path == database.path), Some(&*database));
    assert_eq!((database.digests.len(), database.tables.len()), (20, 4));
}

#[test]
fn a_dump_that_fails_leaves_no_snapshot() {
    let Some(server) = Postgres::start("a_dump_that_fails", &[]) else { return };
    server.sql("postgres", "CREATE TABLE secret (n int); CREATE ROLE reader LOGIN");
    let yard = Yard::new();
    for (source, said) in [
        (server.source("postgresql", "").replace("user=postgres", "user=reader"), "permission denied"),
        (server.source("postgresql", "").replace("user=postgres", "user=nobody"), "does not exist"),
        (server.source("postgresql", ",database=gone"), "no database gone"),
        ("postgresql:host=/nowhere".to_owned(), "No such file"),
    ] {
        let error = yard.capture(&[&source], &[]).err().unwrap().to_string();
        assert!(error.contains(said), "{source}: {error}");
        assert_eq!(yard.snapshots(), 0);
    }
}

#[test]
fn a_server_that_cannot_be_started_here_is_a_shortfall_and_no_success() {
    let Some(server) = Postgres::start("a_server_that_cannot_be_started", &[]) else { return };
    server.sql("postgres", "CREATE TABLE t AS SELECT 1 AS n");
    let yard = Yard::new();
    yard.capture(&[&server.source("postgresql", "")], &[]).unwrap();
    let snapshot = yard.vault.find("latest").unwrap();
    let sandbox = tempfile::tempdir().unwrap();
    let request = recover::drill::DrillRequest {
        snapshot: &snapshot,
        sandbox: sandbox.path(),
        engines: None,
        previous: None,
        sample: None,
        scanner: &recover::drill::Scanner::None("a test".to_owned()),
        zone: jiff::tz::TimeZone::UTC,
        now: &jiff::Timestamp::now,
    };
    let drill = recover::drill::drill(&yard.vault, &request, &|_| ()).unwrap();
    assert_eq!(drill.shortfalls[0].kind, ShortfallKind::NotStarted);
}

/// Base backup and log of a server on which somebody goes on working.
fn base_and_log_come_back(test: &str, archives: bool) {
    let archive = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(archive.path(), Some(65_534), None).ok();
    let archiver = format!("archive_command=cp %p {}/%f", archive.path().display());
    let options = if archives { vec!["-c", "archive_mode=on", "-c", archiver.as_str()] } else { Vec::new() };
    let Some(server) = Postgres::start(test, &options) else { return };
    server.sql("postgres", "CREATE DATABASE emr");
    server.sql("emr", RECORDS);
    let yard = Yard::new();
    let spool = yard.dir.path().join("spool");
    let mut more = format!(",spool={}", spool.display());
    if archives {
        more += &format!(",archive={}", archive.path().display());
    }
    let source = server.source("postgresql-wal", &more);
    yard.capture(&[&source], &[]).unwrap();

    // The second capture takes the log alone.
    server.sql("emr", "INSERT INTO patient SELECT n, 'new' FROM generate_series(501, 700) n");
    let committed = jiff::Timestamp::now();
    let captured = yard.capture(&[&source], &[]).unwrap();
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 2, "one base and the log");
    server.sql("emr", "DELETE FROM \"Order\nof day\"");

    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(rows(&drill, "postgresql-wal:emr/emr", "public.patient"), 700);
    assert_eq!(
        drill.census.databases,
        captured
            .manifest
            .census
            .databases
            .iter()
            .map(|database| {
                let mut database = database.clone();
                if database.path == "postgresql-wal:emr" {
                    database.newest_record = drill.census.newest_record;
                }
                database
            })
            .collect::<Vec<_>>()
    );
    assert!(drill.census.newest_record.unwrap() >= committed, "{:?}", drill.census.newest_record);
    assert!(drill.rpo_seconds.unwrap() < 60.0, "{:?}", drill.rpo_seconds);
}

#[test]
fn the_log_that_was_received_is_replayed_to_its_newest_commit() {
    base_and_log_come_back("the_log_that_was_received", false);
}

#[test]
fn the_log_that_the_server_archived_is_replayed_to_its_newest_commit() {
    base_and_log_come_back("the_log_that_the_server_archived", true);
}

#[test]
fn a_gap_in_the_log_is_named_and_ended_by_a_new_base() {
    let Some(server) = Postgres::start("a_gap_in_the_log", &[]) else { return };
    let yard = Yard::new();
    let spool = yard.dir.path().join("spool");
    let source = server.source("postgresql-wal", &format!(",spool={}", spool.display()));
    let work = "CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1); SELECT pg_switch_wal()";
    (0..3).for_each(|_| drop((server.sql("postgres", work), yard.capture(&[&source], &[]).unwrap())));
    let segments = || {
        let mut all: Vec<_> =
            std::fs::read_dir(spool.join("wal")).unwrap().map(|it| it.unwrap().path()).collect();
        all.sort();
        all
    };
    std::fs::remove_file(&segments()[1]).unwrap();
    let captured = yard.capture(&[&source], &[]).unwrap();
    let exceptions = captured.manifest.exceptions;
    assert!(exceptions.len() == 1 && exceptions[0].cause.contains("1 segments"), "{exceptions:?}");
    assert_eq!(yard.drill().shortfalls, []);

    // Somebody dropped the slot, and the server threw away what nobody waited for.
    server.sql("postgres", "SELECT pg_drop_replication_slot('chartward')");
    (0..3).for_each(|_| drop(server.sql("postgres", &format!("{work}; CHECKPOINT"))));
    let captured = yard.capture(&[&source], &[]).unwrap();
    assert_eq!(captured.manifest.exceptions.len(), 1, "{:?}", captured.manifest.exceptions);
    assert_eq!(yard.drill().shortfalls, []);
}

#[test]
fn a_password_that_was_handed_over_opens_the_server_and_no_other_does() {
    let Some(server) = Postgres::start("a_password_that_was_handed_over", &[]) else { return };
    server.sql("postgres", r"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'p:a\s wörd:*'");
    server.sql("postgres", "CREATE DATABASE emr");
    server.sql("emr", RECORDS);
    server.sql(
        "postgres",
        "DO $do$ BEGIN EXECUTE format('COPY (SELECT unnest(ARRAY[''local all keeper scram-sha-256'', ''local all all trust''])) TO %L', \
         current_setting('hba_file')); PERFORM pg_reload_conf(); END $do$",
    );
    let yard = Yard::new();
    let source =
        server.source("postgresql", ",password-secret=emr-db").replace("user=postgres", "user=keeper");
    let not_handed = yard.capture(&[&source], &[]).err().map(|error| error.to_string()).unwrap();
    assert!(not_handed.contains("not handed over"), "{not_handed}");
    // The server reads its rules again when it comes to it.
    crate::servers::wait_until("the new rule", || yard.capture_with_password(&source, "another").is_err());
    let captured = yard.capture_with_password(&source, r"p:a\s wörd:*").unwrap();
    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(rows(&drill, "postgresql:emr/emr", "public.patient"), 500);
    assert!(!serde_json::to_string(&captured.manifest).unwrap().contains("wörd"));
}
