//! How many files the guard may hold open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PINS_MAX: u64 = 16_384;

/// Raises the limit of open files as far as this user may, and says how many pinned originals fit into it.
pub fn pins() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    // Half for pins; events, copies and put-back files need the rest.
    usize::try_from((current.unwrap_or(u64::MAX) / 2).min(PINS_MAX)).unwrap_or(512)
}
