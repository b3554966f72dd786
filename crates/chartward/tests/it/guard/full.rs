//! A guard whose judging stands still, and one whose state folder takes no file: nobody is let go, and both are said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::after::guard;
use super::databases::{Loop, guarded_with_store};
use super::{Attacker, Case, record};

const PATIENCE: Duration = Duration::from_secs(30);
const RECORDS: u32 = 40;

/// A marked tree of records with its own folder.
fn tree(dir: &Path) -> PathBuf {
    let tree = dir.canonicalize().unwrap().join("tree");
    for number in 0..RECORDS {
        let folder = tree.join(format!("{:03}", number / 10));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:010}")), record(number)).unwrap();
    }
    fs::write(dir.join("made-by-the-guard-test"), tree.to_str().unwrap()).unwrap();
    tree
}

fn whole(tree: &Path) {
    for number in 0..RECORDS {
        let path = tree.join(format!("{:03}/{number:010}", number / 10));
        assert_eq!(fs::read(&path).unwrap(), record(number), "{}", path.display());
    }
}

fn state_of(attacker: &Attacker) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", attacker.0.id())).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('-')
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "{what} never comes");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A file system that takes no writes; dropped, it does again.
struct Still<'a>(&'a Path);

impl<'a> Still<'a> {
    fn new(at: &'a Path) -> Self {
        assert!(Command::new("fsfreeze").arg("-f").arg(at).status().unwrap().success());
        Self(at)
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(self.0).stderr(Stdio::null()).status();
    }
}

/// Opens two files, waits for a sign, overwrites them and opens the next ones.
const LATE: &str = r#"
import os, random, sys, time
tree, room, noise = sys.argv[1:4]
assert open(os.path.join(os.path.dirname(tree), "made-by-the-guard-test")).read() == tree
paths = sorted(os.path.join(d, n) for d, _, x in os.walk(tree) for n in x)
def change(file, path):
    data = file.read()
    file.seek(0)
    if noise == "noise":
        data = bytes(a ^ b for a, b in zip(data, random.Random(path).randbytes(len(data))))
    else:
        data = data.replace(b"SEND", b"SENT")
    file.write(data)
    file.flush()
files = [(open(path, "r+b"), path) for path in paths[:2]]
open(os.path.join(room, "ready"), "w").close()
while not os.path.exists(os.path.join(room, "go")):
    time.sleep(0.01)
for file, path in files:
    change(file, path)
for path in paths[2:]:
    with open(path, "r+b") as file:
        change(file, path)
"#;

/// The store's file system stands still, and with it the thread that judges.
fn check_late(test: &str, noise: &str) {
    if !testkit::root(test)
        || ["python3", "fsfreeze", "mkfs.ext4"].iter().any(|tool| testkit::tool(test, tool).is_none())
    {
        return;
    }
    let Some(disk) = Loop::new(&["mkfs.ext4", "-q"]) else { return testkit::skip(test, "no loop device") };
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let room = dir.path().to_owned();
    let mut case = guarded_with_store(dir, &tree, &disk.at.join("store"), &[]);
    case.wait_for("ready", PATIENCE).unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", LATE]).arg(&tree).arg(&room).arg(noise);
    let mut attacker = Attacker::start(command);
    until("the attacker", || room.join("ready").exists());
    // The guard has looked at what is open now, and then cannot leave its sign of life any more.
    thread::sleep(Duration::from_millis(500));
    let still = Still::new(&disk.at);
    thread::sleep(Duration::from_millis(1500));
    fs::write(room.join("go"), "").unwrap();
    // Who waits in an open stands still only once that is answered; the plan says that it was stopped, and lets a person release it.
    let plans = || fs::read_dir(room.join("state/frozen")).map_or(0, Iterator::count);
    until("the freeze", || plans() == 1);
    drop(still);
    if noise == "noise" {
        let restored = case.wait_for("restored", PATIENCE).expect("not stopped");
        assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
        assert_eq!(state_of(&attacker), 'T');
    } else {
        until("the end of a program that was suspected wrongly", || attacker.0.try_wait().unwrap().is_some());
        assert!(attacker.0.wait().unwrap().success());
        let _none = case.wait_for("finding", Duration::from_millis(300));
        let stops = case.seen.iter().filter(|line| line["detector"] == "encryption.replacement").count();
        assert_eq!(stops, 0, "{:?}", case.seen);
        assert_eq!(plans(), 0, "its plan stays");
    }
    while !case.seen.iter().any(|line| line["type"] == "missed" && line["what"] == "late") {
        case.wait_for("missed", PATIENCE).expect("the late freeze is not told");
    }
    if noise == "noise" {
        // Its plan is the stop's now: a person finds it and can let it go.
        thread::sleep(Duration::from_millis(500));
        let (_, stops, _) = guard(&case, &["incidents"]);
        assert_eq!(stops[0]["standing"], "frozen", "{stops:?}");
        let (code, _, words) = guard(&case, &["end", &attacker.0.id().to_string()]);
        assert_eq!(code, 0, "{words}");
    }
    drop(attacker);
    case.end();
    if noise == "noise" {
        whole(&tree);
    }
}

