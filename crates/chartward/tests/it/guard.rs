//! The guard against processes that encrypt, and beside processes that only look as if they did.

mod actors;
mod after;
mod databases;
mod full;
mod limits;
mod policy;
mod removed;
mod samba;
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

const RECORDS: u32 = 200;
const ATTACKS: [&str; 17] = [
    "gandcrab",
    "in-place",
    "new-then-delete",
    "rename-over",
    "rename-first",
    "truncate",
    "mapped",
    "first-4k",
    "fork-per-file",
    "setsid-per-file",
    "threads",
    "exchange",
    "unnamed-then-linked",
    "hard-link-first",
    "eight-workers",
    "opened-all-first",
    "private-namespace",
];
/// Shell lines over the tree `$T` with room beside it in `$B`; the second column names tools beyond the usual ones.
const JOBS: [(&str, &[&str], &str); 12] = [
    ("archive", &["zip"], "tar czf $B/x.tgz -C $T . && cd $B && zip -qr x.zip tree"),
    ("gzip in place", &[], "find $T -type f | head -10 | xargs gzip && find $T -name '*.gz' | xargs gunzip"),
    ("gzip and leave it", &[], "find $T -type f | head -10 | xargs -n 5 gzip"),
    ("sed over everything", &[], "find $T -type f -exec sed -i s/OML/OMX/ {} +"),
    (
        "updates of a record store",
        &["python3"],
        "python3 -c '\nimport os,sys\nfiles=[os.path.join(d,n) for d,_,x in os.walk(sys.argv[1]) for n in x]\n\
         for k in range(10):\n for f in files:\n  b=open(f,\"rb\").read(); g=f[:-1]+\"2\"\n  os.path.exists(g) and os.unlink(g)\n  \
         os.rename(f,g); open(f,\"wb\").write(b.replace(b\"|F\\r\",b\"|C%d\\r\"%k))' $T",
    ),
    ("restore over the tree", &["rsync"], "cp -a $T $B/copy && rsync -aI $B/copy/ $T/"),
    ("copies", &[], "cp -r $T $B/copy && cp -r $B/copy/. $T/ && cp -r $B/copy $T/again"),
    (
        "a database",
        &["sqlite3"],
        "sqlite3 $T/emr.db 'create table t(a, b); with recursive c(x) as (select 1 union all select x+1 from c where x<5000) \
         insert into t select x, hex(randomblob(20)) from c' && for i in 1 2 3; do sqlite3 $T/emr.db \
         \"update t set b = randomblob(60) where a % 3 = $i; vacuum\"; done",
    ),
    ("permissions", &[], "chmod -R go-rwx $T"),
    (
        "version control",
        &["git"],
        "cd $T && git init -q && git add -A && git -c user.name=a -c user.email=a@b.example commit -qm x && sed -i s/OML/OMX/ 000/*/* \
         && git add -A && git -c user.name=a -c user.email=a@b.example commit -qm y && git gc -q --prune=now",
    ),
    ("removal", &[], "rm -rf $T/00*"),
    (
        "another encoding",
        &["iconv"],
        "for f in $(find $T -type f | head -40); do iconv -f ISO-2022-JP -t UTF-8 $f >$f.n && mv $f.n $f; done",
    ),
];

/// A tree of records with a guard on it; dropped, nobody is left behind.
struct Case {
    dir: tempfile::TempDir,
    tree: PathBuf,
    before: BTreeMap<PathBuf, (Vec<u8>, u32, i64)>,
    guard: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Case {
    fn new(mode: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap().join("tree");
        for number in 0..RECORDS {
            let folder = tree.join(format!("{:03}/{number:010}", number / 10));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number:010}_20181016_OML-11_{number}_01_1")), record(number))
                .unwrap();
        }
        fs::write(dir.path().join("made-by-the-guard-test"), tree.to_str().unwrap()).unwrap();
        let before = contents(&tree);
        let (guard, lines) = guard(dir.path(), &tree, mode, more);
        let mut case = Self { dir, tree, before, guard, lines, seen: vec![] };
        case.ready(mode);
        case
    }

    fn ready(&mut self, mode: &str) {
        let ready = self.wait_for("ready", Duration::from_secs(20)).expect("the guard is never ready");
        assert_eq!(ready["mode"], mode);
    }

