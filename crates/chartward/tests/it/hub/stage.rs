//! A hub on a state folder of its own, with watchers that the test speaks through and a packet filter that harms nobody.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{BINARY, Run, run};

/// How long anything that is waited for may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
static COUNT: AtomicU32 = AtomicU32::new(0);

pub(super) struct Stage {
    dir: tempfile::TempDir,
    netns: Option<String>,
    /// Whether the namespace is somebody else's to remove.
    is_borrowed: bool,
    /// Where the state folder is, when not in the stage's own folder.
    pub(super) state: PathBuf,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let dir = tempfile::TempDir::with_prefix("chartward-hub-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = dir.path().canonicalize().unwrap().join("state");
        let stage = Stage { dir, netns: None, is_borrowed: false, state };
        stage.file("feed.py", include_str!("feed.py"));
        stage
    }

    /// One with a network namespace of its own for the packet filter; `None` after saying what is missing.
    pub(super) fn with_wall(test: &str) -> Option<Stage> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["ip", "nft", "python3"] {
            testkit::tool(test, tool)?;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let netns = format!("hub-{}-{count}", std::process::id());
        assert!(Command::new("ip").args(["netns", "add", &netns]).status().unwrap().success());
        let mut stage = Stage::new();
        stage.netns = Some(netns);
        Some(stage)
    }

