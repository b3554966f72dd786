//! Watchers as the hub runs them: what they cannot do from inside, and what bad ones cannot do to the hub.

mod guarded;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::support::BINARY;

const PYTHON: &str = "/usr/bin/python3";
const SOMEBODY: u32 = 48_213;

/// A place that an ordinary user can reach.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::TempDir::with_prefix("chartward-supervise-").unwrap());
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn dir(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

/// A process in a group of its own; dropped, the group ends.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Group {
        Group(command.process_group(0).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_raw(self.pid()).unwrap(), Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A hub of which only the watchers run.
struct Hub {
    process: Group,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Hub {
    fn start(place: &Place, watchers: &Value, more: &[&str]) -> Hub {
        let file = place.file("watchers.json", &watchers.to_string());
        let mut command = Command::new(BINARY);
        command.arg("supervise").arg(file).arg("--folders").arg(place.path("folders")).args(more);
        command.env("CHARTWARD_PASSWORD", "secret").stdout(Stdio::piped()).stdin(Stdio::null());
        let mut process = Group::start(&mut command);
        let stdout = process.0.stdout.take().unwrap();
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Hub { process, lines, seen: vec![] }
    }

    fn wait_for(&mut self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + patience;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
        panic!("it never comes: {:#?}", self.seen.iter().rev().take(6).collect::<Vec<_>>());
    }

    /// The health of each watcher in the end, after a hub that ended by itself.
    fn end(&mut self, patience: Duration) -> Vec<Value> {
        let stopped = self.wait_for(patience, |line| line["type"] == "stopped");
        assert!(self.process.0.wait().unwrap().success());
        stopped["watchers"].as_array().unwrap().clone()
    }

    fn lines_of(&self, watcher: &str) -> impl Iterator<Item = &Value> {
        self.seen.iter().filter(move |line| line["type"] == "line" && line["watcher"] == watcher)
    }

    fn memory_kib_max(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

fn named<'a>(health: &'a [Value], name: &str) -> &'a Value {
    health.iter().find(|watcher| watcher["name"] == name).unwrap()
}

fn watcher(name: &str, words: &[&str]) -> Value {
    json!({"name": name, "class": "external", "program": {"exec": words}, "limits": {"grace_ms": 1500}})
}

fn python(name: &str, script: &str) -> Value {
    watcher(name, &[PYTHON, "-uc", script])
}

/// Ids of the living processes whose command line holds `mark`.
fn alive(mark: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark) && !line.starts_with(BINARY.as_bytes())
    });
    marked.collect()
}

fn has_python(test: &str) -> bool {
    let is_there = Path::new(PYTHON).is_file();
    if !is_there {
        testkit::skip(test, "there is no /usr/bin/python3");
    }
    is_there
}

