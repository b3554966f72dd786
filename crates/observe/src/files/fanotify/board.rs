//! Who waits for an answer since when, and who has written what nobody has judged yet; shared by all threads of the guard.
//!
//! A late verdict is decided here (DESIGN.md): an actor without unjudged writes passes; one with them is held, and after two seconds
//! whoever asks [`Board::late`] is told to freeze it. Nobody with unjudged writes is waved through.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::process::{Stat, process_of};

const CLIMB_MAX: usize = 64;

/// The shared board.
#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
    passed: AtomicU64,
    denied: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    waiting: BTreeMap<u64, (i32, Instant)>,
    unjudged: HashMap<i32, u64>,
}

impl Board {
    /// Thread `tid` waits from now on; the number ends it.
    pub(super) fn enter(&self, tid: i32) -> u64 {
        let mut inner = self.inner();
        inner.next += 1;
        let number = inner.next;
        inner.waiting.insert(number, (tid, Instant::now()));
        number
    }

    pub(super) fn leave(&self, number: u64) {
        self.inner().waiting.remove(&number);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.inner().waiting.len()
    }

    /// The processes (with their start times) that belong to actors with unjudged writes, all of them.
    pub fn set_unjudged(&self, processes: impl Iterator<Item = (i32, u64)>) {
        let unjudged = processes.collect();
        self.inner().unjudged = unjudged;
    }

    /// One more, until the next [`Board::set_unjudged`].
    pub fn add_unjudged(&self, (pid, start_ticks): (i32, u64)) {
        self.inner().unjudged.insert(pid, start_ticks);
    }

    /// Whether thread `tid`, or one of its ancestors, belongs to an actor with unjudged writes: the process that does.
    pub fn unjudged(&self, tid: i32) -> Option<(i32, u64)> {
        let known = self.inner().unjudged.clone();
        let mut stat = Stat::of(process_of(tid)?)?;
        for _ in 0..CLIMB_MAX {
            let here = (stat.pid, stat.start_ticks);
            if known.get(&here.0) == Some(&here.1) {
                return Some(here);
            }
            stat = Stat::of(stat.parent)?;
        }
        None
    }

    /// Processes with unjudged writes of which somebody waits for longer than `patience`.
    pub fn late(&self, patience: Duration) -> Vec<(i32, u64)> {
        let tids: Vec<i32> = {
            let inner = self.inner();
            let late = inner.waiting.values().take_while(|(_, since)| since.elapsed() >= patience);
            late.map(|(tid, _)| *tid).collect()
        };
        let mut found: Vec<(i32, u64)> = tids.into_iter().filter_map(|tid| self.unjudged(tid)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Opens that passed before they were looked at, because more waited than there are descriptors for.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Opens that were refused for the same reason: of actors with unjudged writes, and for writing.
    pub fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed)
    }

    /// Events that the kernel could not hand over because descriptors ran out: the opens among them were refused.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn count_passed(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_actors_with_unjudged_writes_are_late() {
        let mut child = Command::new("sh").args(["-c", "sleep 20 & wait"]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let start = Stat::of(pid).unwrap().start_ticks;
        let below = (0..200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_ascii_whitespace().next()?.parse::<i32>().ok()
        });
        let below = below.expect("the shell starts its child");
        let board = Board::default();
        let number = board.enter(below);
        assert_eq!(board.late(Duration::ZERO), []);
        board.add_unjudged((pid, start));
        assert_eq!(board.late(Duration::ZERO), [(pid, start)], "a child of such an actor is one itself");
        assert_eq!(board.late(Duration::from_secs(60)), []);
        board.set_unjudged([(pid, start + 1)].into_iter());
        assert_eq!(board.late(Duration::ZERO), [], "another process with the same id is nobody's");
        board.set_unjudged([(pid, start)].into_iter());
        board.leave(number);
        assert_eq!((board.late(Duration::ZERO), board.waiting()), (vec![], 0));
        let _ = Command::new("kill").arg(below.to_string()).status();
        let _ = child.kill();
        let _ = child.wait();
    }
}
