//! How many files the guard may hold open, and how they are shared out.
//!
//! A quarter for the files that are known, a quarter for those that somebody touched (mostly the same ones), an eighth each for what
//! waits and for reflinked contents; the rest is for /proc, copies, what is put back, and for the events that come meanwhile: an event
//! for which there is no descriptor is an open that the kernel refuses.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PINS_MAX: u64 = 16_384;
const WAITING_MAX: u64 = 8192;
const CLONES_MAX: u64 = 4096;
const RESERVE: usize = 32;

/// Raises the limit of open files as far as this user may, and says how many files may be known, and how many touched ones pinned.
pub fn pins() -> usize {
    share(4, PINS_MAX)
}

/// How many opens may wait at once.
pub(super) fn waiting() -> usize {
    share(8, WAITING_MAX)
}

/// How many contents may be kept in a file each.
pub(super) fn clones() -> u64 {
    share(8, CLONES_MAX) as u64
}

fn share(part: u64, most: u64) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    usize::try_from((current.unwrap_or(u64::MAX) / part).min(most)).unwrap_or(256)
}

/// Whether no further file can be opened.
pub fn exhausted() -> bool {
    let error = File::open("/dev/null").err().and_then(|error| error.raw_os_error());
    matches!(error, Some(libc::EMFILE | libc::ENFILE))
}

/// Descriptors that are held for the moment when there are none left.
#[derive(Debug)]
pub(super) struct Reserve(Vec<OwnedFd>);

impl Reserve {
    pub(super) fn take() -> Self {
        let mut reserve = Self(Vec::with_capacity(RESERVE));
        reserve.refill();
        reserve
    }

    /// Lets go of them; `false` when they were gone already.
    pub(super) fn release(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }

    /// Takes them again, all or none: taken one by one they would be what is missing elsewhere.
    pub(super) fn refill(&mut self) {
        if !self.0.is_empty() {
            return;
        }
        let all: Option<Vec<OwnedFd>> =
            (0..RESERVE).map(|_| File::open("/dev/null").ok().map(OwnedFd::from)).collect();
        self.0 = all.unwrap_or_default();
    }
}
