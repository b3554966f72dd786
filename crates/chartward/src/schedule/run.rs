//! One run of a job as a child process: bounded in time and in what is kept of its words, and never outliving the hub.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use prove::state::JobOutcome;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Set for a child with the id of the hub: it ends when that process does.
pub(crate) const PARENT: &str = "CHARTWARD_END_WITH_PARENT";
/// Longer lines are cut; a backup's summary names every table of every database.
const LINE_MAX: u64 = 256 * 1024;
const STDERR_LINE_MAX: usize = 1_000;
const STDERR_LINES_MAX: usize = 40;
/// A backup or drill must not slow the records down; the kernel derives the priority of its input and output from this, too.
const NICE: i32 = 10;
/// What a drill needs to remove the records in its sandbox.
const GRACE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Starts the jobs' processes.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    /// This same binary.
    pub(crate) program: PathBuf,
    /// Set for each: where to find what a vault host wants.
    pub(crate) env: Vec<(&'static str, OsString)>,
    /// Once it is set, whatever runs is ended.
    pub(crate) stop: Arc<AtomicBool>,
}

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) args: Vec<OsString>,
    /// The vault's; the child learns it through its standard input, never by its arguments or environment.
    pub(crate) passphrase: Option<Zeroizing<Vec<u8>>>,
    pub(crate) timeout: Duration,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    pub(crate) outcome: JobOutcome,
    /// The last JSON line; `None` where there was none.
    pub(crate) summary: Option<Value>,
    /// The last lines of what it said to people.
    pub(crate) stderr: Vec<String>,
    /// Why it failed, in words; empty when it did not.
    pub(crate) cause: String,
    pub(crate) seconds: f64,
}

impl Finished {
    /// A run that came to nothing before there was a process.
    pub(crate) fn not_begun(cause: String) -> Finished {
        Finished { outcome: JobOutcome::Failed, summary: None, stderr: Vec::new(), cause, seconds: 0.0 }
    }

    /// What the state keeps of it: the summary line, or why there is none.
    pub(crate) fn detail(&self) -> String {
        let mut line = match &self.summary {
            Some(Value::Object(fields)) => Value::Object(fields.clone()),
            _ => json!({ "type": "failure" }),
        };
        line["run_seconds"] = json!(self.seconds);
        if self.outcome != JobOutcome::Done {
            line["cause"] = json!(self.cause);
            line["stderr"] = json!(self.stderr);
        }
        line.to_string()
    }
}

/// In the child, first of all: whether the process that started it still lives, and the wish to end with it.
pub(crate) fn end_with_parent() {
    let Some(parent) = std::env::var(PARENT).ok().and_then(|id| id.parse::<i32>().ok()) else { return };
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    // It may have ended before it was asked for.
    if rustix::process::getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        std::process::exit(2);
    }
}

enum Said {
    Line(Value),
    Words(String),
}

impl Runner {
    /// Runs until the process ended, its time is over or the hub stops. `heard` gets every JSON line as it comes.
    pub(crate) fn run(&self, task: &Task, heard: &mut dyn FnMut(&Value)) -> Finished {
        let begun = Instant::now();
        let mut child = match self.start(task) {
            Ok(child) => child,
            Err(error) => {
                return Finished::not_begun(format!("cannot start {}: {error}", self.program.display()));
            }
        };
        let said = listen(&mut child);
        let mut kept = Kept::default();
        let ended = loop {
            kept.take(&said, heard);
            match child.try_wait() {
                Ok(Some(status)) => break Ended::By(status),
                Err(error) => break Ended::Lost(error.to_string()),
                Ok(None) => {}
            }
            let cause = if self.stop.load(Ordering::Relaxed) {
                Ended::Stopped
            } else if begun.elapsed() > task.timeout {
                Ended::TimeOver
            } else {
                continue;
            };
            end(&mut child);
            break cause;
        };
        kept.rest(&said, heard);
        let (outcome, cause) = ended.means(task.timeout);
        let Kept { summary, stderr } = kept;
        let seconds = begun.elapsed().as_secs_f64();
        Finished { outcome, summary, stderr: stderr.into(), cause, seconds }
    }

