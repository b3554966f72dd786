//! Stores that this project did not make: the same commands, and what is broken is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Site, files, restored};

#[test]
fn an_ordinary_folder_goes_in_and_comes_back() {
    let site = Site::new();
    let folder = site.path().join("my papers");
    fs::create_dir_all(folder.join("深い/ところ")).unwrap();
    fs::write(folder.join("letter.txt"), "Dear colleague").unwrap();
    fs::write(folder.join("深い/ところ/メモ.txt"), "覚え書き").unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    site.init();
    let backup = site.backup(&folder);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert_eq!(drill.last()["proof"]["files"], 3);
    let target = site.path().join("back");
    assert_eq!(site.vaulted(["restore", "--target", target.to_str().unwrap()]).code, 0);
    assert_eq!(files(&restored(&target, &folder)), files(&folder));
    let status = site.run(["status"]);
    assert_eq!(status.code, 0, "{}", status.stdout);
    assert!(status.last()["rto_first_chart_seconds"].is_null(), "there are no charts, and none is promised");
}

#[test]
fn a_users_own_database_is_captured_while_it_is_written_to() {
    let site = Site::new();
    fs::create_dir(site.hospital_dir()).unwrap();
    let path = site.hospital_dir().join("emr.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.execute_batch("CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT); BEGIN;").unwrap();
    for number in 0..500 {
        database.execute("INSERT INTO patients (name) VALUES (?1)", [format!("patient {number}")]).unwrap();
    }
    // Committed, and still only in the write-ahead log: copying the file would lose it.
    database.execute_batch("COMMIT; BEGIN; INSERT INTO patients (name) VALUES ('not committed');").unwrap();
    site.init();
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    assert_eq!(backup.last()["databases"][0]["tables"]["patients"], 500, "{}", backup.last());
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert_eq!(drill.last()["proof"]["database_rows"], 500);
    let target = site.path().join("back");
    assert_eq!(site.vaulted(["restore", "--target", target.to_str().unwrap()]).code, 0);
    let copy = rusqlite::Connection::open(restored(&target, &path)).unwrap();
    let rows: i64 = copy.query_row("SELECT count(*) FROM patients", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 500);
    drop(database);
}

