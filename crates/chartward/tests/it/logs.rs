//! The watcher of logs: real files, a real logger, kills.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(40);

/// A watcher that ends with the test.
struct Watcher {
    child: Child,
    lines: Receiver<Value>,
}

impl Watcher {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let state = dir.join("state");
        let mut child = Command::new(env!("CARGO_BIN_EXE_chartward"))
            .arg("logs")
            .args(args)
            .args(["--json", "--zone", "UTC", "--end-with-parent", "--state"])
            .arg(&state)
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    fn until(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the watcher said nothing of it");
            if is_it(&line) {
                return line;
            }
        }
    }

    fn ready(&self) -> Value {
        self.until(|line| line["type"] == "ready")
    }

    fn guessed(&self, from: &str) -> Value {
        self.until(|line| line["type"] == "finding" && line["src_endpoint"]["ip"] == from)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failure(from: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%b %e %H:%M:%S");
    format!("{now} emr1 sshd[77]: Failed password for root from {from} port 5 ssh2")
}

fn append(path: &Path, lines: &[String]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

#[test]
fn a_guess_is_told_through_rotation_and_counts_once_over_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    fs::write(&log, "").unwrap();
    let mut watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    append(&log, &vec![failure("198.51.100.7"); 8]);
    // Places are put on the disk every five seconds.
    let state = dir.path().join("state/logs/state.json");
    let until = Instant::now() + PATIENCE;
    while !fs::read_to_string(&state).is_ok_and(|text| text.contains("auth.log")) {
        assert!(Instant::now() < until, "nothing was kept");
        std::thread::sleep(Duration::from_millis(100));
    }
    watcher.child.kill().unwrap();
    watcher.child.wait().unwrap();
    // While nobody watches: the rest of the guess, and a rotation.
    append(&log, &vec![failure("198.51.100.7"); 4]);
    fs::rename(&log, dir.path().join("auth.log.1")).unwrap();
    append(&log, &vec![failure("203.0.113.9"); 12]);
    let watcher = Watcher::start(dir.path(), &["auth.log"]);
    watcher.ready();
    watcher.guessed("198.51.100.7");
    watcher.guessed("203.0.113.9");
}

#[test]
fn what_logger_sends_over_datagrams_and_streams_is_judged() {
    let Some(logger) = testkit::tool("syslog of logger", "logger") else { return };
    let dir = tempfile::tempdir().unwrap();
    let watcher =
        Watcher::start(dir.path(), &["--syslog", "udp://127.0.0.1:0", "--syslog", "tcp://127.0.0.1:0"]);
    let ready = watcher.ready();
    for (door, flag, from) in [(0, "--udp", "198.51.100.7"), (1, "--tcp", "203.0.113.9")] {
        let port = ready["paths"][door].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        for number in 0..12 {
            let text = format!("Failed password for root from {from} port {number} ssh2");
            let sent = Command::new(&logger)
                .args([flag, "--server", "127.0.0.1", "--port", &port, "--tag", "sshd", "--id=77", &text])
                // Only a stream is cut by counts.
                .args((flag == "--tcp").then_some("--octet-count"))
                .status();
            assert!(sent.unwrap().success());
        }
        watcher.guessed(from);
    }
}

#[test]
fn rules_hold_for_text_logs_and_are_read_anew_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let (log, rules) = (dir.path().join("auth.log"), dir.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    let rule = |title: &str, word: &str| {
        format!(
            "title: {title}\nid: 5f2e3f0e-6a3c-4a43-9a8e-2f4f6c2f9a01\nauthor: Example\nlevel: high\nlogsource:\n    product: linux\n    service: sshd\n\
             detection:\n    keywords:\n        - '{word}'\n    condition: keywords\n"
        )
    };
    fs::write(rules.join("one.yml"), rule("First", "rexec line 9")).unwrap();
    fs::write(&log, "").unwrap();
    let watcher = Watcher::start(dir.path(), &["auth.log", "--rules", "rules"]);
    assert_eq!(watcher.ready()["rules"], 1);
    let line = |text: &str| format!("Nov  1 00:00:00 emr1 sshd[7]: {text}");
    append(&log, &[line("rexec line 9: bad")]);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!(
        (&hit["sigma"]["author"], &hit["finding_info"]["title"]),
        (&"Example".into(), &"First".into())
    );
    fs::write(rules.join("one.yml"), rule("Second", "line 10")).unwrap();
    watcher.until(|line| line["type"] == "rules");
    append(&log, &[line("rexec line 10: bad")]);
    let hit = watcher.until(|line| line["type"] == "finding");
    assert_eq!(hit["finding_info"]["title"], "Second");
}

#[test]
fn a_scan_says_what_it_read_and_what_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("auth.log");
    append(&log, &vec![failure("198.51.100.7"); 20]);
    append(&log, &["gibberish".to_owned()]);
    let out = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["scan", "logs", "--json", "--zone", "UTC"])
        .args([&log, &dir.path().join("missing")])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<Value> = out
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["lines"], &summary["unknown"]),
        (&"summary".into(), &21.into(), &1.into())
    );
    assert_eq!((&summary["failed"], &summary["formats"]["sshd"]), (&1.into(), &20.into()));
    assert!(lines.iter().any(|line| line["src_endpoint"]["ip"] == "198.51.100.7"), "{lines:?}");
}
