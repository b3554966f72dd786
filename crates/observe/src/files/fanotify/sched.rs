//! On which processor the threads run that opens wait for, and before whom.
//!
//! Waking a thread on another processor, which may be asleep, takes longer than the whole verdict (20 µs against 5 in a virtual
//! machine). With one processor for these threads the scheduler soon brings whoever opens many files there. They come before ordinary work
//! there, since otherwise every open would wait for a time slice of whatever is busy; real-time priority, because the niceness of
//! a process counts only among those of its own session. A verdict takes microseconds; for what takes long they step back.

use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::sys;

/// Where this process may run, and the processor that was chosen from that.
static PLACE: OnceLock<Option<(CpuSet, CpuSet)>> = OnceLock::new();

fn place() -> Option<&'static (CpuSet, CpuSet)> {
    let choose = || {
        let all = sched_getaffinity(None).ok()?;
        let here = sched_getcpu();
        let mut one = CpuSet::new();
        one.set(here);
        (all.count() > 1 && all.is_set(here)).then_some((all, one))
    };
    PLACE.get_or_init(choose).as_ref()
}

/// Opens wait for the calling thread from now on. Without effect where the kernel does not permit it.
pub(super) fn attend() {
    if let Some((_, one)) = place() {
        let _ = sched_setaffinity(None, one);
    }
    sys::come_first(true);
}

/// The calling thread runs like any other.
pub(in crate::files) fn roam() {
    sys::come_first(false);
    if let Some((all, _)) = place() {
        let _ = sched_setaffinity(None, all);
    }
}
