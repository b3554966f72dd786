//! The evaluation itself, cut down: a plain folder, a few classes, a few jobs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The chartward beside this program, or `None` after saying that `test` is skipped: the tests of the whole workspace build it
/// first. It is not built here, because cargo would compile everything anew for other features.
fn binary(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("chartward");
    let built = std::fs::metadata(&beside).and_then(|meta| meta.modified()).ok();
    let rooms = ["schema", "decode", "observe", "judge", "act", "recover", "prove", "chartward"];
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let newest = rooms.iter().filter_map(|room| newest_below(&crates.join(room).join("src"))).max();
    if built < newest {
        testkit::skip(test, "chartward is missing or older than its sources: cargo build -p chartward");
        return None;
    }
    Some(beside)
}

fn newest_below(dir: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let times = entries.filter_map(|entry| match entry.file_type().ok()?.is_dir() {
        true => newest_below(&entry.path()),
        false => entry.metadata().ok()?.modified().ok(),
    });
    times.max()
}

/// The evaluation in a temporary folder of its own, in which nothing may be left.
fn evaluation(binary: &Path, tmp: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["guard-eval", "--fs", "folder", "--rounds", "1", "--files", "60", "--binary"])
        .arg(binary)
        .args(["--cache".as_ref(), tmp.join("cache").as_os_str()])
        .args(more)
        .env("TMPDIR", tmp)
        // The DICOM files are left out: a test does not download.
        .env("PIP_NO_INDEX", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn rooms(tmp: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(tmp).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("chartward-guard-eval-"))
        .collect()
}

#[test]
fn the_common_classes_are_held_and_common_jobs_left_alone() {
    let test = "the_common_classes_are_held_and_common_jobs_left_alone";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let Some(binary) = binary(test) else { return };
    let tmp = tempfile::tempdir().unwrap();
    let record = tmp.path().join("record.json");
    let classes = "in-place,new-then-delete,rename-over,gandcrab";
    let status = evaluation(&binary, tmp.path(), &["--class", classes, "--job", "tar,sed,office-save"])
        .args(["--json".as_ref(), record.as_os_str()])
        .status()
        .unwrap();
    let record: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert!(status.success(), "{record:#}");
    assert_eq!(record["attacks"].as_array().unwrap().len(), 4);
    assert_eq!(record["jobs"].as_array().unwrap().len(), 3);
    assert_eq!(rooms(tmp.path()), Vec::<PathBuf>::new());
}

#[test]
fn an_interrupted_evaluation_leaves_neither_processes_nor_mounts_nor_folders() {
    let test = "an_interrupted_evaluation_leaves_neither_processes_nor_mounts_nor_folders";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let Some(binary) = binary(test) else { return };
    let tmp = tempfile::tempdir().unwrap();
    let mut running =
        evaluation(&binary, tmp.path(), &["--attacks-only", "--class", "slow,in-place"]).spawn().unwrap();
    let mounted = |below: &Path| {
        std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(below.to_str().unwrap())
    };
    // The guard's own mount says that a case has begun.
    let end = Instant::now() + Duration::from_secs(60);
    while !mounted(tmp.path()) {
        assert!(Instant::now() < end && running.try_wait().unwrap().is_none(), "no case begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(128 + 2));
    assert!(!mounted(tmp.path()));
    assert_eq!(rooms(tmp.path()), Vec::<PathBuf>::new());
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(tmp.path().to_str().unwrap())
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn an_attacker_refuses_a_folder_that_no_run_marked() {
    let test = "an_attacker_refuses_a_folder_that_no_run_marked";
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (room, tree) = (dir.path().join("room"), dir.path().join("elsewhere"));
    for folder in [&room, &tree] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::write(tree.join("record"), "what must stay").unwrap();
    std::fs::write(room.join(".chartward-evaluation"), "0123456789abcdef").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("attackers/attack.py");
    let attack = |tree: &Path, token: &str| {
        let status = Command::new("python3")
            .arg("-B")
            .arg(&script)
            .arg("in-place")
            .args(["--room".as_ref(), room.as_os_str(), "--tree".as_ref(), tree.as_os_str()])
            .args(["--journal".as_ref(), room.join("journal").as_os_str()])
            .args(["--token", token, "--order", "random", "--seed", "1"])
            .stderr(Stdio::null())
            .status();
        status.unwrap().success()
    };
    assert!(!attack(&tree, "0123456789abcdef"), "the tree lies outside the room");
    let inside = room.join("tree");
    std::fs::rename(&tree, &inside).unwrap();
    assert!(!attack(&inside, "another token of one"), "the room is another run's");
    assert_eq!(std::fs::read_to_string(inside.join("record")).unwrap(), "what must stay");
    assert!(attack(&inside, "0123456789abcdef"));
    assert_ne!(std::fs::read(inside.join("record")).unwrap(), b"what must stay");
}
