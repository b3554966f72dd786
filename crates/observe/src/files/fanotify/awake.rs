//! While opens come one after the other, sleeping processors are woken twice for each: first ours, then the opener's. In a virtual machine
//! that takes 50 µs, several times the verdict. For the length of such a burst the kernel is asked for short wake-ups
//! (`/dev/cpu_dma_latency`, the kernel's documentation of PM QoS); it forgets the wish with the descriptor, however this process ends.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

/// Opens so close to each other belong to one burst.
const GAP: Duration = Duration::from_millis(1);
/// So many make one: a person's double-click is none.
const BURST: u32 = 16;
/// A burst is over when nothing came for so long.
pub(super) const OVER: Duration = Duration::from_millis(20);
/// The kernel's own value for "no wish", microseconds.
const NO_WISH: i32 = 2_000_000_000;

/// The wish, while a burst lasts.
#[derive(Debug)]
pub(super) struct Awake {
    /// `None` where the kernel or the rights do not permit it: then wake-ups take what they take.
    wish: Option<File>,
    /// Microseconds.
    latency: i32,
    last: Instant,
    run: u32,
    wished: bool,
}

impl Awake {
    pub(super) fn new() -> Self {
        // Where halting leaves the machine, the only quick wake-up is not to halt; elsewhere the lightest sleep is quick enough.
        let driver = std::fs::read_to_string("/sys/devices/system/cpu/cpuidle/current_driver");
        let latency = if driver.is_ok_and(|name| name.trim() == "haltpoll") { 0 } else { 2 };
        let mut wish = OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok();
        // Opening it alone already asks for no sleep at all.
        if !write(wish.as_mut(), NO_WISH) {
            wish = None;
        }
        Self { wish, latency, last: Instant::now(), run: 0, wished: false }
    }

    /// An open came.
    pub(super) fn came(&mut self, now: Instant) {
        let near = now.saturating_duration_since(self.last) < GAP;
        self.last = now;
        self.run = if near { self.run.saturating_add(1) } else { 0 };
        if self.run >= BURST && !self.wished {
            self.wished = write(self.wish.as_mut(), self.latency);
        }
    }

    /// How long to wait at most for the next message.
    pub(super) fn patience(&self, wait: Duration) -> Duration {
        if self.wished { wait.min(OVER) } else { wait }
    }

    /// Nothing came up to now.
    pub(super) fn rest(&mut self, now: Instant) {
        if self.wished && now.saturating_duration_since(self.last) >= OVER {
            self.wished = false;
            write(self.wish.as_mut(), NO_WISH);
        }
    }
}

fn write(wish: Option<&mut File>, microseconds: i32) -> bool {
    wish.is_some_and(|wish| wish.write_all(&microseconds.to_ne_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_many_opens_in_a_row_and_ends_when_none_comes() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("wish")).unwrap();
        let start = Instant::now();
        let mut awake = Awake { wish: Some(file), latency: 0, last: start, run: 0, wished: false };
        for step in 1..100 {
            awake.came(start + 2 * step * GAP);
        }
        assert!(!awake.wished, "opens that are apart are no burst");
        let from = start + 300 * GAP;
        for step in 0..=BURST + 1 {
            awake.came(from + step * GAP / 8);
        }
        assert!(awake.wished);
        assert_eq!(awake.patience(Duration::MAX), OVER);
        awake.rest(from + OVER / 2);
        assert!(awake.wished);
        awake.rest(from + 3 * OVER);
        assert!(!awake.wished);
        assert_eq!(awake.patience(Duration::MAX), Duration::MAX);
    }
}
