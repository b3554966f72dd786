//! Locks as restic has them: a file for each process, a new one every five minutes; older than half an hour it counts for nothing.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::backend::Backend;
use super::codec::Codecs;
use super::file_kind::FileKind;
use super::id::Id;
use super::meta;
use super::repository::Vault;
use crate::Error;

const STALE_AFTER: SignedDuration = SignedDuration::from_mins(30);
const REFRESH: Duration = Duration::from_secs(300);
/// A lock that could not be renewed for so long is about to count for nothing.
const LOST_AFTER_SECONDS: i64 = 20 * 60;
/// How long somebody who wants to hold the repository waits for a prune to stop.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);

/// Whether others may work on the repository meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Shared,
    Exclusive,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LockFile {
    time: Timestamp,
    exclusive: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: i32,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

impl LockFile {
    fn own(claim: Claim) -> LockFile {
        let (uid, gid) = meta::own_ids();
        LockFile {
            time: Timestamp::now(),
            exclusive: claim == Claim::Exclusive,
            hostname: meta::hostname(),
            username: meta::username(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid,
            gid,
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        if Timestamp::now().duration_since(self.time) > STALE_AFTER {
            return true;
        }
        self.owner_is_dead()
    }

    fn owner_is_dead(&self) -> bool {
        let is_gone = |pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH) || is_zombie(self.pid);
        let pid = Some(self.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
        self.hostname == meta::hostname() && pid.is_some_and(is_gone)
    }

    pub(crate) fn describe(&self) -> String {
        format!("{}@{}, process {}, since {}", self.username, self.hostname, self.pid, self.time)
    }
}

/// Whether a process has ended and only waits for its parent to notice, which in some containers never happens.
fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything, so the state is looked for after the last of them.
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'Z' | b'X'))
}

/// A lock that is held, refreshed in the background, and removed when dropped.
pub(crate) struct Lock {
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    /// Whether nobody else held a lock when this one was taken.
    pub(crate) alone: bool,
    backend: Arc<Backend>,
    codecs: Arc<Codecs>,
    held: Arc<Mutex<Held>>,
}

/// The lock's present file, and when it was written.
#[derive(Clone, Copy)]
struct Held {
    id: Id,
    since: i64,
}

impl Held {
    fn now(id: Id) -> Held {
        Held { id, since: seconds_awake_and_asleep() }
    }
}

/// Of a clock that nobody sets, and that goes on while the machine sleeps.
fn seconds_awake_and_asleep() -> i64 {
    clock_gettime(ClockId::Boottime).tv_sec
}

impl Lock {
    /// Takes a lock beside others, unless somebody has the repository for themselves.
    pub(crate) fn take(backend: &Arc<Backend>, codecs: &Arc<Codecs>) -> Result<Lock, Error> {
        Lock::take_as(Claim::Shared, backend, codecs)
    }

    /// Takes the repository for oneself, unless somebody works on it or holds it.
    pub(crate) fn take_exclusive(backend: &Arc<Backend>, codecs: &Arc<Codecs>) -> Result<Lock, Error> {
        Lock::take_as(Claim::Exclusive, backend, codecs)
    }

