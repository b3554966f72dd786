//! `removal.burst`: many files are removed at once.
//!
//! Removing is daily work, and whoever moves records out does the same as somebody who takes them away. So this stops nobody: it says, once
//! for each burst and with low severity, that it happened and what there is to bring the files back with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schema::{Attack, Removal, Severity, Tactic};
use serde::{Deserialize, Serialize};

use crate::{Detector, Entry};

/// The detector's entry.
pub const ENTRY: Entry = Entry {
    id: "removal.burst",
    title: "Many files were removed",
    title_ja: "多数のファイルが削除された",
    attacks,
    make: Detector::Removal(Bursts::default),
};

/// So many files, from so many folders, within [`WINDOW`].
const FILES_MANY: u32 = 30;
const FOLDERS_MANY: usize = 3;
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// A clearing-up of this size is worth a look even where nobody looks at mere information.
const FILES_VAST: u32 = 500;
const FOLDERS_VAST: usize = 50;
/// It is told when it pauses, at the latest after this long.
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
const TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// Told again in the same window when it has grown by this factor.
const GROWN: u32 = 10;
const ACTORS_MAX: usize = 1024;
const FOLDERS_MAX: usize = 1024;

fn attacks() -> Vec<Attack> {
    vec![Attack { technique: "T1485".into(), name: "Data Destruction".into(), tactic: Tactic::Impact }]
}

/// Everybody who removes files now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bursts {
    actors: BTreeMap<u64, Burst>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Burst {
    first: Timestamp,
    last: Timestamp,
    files: u32,
    kept: u32,
    folders: BTreeSet<u64>,
    /// How many files it had when it was told.
    told: Option<u32>,
}

/// A burst that is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub actor: u64,
    /// Files removed so far.
    pub files: u32,
    /// Those whose content is kept.
    pub kept: u32,
    /// Folders that they were in.
    pub folders: usize,
    /// Informational, or low for a vast one.
    pub severity: Severity,
}

impl Bursts {
    /// Takes in a removal.
    pub fn take(&mut self, removal: &Removal, now: Timestamp) {
        // What was made a moment ago, and what programs keep for themselves, comes and goes.
        if removal.made || removal.hidden {
            return;
        }
        self.forget(now);
        let fresh =
            || Burst { first: now, last: now, files: 0, kept: 0, folders: BTreeSet::new(), told: None };
        let burst = self.actors.entry(removal.actor).or_insert_with(fresh);
        burst.last = now;
        burst.files = burst.files.saturating_add(1);
        if burst.folders.len() < FOLDERS_MAX {
            burst.folders.insert(removal.folder);
        }
    }

    /// The content of a file that was taken in is kept.
    pub fn kept(&mut self, actor: u64) {
        if let Some(burst) = self.actors.get_mut(&actor) {
            burst.kept = burst.files.min(burst.kept.saturating_add(1));
        }
    }

    /// What is to be told now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Said> {
        self.forget(now);
        let mut said = Vec::new();
        for (actor, burst) in &mut self.actors {
            let is_many = burst.files >= FILES_MANY && burst.folders.len() >= FOLDERS_MANY;
            let is_news = burst.told.is_none_or(|told| burst.files >= told.saturating_mul(GROWN));
            let rests =
                now.duration_since(burst.last) >= PAUSE || now.duration_since(burst.first) >= TOLD_WITHIN;
            if is_many && is_news && rests {
                burst.told = Some(burst.files);
                let is_vast = burst.files >= FILES_VAST && burst.folders.len() >= FOLDERS_VAST;
                said.push(Said {
                    actor: *actor,
                    files: burst.files,
                    kept: burst.kept,
                    folders: burst.folders.len(),
                    severity: if is_vast { Severity::Low } else { Severity::Informational },
                });
            }
        }
        said
    }

    fn forget(&mut self, now: Timestamp) {
        self.actors.retain(|_, burst| now.duration_since(burst.first) < WINDOW);
        while self.actors.len() >= ACTORS_MAX {
            let oldest = self.actors.iter().min_by_key(|(_, burst)| burst.last).map(|(actor, _)| *actor);
            let Some(actor) = oldest else { return };
            self.actors.remove(&actor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn check(files: u32, folders: u32, made: bool, expected: Option<(u32, Severity)>) {
        let mut bursts = Bursts::default();
        let now = Timestamp::UNIX_EPOCH;
        for file in 0..files {
            let removal = Removal { actor: 7, folder: u64::from(file % folders), made, hidden: false };
            bursts.take(&removal, now);
            bursts.kept(7);
        }
        assert_eq!(bursts.due(now), [], "it goes on");
        let said = bursts.due(now + SECOND);
        assert_eq!(said.first().map(|said| (said.kept, said.severity)), expected, "{files} in {folders}");
        assert_eq!(bursts.due(now + SECOND), [], "told twice");
    }

    #[test]
    fn many_files_from_several_folders_are_told_once() {
        check(29, 5, false, None);
        check(100, 2, false, None);
        check(30, 3, false, Some((30, Severity::Informational)));
        check(600, 40, false, Some((600, Severity::Informational)));
        check(600, 60, false, Some((600, Severity::Low)));
        check(600, 60, true, None);
    }

    #[test]
    fn a_burst_that_never_rests_is_told_and_a_slow_one_is_not() {
        let mut bursts = Bursts::default();
        let mut told = 0;
        for tick in 0..200_u64 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(100 * tick as i64);
            bursts.take(&Removal { actor: 1, folder: tick % 9, made: false, hidden: false }, now);
            told += bursts.due(now).len();
        }
        assert_eq!(told, 1);
        let mut bursts = Bursts::default();
        for minute in 0..600_i64 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
            bursts.take(&Removal { actor: 1, folder: minute as u64, made: false, hidden: false }, now);
            assert_eq!(bursts.due(now + SECOND), []);
        }
    }
}
