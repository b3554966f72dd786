//! The ways in which a hospital learns too late that it has no backup: each must raise the right alarm.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{Run, Site, files};

const PATIENTS: u32 = 12;

/// A hospital, backed up and proven.
fn proven() -> Site {
    let site = Site::hospital(PATIENTS);
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    let status = site.run(["status"]);
    assert_eq!((status.code, status.alarms()), (0, vec![]), "{}", status.stderr);
    site
}

fn alarms(site: &Site, expected: &[&str]) -> Run {
    let status = site.run(["status"]);
    assert_eq!(status.code, 1, "an alarm is not success: {}", status.stdout);
    assert_eq!(status.alarms(), expected);
    status
}

#[test]
fn a_proven_backup_gives_the_three_figures() {
    let site = proven();
    let status = site.run(["status"]);
    let last = status.last();
    assert!(last["rpo_seconds"].as_f64().unwrap() < 600.0, "{last}");
    assert!(last["rto_first_chart_seconds"].as_f64().unwrap() > 0.0, "{last}");
    assert!(last["rto_full_seconds"].as_f64().unwrap() > 0.0, "{last}");
    assert!(last["proven_at"].is_string(), "{last}");
    let sentence = site.bare([
        "status",
        "--vault",
        site.vault().to_str().unwrap(),
        "--state",
        &site.state(),
        "--lang",
        "en",
    ]);
    assert!(
        sentence.stdout.starts_with("If everything were encrypted now, you would lose at most"),
        "{}",
        sentence.stdout
    );
    let sentence = site.bare([
        "status",
        "--vault",
        site.vault().to_str().unwrap(),
        "--state",
        &site.state(),
        "--lang",
        "ja",
    ]);
    assert!(sentence.stdout.contains("復元"), "{}", sentence.stdout);
}

#[test]
fn the_job_said_success_and_the_medium_is_empty() {
    let site = proven();
    fs::remove_dir_all(site.vault()).unwrap();
    fs::create_dir(site.vault()).unwrap();
    let status = alarms(&site, &["backup.medium_empty"]);
    assert!(status.last()["rpo_seconds"].is_null(), "nothing is promised: {}", status.stdout);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 2, "{}", drill.stderr);
    assert!(drill.stderr.contains("no repository"), "{}", drill.stderr);
}

#[test]
fn the_medium_is_absent() {
    let site = proven();
    fs::rename(site.vault(), site.path().join("unplugged")).unwrap();
    alarms(&site, &["backup.medium_absent"]);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 2, "{}", drill.stderr);
    assert!(drill.stderr.contains("absent") && drill.stderr.contains("next:"), "{}", drill.stderr);
}

#[test]
fn the_snapshots_are_gone_from_a_vault_that_opens() {
    let site = proven();
    for file in fs::read_dir(site.vault().join("snapshots")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    alarms(&site, &["backup.snapshot_missing", "backup.none"]);
    assert_eq!(site.run(["drill"]).code, 2);
}

#[test]
fn the_backup_has_silently_stopped() {
    let site = proven();
    std::thread::sleep(Duration::from_millis(2_100));
    let status = site.run(["status", "--max-age", "2s"]);
    assert_eq!((status.code, status.alarms()), (1, vec!["backup.stale"]));
    let status = site.run(["status", "--max-proof-age", "1s"]);
    assert_eq!((status.code, status.alarms()), (1, vec!["backup.proof_stale"]));
}

#[test]
fn the_backup_is_cut_short_in_the_middle() {
    let site = proven();
    let mut packs: Vec<_> = files(&site.vault().join("data")).into_iter().collect();
    packs.sort_by_key(|(_, bytes)| bytes.len());
    let (largest, bytes) = packs.pop().unwrap();
    let largest = site.vault().join("data").join(largest);
    // The medium was full and nobody looked: the pack's first half is there.
    fs::remove_file(&largest).unwrap();
    fs::write(&largest, &bytes[..bytes.len() / 2]).unwrap();
    alarms(&site, &["backup.damaged"]);
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 1, "{}", drill.stderr);
    assert_eq!(drill.last()["passed"], false);
    assert!(drill.stderr.contains("NotRestored"), "what is missing is named: {}", drill.stderr);
    let check = site.vaulted(["vault", "check", "--read-data"]);
    assert_eq!(check.code, 1, "{}", check.stderr);
    let status = site.run(["status"]);
    assert_eq!(status.alarms(), ["backup.damaged", "backup.drill_failed", "backup.unproven"]);
}

