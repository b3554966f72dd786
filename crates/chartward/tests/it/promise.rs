//! Nothing is promised that does not hold: what must not pass a drill, and what must not switch an alarm off.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Site, files, run};

/// A hospital, backed up and proven.
fn proven() -> Site {
    let site = Site::hospital(12);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    assert_eq!(site.run(["drill"]).code, 0);
    site
}

fn failed_drill(site: &Site, said: &str) {
    let drill = site.run(["drill"]);
    assert_eq!((drill.code, &drill.last()["passed"]), (1, &false.into()), "{}", drill.stderr);
    assert!(drill.stderr.contains(said), "{}", drill.stderr);
}

#[test]
fn records_that_all_became_unreadable_text_do_not_pass_although_the_capture_knew() {
    let site = proven();
    let store = site.hospital_dir().join("ssmix2");
    for path in files(&store).into_keys() {
        fs::write(store.join(path), "bm90IGEgcmVjb3JkIGFueSBtb3Jl".repeat(20)).unwrap();
    }
    assert_eq!(site.backup(&site.hospital_dir()).code, 1);
    failed_drill(&site, "records that decode");
    let chart = site.vaulted(["charts", "list"]);
    assert_eq!(
        chart.lines.iter().filter(|line| line["type"] == "patient").count(),
        12,
        "the older one is read"
    );
}

#[test]
fn the_first_drill_of_a_store_that_cannot_be_read_fails_too() {
    let site = Site::hospital(12);
    let store = site.hospital_dir().join("ssmix2");
    for path in files(&store).into_keys() {
        fs::write(store.join(path), "nothing that is a record").unwrap();
    }
    site.backup(&site.hospital_dir());
    failed_drill(&site, "Undecodable");
}

#[test]
fn a_database_that_is_gone_or_noise_does_not_pass() {
    for replace in [true, false] {
        let site = proven();
        let database = site.hospital_dir().join("emr/emr.sqlite");
        let size = fs::metadata(&database).unwrap().len();
        fs::remove_file(&database).unwrap();
        if replace {
            let mut state = 1_u64;
            let noise = (0..size).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            });
            fs::write(&database, noise.collect::<Vec<u8>>()).unwrap();
        }
        site.backup(&site.hospital_dir());
        let status = site.run(["status"]);
        assert_eq!(status.alarms(), ["backup.shrunk"], "known before any drill");
        failed_drill(&site, "is no database now");
    }
}

#[test]
fn a_store_that_was_really_made_smaller_passes_when_somebody_says_so() {
    let site = proven();
    fs::remove_file(site.hospital_dir().join("emr/emr.sqlite")).unwrap();
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    failed_drill(&site, "is no database now");
    let drill = site.run(["drill", "--accept-fewer"]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert_eq!(site.run(["status"]).alarms(), Vec::<&str>::new());
}

#[test]
fn a_second_job_hides_nothing_of_the_first() {
    let site = proven();
    let other = site.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "new").unwrap();
    assert_eq!(site.backup(&other).code, 0);
    let status = site.run(["status"]);
    assert_eq!(status.alarms(), ["backup.unproven"]);
    assert!(status.last()["rpo_seconds"].is_null(), "everything includes what was never proven");
    assert_eq!(site.run(["drill"]).code, 0, "one drill for each");
    let status = site.run(["status"]);
    assert_eq!((status.code, status.alarms()), (0, vec![]), "{}", status.stdout);
    let list = site.vaulted(["charts", "list"]);
    assert_eq!(list.lines.iter().filter(|line| line["type"] == "patient").count(), 12, "{}", list.stderr);
}

#[test]
fn restore_without_a_name_takes_the_newest_proven_snapshot() {
    let site = proven();
    let proven = site.run(["status"]).last()["snapshot"].clone();
    fs::write(site.hospital_dir().join("README.txt"), "changed since").unwrap();
    let newest = site.backup(&site.hospital_dir()).last()["snapshot"].clone();
    for (name, expected) in [(None, &proven), (Some("latest"), &newest)] {
        let target = site.path().join(format!("back-{}", name.unwrap_or("proven")));
        let args = ["restore"].into_iter().chain(name).chain(["--target", target.to_str().unwrap()]);
        let restore = site.vaulted(args);
        assert_eq!((restore.code, &restore.last()["snapshot"]), (0, expected), "{}", restore.stderr);
        assert_eq!(restore.stderr.contains("passing over 1 newer"), name.is_none(), "{}", restore.stderr);
    }
}

