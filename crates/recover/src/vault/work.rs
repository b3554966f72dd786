//! What the threads of a backup have to do: a stack, so that a directory is finished before its neighbours are begun and only the
//! names along one path wait, and a short queue of chunks of large files, so that one file keeps all threads busy.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::Stat;

use super::cache::Half;
use super::id::Id;
use super::repository::Vault;
use super::tree::Node;

/// Chunks that wait at most; whoever reads a file then stores its chunks itself.
const MAX_CHUNKS: usize = 8;

pub(crate) enum Job {
    Dir(DirJob),
    Files(FilesJob),
}

/// A directory that is to be looked at.
pub(crate) struct DirJob {
    pub(crate) parent: Arc<Dir>,
    pub(crate) slot: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) root: Arc<OwnedFd>,
    /// Below the root.
    pub(crate) relative: PathBuf,
    /// In the snapshot.
    pub(crate) path: PathBuf,
    /// The tree that it had, where that is known without asking the parent's.
    pub(crate) previous: Option<Id>,
    pub(crate) depth: usize,
}

/// Files of one directory that are to be read.
pub(crate) struct FilesJob {
    pub(crate) dir: Arc<Dir>,
    pub(crate) fd: Arc<OwnedFd>,
    /// Path of the folder that `fd` is.
    pub(crate) base: PathBuf,
    pub(crate) files: Vec<(usize, Vec<u8>, Stat)>,
}

/// A directory whose entries are coming in.
pub(crate) struct Dir {
    /// `None` above the roots.
    pub(crate) parent: Option<(Arc<Dir>, usize)>,
    pub(crate) node: Node,
    /// As it is on the protected host.
    pub(crate) path: PathBuf,
    pub(crate) slots: Mutex<Vec<Option<Node>>>,
    /// What its entries looked like when they were listed, if it holds no directories.
    pub(crate) print: Option<Half>,
    /// Entries that are still missing, and one for whoever makes the list.
    pub(crate) left: AtomicUsize,
    pub(crate) entries: usize,
    previous: Previous,
    /// Its entries are not all in the snapshot as they were listed.
    is_spoiled: AtomicBool,
}

/// The entries that a directory had before; fetched when somebody asks, since mostly nobody does.
struct Previous {
    tree: Option<Id>,
    found: OnceLock<Option<(Id, Vec<Node>)>>,
}

impl Dir {
    /// A directory of so many entries; `previous` is the tree that it had, where that is known without asking the parent's.
    pub(crate) fn new(
        parent: Option<(Arc<Dir>, usize)>,
        node: Node,
        path: PathBuf,
        entries: usize,
        previous: Option<Id>,
    ) -> Dir {
        Dir {
            parent,
            node,
            path,
            slots: Mutex::new(vec![None; entries]),
            print: None,
            left: AtomicUsize::new(1),
            entries,
            previous: Previous { tree: previous, found: OnceLock::new() },
            is_spoiled: AtomicBool::new(false),
        }
    }

    /// The node that had this name before. A tree that cannot be read costs time, not the backup.
    pub(crate) fn before(&self, vault: &Vault, name: &[u8]) -> Option<&Node> {
        // Not by recursion: directories may be nested two thousand deep.
        let mut unknown = Vec::new();
        let mut here = self;
        while here.previous.found.get().is_none() {
            unknown.push(here);
            match &here.parent {
                Some((parent, _)) if here.previous.tree.is_none() => here = parent,
                _ => break,
            }
        }
        for dir in unknown.into_iter().rev() {
            dir.previous.found.get_or_init(|| dir.fetch_previous(vault));
        }
        let (_, nodes) = self.previous()?;
        find(nodes, name)
    }

    /// The tree before and its entries, if they were asked for.
    pub(crate) fn previous(&self) -> Option<&(Id, Vec<Node>)> {
        self.previous.found.get()?.as_ref()
    }

    fn fetch_previous(&self, vault: &Vault) -> Option<(Id, Vec<Node>)> {
        let tree = self.previous.tree.or_else(|| {
            let (parent, _) = self.parent.as_ref()?;
            find(&parent.previous()?.1, &self.node.name)?.subtree
        })?;
        let mut codec = vault.codecs.take().ok()?;
        let nodes = vault.load_tree(&mut codec, &tree);
        vault.codecs.give_back(codec);
        Some((tree, nodes.ok()?))
    }

    /// Notes that what is stored of an entry is not what was listed.
    pub(crate) fn spoil(&self) {
        self.is_spoiled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_spoiled(&self) -> bool {
        self.is_spoiled.load(Ordering::Relaxed)
    }

    /// Puts an entry, or its absence, in its place; true if that was the last one.
    pub(crate) fn put(&self, slot: usize, node: Option<Node>) -> bool {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)[slot] = node;
        self.finish_one()
    }

    pub(crate) fn finish_one(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(crate) fn take_nodes(&self) -> Vec<Node> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *slots).into_iter().flatten().collect()
    }
}

fn find<'n>(nodes: &'n [Node], name: &[u8]) -> Option<&'n Node> {
    nodes.binary_search_by(|node| node.name.as_slice().cmp(name)).ok().map(|at| &nodes[at])
}

/// Part of a large file that is to be stored.
pub(crate) struct ChunkJob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) file: Arc<Assembly>,
    pub(crate) position: usize,
}

/// The chunks of a file, as they come in.
#[derive(Default)]
pub(crate) struct Assembly {
    pub(crate) ids: Mutex<Vec<Option<Id>>>,
    left: AtomicUsize,
}

impl Assembly {
    pub(crate) fn reserve(&self) -> usize {
        self.left.fetch_add(1, Ordering::AcqRel);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.push(None);
        ids.len() - 1
    }

    pub(crate) fn push(&self, id: Id) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(Some(id));
    }
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    chunks: VecDeque<ChunkJob>,
    over: bool,
}

#[derive(Default)]
pub(crate) struct Work {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) enum Next {
    Job(Job),
    Chunk(ChunkJob),
    Over,
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.state().jobs.extend(jobs);
        self.changed.notify_all();
    }

    /// Ends the work, whether it is all done or cannot go on.
    pub(crate) fn end(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    /// The next piece of work; waits for one.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.state();
        loop {
            if state.over {
                return Next::Over;
            }
            if let Some(chunk) = state.chunks.pop_front() {
                return Next::Chunk(chunk);
            }
            if let Some(job) = state.jobs.pop() {
                return Next::Job(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Leaves a chunk to other threads, or gives it back when enough are waiting.
    pub(crate) fn offer(&self, chunk: ChunkJob) -> Result<(), ChunkJob> {
        let mut state = self.state();
        if state.chunks.len() >= MAX_CHUNKS {
            return Err(chunk);
        }
        state.chunks.push_back(chunk);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Notes that a chunk is stored and wakes the reader of its file.
    pub(crate) fn chunk_done(&self, chunk: &Assembly) {
        let _state = self.state();
        chunk.left.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_all();
    }

    /// A waiting chunk to help with, until all chunks of `file` are stored or the work is over.
    pub(crate) fn help(&self, file: &Assembly) -> Option<ChunkJob> {
        let mut state = self.state();
        loop {
            if state.over || file.left.load(Ordering::Acquire) == 0 {
                return None;
            }
            if let Some(chunk) = state.chunks.pop_front() {
                return Some(chunk);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