#[test]
fn the_backup_was_taken_after_the_encryption_had_begun() {
    let site = proven();
    let promised = site.run(["status"]).last()["snapshot"].clone();
    encrypt(&site.hospital_dir().join("ssmix2"));
    let backup = site.backup(&site.hospital_dir());
    assert!(backup.code <= 1, "the job itself says nothing: {}", backup.stderr);
    let drill = site.run(["drill"]);
    assert_eq!((drill.code, &drill.last()["passed"]), (1, &false.into()), "{}", drill.stderr);
    assert!(drill.stderr.contains("Encrypted"), "{}", drill.stderr);
    let status = alarms(&site, &["backup.shrunk", "backup.encrypted"]);
    assert_eq!(status.last()["snapshot"], promised, "the promise rests on the snapshot before");
    // At 3 a.m. nobody names a snapshot: the one that was found wanting is passed over.
    let target = site.path().join("back");
    let restore = site.vaulted(["restore", "--target", target.to_str().unwrap()]);
    assert_eq!(restore.code, 0, "{}", restore.stderr);
    assert_eq!(restore.last()["snapshot"], promised);
}

#[test]
fn the_first_backup_ever_was_taken_after_the_encryption() {
    let site = Site::hospital(PATIENTS);
    encrypt(&site.hospital_dir().join("ssmix2"));
    site.backup(&site.hospital_dir());
    let drill = site.run(["drill"]);
    assert_eq!(drill.code, 1, "{}", drill.stderr);
    assert!(drill.stderr.contains("Encrypted"), "{}", drill.stderr);
    alarms(&site, &["backup.encrypted", "backup.unproven"]);
}

#[test]
fn an_encryption_that_keeps_the_names_is_found_by_content() {
    let site = Site::hospital(PATIENTS);
    for (number, path) in files(&site.hospital_dir().join("ssmix2")).into_keys().enumerate() {
        if number % 10 == 0 {
            scramble(&site.hospital_dir().join("ssmix2").join(path));
        }
    }
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 1, "a record that does not decode is named at once: {}", backup.stderr);
    let drill = site.run(["drill"]);
    assert!(drill.code == 1 && drill.stderr.contains("Encrypted"), "{}", drill.stderr);
}

#[test]
fn the_folder_that_is_backed_up_was_not_mounted() {
    let site = Site::new();
    site.init();
    fs::create_dir(site.hospital_dir()).unwrap();
    site.backup(&site.hospital_dir());
    let drill = site.run(["drill"]);
    assert_eq!((drill.code, &drill.last()["passed"]), (1, &false.into()));
    assert_eq!(site.run(["status"]).alarms(), ["backup.empty", "backup.drill_failed", "backup.unproven"]);
}

/// Turns every third record into noise with GandCrab's suffix, inside the test's own folder.
fn encrypt(store: &Path) {
    for (number, path) in files(store).into_keys().enumerate() {
        if number % 3 == 0 {
            let path = store.join(path);
            scramble(&path);
            fs::rename(&path, format!("{}.KRAB", path.display())).unwrap();
        }
    }
}

/// XORs a file with a fixed stream of bytes; twice gives it back.
fn scramble(path: &Path) {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = fs::read(path).unwrap();
    for byte in &mut bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte ^= (state >> 32) as u8;
    }
    fs::write(path, bytes).unwrap();
}
