//! Locks as restic has them: a file for each process, a new one every five minutes; older than half an hour it counts for nothing.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::backend::{Backend, FileKind};
use super::codec::Codecs;
use super::id::Id;
use super::meta;
use super::repository::Vault;
use crate::Error;

const STALE_AFTER: SignedDuration = SignedDuration::from_mins(30);
const REFRESH: Duration = Duration::from_secs(300);

#[derive(Serialize, Deserialize)]
struct LockFile {
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
    fn own() -> LockFile {
        let (uid, gid) = meta::own_ids();
        LockFile {
            time: Timestamp::now(),
            exclusive: false,
            hostname: meta::hostname(),
            username: meta::username(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid,
            gid,
        }
    }

    fn is_stale(&self) -> bool {
        if Timestamp::now().duration_since(self.time) > STALE_AFTER {
            return true;
        }
        self.owner_is_dead()
    }

    fn owner_is_dead(&self) -> bool {
        let is_gone = |pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH) || is_zombie(self.pid);
        self.hostname == meta::hostname() && Pid::from_raw(self.pid).is_some_and(is_gone)
    }

    fn describe(&self) -> String {
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
}

impl Lock {
    /// Takes a lock beside others, unless somebody has the repository for themselves.
    pub(crate) fn take(backend: &Arc<Backend>, codecs: &Arc<Codecs>) -> Result<Lock, Error> {
        refuse_if_exclusive(backend, codecs, None)?;
        let id = write(backend, codecs)?;
        // Somebody may have come in between the look and the lock: restic looks twice, too.
        let alone = match refuse_if_exclusive(backend, codecs, Some(id)) {
            Ok(others) => others == 0,
            Err(error) => {
                let _ = backend.remove_lock(&id);
                return Err(error);
            }
        };
        let (stop, stopped) = mpsc::channel();
        let (backend, codecs) = (Arc::clone(backend), Arc::clone(codecs));
        let keeper = std::thread::spawn(move || {
            let mut held = id;
            while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                // On failure the old lock stays, and the next round tries again well before it is stale.
                if let Ok(new) = write(&backend, &codecs) {
                    let _ = backend.remove_lock(&held);
                    held = new;
                }
            }
            let _ = backend.remove_lock(&held);
        });
        Ok(Lock { stop: Some(stop), keeper: Some(keeper), alone })
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
    /// Takes a hold on the repository; fails while somebody prunes.
    pub fn hold(&self) -> Result<Hold, Error> {
        Ok(Hold { _lock: Lock::take(&self.backend, &self.codecs)? })
    }
}

/// Who has the repository for themselves, if anybody.
pub(crate) fn exclusive_owner(backend: &Backend, codecs: &Codecs) -> Result<Option<String>, Error> {
    match refuse_if_exclusive(backend, codecs, None) {
        Err(Error::Locked { by, .. }) => Ok(Some(by)),
        Err(error) => Err(error),
        Ok(_) => Ok(None),
    }
}

fn write(backend: &Backend, codecs: &Codecs) -> Result<Id, Error> {
    let text = serde_json::to_vec(&LockFile::own())
        .map_err(|e| Error::Engine { op: "serialise a lock", source: e.into() })?;
    let mut codec = codecs.take()?;
    // Uncompressed, so that any version of restic understands it.
    let sealed = codec.seal_file(&text, false)?;
    codecs.give_back(codec);
    backend.save(FileKind::Lock, &sealed)
}

/// Counts the living locks other than `own`; those of processes of this host that are dead are removed.
fn refuse_if_exclusive(backend: &Backend, codecs: &Codecs, own: Option<Id>) -> Result<usize, Error> {
    let mut living = 0;
    for (id, _) in backend.list(FileKind::Lock)? {
        if Some(id) == own {
            continue;
        }
        // A lock that is gone or cannot be read binds nobody.
        let Ok(mut sealed) = backend.read(FileKind::Lock, &id) else { continue };
        let codec = codecs.take()?;
        let text = codec.open_file(&mut sealed);
        codecs.give_back(codec);
        let Some(lock) = text.ok().and_then(|text| serde_json::from_slice::<LockFile>(&text).ok()) else {
            continue;
        };
        if lock.owner_is_dead() {
            let _ = backend.remove_lock(&id);
        } else if !lock.is_stale() {
            living += 1;
            if lock.exclusive {
                return Err(Error::Locked { dir: backend.dir().to_owned(), by: lock.describe() });
            }
        }
    }
    Ok(living)
}