#[test]
fn a_record_of_random_bytes_is_named_and_the_rest_is_proven() {
    let site = Site::hospital(6);
    let store = site.hospital_dir().join("ssmix2");
    let victim = files(&store).into_keys().find(|path| path.to_string_lossy().contains("OML-11")).unwrap();
    let noise: Vec<u8> = (0..900_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(store.join(&victim), &noise).unwrap();
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    assert!(backup.stderr.contains(victim.to_str().unwrap()), "named: {}", backup.stderr);
    let drill = site.run(["drill"]);
    assert_eq!((drill.code, &drill.last()["passed"]), (1, &true.into()), "{}", drill.stderr);
    assert_eq!(drill.last()["proof"]["unreadable_records"], 1);
    // Unchanged and not read again, it is still known to be broken.
    assert_eq!(site.backup(&site.hospital_dir()).code, 1);
    assert_eq!(site.run(["status"]).alarms(), ["backup.incomplete"]);
    let target = site.path().join("back");
    assert_eq!(site.vaulted(["restore", "--target", target.to_str().unwrap()]).code, 0);
    assert_eq!(
        fs::read(restored(&target, &store).join(&victim)).unwrap(),
        noise,
        "its bytes are kept as they were"
    );
}

#[test]
fn the_39_patients_of_another_generator_are_protected_and_readable() {
    let test = "the_39_patients_of_another_generator_are_protected_and_readable";
    let Some(archive) = testkit::shared(test, "hospital/ssmix2-generated/ssmix2-39patients.tar.gz") else {
        return;
    };
    let site = Site::new();
    fs::create_dir(site.hospital_dir()).unwrap();
    let unpacked =
        Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(site.hospital_dir()).status().unwrap();
    assert!(unpacked.success());
    site.init();
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert_eq!(
        (&drill.last()["proof"]["patients"], &drill.last()["proof"]["records"]),
        (&39.into(), &1173.into())
    );
    let list = site.vaulted(["charts", "list"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    assert_eq!(list.lines.iter().filter(|line| line["type"] == "patient").count(), 39, "{}", list.stdout);
}

#[test]
fn the_nho_samples_go_in_with_the_broken_one_named() {
    let test = "the_nho_samples_go_in_with_the_broken_one_named";
    let Some(samples) = testkit::shared(test, "hospital/ssmix2-nho/sampleData") else { return };
    let site = Site::new();
    site.init();
    let samples = samples.canonicalize().unwrap();
    let backup = site.backup(&samples);
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    let broken = "ADT-31/9999013_20110630_OMP-11_123456789012345_20110701113813225_01_1";
    assert!(backup.stderr.contains(broken), "{}", backup.stderr);
    assert_eq!(
        backup.lines.iter().filter(|line| line["type"] == "exception").count(),
        1,
        "{}",
        backup.stdout
    );
    let drill = site.run(["drill"]);
    assert_eq!((drill.code, &drill.last()["passed"]), (1, &true.into()), "{}", drill.stderr);
    assert!(drill.stderr.contains(broken), "{}", drill.stderr);
    let chart = site.vaulted(["charts", "show", "9999013"]);
    assert!(chart.code <= 1 && chart.stdout.contains("太郎"), "{} {}", chart.code, chart.stderr);
    let target = site.path().join("back");
    assert_eq!(site.vaulted(["restore", "--target", target.to_str().unwrap()]).code, 0);
    assert_eq!(files(&restored(&target, &samples)), files(&samples));
}

#[test]
fn a_stock_restic_reads_what_we_wrote_and_we_read_what_it_wrote() {
    let test = "a_stock_restic_reads_what_we_wrote_and_we_read_what_it_wrote";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let site = Site::hospital(10);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    assert_eq!(site.run(["drill"]).code, 0);
    let check = site.restic(&["check", "--read-data"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let theirs = site.path().join("theirs");
    let host = site.hospital_dir();
    let restore = site.restic(&[
        "restore",
        "latest",
        "--path",
        host.to_str().unwrap(),
        "--target",
        theirs.to_str().unwrap(),
    ]);
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    compare_stores(&host, &restored(&theirs, &host));
    let proof = site.restic(&["dump", "--tag", "chartward-proof", "latest", "/.chartward/proof.json"]);
    let proof: serde_json::Value = serde_json::from_slice(&proof.stdout).unwrap();
    assert_eq!((&proof["passed"], &proof["patients"]), (&true.into(), &10.into()));

    // And the other way round: a snapshot that restic made in the same vault.
    let backup = site.restic(&["backup", "--host", "elsewhere", host.join("ssmix2").to_str().unwrap()]);
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let drill = site.run(["drill"]);
    assert_eq!(&drill.last()["passed"], &true, "{}", drill.stderr);
    let relative = Command::new("restic")
        .args(["--no-cache", "backup", "--host", "relative", "ssmix2", "-r"])
        .arg(site.vault())
        .env("RESTIC_PASSWORD", crate::support::PASSPHRASE)
        .current_dir(&host)
        .output()
        .unwrap();
    assert!(relative.status.success(), "{}", String::from_utf8_lossy(&relative.stderr));
    let drill = site.run(["drill", "latest"]);
    assert_eq!(
        (&drill.last()["passed"], &drill.last()["proof"]["patients"]),
        (&true.into(), &10.into()),
        "{}",
        drill.stderr
    );
    let backup = site.restic(&["backup", "--host", "elsewhere", host.join("ssmix2").to_str().unwrap()]);
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let ours = site.path().join("ours");
    assert_eq!(site.vaulted(["restore", "latest", "--target", ours.to_str().unwrap()]).code, 0);
    assert_eq!(files(&restored(&ours, &host.join("ssmix2"))), files(&host.join("ssmix2")));
}

/// Byte for byte, and the database, which was captured by its own backup, row for row.
fn compare_stores(live: &Path, copy: &Path) {
    let is_database = |path: &PathBuf| path.starts_with("emr") && path.to_string_lossy().contains(".sqlite");
    let plain = |dir: &Path| {
        let mut files = files(dir);
        files.retain(|path, _| !is_database(path));
        files
    };
    assert!(plain(live) == plain(copy), "files differ");
    assert_eq!(dump(&live.join("emr/emr.sqlite")), dump(&copy.join("emr/emr.sqlite")));
}

/// Every row of every table, as text.
fn dump(path: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut names =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut lines = Vec::new();
    for name in names {
        let mut rows = database.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> =
                (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap())).collect();
            lines.push(format!("{name}: {}", values.join("|")));
        }
    }
    lines.sort();
    lines
}
