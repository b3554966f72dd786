//! Watchers as child processes: started with what they need and no more, heard, restarted.
//!
//! A thread for each watcher starts it, takes its lines in and starts it again when it ends. Between the two stands a keeper, the hidden
//! command `chartward confine`: it ends whatever the watcher left behind, also when the hub is killed.

mod backoff;
mod bucket;
pub(crate) mod confine;
mod confinement;
mod intake;
mod lines;
mod runner;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use jiff::Timestamp;
use rustix::pipe::{PipeFlags, pipe_with};
use schema::{WatcherClass, WatcherHealth};
use serde::{Deserialize, Serialize};

pub(crate) use confinement::Confinement;
use intake::Intake;
use runner::{Order, Runner};

/// One watcher, as the hub starts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// Its name in the configuration; no two are alike.
    pub(crate) name: String,
    pub(crate) class: WatcherClass,
    pub(crate) program: Program,
    #[serde(default)]
    pub(crate) confinement: Confinement,
    /// What its environment holds besides PATH, LANG, HOME and TMPDIR: nothing of the hub's own, where passphrases may stand.
    #[serde(default)]
    pub(crate) env: Vec<(String, String)>,
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// What a watcher runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Program {
    /// A subcommand of this binary with its arguments. It is ready when it says so.
    Own(Vec<String>),
    /// Another program with its arguments. It is ready with its first line that is a JSON object, since most have no word for it.
    Exec(Vec<String>),
}

/// What is taken from a watcher, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// A longer line is cut, counted as garbage and skipped to its end.
    pub(crate) line_bytes_max: usize,
    /// Sustained; what comes above it is dropped and counted.
    pub(crate) lines_per_second_max: u32,
    /// Taken at once after a quiet time.
    pub(crate) burst_lines_max: u32,
    /// How long one line waits for a hub that is busy before lines are dropped.
    pub(crate) patience_ms: u64,
    /// How long the watcher may take to end when asked.
    pub(crate) grace_ms: u64,
    /// Pause before the first restart; it doubles with each further one.
    pub(crate) restart_after_ms: u64,
    /// The longest pause before a restart.
    pub(crate) restart_after_ms_max: u64,
    /// After so long a time of being ready, earlier restarts are forgiven.
    pub(crate) forgiven_after_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 64 * 1024,
            lines_per_second_max: 20_000,
            burst_lines_max: 40_000,
            patience_ms: 2_000,
            grace_ms: 10_000,
            restart_after_ms: 1_000,
            restart_after_ms_max: 60_000,
            forgiven_after_ms: 300_000,
        }
    }
}

/// What comes from the watchers.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A line that is a JSON object, without its line end.
    Line { watcher: Arc<str>, class: WatcherClass, bytes: Vec<u8>, arrived: Timestamp },
    /// How a watcher stands, whenever that changes and at most once a second while only its counters do.
    Health(WatcherHealth),
}

/// Why the watchers could not be started at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("two watchers are named {name:?}")]
    Twice { name: String },
    #[error("the watcher {name:?} names no program")]
    Nothing { name: String },
    #[error("start a thread for the watcher {name:?}")]
    Thread { name: String, source: io::Error },
}

/// The running watchers; dropped, all are ended.
#[derive(Debug)]
pub(crate) struct Supervisor {
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    name: Arc<str>,
    orders: Sender<Order>,
    /// Its write end wakes the thread, which otherwise sleeps in poll(2).
    wake: std::os::fd::OwnedFd,
    intake: Arc<Mutex<Intake>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts a thread for each watcher. `own` is this binary, which confines every watcher and is itself some of them. How much
    /// memory waiting lines may take is decided by the bound of `lines`.
    pub(crate) fn start(specs: Vec<Spec>, own: PathBuf, lines: Sender<Message>) -> Result<Self, Error> {
        for (at, spec) in specs.iter().enumerate() {
            if specs.iter().take(at).any(|other| other.name == spec.name) {
                return Err(Error::Twice { name: spec.name.clone() });
            }
            let (Program::Own(words) | Program::Exec(words)) = &spec.program;
            if words.first().is_none_or(|word| word.is_empty()) {
                return Err(Error::Nothing { name: spec.name.clone() });
            }
        }
        let mut supervisor = Self { watchers: Vec::with_capacity(specs.len()) };
        for spec in specs {
            supervisor.watchers.push(Watcher::start(spec, own.clone(), lines.clone())?);
        }
        Ok(supervisor)
    }

    /// How each watcher stands now, in the order of the configuration.
    pub(crate) fn health(&self) -> Vec<WatcherHealth> {
        self.watchers.iter().map(|watcher| watcher.intake().health()).collect()
    }

    /// Counts a line of `watcher` that was a JSON object and yet nothing that the hub knows.
    pub(crate) fn garbage(&self, watcher: &str, line: &[u8]) {
        if let Some(watcher) = self.watchers.iter().find(|known| &*known.name == watcher) {
            watcher.intake().garbage(line);
        }
    }

    /// Ends the watcher and starts it at once, whatever it was restarted for before. `false` when none has that name.
    pub(crate) fn restart(&self, name: &str) -> bool {
        let found = self.watchers.iter().find(|watcher| &*watcher.name == name);
        found.is_some_and(|watcher| watcher.order(Order::Restart))
    }

    /// Asks all watchers to end, takes in what they still say, and ends those that do not within their time of grace.
    pub(crate) fn stop(mut self) -> Vec<WatcherHealth> {
        self.end();
        self.health()
    }

    fn end(&mut self) {
        for watcher in &self.watchers {
            watcher.order(Order::Stop);
        }
        for thread in self.watchers.iter_mut().filter_map(|watcher| watcher.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

impl Watcher {
    fn start(spec: Spec, own: PathBuf, lines: Sender<Message>) -> Result<Self, Error> {
        let failed = |source| Error::Thread { name: spec.name.clone(), source };
        let name: Arc<str> = Arc::from(spec.name.as_str());
        let (awake, wake) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
        let (orders, ordered) = crossbeam_channel::bounded(8);
        let intake = Arc::new(Mutex::new(Intake::new(&spec)));
        let title: String = format!("watch {name}").chars().take(15).collect();
        let runner = Runner::new(spec.clone(), own, lines, Arc::clone(&intake), ordered, awake);
        let thread = std::thread::Builder::new().name(title).spawn(move || runner.run()).map_err(failed)?;
        Ok(Self { name, orders, wake, intake, thread: Some(thread) })
    }

    fn order(&self, order: Order) -> bool {
        let sent = self.orders.try_send(order).is_ok();
        // A full pipe wakes as well as one byte more.
        let _ = rustix::io::write(&self.wake, b"!");
        sent
    }

    fn intake(&self) -> std::sync::MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limits {
    fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}
