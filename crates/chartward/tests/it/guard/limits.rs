//! What the guard does where the kernel, its store, its descriptors or its time run out.

mod rounds;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{Attacker, record};

const RECORDS: u32 = 60;
const NOBODY: u32 = 65_534;

/// Overwrites every record below the tree by noise that the same key takes back; works only where this test left its mark.
const PRELUDE: &str = r"
import os, sys, hashlib, time
tree = os.path.realpath(sys.argv[1])
assert open(os.path.join(os.path.dirname(tree), 'made-by-the-guard-test')).read() == tree
def noise(data, name):
    out = bytearray()
    for at in range(0, len(data), 32):
        key = hashlib.sha256(name.encode() + at.to_bytes(8, 'big')).digest()
        out += bytes(a ^ b for a, b in zip(data[at:at + 32], key))
    return bytes(out)
files = sorted(os.path.join(d, n) for d, _, x in os.walk(tree) for n in x)
";

/// A tree with records that only this test uses.
struct Place {
    dir: tempfile::TempDir,
    tree: PathBuf,
    loops: Vec<PathBuf>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap().join("tree");
        let place = Self { dir, tree, loops: vec![] };
        place.fill();
        place
    }

    /// On a file system of its own in a file; `None` when it cannot be made here.
    fn on(test: &str, kind: &str) -> Option<Self> {
        testkit::tool(test, &format!("mkfs.{kind}"))?;
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (image, at) = (base.join("image"), base.join("disk"));
        File::create(&image).unwrap().set_len(320 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        let run = |program: &str, args: &[&std::ffi::OsStr]| {
            Command::new(program)
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        };
        assert!(run(&format!("mkfs.{kind}"), &["-q".as_ref(), image.as_os_str()]), "mkfs.{kind}");
        if !run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_os_str(), at.as_os_str()]) {
            testkit::skip(test, &format!("{kind} cannot be mounted here"));
            return None;
        }
        let place = Self { dir, tree: at.join("tree"), loops: vec![at] };
        place.fill();
        Some(place)
    }

    fn fill(&self) {
        for number in 0..RECORDS {
            let folder = self.tree.join(format!("{:03}/{number:010}", number / 10));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number:010}_20181016_OML-11_{number}_01_1")), record(number))
                .unwrap();
        }
        let mark = self.tree.parent().unwrap().join("made-by-the-guard-test");
        fs::write(mark, self.tree.to_str().unwrap()).unwrap();
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn records(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.tree.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// Records that do not read as they were written.
    fn lost(&self) -> Vec<PathBuf> {
        let of = |number: u32| {
            let folder = self.tree.join(format!("{:03}/{number:010}", number / 10));
            (folder.join(format!("{number:010}_20181016_OML-11_{number}_01_1")), record(number))
        };
        (0..RECORDS)
            .map(of)
            .filter(|(path, content)| fs::read(path).ok().as_ref() != Some(content))
            .map(|(path, _)| path)
            .collect()
    }

    fn guard(&self, more: &[&str]) -> Guarded {
        Guarded::start(self, more)
    }

    fn python(&self, name: &str, body: &str) -> Command {
        let script = self.dir.path().join(format!("{name}.py"));
        fs::write(&script, format!("{PRELUDE}{body}")).unwrap();
        let mut command = Command::new("python3");
        command.arg(script).arg(&self.tree);
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = unmount(&self.tree, UnmountFlags::DETACH);
        for at in &self.loops {
            let _ = Command::new("umount").arg("-l").arg(at).status();
        }
    }
}

/// A guard; dropped, it and whom it froze are gone.
struct Guarded {
    guard: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    ready: Value,
}

impl Guarded {
    fn start(place: &Place, more: &[&str]) -> Self {
        Self::launch(Command::new(env!("CARGO_BIN_EXE_chartward")), place, more)
    }

    fn launch(mut program: Command, place: &Place, more: &[&str]) -> Self {
        let mut guard = program
            .args(["guard", "--json", "--mode", "permission"])
            .arg(&place.tree)
            .args([
                OsString::from("--store"),
                place.store().into(),
                "--state".into(),
                place.dir.path().join("state").into(),
            ])
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
        let mut guarded = Self { guard, lines, seen: vec![], ready: Value::Null };
        guarded.ready =
            guarded.wait(Duration::from_secs(30), |line| line["type"] == "ready").expect("never ready");
        guarded
    }

