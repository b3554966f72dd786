//! Stores that cannot be looked into, and a database together with its files.

use std::fs;

use crate::servers::{Postgres, Yard};

#[test]
fn what_cannot_be_looked_into_is_captured_and_said_to_be_unproven() {
    let yard = Yard::new();
    let folder = yard.dir.path().join("images");
    fs::create_dir_all(folder.join("sql")).unwrap();
    fs::write(folder.join("sql/emr.bak"), b"TAPE\0\0\x03\0").unwrap();
    fs::write(folder.join("dc.qcow2"), b"QFI\xfb\0\0\0\x03").unwrap();
    yard.capture(&[&format!("opaque:name=vm,path={}", folder.display())], &[]).unwrap();
    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(drill.not_proven.len(), 2, "{:?}", drill.not_proven);
    assert!(drill.not_proven[1].contains("SQL Server backup"), "{:?}", drill.not_proven);
    let proof = recover::proof::of_drill(&drill, yard.vault.id(), recover::proof::RestoredTo::Disk);
    assert_eq!(proof.not_proven, drill.not_proven);
}

#[test]
fn a_row_that_refers_to_a_file_is_never_newer_than_the_file() {
    let Some(server) = Postgres::start("a_row_that_refers_to_a_file", &[]) else { return };
    server.sql("postgres", "CREATE TABLE scan (name text)");
    let yard = Yard::new();
    let files = yard.dir.path().join("scans");
    fs::create_dir(&files).unwrap();
    // An EMR that goes on working: first the file, then the row.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                fs::write(files.join(format!("{number}.pdf")), "scan").unwrap();
                server.sql("postgres", &format!("INSERT INTO scan VALUES ('{number}.pdf')"));
            }
        });
        let captured = yard.capture(&[&server.source("postgresql", "")], &[&files]).unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let database = captured.manifest.census.databases.iter().find(|it| it.path.ends_with("/postgres"));
        let rows = database.unwrap().tables["public.scan"];
        let scans = fs::read_dir(&files).unwrap().count() as u64;
        let held = captured.manifest.census.files - 3;
        assert!(rows <= held && held <= scans, "{rows} rows, {held} files captured of {scans}");
        assert!(captured.manifest.finished_at >= captured.manifest.sources[0].instant);
    });
    let drill = yard.drill();
    assert!(drill.passed(), "{:?}", drill.shortfalls);
}
