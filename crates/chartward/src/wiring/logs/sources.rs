//! All sources at work: a thread for the files, one for each door, one for the journal, and one queue behind them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use jiff::Timestamp;
use observe::logs::evtx::{self, Block, Piece};
use observe::logs::{Batch, Follow, Journal, Listener, Losses, Position, Transport, serve_http, tcp, udp};
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
/// Blocks of EVTX files that wait; each holds 64 KiB.
const BLOCKS_MAX: usize = 32;

/// Something to be judged.
pub(super) enum Given {
    /// Lines of text.
    Lines(Batch),
    /// Windows records.
    Events(Block),
}

/// Everything that gives lines and records; dropped, it ends.
pub(super) struct Sources {
    batches: Receiver<Batch>,
    blocks: Receiver<Block>,
    /// So that a queue that nobody fills is empty and not over.
    _out: (Sender<Batch>, Sender<Block>),
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
        let (out_blocks, blocks) = bounded(BLOCKS_MAX);
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
        let kept = (out.clone(), out_blocks.clone());
        let files = Files {
            paths: settings.files.clone(),
            from_start: settings.from_start,
            positions: positions.clone(),
            out,
            out_blocks,
            losses: losses.clone(),
            missing: Arc::clone(&missing),
            follows: BTreeMap::new(),
            failed: BTreeMap::new(),
            is_first: true,
        };
        let files = if settings.files.is_empty() { None } else { Some(files.start(Arc::clone(&stop))?) };
        Ok(Self {
            batches,
            blocks,
            _out: kept,
            losses,
            missing,
            doors,
            stop,
            files,
            _listeners: listeners,
            _journal: journal,
        })
    }

    /// What comes next, within that time.
    pub(super) fn next(&self, within: Duration) -> Option<Given> {
        select! {
            recv(self.batches) -> batch => batch.ok().map(Given::Lines),
            recv(self.blocks) -> block => block.ok().map(Given::Events),
            default(within) => None,
        }
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
        (self.batches, self.blocks) = (bounded(0).1, bounded(0).1);
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

/// A file that is followed, and how.
enum Followed {
    Lines(Follow),
    Events(evtx::Follow),
}

/// The thread that follows files.
struct Files {
    paths: Vec<PathBuf>,
    from_start: bool,
    positions: BTreeMap<String, Position>,
    out: Sender<Batch>,
    out_blocks: Sender<Block>,
    losses: Losses,
    missing: Arc<Mutex<Vec<String>>>,
    follows: BTreeMap<PathBuf, Followed>,
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
            let followed = match position {
                Some(Position::Events { record }) => Followed::Events(evtx::Follow::resume(&path, record)),
                position if !is_evtx(&path) => {
                    Followed::Lines(Follow::new(&path, position, from_start, self.losses.clone()))
                }
                _ => match evtx::Follow::new(&path, !from_start) {
                    Ok(follow) => Followed::Events(follow),
                    Err(error) => {
                        // It is looked for again when folders are listed next, and what it holds by then is new.
                        self.failed.insert(path, error.to_string());
                        continue;
                    }
                },
            };
            self.follows.insert(path, followed);
        }
        self.is_first = false;
        self.tell_missing();
    }

    /// Every file once; `None`: nobody wants lines any more.
    fn look(&mut self) -> Option<bool> {
        let mut is_busy = false;
        let mut changed = false;
        for (path, followed) in &mut self.follows {
            let (gave, is_there) = match followed {
                Followed::Lines(follow) => {
                    let gave = match follow.poll(now()) {
                        Ok(Some(batch)) => self.out.send(batch).map(|()| Ok(true)).ok()?,
                        Ok(None) => Ok(false),
                        Err(error) => Err(error.to_string()),
                    };
                    (gave, follow.is_there())
                }
                Followed::Events(follow) => {
                    let mut gave = Ok(false);
                    let goes_on = follow.look(&mut |piece| match piece {
                        Piece::Block(block) => {
                            gave = Ok(true);
                            self.out_blocks.send(block).is_ok()
                        }
                        Piece::Failed(error) => {
                            gave = Err(error.to_string());
                            true
                        }
                    });
                    if !goes_on {
                        return None;
                    }
                    (gave, follow.is_there())
                }
            };
            changed |= match gave {
                Ok(is_new) => {
                    is_busy |= is_new;
                    if is_there || is_new {
                        self.failed.remove(path).is_some()
                    } else {
                        self.failed.insert(path.clone(), "not there".into()).is_none()
                    }
                }
                Err(why) => self.failed.insert(path.clone(), why).is_none(),
            };
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

/// Told by the name, as the file may not be there yet.
fn is_evtx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("evtx"))
}