    /// After [`Case::end`].
    fn start_again(&mut self, more: &[&str]) {
        (self.guard, self.lines) = guard(self.dir.path(), &self.tree, "permission", more);
        self.ready("permission");
    }

    fn wait_for(&mut self, kind: &str, patience: Duration) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if line["type"] == kind {
                return Some(line);
            }
        }
    }

    fn attack(&self, kind: &str) -> Attacker {
        let script = self.dir.path().join("attack.py");
        fs::write(&script, include_str!("guard/attack.py")).unwrap();
        let mut command = Command::new("python3");
        command.arg(script).arg(kind).arg(&self.tree);
        Attacker::start(command)
    }

    /// Ends the guard as an operator does.
    fn end(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.guard.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while self.guard.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the guard does not end when asked");
            thread::sleep(Duration::from_millis(5));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.tree.to_str().unwrap()), "the guard leaves its mount behind");
    }
}

/// A guard of `tree` with everything of its own in `dir`, and what it says.
fn guard(dir: &Path, tree: &Path, mode: &str, more: &[&str]) -> (Child, Receiver<Value>) {
    let mut guard = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--mode", mode])
        .arg(tree)
        .args(["--store".as_ref(), dir.join("store").as_os_str()])
        .args(["--state".as_ref(), dir.join("state").as_os_str()])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = guard.stdout.take().unwrap();
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(serde_json::from_str(&line).unwrap());
        }
    });
    (guard, lines)
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        // Frozen processes that left the attacker's group would stay for good.
        for line in
            self.seen.iter().cloned().chain(self.lines.try_iter()).filter(|line| line["type"] == "action")
        {
            if let Some(pid) = line["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = rustix::mount::unmount(&self.tree, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Passes a guard's lines on.
fn listen(guard: &mut Child, send: Sender<Value>) {
    let stdout = guard.stdout.take().unwrap();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = send.send(serde_json::from_str(&line).unwrap());
        }
    });
}

/// A process in a group of its own; dropped, the group ends.
struct Attacker(Child);

impl Attacker {
    fn start(mut command: Command) -> Self {
        Self(command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn record(number: u32) -> Vec<u8> {
    let mut record = format!(
        "MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||OML^O33^OML_O33|{number}|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
         PID|0001||{number:010}^^^^PI||\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B^^^^^L^I||19700101|M\r"
    );
    for line in 0..2 + number % 12 {
        record +=
            &format!("OBX|{line}|NM|3A010{line}^TP^JC10||{}.{line}|g/dL|||||F\r", (number * 7 + line) % 90);
    }
    record.into_bytes()
}

fn contents(tree: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), (fs::read(&path).unwrap(), meta.mode(), meta.mtime_nsec()));
            }
        }
    }
    found
}

#[allow(clippy::print_stdout, reason = "the figures per class are what a reader of the test's output wants")]
fn check_attack(mode: &str, kind: &str) {
    let mut case = Case::new(mode, &[]);
    let _attacker = case.attack(kind);
    let restored = case
        .wait_for("restored", Duration::from_secs(30))
        .unwrap_or_else(|| panic!("{mode} {kind}: not stopped"));
    let finding = case.seen.iter().find(|line| line["class_uid"] == 2004).unwrap();
    assert_eq!(
        (&finding["detector"], &finding["attacks"][0]["technique"]["uid"]),
        (&"encryption.replacement".into(), &"T1486".into())
    );
    assert_eq!(restored["files_irrecoverable"], 0, "{mode} {kind}: {restored}");
    let touched = restored["files_touched"].as_u64().unwrap();
    assert_eq!(restored["files_put_back"], touched, "{mode} {kind}: {restored}");
    println!(
        "{mode} {kind}: {touched} touched, 0 irrecoverable, stopped after {} ms",
        restored["time_to_stop_ms"]
    );
    // Ended before the tree is read: reading it must not depend on the guard.
    case.end();
    let after = contents(&case.tree);
    for (path, before) in &case.before {
        assert_eq!(after.get(path), Some(before), "{mode} {kind}: {}", path.display());
    }
    let left: Vec<_> = after.keys().filter(|path| !case.before.contains_key(*path)).collect();
    if mode == "permission" {
        assert!(left.is_empty(), "{kind} leaves {left:?}");
        assert!(touched <= 8, "{kind}: {touched} files before it stood still");
    }
    let out = serde_json::to_string(&case.seen).unwrap();
    assert!(!out.contains("_OML-11_"), "{mode} {kind}: a record is named on stdout");
}

