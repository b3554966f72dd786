//! Two namespaces with a cable between them: one where the sensor stands, one that is the ward.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::BINARY;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Removed with all in it when it is dropped.
pub(crate) struct Net {
    /// Where the sensor stands; its end of the cable is `m0` with 10.77.0.1.
    pub(crate) post: String,
    /// Whose end is `e0` with 10.77.0.66.
    pub(crate) ward: String,
}

impl Net {
    /// `None` after saying what is missing.
    pub(crate) fn new(test: &str) -> Option<Net> {
        if !testkit::root(test) {
            return None;
        }
        testkit::tool(test, "ip")?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("cw{what}-{}-{number}", std::process::id());
        let net = Net { post: name("post"), ward: name("ward") };
        for namespace in [&net.post, &net.ward] {
            done(Command::new("ip").args(["netns", "add", namespace]));
            ip(namespace, "link set lo up");
        }
        net.plug_in();
        Some(net)
    }

    pub(crate) fn plug_in(&self) {
        ip(&self.post, &format!("link add m0 type veth peer name e0 netns {}", self.ward));
        for (namespace, words) in [
            (&self.post, "addr add 10.77.0.1/24 dev m0"),
            (&self.ward, "addr add 10.77.0.66/24 dev e0"),
            (&self.post, "link set m0 up"),
            (&self.ward, "link set e0 up"),
        ] {
            ip(namespace, words);
        }
    }

    pub(crate) fn unplug(&self) {
        ip(&self.post, "link del m0");
    }

    /// Runs something in the ward.
    pub(crate) fn ward(&self, words: &[&str]) -> Output {
        inside(&self.ward, words).output().unwrap()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for namespace in [&self.post, &self.ward] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn ip(namespace: &str, words: &str) {
    done(Command::new("ip").args(["-n", namespace]).args(words.split_whitespace()));
}

pub(crate) fn inside(namespace: &str, words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).args(words);
    command
}

/// A sensor that runs; dropped, it is killed.
pub(crate) struct Sensor {
    child: Child,
    lines: Receiver<Value>,
    pub(crate) heard: Vec<Value>,
}

impl Sensor {
    pub(crate) fn start(net: &Net, state: &Path, more: &[&str]) -> Sensor {
        let mut command = inside(&net.post, &[BINARY, "sensor", "--json", "--interface", "m0"]);
        // Not the configuration of the machine that tests.
        let config = state.with_extension("toml");
        if !config.exists() {
            fs::write(&config, "[sensor]\nlearn_for = \"0s\"\n").unwrap();
        }
        command.arg("--config").arg(&config).arg("--state").arg(state).args(more);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let values =
                stdout.lines().map_while(Result::ok).map(|line| serde_json::from_str(&line).unwrap());
            for value in values {
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        let mut sensor = Sensor { child, lines, heard: Vec::new() };
        sensor.until("ready", |line| line["type"] == "ready");
        sensor
    }

    /// `ip netns exec` becomes what it runs.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// The first line of that kind from now on; all are kept.
    pub(crate) fn until(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!("it never said {what}: {:#?}", self.heard.iter().rev().take(5).collect::<Vec<_>>())
            });
            self.heard.push(line.clone());
            if is(&line) {
                return line;
            }
        }
    }

    /// Asks it to end, and hears it out.
    pub(crate) fn stop(mut self) -> Vec<Value> {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.heard.push(line);
        }
        std::mem::take(&mut self.heard)
    }

    /// A field of /proc/PID/status.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