/// Runs the probe confined, started by root or by an ordinary user, and returns what it found with what the confinement said first.
fn probe(as_root: bool, more: &[&str]) -> (Value, Value) {
    let place = Place::new();
    let stranger_is = if as_root { 0 } else { SOMEBODY };
    let stranger = Group::start(Command::new("sleep").arg("100").uid(stranger_is));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (rw, ro, home) = (place.dir("rw", 0o777), place.dir("ro", 0o777), place.dir("home", 0o777));
    place.file("ro/there", "there");
    let elsewhere = place.dir("elsewhere", 0o777);
    let told = json!({
        "elsewhere": elsewhere, "rw": rw, "ro": ro, "stranger": stranger.pid(), "port": listener.local_addr().unwrap().port(),
    });
    // An ordinary user may not reach the folder that this was built in.
    let own = place.path("chartward");
    fs::copy(BINARY, &own).unwrap();
    let mut command = Command::new("setpriv");
    if !as_root {
        let id = SOMEBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    command.arg("--").arg(own).args([
        "confine",
        "--keep-ms",
        "2000",
        "--processes",
        "40",
        "--open-files",
        "200",
    ]);
    command.args(["--memory", "1000000000"]);
    let script = place.file("probe.py", include_str!("supervise/probe.py"));
    command
        .arg("--rw")
        .arg(rw)
        .arg("--ro")
        .arg(ro)
        .arg("--ro")
        .arg(&script)
        .arg("--folder")
        .arg(home)
        .args(more);
    command.arg("--").arg(PYTHON).arg(&script).arg(told.to_string());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let both = (lines.next(), lines.next());
    let (Some(confined), Some(found)) = both else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    assert!(alive(script.to_str().unwrap()).is_empty(), "its forks are left behind");
    (confined, found)
}

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const EACCES: i32 = 13;
const ENOMEM: i32 = 12;

/// What a watcher meets that was given nothing but folders.
const FORBIDDEN: [(&str, i32); 50] = [
    ("read shadow", EACCES),
    ("read the system", 0),
    ("write elsewhere", EACCES),
    ("read elsewhere", EACCES),
    ("write its folder", 0),
    ("write what is given", 0),
    ("read what is given", 0),
    ("write what is given to read", EACCES),
    ("run what it wrote", EACCES),
    ("internet socket", EPERM),
    ("packet socket", EPERM),
    ("unix socket", EPERM),
    ("pair of sockets", 0),
    ("listen", EPERM),
    ("connect", EPERM),
    ("signal a stranger", EPERM),
    ("signal the keeper", EPERM),
    ("become root", EPERM),
    ("make a device", EACCES),
    ("clock", EPERM),
    ("mount", EPERM),
    ("umount2", EPERM),
    ("ptrace", EPERM),
    ("init_module", EPERM),
    ("delete_module", EPERM),
    ("process_vm_readv", EPERM),
    ("setns", EPERM),
    ("swapon", EPERM),
    ("chroot", EPERM),
    ("acct", EPERM),
    ("sethostname", EPERM),
    ("adjtimex", EPERM),
    ("fanotify_init", EPERM),
    ("open_by_handle_at", EPERM),
    ("personality", EPERM),
    ("unshare", EPERM),
    ("bpf", EPERM),
    ("keyctl", EPERM),
    ("io_uring_setup", EPERM),
    ("userfaultfd", EPERM),
    ("perf_event_open", EPERM),
    ("kexec_load", EPERM),
    ("finit_module", EPERM),
    ("pivot_root", EPERM),
    ("reboot", EPERM),
    ("clone into a namespace", EPERM),
    ("clone3", ENOSYS),
    ("ptrace of x32", EPERM),
    ("much memory", ENOMEM),
    ("core", 0),
];

fn check_forbidden(found: &Value, but: &[(&str, i32)]) {
    for (name, expected) in FORBIDDEN {
        // The calls that are made by number are only made on x86-64.
        let Some(was) = found[name].as_i64() else { continue };
        let expected =
            but.iter().find(|(other, _)| *other == name).map_or(expected, |(_, expected)| *expected);
        assert_eq!(was, i64::from(expected), "{name}");
    }
    // Those of an earlier run that are just ending count among the user's processes for a moment.
    assert!((1..=60).contains(&found["forks"].as_u64().unwrap()), "{}", found["forks"]);
    assert!(found["files"].as_u64().unwrap() < 200, "{}", found["files"]);
    let status = &found["status"];
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(status[set][0], "0000000000000000", "{set}");
    }
    assert_eq!((&status["NoNewPrivs"][0], &found["session"]), (&"1".into(), &true.into()));
}

#[test]
fn a_confined_program_of_a_hub_that_is_root_can_do_next_to_nothing() {
    let test = "a_confined_program_of_a_hub_that_is_root_can_do_next_to_nothing";
    if !testkit::root(test) || !has_python(test) || testkit::tool(test, "setpriv").is_none() {
        return;
    }
    let (confined, found) = probe(true, &[]);
    check_forbidden(&found, &[]);
    assert_eq!(confined["not_enforced"], json!([]));
    assert_eq!(found["status"]["CapBnd"][0], "0000000000000000");
    assert_eq!(found["status"]["Uid"][0], "65534");
    assert_eq!(found["status"]["Groups"], json!([]));
    let network = [("internet socket", 0), ("connect", 0), ("listen", EACCES), ("unix socket", 0)];
    let (_, found) = probe(true, &["--network", "--local-sockets"]);
    check_forbidden(&found, &network);
    // Even a watcher that has to be root reads no secrets and signals nobody.
    let (confined, found) = probe(true, &["--user", "root"]);
    let root = [("become root", 0)];
    let forks = found["forks"].as_u64().unwrap();
    assert!(forks > 60, "the kernel has begun to limit root's processes: say so");
    let mut bounded = found;
    bounded["forks"] = 40.into();
    check_forbidden(&bounded, &root);
    let said = confined["not_enforced"].to_string();
    assert!(said.contains("processes"), "{said}");
}

#[test]
fn a_hub_that_is_an_ordinary_user_confines_too_and_says_what_it_cannot() {
    let test = "a_hub_that_is_an_ordinary_user_confines_too_and_says_what_it_cannot";
    if !testkit::root(test) || !has_python(test) || testkit::tool(test, "setpriv").is_none() {
        return;
    }
    let (confined, found) = probe(false, &["--user", &SOMEBODY.to_string()]);
    check_forbidden(&found, &[]);
    assert_eq!(confined["not_enforced"], json!([]));
    let (confined, found) = probe(false, &[]);
    check_forbidden(&found, &[]);
    assert_eq!(found["status"]["Uid"][0], SOMEBODY.to_string());
    let said = confined["not_enforced"].to_string();
    assert!(said.contains("nobody") && said.contains("only root"), "{said}");
    let (confined, _) = probe(false, &["--cap", "net_raw", "--ro", "/not/there"]);
    let said = confined["not_enforced"].to_string();
    assert!(said.contains("net_raw") && said.contains("/not/there"), "{said}");
}

