//! All sources at work: a thread for the files, one for each door, one for the journal, and one queue behind them.

use std::collections::{BTreeMap, BTreeSet};
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

/// Batches between those who read and the one who judges; each holds 256 KiB, or one line that is longer.
pub(super) const BATCHES_MAX: usize = 128;
/// How often files are looked at where nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often folders are looked through for new files.
const LIST_EVERY: Duration = Duration::from_secs(10);
const FILES_MAX: usize = 4_096;
/// Blocks of EVTX files that wait; each holds 64 KiB.
pub(super) const BLOCKS_MAX: usize = 32;

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
    listeners: Vec<Listener>,
    journal: Option<Journal>,
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
            rotated: BTreeSet::new(),
            is_first: true,
        };
        let files = if settings.files.is_empty() { None } else { Some(files.start(Arc::clone(&stop))?) };
        Ok(Self { batches, blocks, _out: kept, losses, missing, doors, stop, files, listeners, journal })
    }

    /// What comes next, within that time.
    pub(super) fn next(&self, within: Duration) -> Option<Given> {
        select! {
            recv(self.batches) -> batch => batch.ok().map(Given::Lines),
            recv(self.blocks) -> block => block.ok().map(Given::Events),
            default(within) => None,
        }
    }

    /// Nothing more comes in; what did, is still given.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.listeners.iter().for_each(Listener::stop);
        self.journal.iter().for_each(Journal::stop);
    }

    /// Files that are not there or cannot be read, with the reason.
    pub(super) fn missing(&self) -> Vec<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop();
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

impl Followed {
    /// Whether nothing lies there and nothing is left to be read.
    fn is_over(&self) -> bool {
        match self {
            Followed::Lines(follow) => follow.is_over(),
            Followed::Events(follow) => !follow.is_there(),
        }
    }
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
    /// What rotations left; they stay that when the log itself is gone.
    rotated: BTreeSet<PathBuf>,
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
        let (mut found, mut rotated) = (BTreeSet::new(), BTreeSet::new());
        for path in &self.paths {
            if !path.is_dir() {
                found.insert(path.clone());
                continue;
            }
            let inside = observe::logs::files(path, &mut |_, _| {});
            let there: BTreeSet<&Path> = inside.iter().map(PathBuf::as_path).collect();
            let is_known = |path: &Path| there.contains(path) || self.follows.contains_key(path);
            for path in &inside {
                let is_old = self.rotated.contains(path) || is_rotated(path, is_known);
                if is_old { &mut rotated } else { &mut found }.insert(path.clone());
            }
        }
        self.rotated = rotated;
        let Self { follows, failed, rotated, .. } = self;
        follows.retain(|path, follow| {
            let stays = found.contains(path) || !rotated.contains(path) && !follow.is_over();
            if !stays {
                failed.remove(path);
            }
            stays
        });
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
                        Ok(Some(batch)) => {
                            let is_new = !batch.is_empty();
                            self.out.send(batch).map(|()| Ok(is_new)).ok()?
                        }
                        Ok(None) => Ok(false),
                        Err(error) => Err(error.to_string()),
                    };
                    (gave, follow.is_there())
                }
                Followed::Events(follow) => {
                    let mut gave = Ok(false);
                    let goes_on = follow.look(&mut |piece| match piece {
                        Piece::Block(block) => {
                            gave = Ok(!block.bytes.is_empty());
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

/// What a rotation left of a log that is known: `auth.log.1`, `secure-20261101`, `Archive-Security-2026-11-01-….evtx`; and what is
/// packed, as that does not grow. `10.1.2.3` and `emr-01` are logs themselves.
fn is_rotated(path: &Path, is_known: impl Fn(&Path) -> bool) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let archived = name.strip_prefix("Archive-").and_then(|name| name.strip_suffix(".evtx"));
    let (mut rest, ending) = archived.map_or((&*name, ""), |rest| (rest, ".evtx"));
    while let Some((base, number)) = rest.rsplit_once(['.', '-']) {
        if base.is_empty() || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        if is_known(&path.with_file_name(format!("{base}{ending}"))) {
            return true;
        }
        rest = base;
    }
    name.ends_with(".gz")
}

/// Told by the name, as the file may not be there yet.
fn is_evtx(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("evtx"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_number_is_a_rotations_only_beside_its_log() {
        let there = ["auth.log", "auth.log.1", "secure", "10.1.2.3", "emr-01", "Security.evtx"];
        let is_known = |path: &Path| there.iter().any(|name| path == Path::new("/logs").join(name));
        for (name, expected) in [
            ("auth.log", false),
            ("auth.log.1", true),
            ("auth.log.2.gz", true),
            ("auth.log-20261101-1793664000", true),
            ("secure-20261101", true),
            ("10.1.2.3", false),
            ("emr-01", false),
            ("Security.evtx", false),
            ("Archive-Security-2026-11-01-02-14-00-123.evtx", true),
            ("Archive-Other-2026-11-01-02-14-00-123.evtx", false),
        ] {
            assert_eq!(is_rotated(&Path::new("/logs").join(name), is_known), expected, "{name}");
        }
    }

    fn files(folder: &Path) -> (Files, Receiver<Batch>, Receiver<Block>) {
        let (out, batches) = bounded(64);
        let (out_blocks, blocks) = bounded(64);
        let files = Files {
            paths: vec![folder.to_owned()],
            from_start: true,
            positions: BTreeMap::new(),
            out,
            out_blocks,
            losses: Losses::default(),
            missing: Arc::default(),
            follows: BTreeMap::new(),
            failed: BTreeMap::new(),
            rotated: BTreeSet::new(),
            is_first: true,
        };
        (files, batches, blocks)
    }

    #[test]
    fn a_folder_is_followed_with_its_windows_logs_and_what_is_gone_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (mut files, batches, blocks) = files(dir.path());
        std::fs::write(path("10.1.2.3"), "one\n").unwrap();
        std::fs::write(path("Security.evtx"), testkit::evtx::file(&[])).unwrap();
        files.list();
        files.look().unwrap();
        assert_eq!(batches.try_iter().map(|batch| batch.len()).sum::<usize>(), 1);
        assert_eq!(blocks.try_iter().count(), 1);
        std::fs::remove_file(path("Security.evtx")).unwrap();
        files.look().unwrap();
        assert!(!files.failed.is_empty());
        files.list();
        assert_eq!(files.follows.keys().collect::<Vec<_>>(), [&path("10.1.2.3")]);
        assert!(files.failed.is_empty());
        // What a rotation left is no new log, also when the log itself is gone.
        std::fs::rename(path("10.1.2.3"), path("10.1.2.3.1")).unwrap();
        for _ in 0..2 {
            files.list();
            assert!(!files.follows.contains_key(&path("10.1.2.3.1")));
            files.follows.clear();
        }
    }
}