#[test]
fn every_class_of_attack_is_held_after_a_few_files_and_all_come_back() {
    let test = "every_class_of_attack_is_held_after_a_few_files_and_all_come_back";
    if testkit::root(test) && testkit::tool(test, "python3").is_some() {
        ATTACKS.iter().for_each(|kind| check_attack("permission", kind));
    }
}

#[test]
fn without_privileges_what_was_touched_comes_back() {
    let test = "without_privileges_what_was_touched_comes_back";
    if testkit::tool(test, "python3").is_some() {
        ["gandcrab", "in-place", "new-then-delete", "rename-over", "truncate"]
            .iter()
            .for_each(|kind| check_attack("unprivileged", kind));
    }
}

fn check_jobs(test: &str, mode: &str) {
    for (name, tools, line) in JOBS {
        if tools.iter().any(|tool| testkit::tool(test, tool).is_none()) {
            continue;
        }
        let mut case = Case::new(mode, &[]);
        let status = Command::new("sh")
            .args(["-ec", line])
            .env("T", &case.tree)
            .env("B", case.dir.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{mode}: {name} fails");
        // Two ticks more, for what is only judged once the job is over.
        // That much was removed is told and stops nobody.
        let found = case.wait_for("finding", Duration::from_millis(250));
        let found = found.filter(|finding| finding["detector"] != "removal.burst");
        assert_eq!(found, None, "{mode}: {name} is taken for an attack");
        case.end();
    }
}

#[test]
fn ordinary_jobs_are_left_alone() {
    let test = "ordinary_jobs_are_left_alone";
    if testkit::root(test) {
        check_jobs(test, "permission");
    }
}

#[test]
fn ordinary_jobs_are_left_alone_without_privileges() {
    check_jobs("ordinary_jobs_are_left_alone_without_privileges", "unprivileged");
}

#[test]
fn observing_only_tells_and_touches_nobody() {
    let test = "observing_only_tells_and_touches_nobody";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &["--observe-only"]);
    let mut attacker = case.attack("in-place");
    assert!(attacker.0.wait().unwrap().success());
    assert!(case.wait_for("finding", Duration::from_secs(5)).is_some());
    assert!(case.wait_for("action", Duration::from_millis(300)).is_none());
    case.end();
    assert_ne!(contents(&case.tree), case.before);
}

#[test]
fn a_frozen_process_goes_on_when_released() {
    let test = "a_frozen_process_goes_on_when_released";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &[]);
    let mut attacker = case.attack("in-place");
    case.wait_for("restored", Duration::from_secs(20)).unwrap();
    assert!(attacker.0.try_wait().unwrap().is_none());
    let released = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--release", &attacker.0.id().to_string()])
        .args(["--state".as_ref(), case.dir.path().join("state").as_os_str()])
        .output()
        .unwrap();
    assert!(released.status.success(), "{}", String::from_utf8_lossy(&released.stderr));
    let end = Instant::now() + Duration::from_secs(10);
    // It goes on and meets the open that was refused, or is stopped anew by what it does next.
    let mut went_on = false;
    while !went_on && Instant::now() < end {
        went_on = attacker.0.try_wait().unwrap().is_some()
            || case.wait_for("restored", Duration::from_millis(50)).is_some();
    }
    assert!(went_on);
    case.end();
}

#[test]
fn a_mount_left_by_a_killed_guard_is_used_again() {
    let test = "a_mount_left_by_a_killed_guard_is_used_again";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &[]);
    case.guard.kill().unwrap();
    case.guard.wait().unwrap();
    // Nobody answers any more and yet everybody can read.
    assert_eq!(contents(&case.tree), case.before);
    let second = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--mode", "permission"])
        .arg(&case.tree)
        .args(["--store".as_ref(), case.dir.path().join("store").as_os_str()])
        .args(["--state".as_ref(), case.dir.path().join("state").as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    case.guard = second;
    let mut line = String::new();
    BufReader::new(case.guard.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(mounts.lines().filter(|line| line.contains(case.tree.to_str().unwrap())).count(), 1);
    case.end();
}
