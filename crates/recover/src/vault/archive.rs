//! From directories to trees: several threads list, compare with what is known, read, and store from the leaves up.

mod list;
mod source;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use schema::{Exception, ExceptionKind};

use super::cache::Folders;
use super::codec::Codec;
use super::filter::Filter;
use super::id::Id;
use super::meta::{self, Names};
use super::repository::Vault;
use super::request::{Observer, Pictures};
use super::tree::{self, Node};
use super::work::{Job, Next, Work};
use super::write::{Stopped, Writer};

/// One pass over the roots.
pub(crate) struct Archive<'v> {
    pub(crate) vault: &'v Vault,
    pub(crate) writer: &'v Writer<'v>,
    pub(crate) setup: &'v Setup<'v>,
    pub(crate) work: Work,
    pub(crate) zeros: OnceLock<Id>,
    /// Nodes whose ctime is not before this are read again although they look unchanged: the clock of the file system
    /// ticks too slowly to tell two writes within one tick apart.
    pub(crate) distrust_from: Option<Timestamp>,
    /// No pass follows, whatever is found.
    pub(crate) is_last: bool,
    /// As the pass before, or the last backup, left the folders.
    pub(crate) known: &'v Folders,
    /// As this pass leaves them: those in which nothing has changed since this moment.
    pub(crate) trust_before: Timestamp,
    pub(crate) fresh: Mutex<Folders>,
    /// Paths that were found unstable before and are not read again.
    pub(crate) given_up: &'v BTreeSet<PathBuf>,
    pub(crate) counts: Counts,
    pub(crate) findings: Mutex<Findings>,
}

/// A root that exists: its folder or file, and what the parent snapshot has in its place.
pub(crate) struct Root {
    /// Its path in the snapshot.
    pub(crate) path: PathBuf,
    /// Where it lies.
    pub(crate) at: PathBuf,
    pub(crate) previous: Option<Node>,
}

/// What is the same in every pass.
pub(crate) struct Setup<'v> {
    pub(crate) names: Names,
    pub(crate) exclude: BTreeSet<PathBuf>,
    pub(crate) filter: &'v Filter,
    pub(crate) substitutes: &'v BTreeMap<PathBuf, PathBuf>,
    pub(crate) pictures: &'v Pictures,
    pub(crate) observer: Option<Observer<'v>>,
    /// Device and inode of the vault's own folder, which is never part of a backup.
    pub(crate) vault: Option<(u64, u64)>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) new: AtomicU64,
    pub(crate) changed: AtomicU64,
    pub(crate) unmodified: AtomicU64,
    pub(crate) dirs: AtomicU64,
    pub(crate) files_bytes: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) exceptions: Vec<Exception>,
    /// Attributes that could not be read. They are only asked for where something is new, so no later pass tells of them again.
    pub(crate) attributes: Vec<Exception>,
    pub(crate) unstable: BTreeSet<PathBuf>,
    /// Those of them that were copied at once.
    pub(crate) copied: BTreeSet<PathBuf>,
    /// Files that the last pass read: they still changed. In other passes that may be millions, and nobody asks.
    pub(crate) read: BTreeSet<PathBuf>,
}

/// What each thread has for itself.
pub(crate) struct Worker {
    pub(crate) codec: Codec,
    pub(crate) buffer: Vec<u8>,
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Archive<'_> {
    pub(crate) fn count_bytes(&self, bytes: u64) {
        bump(&self.counts.bytes_read, bytes);
    }

    /// Works until everything is done or the writer has failed.
    pub(crate) fn run(&self) -> Result<(), Stopped> {
        let codec = self.vault.codecs.take().map_err(|e| self.stop(self.writer.fail(e)))?;
        let mut worker = Worker { codec, buffer: Vec::new() };
        let _end = EndOnPanic(&self.work);
        let result = loop {
            let result = match self.work.next() {
                Next::Over => break Ok(()),
                Next::Chunk(chunk) => self.store_chunk(&mut worker, chunk),
                Next::Job(Job::Files(job)) => self.store_files(&mut worker, job),
                Next::Job(Job::Dir(job)) => self.enter(&mut worker, job),
            };
            if let Err(stopped) = result {
                break Err(self.stop(stopped));
            }
        };
        self.vault.codecs.give_back(worker.codec);
        result
    }

    fn stop(&self, stopped: Stopped) -> Stopped {
        self.work.end();
        stopped
    }

    pub(crate) fn report(&self, path: &Path, kind: ExceptionKind, cause: String) {
        let exception = Exception { path: path.to_string_lossy().into_owned(), kind, cause };
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).exceptions.push(exception);
    }

    /// The attributes that could be read; the others are named.
    fn attributes(&self, path: &Path, read: meta::Attributes) -> Vec<tree::Attribute> {
        if !read.unread.is_empty() {
            let path = path.to_string_lossy().into_owned();
            let unread = read.unread.iter().map(|(name, error)| Exception {
                path: path.clone(),
                kind: ExceptionKind::Unreadable,
                cause: format!("its extended attribute {name} cannot be read: {error}"),
            });
            self.findings.lock().unwrap_or_else(PoisonError::into_inner).attributes.extend(unread);
        }
        read.attributes
    }

    pub(crate) fn report_failure(&self, path: &Path, error: &io::Error) {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ExceptionKind::Vanished,
            _ => ExceptionKind::Unreadable,
        };
        self.report(path, kind, error.to_string());
    }
}

/// Lets the other threads go when one panics, so that the backup fails rather than waits.
struct EndOnPanic<'a>(&'a Work);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}
