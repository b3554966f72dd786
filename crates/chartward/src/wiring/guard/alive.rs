//! A sign of life in the store, so that a guard that is started again knows since when nobody watched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use observe::files::Stat;

const EVERY: Duration = Duration::from_secs(1);

/// Present while a guard runs: process id, its start in ticks, and when it was last well.
#[derive(Debug)]
pub(super) struct Alive {
    path: PathBuf,
    who: (i32, u64),
    beaten: Instant,
}

impl Alive {
    /// Begins, and says when the guard before this one was last well if it did not end by itself.
    pub(super) fn begin(store: &Path, now: Timestamp) -> anyhow::Result<(Self, Option<Timestamp>)> {
        let path = store.join("alive");
        let before = fs::read_to_string(&path).ok().and_then(|text| last_well(&text));
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let who = (pid, Stat::of(pid).map_or(0, |stat| stat.start_ticks));
        let alive = Self { path, who, beaten: Instant::now() };
        // On a full disk a gap is not noticed; protecting comes first.
        let _ = alive.write(now);
        Ok((alive, before))
    }

    /// Says that all is well, now and then.
    pub(super) fn beat(&mut self, now: Timestamp) {
        if self.beaten.elapsed() >= EVERY {
            self.beaten = Instant::now();
            // On a full disk the gap is told as longer than it was.
            let _ = self.write(now);
        }
    }

    /// The guard ends by itself: no gap.
    pub(super) fn end(&self) {
        let _ = fs::remove_file(&self.path);
    }

    fn write(&self, now: Timestamp) -> anyhow::Result<()> {
        let (pid, start) = self.who;
        let text = format!("{pid} {start} {now}\n");
        // Whole or not at all: a guard that is killed while it writes has left a sign all the same.
        act::evidence::replace_private(&self.path, text.as_bytes()).context("leave a sign of life")
    }
}

/// `None` when that process still runs, or ended by itself.
fn last_well(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let (pid, start): (i32, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let well = words.next()?.parse().ok()?;
    let runs =
        Stat::of(pid).is_some_and(|stat| stat.start_ticks == start && !matches!(stat.state, 'Z' | 'X'));
    (!runs).then_some(well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guard_that_did_not_end_by_itself_leaves_a_gap() {
        let store = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (alive, gap) = Alive::begin(store.path(), now).unwrap();
        assert_eq!(gap, None);
        assert_eq!(Alive::begin(store.path(), now).unwrap().1, None, "it still runs");
        alive.end();
        assert_eq!(Alive::begin(store.path(), now).unwrap().1, None, "it ended by itself");
        fs::write(store.path().join("alive"), "4194399 1 2026-01-01T00:00:07Z\n").unwrap();
        let (_, gap) = Alive::begin(store.path(), now).unwrap();
        assert_eq!(gap, Some("2026-01-01T00:00:07Z".parse().unwrap()));
        for broken in ["", "x", "1 2", "1 2 yesterday"] {
            assert_eq!(last_well(broken), None);
        }
    }
}