    fn start(&self, task: &Task) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&task.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that all of it can be ended and a Ctrl-C of the hub's terminal does not reach it first.
        command.process_group(0);
        command
            .env_remove("CHARTWARD_PASSWORD")
            .env_remove("CHARTWARD_PASSWORD_FILE")
            .env_remove("CHARTWARD_VAULT");
        command.env_remove("CHARTWARD_REST_KEY").envs(self.env.iter().cloned());
        command.env(PARENT, std::process::id().to_string());
        if task.passphrase.is_some() {
            command.env("CHARTWARD_PASSWORD_FILE", "/dev/stdin").stdin(Stdio::piped());
        }
        let mut child = command.spawn()?;
        if let Some(pid) = pid(&child) {
            // The job runs all the same where this is not allowed.
            let _ = rustix::process::setpriority_process(Some(pid), NICE);
        }
        if let (Some(bytes), Some(mut stdin)) = (&task.passphrase, child.stdin.take()) {
            // Less than a pipe holds, so this never waits. A child that ended before says why on its own.
            let _ = stdin.write_all(bytes);
        }
        Ok(child)
    }
}

/// Why it is over.
enum Ended {
    By(ExitStatus),
    Lost(String),
    Stopped,
    TimeOver,
}

impl Ended {
    fn means(self, timeout: Duration) -> (JobOutcome, String) {
        match self {
            Ended::By(status) => match status.code() {
                Some(0) => (JobOutcome::Done, String::new()),
                Some(1) => (JobOutcome::Found, "something was found or left undone".to_owned()),
                _ => (JobOutcome::Failed, format!("it could not run: {status}")),
            },
            Ended::Lost(error) => (JobOutcome::Failed, format!("its end is unknown: {error}")),
            Ended::Stopped => (JobOutcome::Interrupted, "the hub was stopped".to_owned()),
            Ended::TimeOver => {
                (JobOutcome::Failed, format!("it took longer than {} s and was ended", timeout.as_secs()))
            }
        }
    }
}

/// What is kept of a child's words.
#[derive(Default)]
struct Kept {
    summary: Option<Value>,
    stderr: VecDeque<String>,
}

impl Kept {
    /// Waits a moment for words, then takes all that are there.
    fn take(&mut self, said: &Receiver<Said>, heard: &mut dyn FnMut(&Value)) {
        match said.recv_timeout(LOOK_EVERY) {
            Ok(first) => self.keep(first, heard),
            Err(RecvTimeoutError::Timeout) => return,
            // Both ends are closed: only its end is awaited.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY / 10),
        }
        for _ in 0..1_000 {
            let Ok(next) = said.try_recv() else { return };
            self.keep(next, heard);
        }
    }

    /// After its end: what is still in the pipes. A grandchild that holds them open is not waited for.
    fn rest(&mut self, said: &Receiver<Said>, heard: &mut dyn FnMut(&Value)) {
        let until = Instant::now() + Duration::from_secs(2);
        while let Ok(next) = said.recv_deadline(until) {
            self.keep(next, heard);
        }
    }

    fn keep(&mut self, said: Said, heard: &mut dyn FnMut(&Value)) {
        match said {
            Said::Line(line) => {
                heard(&line);
                self.summary = Some(line);
            }
            Said::Words(words) => {
                self.stderr.push_back(words);
                if self.stderr.len() > STDERR_LINES_MAX {
                    self.stderr.pop_front();
                }
            }
        }
    }
}

/// Two threads that read; they end when the pipes are closed. The channel's bound makes a child that says too much wait.
fn listen(child: &mut Child) -> Receiver<Said> {
    let (to, said) = bounded(1_024);
    if let Some(stdout) = child.stdout.take() {
        let to = to.clone();
        std::thread::spawn(move || {
            read_lines(stdout, &to, |line| serde_json::from_slice(line).ok().map(Said::Line));
        });
    }
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || read_lines(stderr, &to, |line| Some(Said::Words(words(line)))));
    }
    said
}

fn words(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end().chars().take(STDERR_LINE_MAX).collect()
}

fn read_lines(from: impl Read, to: &Sender<Said>, said: impl Fn(&[u8]) -> Option<Said>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Some(said) = said(&line)
            && to.send(said).is_err()
        {
            return;
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Asks its whole group to end, and sees to it.
fn end(child: &mut Child) {
    let Some(pid) = pid(child) else { return };
    let _ = rustix::process::kill_process_group(pid, Signal::TERM);
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    let _ = child.wait();
}