    fn wait(&mut self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let end = Instant::now() + patience;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    fn restored(&mut self) -> Value {
        self.wait(Duration::from_secs(40), |line| line["type"] == "restored").expect("not stopped")
    }

    fn missed(&mut self, what: &str) -> Value {
        let wanted = |line: &Value| line["type"] == "missed" && line["what"] == what;
        if let Some(line) = self.seen.iter().find(|line| wanted(line)) {
            return line.clone();
        }
        self.wait(Duration::from_secs(20), wanted).unwrap_or_else(|| panic!("{what} is not told"))
    }

    fn holds_truncation(&self) -> bool {
        self.ready["mounts"].as_array().unwrap().iter().all(|mount| mount["tier"] == "pre_access")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.guard.id()).unwrap()).unwrap()
    }

    fn lives(&mut self) -> bool {
        self.guard.try_wait().unwrap().is_none()
    }

    fn end(&mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while self.lives() {
            assert!(Instant::now() < end, "the guard does not end when asked");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        for line in
            self.seen.iter().cloned().chain(self.lines.try_iter()).filter(|line| line["type"] == "action")
        {
            if let Some(pid) = line["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

fn may(test: &str) -> bool {
    testkit::root(test) && testkit::tool(test, "python3").is_some()
}

fn check_truncation(place: &Place, reads_first: bool) {
    let mut guarded = place.guard(&[]);
    if !reads_first && !guarded.holds_truncation() {
        return testkit::skip("truncation", "this kernel does not hold truncations here");
    }
    let body = "
for path in files:
    data = open(path, 'rb').read() if len(sys.argv) > 2 else b'x' * 3000
    os.truncate(path, 0)
    with open(path, 'r+b') as out:
        out.write(noise(data, path))
    time.sleep(0.002)
";
    let mut command = place.python("truncate", body);
    if reads_first {
        command.arg("read");
    }
    let _attacker = Attacker::start(command);
    let restored = guarded.restored();
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    guarded.end();
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}

#[test]
fn files_that_are_emptied_by_their_path_and_overwritten_come_back() {
    let test = "files_that_are_emptied_by_their_path_and_overwritten_come_back";
    if !may(test) {
        return;
    }
    for reads_first in [true, false] {
        check_truncation(&Place::new(), reads_first);
        for kind in ["xfs", "btrfs"] {
            if let Some(place) = Place::on(test, kind) {
                check_truncation(&place, reads_first);
            }
        }
    }
}

/// Without `FAN_PRE_ACCESS` (here: on a file system in memory) a truncation is seen afterwards.
#[test]
fn where_truncations_are_not_held_files_that_were_read_before_come_back() {
    let test = "where_truncations_are_not_held_files_that_were_read_before_come_back";
    if !may(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().canonicalize().unwrap().join("memory");
    fs::create_dir(&at).unwrap();
    mount("none", &at, "tmpfs", MountFlags::empty(), Some(c"size=64m")).unwrap();
    let place = Place { dir, tree: at.join("tree"), loops: vec![at] };
    place.fill();
    check_truncation(&place, true);
}

#[test]
fn large_contents_are_kept_as_reflinks_on_the_trees_own_file_system() {
    let test = "large_contents_are_kept_as_reflinks_on_the_trees_own_file_system";
    if !may(test) {
        return;
    }
    for kind in ["xfs", "btrfs", "ext4"] {
        let Some(place) = Place::on(test, kind) else { continue };
        // Larger than what the store may hold: only a reflink can keep it.
        let image: Vec<u8> =
            (0..4_000_000u32).flat_map(|at| (at / 64 * 7).to_le_bytes()).take(8 << 20).collect();
        let path = place.tree.join("image.bin");
        fs::write(&path, &image).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let mut guarded = place.guard(&["--max-store", "4000000"]);
        let how = if kind == "ext4" { "copy" } else { "reflink" };
        assert_eq!(guarded.ready["keeps"][0]["how"], how, "{kind}");
        let body = "
image = os.path.join(tree, 'image.bin')
with open(image, 'r+b') as f:
    data = f.read(); f.seek(0); f.write(noise(data[:1 << 18], image)); f.flush()
for path in files:
    if path != image:
        with open(path, 'r+b') as f:
            data = f.read(); f.seek(0); f.write(noise(data, path))
        time.sleep(0.002)
";
        let _attacker = Attacker::start(place.python("overwrite", body));
        let restored = guarded.restored();
        if kind == "ext4" {
            guarded.missed("store_full");
            assert!(guarded.seen.iter().any(|line| line["detector"] == "tamper.guard"), "it is no finding");
        } else {
            assert_eq!(restored["files_irrecoverable"], 0, "{kind}: {restored}");
        }
        guarded.end();
        assert_eq!(place.lost(), Vec::<PathBuf>::new(), "{kind}");
        if kind != "ext4" {
            assert!(fs::read(&path).unwrap() == image, "{kind}: the large file is not as it was");
        }
    }
}

#[test]
fn the_store_is_closed_to_ordinary_users() {
    let test = "the_store_is_closed_to_ordinary_users";
    if !may(test) {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut guarded = place.guard(&[]);
    let listed =
        Command::new("ls").arg(place.store()).uid(NOBODY).gid(NOBODY).stderr(Stdio::null()).status().unwrap();
    assert!(!listed.success(), "another user can look into the store");
    guarded.end();
}

/// A process that has its files open already, and goes on when told to.
struct Waiting {
    process: Attacker,
    stdin: ChildStdin,
}

impl Waiting {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        Self { process: Attacker(child), stdin }
    }

    fn go(&mut self) {
        self.stdin.write_all(b"go\n").unwrap();
    }
}

#[test]
fn writes_through_descriptors_from_before_the_start_are_undone() {
    let test = "writes_through_descriptors_from_before_the_start_are_undone";
    if !may(test) {
        return;
    }
    let place = Place::new();
    let body = "
fds = [(path, open(path, 'r+b')) for path in files]
print('open', flush=True); sys.stdin.readline()
for path, f in fds:
    data = f.read(); f.seek(0); f.write(noise(data, path)); f.flush()
    time.sleep(0.02)
time.sleep(60)
";
    let mut attacker = Waiting::start(place.python("held", body));
    let mut guarded = place.guard(&[]);
    let spots = guarded.ready["blind_spots"].to_string();
    assert!(spots.contains(&format!("{RECORDS} files were open for writing before")), "{spots}");
    attacker.go();
    let restored = guarded.restored();
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    guarded.end();
    drop(attacker.process);
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
    println!("{} of {RECORDS} files touched through old descriptors", restored["files_touched"]);
}

#[test]
fn a_flood_of_opens_does_not_let_an_attacker_through() {
    let test = "a_flood_of_opens_does_not_let_an_attacker_through";
    if !may(test) {
        return;
    }
    let place = Place::new();
    let mut guarded = place.guard(&[]);
    let flood = "
import threading
end = time.time() + 20
def run():
    while time.time() < end:
        for path in files:
            try: os.close(os.open(path, os.O_RDONLY))
            except OSError: pass
for _ in range(64): threading.Thread(target=run).start()
";
    let flooders: Vec<Attacker> =
        (0..4).map(|at| Attacker::start(place.python(&format!("flood{at}"), flood))).collect();
    thread::sleep(Duration::from_millis(500));
    let attack = "
for path in files:
    with open(path, 'r+b') as f:
        data = f.read(); f.seek(0); f.write(noise(data, path))
";
    let _attacker = Attacker::start(place.python("attack", attack));
    let restored = guarded.restored();
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    let touched = restored["files_touched"].as_u64().unwrap();
    assert!(touched <= 8, "{touched} files before it stood still");
    drop(flooders);
    guarded.end();
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
    assert!(!guarded.seen.iter().any(|line| line["what"] == "passed_unjudged"), "something passed unjudged");
    println!("{touched} files touched in a flood, {} ms", restored["time_to_stop_ms"]);
}

#[test]
fn without_descriptors_the_guard_lives_refuses_and_says_so() {
    let test = "without_descriptors_the_guard_lives_refuses_and_says_so";
    if !may(test) || testkit::tool(test, "prlimit").is_none() {
        return;
    }
    let place = Place::new();
    let mut guarded = place.guard(&[]);
    // By somebody who is not the guard's ancestor, as this test is.
    assert!(Command::new("cat").args(place.records()).stdout(Stdio::null()).status().unwrap().success());
    // Fewer than it holds by now.
    let pid = guarded.guard.id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=70:70"]).status().unwrap();
    assert!(limited.success());
    let attack = "
for path in files * 50:
    try:
        with open(path, 'r+b') as f:
            data = f.read(); f.seek(0); f.write(noise(data, path))
    except OSError: pass
";
    let _attacker = Attacker::start(place.python("attack", attack));
    let restored = guarded.restored();
    guarded.missed("descriptors");
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    assert!(guarded.lives());
    guarded.end();
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}

#[test]
fn a_guard_that_was_killed_is_followed_by_one_that_tells_the_gap_and_keeps_the_frozen_frozen() {
    let test = "a_guard_that_was_killed_is_followed_by_one_that_tells_the_gap_and_keeps_the_frozen_frozen";
    if !may(test) {
        return;
    }
    let place = Place::new();
    let mut guarded = place.guard(&[]);
    let attack = "
for path in files:
    try:
        with open(path, 'r+b') as f:
            data = f.read(); f.seek(0); f.write(noise(data, path))
    except OSError: pass
while True: time.sleep(0.01)
";
    let attacker = Attacker::start(place.python("attack", attack));
    guarded.restored();
    let died = Instant::now();
    kill_process(guarded.pid(), Signal::KILL).unwrap();
    guarded.guard.wait().unwrap();
    let mut next = place.guard(&[]);
    println!("ready {} ms after the end of the one before", died.elapsed().as_millis());
    let gap = next.missed("gap");
    let ms = gap["milliseconds"].as_i64().unwrap();
    assert!((0..60_000).contains(&ms), "{gap}");
    assert!(next.seen.iter().any(|line| line["detector"] == "tamper.guard"), "the gap is no finding");
    // Somebody sets it going again: the new guard holds it as the old one did.
    kill_process_group(attacker.pid(), Signal::CONT).unwrap();
    let stands = || fs::read_to_string(format!("/proc/{}/stat", attacker.0.id())).unwrap().contains(") T ");
    let end = Instant::now() + Duration::from_secs(10);
    while !stands() {
        assert!(Instant::now() < end, "what was frozen goes on");
        thread::sleep(Duration::from_millis(20));
    }
    next.end();
    let mut last = place.guard(&[]);
    last.end();
    let told = last.seen.iter().cloned().chain(last.lines.try_iter()).any(|line| line["what"] == "gap");
    assert!(!told, "a clean end leaves a gap");
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}

/// The kernel lets those who wait pass only if the dying process can let go of its groups: it once could not.
#[test]
fn a_guard_that_is_killed_or_ended_in_a_flood_of_opens_holds_up_nobody() {
    let test = "a_guard_that_is_killed_or_ended_in_a_flood_of_opens_holds_up_nobody";
    if !may(test) {
        return;
    }
    for signal in [Signal::KILL, Signal::TERM] {
        let place = Place::new();
        let mut guarded = place.guard(&[]);
        let flood = "
import threading
def run():
    while True:
        for path in files: os.close(os.open(path, os.O_RDONLY))
for _ in range(64): threading.Thread(target=run).start()
";
        let _flooder = Attacker::start(place.python("flood", flood));
        thread::sleep(Duration::from_secs(2));
        kill_process(guarded.pid(), signal).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while guarded.lives() {
            assert!(Instant::now() < end, "{signal:?}: the guard cannot end while somebody waits");
            thread::sleep(Duration::from_millis(5));
        }
        let (send, read) = channel();
        let path = place.records().remove(0);
        thread::spawn(move || send.send(fs::read(path).unwrap()));
        assert!(
            read.recv_timeout(Duration::from_secs(10)).is_ok(),
            "{signal:?}: opens wait for a guard that is gone"
        );
    }
}

/// A file system whose program never answers, mounted; dropped, whoever waits for it goes on.
struct Silent {
    at: PathBuf,
    _program: File,
}

impl Silent {
    fn mount(at: &Path) -> Option<Self> {
        use std::os::fd::AsRawFd;
        fs::create_dir_all(at).unwrap();
        let program = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", program.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        mount("silent", at, "fuse", MountFlags::empty(), Some(options.as_c_str())).ok()?;
        Some(Self { at: at.to_owned(), _program: program })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = unmount(&self.at, UnmountFlags::FORCE | UnmountFlags::DETACH);
        let _ = unmount(&self.at, UnmountFlags::FORCE | UnmountFlags::DETACH);
    }
}

#[test]
fn a_mount_below_the_tree_that_never_answers_is_left_out_and_holds_up_nobody() {
    let test = "a_mount_below_the_tree_that_never_answers_is_left_out_and_holds_up_nobody";
    if !may(test) {
        return;
    }
    let place = Place::new();
    let before = place.records();
    let Some(silent) = Silent::mount(&place.tree.join("zz-silent")) else {
        return println!("{test}: skipped: no FUSE here");
    };
    let mut guarded = place.guard(&[]);
    assert!(guarded.ready["blind_spots"].to_string().contains("zz-silent"), "{}", guarded.ready);
    let list: Vec<&str> = before.iter().map(|path| path.to_str().unwrap()).collect();
    let attack = format!(
        "
for path in {list:?}:
    with open(path, 'r+b') as f:
        data = f.read(); f.seek(0); f.write(noise(data, path))
"
    );
    // It must not walk the tree itself: that would wait for the silent one.
    let script = place.dir.path().join("attack.py");
    fs::write(&script, format!("{}{attack}", PRELUDE.replace("files = sorted", "lazy = lambda: sorted")))
        .unwrap();
    let mut command = Command::new("python3");
    command.arg(script).arg(&place.tree);
    let _attacker = Attacker::start(command);
    let restored = guarded.restored();
    assert_eq!(restored["files_irrecoverable"], 0, "{restored}");
    guarded.end();
    drop(silent);
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}

#[test]
fn a_tree_that_does_not_answer_is_refused_instead_of_waited_for() {
    let test = "a_tree_that_does_not_answer_is_refused_instead_of_waited_for";
    if !may(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(_silent) = Silent::mount(&dir.path().canonicalize().unwrap().join("silent")) else {
        return println!("{test}: skipped: no FUSE here");
    };
    let mut guard = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--mode", "permission"])
        .arg(dir.path().join("silent"))
        .args(["--store".as_ref(), dir.path().join("store").as_os_str()])
        .args(["--state".as_ref(), dir.path().join("state").as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(40);
    let status = loop {
        if let Some(status) = guard.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > end {
            let _ = guard.kill();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.is_some_and(|status| !status.success()), "it waits for a silent file system");
}

#[test]
fn decoys_stop_whoever_changes_one_and_go_when_the_guard_ends() {
    let test = "decoys_stop_whoever_changes_one_and_go_when_the_guard_ends";
    if !may(test) {
        return;
    }
    let place = Place::new();
    let before = place.records();
    let mut guarded = place.guard(&["--canaries"]);
    let decoys: Vec<PathBuf> = place.records().into_iter().filter(|path| !before.contains(path)).collect();
    assert!((2..=16).contains(&decoys.len()), "{decoys:?}");
    // Reading them is what a backup does.
    decoys.iter().for_each(|path| drop(fs::read(path).unwrap()));
    let body = "
with open(sys.argv[2], 'r+b') as f:
    data = f.read(); f.seek(0); f.write(bytes(b ^ 1 for b in data))
time.sleep(60)
";
    let mut command = place.python("one", body);
    command.arg(&decoys[0]);
    let _attacker = Attacker::start(command);
    guarded.restored();
    let finding = guarded.seen.iter().find(|line| line["class_uid"] == 2004).unwrap();
    assert!(finding.to_string().contains("canary"), "{finding}");
    // A guard that was killed leaves them; the command takes them away.
    kill_process(guarded.pid(), Signal::KILL).unwrap();
    guarded.guard.wait().unwrap();
    assert_eq!(place.records().len(), before.len() + decoys.len());
    let mut next = place.guard(&["--canaries"]);
    assert_eq!(place.records().len(), before.len() + decoys.len(), "they are planted twice");
    next.end();
    assert_eq!(place.records(), before);
    let _killed = place.guard(&["--canaries"]);
    drop(_killed);
    let removed = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--remove-canaries", "--store"])
        .arg(place.store())
        .output()
        .unwrap();
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    assert_eq!(place.records(), before);
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}