#[test]
fn nothing_is_run_when_the_confinement_is_not_understood() {
    for (args, expected) in [
        (&["--user", "no-such-user-here", "--", "true"][..], "no-such-user-here"),
        (&["--cap", "everything", "--", "true"], "everything"),
        (&["--", "no-such-program-here"], "no-such-program-here"),
        (&["--", "/no/such/program"], "/no/such/program"),
        (&["--parent", "1", "--", "true"], "stay below the parent"),
    ] {
        let output = Command::new(BINARY).arg("confine").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn bad_watchers_hurt_neither_the_hub_nor_the_good_one() {
    let test = "bad_watchers_hurt_neither_the_hub_nor_the_good_one";
    if !has_python(test) {
        return;
    }
    let place = Place::new();
    let fast = json!({"restart_after_ms": 100, "restart_after_ms_max": 400, "grace_ms": 1500});
    let mut dying =
        watcher("dying", &["sh", "-c", "echo first >&2; printf 'no \\033[31mlicence\\n' >&2; exit 7"]);
    dying["limits"] = fast.clone();
    let mut killed = watcher("killed", &["sh", "-c", "kill -SEGV $$"]);
    killed["limits"] = fast.clone();
    let mut missing = watcher("missing", &["/no/such/program"]);
    missing["limits"] = fast;
    let watchers = json!([
        python("good", "import time\nfor n in range(10**6): print('{\"n\":%d}' % n); time.sleep(.05)"),
        python("flood", "import sys\nb=b'{\"a\":1}\\n'*10000\nwhile True: sys.stdout.buffer.write(b)"),
        python("noise", "import os,time\nwhile True: os.write(1, os.urandom(50000)); time.sleep(.01)"),
        python(
            "nuls",
            "import os,time\nos.write(1,b'\\0'*3000+b'\\n[1]\\n\"x\"\\n{\"a\":\\xff}\\n{\"type\":\"confined\",\"pid\":1}\\n{\"half\":1}')"
        ),
        python(
            "endless",
            "import os,time\nfor n in range(1600): os.write(1, b'x'*65536)\nprint('\\n{\"after\":1}'); time.sleep(99)"
        ),
        python("silent", "import time; time.sleep(99)"),
        python(
            "deaf",
            "import signal,time; signal.signal(15, signal.SIG_IGN); print('{\"type\":\"ready\"}'); time.sleep(99)"
        ),
        python(
            "last words",
            "import signal,time,sys\nsignal.signal(15, lambda *_: (print('{\"bye\":1}'), sys.exit()))\nprint('{}'); time.sleep(99)"
        ),
        dying,
        killed,
        missing,
    ]);
    let mut hub = Hub::start(&place, &watchers, &["--seconds", "4"]);
    let begun = Instant::now();
    hub.wait_for(Duration::from_secs(20), |line| line["line"]["after"] == 1);
    while begun.elapsed() < Duration::from_secs(3) {
        hub.wait_for(Duration::from_secs(5), |line| line["watcher"] == "good");
    }
    let memory = hub.memory_kib_max();
    assert!(memory > 0 && memory < 200 * 1024, "{memory} KiB");
    let health = hub.end(Duration::from_secs(20));
    let numbers: Vec<_> = hub.lines_of("good").map(|line| line["line"]["n"].as_u64().unwrap()).collect();
    assert!(numbers.len() >= 30, "{}", numbers.len());
    assert!(numbers.iter().enumerate().all(|(at, n)| *n == at as u64), "lines of the good one are missing");
    assert_eq!(named(&health, "good")["dropped"], 0);
    let flood = named(&health, "flood");
    let taken = flood["lines"].as_u64().unwrap() - flood["dropped"].as_u64().unwrap();
    assert!(flood["dropped"].as_u64().unwrap() > 100_000 && taken < 40_000 + 20_000 * 8, "{flood}");
    assert!(named(&health, "noise")["garbage"].as_u64().unwrap() > 10);
    let nuls = named(&health, "nuls");
    assert!(nuls["garbage"].as_u64().unwrap() >= 4, "{nuls}");
    assert!(hub.lines_of("nuls").any(|line| line["line"]["half"] == 1));
    // Once for the line, and once for each MiB of it.
    assert!(named(&health, "endless")["garbage"].as_u64().unwrap() >= 1);
    assert!(named(&health, "endless")["trouble"].as_str().unwrap().contains("more than 65536 bytes"));
    assert_eq!(named(&health, "silent")["lines"], 0);
    assert!(hub.lines_of("last words").any(|line| line["line"]["bye"] == 1), "a line at the end is lost");
    for (name, cause) in [
        ("dying", "exit status 7; its last words: no \\u{1b}[31mlicence"),
        ("killed", "SIGSEGV"),
        ("missing", "/no/such/program"),
    ] {
        let watcher = named(&health, name);
        assert!(watcher["trouble"].as_str().unwrap().contains(cause), "{watcher}");
        assert!((4..40).contains(&watcher["restarts"].as_u64().unwrap()), "{watcher}");
    }
    assert!(health.iter().all(|watcher| watcher["state"] == "stopped" && watcher["pid"].is_null()));
}

#[test]
fn a_hub_that_is_busy_drops_lines_and_still_ends_its_watchers() {
    let place = Place::new();
    let mut many = watcher("many", &["sh", "-c", "while :; do echo '{\"a\":1}'; done"]);
    many["limits"] = json!({"patience_ms": 50, "grace_ms": 500, "lines_per_second_max": 100_000_000});
    let mut hub = Hub::start(&place, &json!([many]), &["--seconds", "2", "--busy-ms", "100", "--queue", "4"]);
    let health = hub.end(Duration::from_secs(20));
    assert!(health[0]["dropped"].as_u64().unwrap() > 100, "{health:?}");
    assert!(health[0]["trouble"].as_str().unwrap().contains("too busy"), "{health:?}");
}

#[test]
fn a_watcher_is_restarted_at_once_when_asked() {
    let place = Place::new();
    let watchers = json!([watcher("one", &["sh", "-c", "echo \"{\\\"pid\\\":$$}\"; sleep 99"])]);
    let mut hub = Hub::start(&place, &watchers, &["--seconds", "2", "--restart", "one"]);
    let health = hub.end(Duration::from_secs(20));
    assert_eq!(health[0]["restarts"], 1);
    let pids: Vec<_> = hub.lines_of("one").map(|line| line["line"]["pid"].clone()).collect();
    assert!(pids.len() == 2 && pids[0] != pids[1], "{pids:?}");
}

#[test]
fn nobody_survives_the_hub_however_it_ends() {
    let test = "nobody_survives_the_hub_however_it_ends";
    if !has_python(test) {
        return;
    }
    for signal in [Signal::KILL, Signal::TERM] {
        let mark = format!("left-behind-{}-{}", std::process::id(), signal.as_raw());
        let daemon = format!(
            "import os,sys,time\nprint('{{\"type\":\"ready\"}}')\nif os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  \
             print('{{\"daemon\":%d}}' % os.getpid()); time.sleep(99) # {mark}\n os._exit(0)\ntime.sleep(99)"
        );
        let deaf = format!(
            "import signal,time; signal.signal(15, signal.SIG_IGN); print('{{}}'); time.sleep(99) # {mark}"
        );
        let leaving =
            format!("import os,time\nif os.fork()==0: time.sleep(99) # {mark}\nprint('{{\"left\":1}}')");
        let place = Place::new();
        let watchers = json!([python("daemon", &daemon), python("deaf", &deaf), python("leaving", &leaving)]);
        let mut hub = Hub::start(&place, &watchers, &["--seconds", "60"]);
        for wanted in ["daemon", "left"] {
            hub.wait_for(Duration::from_secs(20), |line| !line["line"][wanted].is_null());
        }
        assert!(alive(&mark).len() >= 3, "{:?}", alive(&mark));
        kill_process(Pid::from_raw(hub.process.pid()).unwrap(), signal).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while !alive(&mark).is_empty() {
            assert!(Instant::now() < end, "{:?} live on after {signal:?}", alive(&mark));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn what_a_watcher_is_told_of_the_hub_is_nothing() {
    let place = Place::new();
    let mut asks = watcher(
        "asks",
        &[
            "sh",
            "-c",
            "env >&2; env | grep -q secret || echo \"{\\\"home\\\":\\\"$HOME\\\",\\\"own\\\":\\\"$OWN\\\"}\"; cd; pwd -P >&2",
        ],
    );
    asks["env"] = json!([["OWN", "words"]]);
    let mut hub = Hub::start(&place, &json!([asks]), &["--seconds", "1"]);
    let health = hub.end(Duration::from_secs(20));
    let line = hub.lines_of("asks").next().unwrap();
    assert_eq!(line["line"]["own"], "words");
    let folder = place.path("folders/asks");
    assert!(health[0]["trouble"].as_str().unwrap().contains(folder.to_str().unwrap()), "{health:?}");
}