#[test]
fn a_sandbox_that_runs_full_says_nothing_about_the_vault() {
    let test = "a_sandbox_that_runs_full_says_nothing_about_the_vault";
    if !testkit::root(test) {
        return;
    }
    let site = proven();
    let small = Mounted::tmpfs(&site.path().join("small"), "size=600k");
    let drill = site.run(["drill", "--sandbox", small.0.to_str().unwrap()]);
    assert_eq!(drill.code, 2, "{}", drill.stderr);
    assert!(drill.stderr.contains("no room left in the sandbox"), "{}", drill.stderr);
    assert_eq!(site.run(["status"]).alarms(), Vec::<&str>::new(), "the proof stands");
}

#[test]
fn on_a_read_only_medium_everything_works_that_only_reads() {
    let test = "on_a_read_only_medium_everything_works_that_only_reads";
    if !testkit::root(test) {
        return;
    }
    let site = proven();
    let _mounted = Mounted::read_only(&site.vault());
    let bare = site.path().join("bare");
    let drill = site.run(["drill", "--from-bare", bare.to_str().unwrap()]);
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert!(drill.stderr.contains("read-only"), "{}", drill.stderr);
    assert!(!files(&bare).is_empty(), "what was restored on the bare machine stays there");
    assert_eq!(site.run(["status"]).code, 0);
    assert_eq!(site.vaulted(["charts", "list"]).code, 0);
    assert_eq!(site.vaulted(["snapshots"]).code, 0);
    assert_eq!(site.vaulted(["vault", "check", "--read-data"]).code, 0);
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    assert!(backup.stderr.contains("read-only"), "{}", backup.stderr);
}

#[test]
fn a_snapshot_file_that_cannot_be_read_is_named_wherever_snapshots_are_listed() {
    let site = proven();
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let newest = site.vaulted(["snapshots"]).last()["id"].as_str().unwrap().to_owned();
    let file = site.vault().join("snapshots").join(&newest);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "not what it was").unwrap();
    let target = site.path().join("back");
    for command in [vec!["snapshots"], vec!["restore", "--target", target.to_str().unwrap()]] {
        let told = site.vaulted(&command);
        assert_eq!(told.code, 1, "{command:?}: {}", told.stderr);
        assert!(told.stderr.contains(&newest), "{command:?}: {}", told.stderr);
    }
    assert!(site.run(["status"]).alarms().contains(&"backup.damaged"));
}

#[test]
fn a_vault_without_its_config_is_an_alarm() {
    let site = proven();
    fs::rename(site.vault().join("config"), site.path().join("config")).unwrap();
    let status = site.run(["status"]);
    assert_eq!((status.code, status.alarms()), (1, vec!["backup.damaged"]), "{}", status.stderr);
}

#[test]
fn an_edited_ledger_is_an_alarm_and_does_not_switch_the_status_off() {
    let site = proven();
    let ledger = Path::new(&site.state()).join("ledger.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    fs::write(&ledger, text.replacen("drill_passed", "drill_pazzed", 1)).unwrap();
    let status = site.run(["status"]);
    assert_eq!((status.code, status.alarms()), (1, vec!["ledger.damaged"]));
    assert!(status.last()["rpo_seconds"].is_number(), "the vault speaks for itself: {}", status.stdout);
}

/// A mount that goes away with the test.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(dir: &Path, options: &str) -> Mounted {
        fs::create_dir(dir).unwrap();
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir));
        assert_eq!(mounted.code, 0, "{}", mounted.stderr);
        Mounted(dir.to_owned())
    }

    fn read_only(dir: &Path) -> Mounted {
        assert_eq!(run(Command::new("mount").arg("--bind").arg(dir).arg(dir)).code, 0);
        let mounted = Mounted(dir.to_owned());
        assert_eq!(run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(dir)).code, 0);
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
