//! All sources at work: a thread for the files, one for each door, one for the journal, and one queue behind them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use observe::logs::{
    Batch, Follow, Journal, Listener, Losses, Position, Source, Transport, serve_http, tcp, udp,
};
use rustls::ServerConfig;
use schema::Micros;

use super::settings::{Door, Scheme, Settings};

/// Batches between those who read and the one who judges; each holds at most a thousand lines or 256 KiB.
const BATCHES_MAX: usize = 128;
/// How often files are looked at where nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often folders are looked through for new files.
const LIST_EVERY: Duration = Duration::from_secs(10);
const FILES_MAX: usize = 4_096;

/// Everything that gives lines; dropped, it ends.
pub(super) struct Sources {
    pub(super) batches: Receiver<Batch>,
    pub(super) losses: Losses,
    missing: Arc<Mutex<Vec<String>>>,
    /// The doors with the ports they have.
    pub(super) doors: Vec<String>,
    stop: Arc<AtomicBool>,
    files: Option<JoinHandle<()>>,
    _listeners: Vec<Listener>,
    _journal: Option<Journal>,
}

pub(super) fn now() -> Micros {
    Timestamp::now().as_microsecond()
}

impl Sources {
    pub(super) fn open(
        settings: &Settings,
        tls: Option<Arc<ServerConfig>>,
        positions: &BTreeMap<String, Position>,
    ) -> anyhow::Result<Self> {
        let (out, batches) = bounded(BATCHES_MAX);
        let losses = Losses::default();
        let (mut listeners, mut doors) = (Vec::new(), Vec::new());
        for door in settings.syslog.iter().chain(&settings.http) {
            let listener = listen(*door, tls.clone(), &out, &losses)?;
            doors.push(String::from(Door { at: listener.at, ..*door }));
            listeners.push(listener);
        }
        let cursor = match positions.get("journal") {
            Some(Position::Journal { cursor }) => Some(cursor.clone()),
            _ => None,
        };
        let journal = settings
            .journal
            .then(|| Journal::follow(cursor.as_deref(), out.clone(), losses.clone(), now))
            .transpose()?;
        let (stop, missing) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let files = Files {
            paths: settings.files.clone(),
            from_start: settings.from_start,
            positions: positions.clone(),
            out,
            losses: losses.clone(),
            missing: Arc::clone(&missing),
            follows: BTreeMap::new(),
            failed: BTreeMap::new(),
            is_first: true,
        };
        let files = if settings.files.is_empty() { None } else { Some(files.start(Arc::clone(&stop))?) };
        Ok(Self { batches, losses, missing, doors, stop, files, _listeners: listeners, _journal: journal })
    }

    /// Files that are not there or cannot be read, with the reason.
    pub(super) fn missing(&self) -> Vec<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whoever waits for room in the queue is let go.
        let (_, nobody) = bounded(0);
        self.batches = nobody;
        if let Some(files) = self.files.take() {
            let _ = files.join();
        }
    }
}

fn listen(
    door: Door,
    tls: Option<Arc<ServerConfig>>,
    out: &Sender<Batch>,
    losses: &Losses,
) -> anyhow::Result<Listener> {
    let (out, losses) = (out.clone(), losses.clone());
    let secure = || tls.clone().context("TLS without a certificate");
    Ok(match door.scheme {
        Scheme::Udp => udp(door.at, out, losses, now)?,
        Scheme::Tcp => tcp(door.at, Transport::Tcp, out, losses, now)?,
        Scheme::Tls => tcp(door.at, Transport::Tls(secure()?), out, losses, now)?,
        Scheme::Http => serve_http(door.at, None, out, losses, now)?,
        Scheme::Https => serve_http(door.at, Some(secure()?), out, losses, now)?,
    })
}

/// The thread that follows files.
struct Files {
    paths: Vec<PathBuf>,
    from_start: bool,
    positions: BTreeMap<String, Position>,
    out: Sender<Batch>,
    losses: Losses,
    missing: Arc<Mutex<Vec<String>>>,
    follows: BTreeMap<PathBuf, Follow>,
    failed: BTreeMap<PathBuf, String>,
    is_first: bool,
}

impl Files {
    fn start(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<JoinHandle<()>> {
        self.list();
        let work = move || {
            let mut listed = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                if listed.elapsed() >= LIST_EVERY {
                    listed = Instant::now();
                    self.list();
                }
                match self.look() {
                    Some(true) => {}
                    Some(false) => thread::sleep(LOOK_EVERY),
                    None => return,
                }
            }
        };
        thread::Builder::new().name("log files".into()).spawn(work).context("start a thread for the files")
    }

    /// Files that are named, and those in folders that are not what a rotation left.
    fn list(&mut self) {
        let mut found = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                let inside = observe::logs::files(path, &mut |_, _| {});
                found.extend(inside.into_iter().filter(|path| !is_rotated(path)));
            } else {
                found.push(path.clone());
            }
        }
        for path in found.into_iter().take(FILES_MAX) {
            if self.follows.contains_key(&path) {
                continue;
            }
            let position = self.positions.remove(&*path.to_string_lossy());
            // A file that appears later is new as a whole.
            let from_start = self.from_start || !self.is_first;
            let follow = Follow::new(&path, position, from_start, self.losses.clone());
            self.follows.insert(path, follow);
        }
        self.is_first = false;
        self.tell_missing();
    }

    /// Every file once; `None`: nobody wants lines any more.
    fn look(&mut self) -> Option<bool> {
        let mut is_busy = false;
        let mut changed = false;
        for (path, follow) in &mut self.follows {
            match follow.poll(now()) {
                Ok(Some(batch)) => {
                    is_busy = true;
                    self.out.send(batch).ok()?;
                    changed |= self.failed.remove(path).is_some();
                }
                Ok(None) if follow.is_there() => changed |= self.failed.remove(path).is_some(),
                Ok(None) => changed |= self.failed.insert(path.clone(), "not there".into()).is_none(),
                Err(error) => changed |= self.failed.insert(path.clone(), error.to_string()).is_none(),
            }
        }
        if changed {
            self.tell_missing();
        }
        Some(is_busy)
    }

    fn tell_missing(&self) {
        let all = self.failed.iter().map(|(path, why)| format!("{}: {why}", path.display())).collect();
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

/// `auth.log.1`, `auth.log.2.gz`, `secure-20261101`.
fn is_rotated(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let last = name.rsplit(['.', '-']).next().unwrap_or_default();
    name.ends_with(".gz")
        || !last.is_empty() && last != name && last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The place where a batch's source stood, by the name it is kept under.
pub(super) fn key(source: &Source) -> String {
    source.name.to_string()
}