    /// Has the packet filter of somebody else's namespace changed.
    pub(super) fn borrow_wall(&mut self, netns: &str) {
        self.netns = Some(netns.to_owned());
        self.is_borrowed = true;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    pub(super) fn private_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The table of a watcher of that class that prints what [`Stage::say`] is given.
    pub(super) fn watch(&self, name: &str, class: &str, more: &str) -> String {
        self.file(&format!("{name}.feed"), "");
        let script = self.path("feed.py");
        let feed = self.path(&format!("{name}.feed"));
        let read = json!([script, feed]);
        format!(
            "[[watch]]\nname = {name:?}\nclass = {class:?}\nexec = [\"/usr/bin/python3\", {script:?}, {feed:?}{more}]\nread = {read}\n\n"
        )
    }

    /// Writes the configuration: a console on any port, the stage's packet filter, and what the test adds.
    pub(super) fn configure(&self, more: &str) -> PathBuf {
        let nft = match &self.netns {
            Some(netns) => json!(["ip", "netns", "exec", netns, "nft"]).to_string(),
            // Whoever touches the packet filter where nothing may be touched is seen.
            None => json!([self.path("no-nft")]).to_string(),
        };
        // Nothing is enforced by itself where nobody is named who is never cut off.
        let never = match more.contains("[never_touch]") {
            true => "",
            false => "[never_touch]\naddresses = [\"192.0.2.250\"]\n\n",
        };
        let text = format!(
            "hospital = \"試験病院\"\nlang = \"en\"\nstate = {:?}\n\n[console]\nlisten = \"127.0.0.1:0\"\ntls = false\n\n[wall]\ncommand = {nft}\n\n{never}{more}",
            self.state
        );
        self.file("chartward.toml", &text)
    }

    pub(super) fn say(&self, watcher: &str, lines: &[Value]) {
        let mut feed = OpenOptions::new().append(true).open(self.path(&format!("{watcher}.feed"))).unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        feed.write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn up(&self) -> Up {
        let mut command = Command::new(BINARY);
        command.args(["up", "--json", "--config"]).arg(self.path("chartward.toml"));
        let up = Up::start(command, &self.path("hub.log"));
        assert_eq!(up.ready["type"], "ready", "{}", self.log());
        up
    }

    /// Asks on the command line, as JSON.
    pub(super) fn ask(&self, words: &[&str]) -> Run {
        let mut command = Command::new(BINARY);
        run(command.args(words).arg("--json").arg("--state").arg(&self.state).env("USER", "tester"))
    }

    /// The same, for one that has to succeed; gives its first line.
    pub(super) fn done(&self, words: &[&str]) -> Value {
        let run = self.ask(words);
        assert_eq!(run.code, 0, "{words:?}: {} {}", run.stdout, run.stderr);
        run.lines[0].clone()
    }

    /// The incidents, in order of their numbers.
    pub(super) fn incidents(&self) -> Vec<Value> {
        let mut lines = self.ask(&["incident", "list", "--all"]).lines;
        lines.retain(|line| line["type"] == "incident");
        let mut incidents: Vec<Value> = lines.into_iter().map(|line| line["incident"].clone()).collect();
        incidents.sort_by_key(|incident| incident["id"].as_u64());
        incidents
    }

    /// The countermeasures, in order of their numbers.
    pub(super) fn measures(&self) -> Vec<Value> {
        let mut lines = self.ask(&["act", "list", "--all"]).lines;
        lines.retain(|line| line["type"] == "countermeasure");
        let mut all: Vec<Value> = lines.into_iter().map(|line| line["countermeasure"].clone()).collect();
        all.sort_by_key(|measure| measure["id"].as_u64());
        all
    }

    pub(super) fn measure(&self, kind: &str) -> Option<Value> {
        self.measures().into_iter().rfind(|measure| measure["act"]["act"] == kind)
    }

    /// Alarms of that sort that the running hub adds to `status`; the vault that it names is not there, which is no matter here.
    pub(super) fn alarms(&self, id: &str) -> Vec<Value> {
        let vault = self.path("no-vault").display().to_string();
        let status = self.ask(&["status", "--vault", &vault]);
        let mut alarms = status.lines[0]["alarms"].as_array().unwrap().clone();
        alarms.retain(|alarm| alarm["id"] == id);
        alarms
    }

    /// What the API of the running hub answers, which has no TLS here.
    pub(super) fn api(&self, up: &Up, path: &str) -> Value {
        let kept = self.path("token");
        if !kept.exists() {
            let made = self.done(&["token", "add", "test", "--role", "viewer"]);
            fs::write(&kept, made["token"].as_str().unwrap()).unwrap();
        }
        let token = fs::read_to_string(&kept).unwrap();
        let host = up.ready["console"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {answer}"))
    }

    /// English sentences of an incident's timeline.
    pub(super) fn moments(&self, id: &str) -> Vec<String> {
        let shown = self.done(&["incident", "show", id]);
        let moments = shown["moments"].as_array().unwrap();
        moments.iter().map(|moment| moment["en"].as_str().unwrap().to_owned()).collect()
    }

    /// Addresses in the kernel's set with the seconds that they still have.
    pub(super) fn banned(&self) -> Vec<(String, Option<u64>)> {
        self.set("ban4")
    }

    pub(super) fn set(&self, name: &str) -> Vec<(String, Option<u64>)> {
        let listed = self.nft(&["-j", "list", "table", "inet", "chartward"]);
        let Ok(listed) = serde_json::from_str::<Value>(&listed) else { return vec![] };
        let sets = listed["nftables"].as_array().unwrap().iter().filter(|it| it["set"]["name"] == name);
        let elements = sets.flat_map(|it| it["set"]["elem"].as_array().cloned().unwrap_or_default());
        elements
            .map(|element| match element.as_str() {
                Some(address) => (address.to_owned(), None),
                None => {
                    let element = &element["elem"];
                    (element["val"].as_str().unwrap().to_owned(), element["expires"].as_u64())
                }
            })
            .collect()
    }

    pub(super) fn nft_namespace(&self) -> &str {
        self.netns.as_ref().unwrap()
    }

    pub(super) fn nft(&self, words: &[&str]) -> String {
        let netns = self.netns.as_ref().unwrap();
        let out = Command::new("ip").args(["netns", "exec", netns, "nft"]).args(words).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    }

    /// Facts of the ledger, which has to be intact.
    pub(super) fn ledger(&self) -> Vec<Value> {
        let verified = self.ask(&["prove", "verify"]);
        assert_eq!(verified.code, 0, "{} {}", verified.stdout, verified.stderr);
        let text = fs::read_to_string(self.state.join("ledger.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// As if so much time had passed since the countermeasure was applied; no hub may run.
    pub(super) fn age(&self, kind: &str, seconds: i64) {
        let state = prove::State::open(&self.state, jiff::Timestamp::now()).unwrap();
        let all = state.countermeasures(&prove::state::CountermeasureFilter::default(), 1000, None).unwrap();
        for mut measure in all.into_iter().filter(|measure| measure.act.kind().id() == kind) {
            measure.applied_at = measure.applied_at.map(|at| at - jiff::SignedDuration::from_secs(seconds));
            state.write(|tx| tx.put_countermeasure(&measure)).unwrap();
        }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("hub.log")).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(netns) = self.netns.as_ref().filter(|_| !self.is_borrowed) {
            let _ = Command::new("ip").args(["netns", "del", netns]).status();
        }
    }
}

/// A hub that runs; dropped, it is killed.
pub(super) struct Up {
    pub(super) child: Child,
    /// Its ready line; null when it ended before.
    pub(super) ready: Value,
}

impl Up {
    pub(super) fn start(mut command: Command, log: &Path) -> Up {
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        thread::spawn(move || lines.for_each(drop));
        Up { child, ready: serde_json::from_str(&first).unwrap_or_default() }
    }

    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_raw(self.pid()).unwrap(), signal);
    }

    /// Ends it as a power cut would, as far as processes go.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end; its exit status and how long it took.
    pub(super) fn stop(mut self) -> (i32, Duration) {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), begun.elapsed())
    }

    /// The largest memory that it ever had, in MiB.
    pub(super) fn memory_mib_max(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0) / 1024
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something.
pub(super) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// The same with the patience that somebody else's program asks for.
pub(super) fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it never comes: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A finding of a watcher of ours about an address.
pub(super) fn finding(uid: &str, detector: &str, severity: u8, address: &str) -> Value {
    json!({
        "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200_401, "severity_id": severity,
        "time": jiff::Timestamp::now().as_millisecond(), "detector": detector,
        "finding_info": {"uid": uid, "title": format!("Passwords are guessed from {address}")},
        "attacks": [{"tactics": [{"uid": "TA0006"}], "technique": {"uid": "T1110.001", "name": "Password Guessing"}}],
        "src_endpoint": {"ip": address}, "dst_endpoint": {"ip": "10.9.0.9", "hostname": "emr"},
    })
}

/// A playbook that blocks those who guess passwords.
pub(super) fn block(approval: &str, more: &str) -> String {
    format!(
        "[[playbook]]\nname = \"guessing\"\nwatchers = [\"sensor\"]\ndetectors = [\"bruteforce.*\"]\nseverity_min = \"high\"\nacts = [\"block_address\"]\napproval = {approval:?}\n{more}\n\n"
    )
}