#[test]
fn an_attacker_that_cannot_be_judged_in_time_is_frozen_and_judged_later() {
    check_late("an_attacker_that_cannot_be_judged_in_time_is_frozen_and_judged_later", "noise");
}

#[test]
fn a_program_that_cannot_be_judged_in_time_is_frozen_and_goes_on_when_it_was() {
    check_late("a_program_that_cannot_be_judged_in_time_is_frozen_and_goes_on_when_it_was", "an edit");
}

/// A file system of some kilobytes.
struct Tiny(PathBuf);

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_state_folder_neither_ends_the_guard_nor_lets_anybody_go() {
    let test = "a_full_state_folder_neither_ends_the_guard_nor_lets_anybody_go";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(disk.path())
        .status()
        .unwrap();
    assert!(mounted.success());
    let _tiny = Tiny(disk.path().to_owned());
    let dir = tempfile::tempdir().unwrap();
    let (tree, state) = (tree(dir.path()), dir.path().join("state"));
    std::os::unix::fs::symlink(disk.path(), &state).unwrap();
    let (store, script) = (dir.path().join("store"), dir.path().join("attack.py"));
    fs::write(&script, include_str!("attack.py")).unwrap();
    let mut case = guarded_with_store(dir, &tree, &store, &[]);
    case.wait_for("ready", PATIENCE).unwrap();
    let ballast = disk.path().join("ballast");
    let _full = fs::write(&ballast, vec![0; 1 << 20]).unwrap_err();

    let mut command = Command::new("python3");
    command.arg(&script).arg("in-place").arg(&tree);
    let mut attacker = Attacker::start(command);
    let restored = case.wait_for("restored", PATIENCE).expect("not stopped");
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    full_is_said(&mut case);
    assert_eq!(state_of(&attacker), 'T');
    let frozen = || {
        fs::read_dir(state.join("frozen")).map_or(0, |plans| {
            plans
                .filter(|plan| {
                    plan.as_ref().is_ok_and(|plan| plan.path().extension().is_some_and(|end| end == "json"))
                })
                .count()
        })
    };
    assert_eq!(frozen(), 0);
    thread::sleep(Duration::from_millis(400));
    assert_eq!(state_of(&attacker), 'T', "it goes on");
    assert!(case.guard.try_wait().unwrap().is_none(), "the guard has ended");

    // With room again a person can release it.
    fs::remove_file(&ballast).unwrap();
    until("the plan", || frozen() == 1);
    until("the record of the stop", || {
        guard(&case, &["incidents"]).1.iter().any(|stop| stop["standing"] == "frozen")
    });
    let (code, _, words) = guard(&case, &["end", &attacker.0.id().to_string()]);
    assert_eq!(code, 0, "{words}");
    assert!(!attacker.0.wait().unwrap().success());
    case.end();
    whole(&tree);
}

fn full_is_said(case: &mut Case) {
    let is_said =
        |case: &Case| case.seen.iter().any(|line| line["type"] == "missed" && line["what"] == "state_full");
    while !is_said(case) {
        case.wait_for("missed", PATIENCE).expect("the full folder is not told");
    }
    let finding = case.seen.iter().find(|line| line["detector"] == "tamper.guard").expect("it is no finding");
    assert_eq!(
        (&finding["severity_id"], &finding["attacks"][0]["technique"]["uid"]),
        (&3.into(), &"T1562.001".into())
    );
}