    fn take_as(claim: Claim, backend: &Arc<Backend>, codecs: &Arc<Codecs>) -> Result<Lock, Error> {
        refuse_if_taken(claim, backend, codecs, None)?;
        let id = write(FileKind::Lock, claim, backend, codecs)?;
        // Somebody may have come in between the look and the lock: restic looks twice, too.
        let alone = match refuse_if_taken(claim, backend, codecs, Some(id)) {
            Ok(others) => others == 0,
            Err(error) => {
                let _ = backend.remove(FileKind::Lock, &id);
                return Err(error);
            }
        };
        let held = Arc::new(Mutex::new(Held::now(id)));
        let (stop, stopped) = mpsc::channel();
        let keeper = {
            let (backend, codecs, held) = (Arc::clone(backend), Arc::clone(codecs), Arc::clone(&held));
            std::thread::spawn(move || {
                let current = || held.lock().unwrap_or_else(PoisonError::into_inner);
                while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                    // On failure the old lock stays, and the next round tries again well before it is stale.
                    if let Ok(new) = write(FileKind::Lock, claim, &backend, &codecs) {
                        let old = std::mem::replace(&mut *current(), Held::now(new));
                        let _ = backend.remove(FileKind::Lock, &old.id);
                    }
                }
                // Once more if it fails: as long as this process lives, the lock would bind others.
                let id = current().id;
                let _ = backend.remove(FileKind::Lock, &id).or_else(|_| backend.remove(FileKind::Lock, &id));
            })
        };
        let (backend, codecs) = (Arc::clone(backend), Arc::clone(codecs));
        Ok(Lock { stop: Some(stop), keeper: Some(keeper), alone, backend, codecs, held })
    }

    /// Fails when others may think that nobody is here any more: the lock was removed, or not renewed in time because the process or the
    /// machine was asleep. Fails also when somebody waits to hold the repository. To be asked before anything is removed.
    pub(crate) fn ensure_held(&self) -> Result<(), Error> {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = seconds_awake_and_asleep() - held.since > LOST_AFTER_SECONDS;
        if is_late || !self.backend.has(FileKind::Lock, &held.id)? {
            return Err(Error::LockLost { dir: self.backend.dir().to_owned() });
        }
        for (id, _) in self.backend.list(FileKind::Wish)? {
            match read(FileKind::Wish, &self.backend, &self.codecs, &id) {
                Some(wish) if !wish.is_stale() => {
                    return Err(Error::Locked { dir: self.backend.dir().to_owned(), by: wish.describe() });
                }
                _ => self.backend.remove(FileKind::Wish, &id)?,
            }
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Keeps everybody, stock restic included, from forgetting and pruning as long as it lives: both need the repository for
/// themselves. Backups and restores go on beside it. A hold whose process was killed counts for nothing any more.
pub struct Hold {
    _lock: Lock,
}

impl Vault {
    /// Takes a hold on the repository. A prune of ours that is running stops before it removes anything more; somebody else who has the
    /// repository for themselves, such as a stock restic, is waited for only so long, and then it fails.
    pub fn hold(&self) -> Result<Hold, Error> {
        let begun = Instant::now();
        let mut wish = None;
        let result = loop {
            match Lock::take(&self.backend, &self.codecs) {
                Err(Error::Locked { .. }) if begun.elapsed() < HOLD_PATIENCE => {
                    if wish.is_none() {
                        // Where nothing can be written, waiting is all that is left.
                        wish = write(FileKind::Wish, Claim::Shared, &self.backend, &self.codecs).ok();
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => break other,
            }
        };
        if let Some(wish) = wish {
            let _ = self.backend.remove(FileKind::Wish, &wish);
        }
        Ok(Hold { _lock: result? })
    }
}

/// Who has the repository for themselves, if anybody.
pub(crate) fn exclusive_owner(backend: &Backend, codecs: &Codecs) -> Result<Option<String>, Error> {
    match refuse_if_taken(Claim::Shared, backend, codecs, None) {
        Err(Error::Locked { by, .. }) => Ok(Some(by)),
        Err(error) => Err(error),
        Ok(_) => Ok(None),
    }
}

fn write(kind: FileKind, claim: Claim, backend: &Backend, codecs: &Codecs) -> Result<Id, Error> {
    let text = serde_json::to_vec(&LockFile::own(claim))
        .map_err(|e| Error::Engine { op: "serialise a lock", source: e.into() })?;
    let mut codec = codecs.take()?;
    // Uncompressed, so that any version of restic understands it.
    let sealed = codec.seal_file(&text, false)?;
    codecs.give_back(codec);
    backend.save(kind, &sealed).inspect_err(|_| {
        // What nobody holds must not bind anybody as long as this process lives.
        let _ = backend.remove(kind, &Id::of(&sealed));
    })
}

/// Counts the living locks other than `own`; those of processes of this host that are dead are removed. Fails if one of them and `claim`
/// do not go together.
fn refuse_if_taken(
    claim: Claim,
    backend: &Backend,
    codecs: &Codecs,
    own: Option<Id>,
) -> Result<usize, Error> {
    let mut living = 0;
    for (id, _) in backend.list(FileKind::Lock)? {
        if Some(id) == own {
            continue;
        }
        let Some(lock) = read(FileKind::Lock, backend, codecs, &id) else {
            // A lock that is gone or cannot be read binds nobody but those who would remove what its owner may need.
            if claim == Claim::Exclusive && is_recent(backend, &id) {
                let by = format!("somebody whose lock {} cannot be read", id.short());
                return Err(Error::Locked { dir: backend.dir().to_owned(), by });
            }
            continue;
        };
        if lock.owner_is_dead() {
            let _ = backend.remove(FileKind::Lock, &id);
        } else if !lock.is_stale() {
            living += 1;
            if lock.exclusive || claim == Claim::Exclusive {
                return Err(Error::Locked { dir: backend.dir().to_owned(), by: lock.describe() });
            }
        }
    }
    Ok(living)
}

fn read(kind: FileKind, backend: &Backend, codecs: &Codecs, id: &Id) -> Option<LockFile> {
    let mut sealed = backend.read(kind, id).ok()?;
    let codec = codecs.take().ok()?;
    let text = codec.open_file(&mut sealed);
    codecs.give_back(codec);
    serde_json::from_slice(&text.ok()?).ok()
}

fn is_recent(backend: &Backend, id: &Id) -> bool {
    let written = backend.written_at(FileKind::Lock, id);
    written.is_some_and(|at| Timestamp::now().duration_since(at) <= STALE_AFTER)
}

/// Which locks are removed by [`Vault::unlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlock {
    /// Those that count for nothing any more: older than half an hour, or of processes of this host that have ended.
    Stale,
    /// All but those of processes that run on this host.
    All,
}

impl Vault {
    /// Removes locks and says whose they were. A process that lives on this host keeps its lock, and with it an incident's hold.
    pub fn unlock(&self, which: Unlock) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        for (id, _) in self.backend.list(FileKind::Lock)? {
            let lock = read(FileKind::Lock, &self.backend, &self.codecs, &id);
            let is_ours_to_remove = match (&lock, which) {
                (Some(lock), Unlock::Stale) => lock.is_stale(),
                (None, Unlock::Stale) => !is_recent(&self.backend, &id),
                (Some(lock), Unlock::All) => lock.hostname != meta::hostname() || lock.owner_is_dead(),
                (None, Unlock::All) => true,
            };
            if is_ours_to_remove {
                self.backend.remove(FileKind::Lock, &id)?;
                let unreadable = || format!("somebody whose lock {} cannot be read", id.short());
                removed.push(lock.map_or_else(unreadable, |lock| lock.describe()));
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::crypto::{Key, KeyBytes};
    use super::super::rest::{RestAccess, Trust, VaultAt};
    use super::*;

    /// A server that takes every file, lists none, and has each of them as long as `there` says so. It ends with the test's process.
    fn server(there: Arc<AtomicBool>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("rest:http://{}/clinic/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut first, mut length) = (String::new(), 0);
                stream.read_line(&mut first).unwrap();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if let Some(announced) = line.to_lowercase().strip_prefix("content-length:") {
                        length = announced.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink()).unwrap();
                let is_absent = first.starts_with("HEAD") && !there.load(Ordering::SeqCst);
                let status = if is_absent { "404 Not Found" } else { "200 OK" };
                let body = if first.starts_with("GET") { "[]" } else { "" };
                let length = body.len();
                write!(
                    stream.get_mut(),
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        address
    }

    #[test]
    fn a_lock_at_a_server_is_held_until_it_is_gone_from_there() {
        let there = Arc::new(AtomicBool::new(true));
        let access = RestAccess::new(&server(Arc::clone(&there)), "key", Trust::PublicRoots).unwrap();
        let backend = Arc::new(Backend::new(&VaultAt::Rest(access)).unwrap());
        let codecs = Arc::new(Codecs::new(Key::new(&KeyBytes::random().unwrap())));
        let lock = Lock::take(&backend, &codecs).unwrap();
        assert!(lock.alone);
        lock.ensure_held().unwrap();
        there.store(false, Ordering::SeqCst);
        assert!(matches!(lock.ensure_held(), Err(Error::LockLost { .. })));
    }
}
