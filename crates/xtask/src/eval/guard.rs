//! A real `chartward guard` on a tree, and what it says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::tidy;

const READY_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Started on a tree; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    lines: Receiver<Value>,
    /// Every line that it has said.
    pub(crate) seen: Vec<Value>,
    /// From its start until it said that it protects.
    pub(crate) ready_ms: u64,
}

impl Guard {
    /// `place` takes its store and its state, on the tree's file system and outside the tree.
    pub(crate) fn start(
        binary: &Path,
        mode: &str,
        tree: &Path,
        place: &Path,
        more: &[String],
    ) -> anyhow::Result<Self> {
        for folder in ["store", "state"] {
            let folder = place.join(folder);
            if folder.exists() {
                fs::remove_dir_all(&folder).context("clear the guard's folders")?;
            }
        }
        let began = Instant::now();
        let mut child = tidy::start(
            Command::new(binary)
                .args(["guard", "--json", "--end-with-parent", "--mode", mode])
                .arg(tree)
                .args(["--store".as_ref(), place.join("store").as_os_str()])
                .args(["--state".as_ref(), place.join("state").as_os_str()])
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(fs::File::create(place.join("guard.log")).context("make the guard's log")?),
        )?;
        let stdout = child.stdout.take().context("the guard has no output")?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The receiver goes when the case is over.
                let _ = serde_json::from_str(&line).map(|line| send.send(line));
            }
        });
        let mut guard = Self { child, lines, seen: Vec::new(), ready_ms: 0 };
        while !guard.seen.iter().any(|line| line["type"] == "ready") {
            if began.elapsed() > READY_WITHIN || guard.is_over() {
                let log = fs::read_to_string(place.join("guard.log")).unwrap_or_default();
                bail!("the guard is never ready: {}", log.trim().lines().last().unwrap_or("no word"));
            }
            guard.listen();
            thread::sleep(Duration::from_millis(2));
        }
        guard.ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(guard)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes in what it has said since; gives the number of new lines.
    pub(crate) fn listen(&mut self) -> usize {
        let before = self.seen.len();
        self.seen.extend(self.lines.try_iter());
        self.seen.len() - before
    }

    pub(crate) fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Those that say more than that something happened.
    pub(crate) fn findings(&self) -> usize {
        self.all_findings().filter(|line| !is_information(line)).count()
    }

    /// The rest.
    pub(crate) fn informational(&self) -> usize {
        self.all_findings().filter(|line| is_information(line)).count()
    }

    fn all_findings(&self) -> impl Iterator<Item = &Value> {
        self.seen.iter().filter(|line| line["class_uid"] == 2004)
    }

    pub(crate) fn said<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.seen.iter().filter(move |line| line["type"] == kind)
    }

    /// Ends it as an operator does. `false` when it had to be killed or had died before.
    pub(crate) fn end(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + ENDS_WITHIN;
        while Instant::now() < end {
            if self.is_over() {
                self.listen();
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }
}

fn is_information(line: &Value) -> bool {
    line["severity_id"].as_u64().is_some_and(|severity| severity <= 1)
}

/// What a person does who reads that files were removed: brings back what the guard of this place has kept. How many files it says came
/// back; a guard that has no such command brings back none.
pub(crate) fn bring_back(binary: &Path, place: &Path) -> anyhow::Result<usize> {
    let mut command = Command::new(binary);
    command.args(["guard", "removed", "--restore", "--json", "--state"]).arg(place.join("state"));
    let child = tidy::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    let said = child.wait_with_output().context("wait for what was removed to come back")?.stdout;
    let lines = String::from_utf8_lossy(&said).into_owned();
    let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = lines.find(|line| line["type"] == "brought_back");
    Ok(last
        .and_then(|line| line["files"].as_u64())
        .and_then(|files| usize::try_from(files).ok())
        .unwrap_or(0))
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
