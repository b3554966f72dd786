//! What the folder remembers: every policy that was loaded lately, which of them counts, and what came before it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evidence::{private_dir, write_json};
use crate::wall::policy::Policy;

/// Policies that are kept.
const KEPT_MAX: u64 = 50;
/// A policy that a person wrote is far below this.
const BYTES_MAX: u64 = 16 << 20;
/// How long another one's change may take.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// A policy as it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number, counted from 1 in one folder.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub policy: Policy,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Book {
    pub(super) next: u64,
    /// What counts, but for a trial; `None`: no policy.
    pub(super) confirmed: Option<u64>,
    /// What counted before that; the outer `None`: nothing was ever applied.
    #[serde(with = "before")]
    pub(super) before: Option<Option<u64>>,
    pub(super) trial: Option<Trial>,
    /// Of the table as it was loaded.
    pub(super) shape: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) generation: Option<u64>,
    pub(super) until: Timestamp,
    /// The kernel's run that counts the time: its tables end with it.
    pub(super) boot: String,
    /// Whether the ledger has its end.
    #[serde(default)]
    pub(super) told: bool,
}

impl Trial {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        now < self.until && self.boot == boot()
    }
}

impl Book {
    pub(super) fn read(folder: &Path) -> Result<Book, Error> {
        read(&folder.join("state.json")).map(Option::unwrap_or_default)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join("state.json"), self)
    }

    /// Keeps a policy, and lets an old one go that nothing leads back to.
    pub(super) fn keep(&self, folder: &Path, kept: &Kept) -> Result<(), Error> {
        write_json(&of(folder, kept.number), kept)?;
        let is_needed = |old: u64| self.confirmed == Some(old) || self.before.flatten() == Some(old);
        if let Some(old) = kept.number.checked_sub(KEPT_MAX).filter(|old| !is_needed(*old)) {
            // One that stays is only a file too many.
            let _ = fs::remove_file(of(folder, old));
        }
        Ok(())
    }

    pub(super) fn kept(folder: &Path, number: u64) -> Result<Kept, Error> {
        let path = of(folder, number);
        let gone = || Error::ReadWall { path: path.clone(), source: io::ErrorKind::NotFound.into() };
        read(&path)?.ok_or_else(gone)
    }
}

fn of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("policy-{number}.json"))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let failed = |source| Error::ReadWall { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let text = io::read_to_string(io::Read::take(file, BYTES_MAX)).map_err(failed)?;
    let parsed = serde_json::from_str(&text);
    parsed.map(Some).map_err(|source| Error::ParseWall { path: path.to_owned(), source })
}

/// Held by whoever changes something; it ends with its holder.
pub(super) fn lock(folder: &Path) -> Result<File, Error> {
    private_dir(folder)?;
    let path = folder.join("lock");
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < LOCK_WAIT => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
}

/// The kernel's run.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// JSON has one null only.
mod before {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, clippy::option_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<u64>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let as_list: Vec<Option<u64>> = value.iter().copied().collect();
        as_list.serialize(serializer)
    }

    #[allow(clippy::option_option, reason = "the shape that serde asks for")]
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<u64>>, D::Error> {
        Ok(Vec::<Option<u64>>::deserialize(deserializer)?.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_and_what_came_before_is_kept_however_many_trials_there_were() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut book = Book { confirmed: Some(2), before: Some(Some(1)), ..Book::default() };
        for number in 1..=KEPT_MAX + 5 {
            let kept = Kept { number, at: Timestamp::UNIX_EPOCH, policy: Policy::default() };
            book.next = number + 1;
            book.keep(folder, &kept).unwrap();
        }
        for (number, is_there) in [(1, true), (2, true), (3, false), (5, false), (6, true)] {
            assert_eq!(Book::kept(folder, number).is_ok(), is_there, "{number}");
        }
        for before in [None, Some(None), Some(Some(7))] {
            book.before = before;
            book.write(folder).unwrap();
            assert_eq!(Book::read(folder).unwrap(), book);
        }
        fs::write(folder.join("state.json"), "{").unwrap();
        assert!(matches!(Book::read(folder), Err(Error::ParseWall { .. })));
    }

    #[test]
    fn a_trial_ends_with_its_time_and_with_the_kernel_that_counts_it() {
        let until = Timestamp::from_second(100).unwrap();
        let trial = Trial { generation: Some(1), until, boot: boot(), told: false };
        assert!(trial.is_live(Timestamp::from_second(99).unwrap()));
        assert!(!trial.is_live(Timestamp::from_second(100).unwrap()));
        let other = Trial { boot: "another run".to_owned(), ..trial };
        assert!(!other.is_live(Timestamp::from_second(99).unwrap()));
    }
}
