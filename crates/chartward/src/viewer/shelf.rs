//! The list of patients while it is read and afterwards.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use recover::charts::{Batch, Charts, Index};
use recover::vault::Vault;
use schema::SnapshotId;

/// Where the list is kept for the next start: a folder, and what it is sealed for.
pub(crate) struct Keep<'a> {
    pub(crate) folder: PathBuf,
    pub(crate) vault: &'a Vault,
    pub(crate) snapshot: SnapshotId,
}

/// The list, searched by many while one thread fills it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    index: RwLock<Index>,
    state: Mutex<State>,
    changed: Condvar,
}

/// How far the list is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Thousandths of everything.
    pub(super) permille: u16,
    /// Whether everybody is on it.
    pub(super) is_whole: bool,
}

impl Shelf {
    /// Reads the list, from where it was kept or from the records.
    pub(super) fn fill(&self, charts: &Charts<'_>, keep: Option<&Keep<'_>>) {
        let begun = Instant::now();
        let kept = keep.and_then(|keep| Index::kept(&keep.folder, keep.vault, &keep.snapshot));
        let is_new = kept.is_none();
        match kept {
            Some(kept) => *self.write() = kept,
            None => charts.lines(&mut |batch: Batch| {
                let permille = batch.permille;
                self.write().take(batch);
                self.tell(State { permille, is_whole: false });
            }),
        }
        if is_new {
            self.write().finish();
        }
        self.tell(State { permille: 1000, is_whole: true });
        let (patients, seconds) = (self.index().len(), begun.elapsed().as_secs_f64());
        eprintln!("chartward: the list of {patients} patients is ready after {seconds:.1} s");
        if let Some(keep) = keep.filter(|_| is_new)
            && let Err(error) = self.index().keep(&keep.folder, keep.vault, &keep.snapshot)
        {
            eprintln!("chartward: the list is read again at the next start: {error}");
        }
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.0.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is. A list that is nearly whole is waited for, so that a small hospital's first page is complete.
    pub(super) fn state(&self, wait: Duration) -> State {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(state, wait, |state| !state.is_whole);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.0.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: State) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.changed.notify_all();
    }
}
