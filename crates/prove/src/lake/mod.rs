//! What is voluminous: every line of every watcher, as Parquet files that any query engine reads.
//!
//! # The way of a line
//!
//! [`Lake::append`] puts events into a journal, and returns when they are on the disk. [`Lake::flush`] turns what
//! the journal holds into Parquet files below
//! `<source>/region=<region>/accountId=<account>/eventDay=<YYYYMMDD>/`, as Amazon Security Lake lays its folders
//! out, with OCSF's names flattened by `_` as columns. [`Lake::compact`] makes one file of many small ones
//! once their day is over, [`Lake::expire`] removes days that need not be kept, [`Lake::release`] lets the
//! journal go as far as Parquet and whoever replays it are done with it.
//!
//! # What holds
//!
//! - An event that `append` returned from is in the journal or in exactly one Parquet file, whatever is killed.
//!   Each has a position, counted from 1, which is the column `metadata_sequence`.
//! - A file's name is the range of positions that it was made from: `<first>-<last>.parquet`. Files whose range
//!   lies above the flushed position, or within another file's range, are what a killed flush or compaction
//!   left; they are removed at open. While a compaction replaces files, a reader may see rows of that folder twice
//!   for the instant between two system calls; one that must not counts distinct `metadata_sequence`.
//! - Memory is bounded: a flush holds at most [`CHUNK_BYTES`] of events, whatever lies in the journal.
//! - An event whose time is after the day that follows its arrival, or before what is kept, goes to the day of its
//!   arrival. Both times are columns: `time` and `metadata_logged_time`.
//! - What is damaged is named, set aside and does not keep the rest from going on.

mod compact;
mod disk;
mod flush;
mod journal;
mod partition;
mod record;
mod rows;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use schema::Event;

use crate::Error;
use crate::lock::{FolderLock, lock_folder};
use disk::Flushed;
use journal::Journal;
pub use journal::Written;

/// The most bytes of events that a flush or a compaction holds at once.
pub const CHUNK_BYTES: usize = 32 << 20;

/// How a lake is laid out and how long it keeps its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The partition `region=`: where the installation is.
    pub region: String,
    /// The partition `accountId=`: whose it is.
    pub account: String,
    /// Whole days that are kept besides today.
    pub retention_days: u16,
}

/// The lake of one installation, open for writing; one process at a time.
#[derive(Debug)]
pub struct Lake {
    dir: PathBuf,
    settings: Settings,
    journal: Journal,
    /// Held by whoever changes Parquet files.
    files: Mutex<Flushed>,
    flushed: Arc<AtomicU64>,
    set_aside: Vec<PathBuf>,
    _lock: FolderLock,
}

/// What waits in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Events that no Parquet file holds yet.
    pub events: u64,
    /// Bytes of the journal's files.
    pub journal_bytes: u64,
}

/// What a flush did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Events written to Parquet.
    pub events: u64,
    /// Files that hold them.
    pub files: u64,
    /// What was damaged in the journal, copied to files of its own.
    pub set_aside: Vec<PathBuf>,
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Files that were replaced.
    pub replaced: u64,
    /// Files that replaced them.
    pub made: u64,
    /// Rows in these.
    pub rows: u64,
    /// Files that could not be read; they keep their bytes under a name that says so.
    pub set_aside: Vec<PathBuf>,
}

/// What a replay went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events that were handed over.
    pub events: u64,
    /// The last position there is.
    pub last: u64,
    /// Positions that should be there and are not: let go of before, or damaged.
    pub missing: u64,
}

impl Lake {
    /// Opens the lake in a folder, which is made where it is missing, and clears up after a killed process.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, Error> {
        let journal_dir = dir.join("journal");
        fs::create_dir_all(&journal_dir).map_err(Error::file("make the lake", dir))?;
        let lock = lock_folder(&journal_dir.join("lock"))?;
        let flushed = Flushed::load(&journal_dir, partition::newest(dir)?)?;
        partition::clear_up(dir, flushed.position())?;
        let mut set_aside = Vec::new();
        let journal = Journal::open(&journal_dir, flushed.position(), &mut set_aside)?;
        let settings = Settings {
            region: partition::name(&settings.region),
            account: partition::name(&settings.account),
            ..settings
        };
        Ok(Lake {
            dir: dir.to_owned(),
            settings,
            journal,
            flushed: flushed.shared(),
            files: Mutex::new(flushed),
            set_aside,
            _lock: lock,
        })
    }

    /// What was damaged when the lake was opened, as it lies there now.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }

    /// Writes events down and returns the position of the last one when they are on the disk.
    ///
    /// Callers that wait at the same time share one fsync. Nothing of a failed append stays, unless the disk
    /// failed to take it back. A line of more than 64 KiB is replaced by its length.
    pub fn append(&self, events: &[Event], now: Timestamp) -> Result<u64, Error> {
        let written = self.journal.write(events, now)?;
        self.journal.sync(written)?;
        Ok(written.position())
    }

    /// The first half of [`Lake::append`]: a killed process loses nothing of what is written, a machine that stops may.
    pub fn write(&self, events: &[Event], now: Timestamp) -> Result<Written, Error> {
        self.journal.write(events, now)
    }

    /// The second half: everything that is written by now is on the disk when it returns; up to which position that is.
    ///
    /// After an error nothing that was written since the last sync is kept.
    pub fn sync(&self, written: Written) -> Result<u64, Error> {
        self.journal.sync(written)
    }

    /// Goes on behind a position that somebody judged up to. A machine that stopped may have kept that word and lost the events: theirs
    /// are not given to others.
    pub fn skip_to(&self, position: u64) {
        self.journal.skip_to(position);
    }

    /// The position of the last event that is durable; 0 before the first.
    pub fn position(&self) -> u64 {
        self.journal.position()
    }

    /// What waits to be flushed. Flush at the latest when some hundred thousand events do.
    pub fn pending(&self) -> Pending {
        let flushed = self.flushed.load(Ordering::Acquire);
        Pending {
            events: self.journal.position().saturating_sub(flushed),
            journal_bytes: self.journal.bytes(),
        }
    }

    /// Turns everything that is in the journal now into Parquet.
    pub fn flush(&self) -> Result<FlushReport, Error> {
        flush::flush(self, &mut self.lock_files())
    }

    /// Makes one file of several small ones, in each folder of a day before that of `now`.
    pub fn compact(&self, now: Timestamp) -> Result<CompactReport, Error> {
        compact::compact(self, &mut self.lock_files(), now)
    }

    /// Removes the days that need not be kept at `now`; how many folders there were.
    pub fn expire(&self, now: Timestamp) -> Result<u64, Error> {
        let _files = self.lock_files();
        partition::expire(&self.dir, partition::oldest_kept(now, self.settings.retention_days))
    }

    /// Hands over what the journal holds after a position, in order, with each event's position and arrival.
    ///
    /// What is appended meanwhile may or may not be among it.
    pub fn replay(
        &self,
        after: u64,
        each: impl FnMut(u64, Timestamp, Event) -> Result<(), Error>,
    ) -> Result<Replayed, Error> {
        self.journal.replay(after, each)
    }

    /// Lets go of the journal up to a position that everybody who replays it is past; what is not in Parquet stays.
    pub fn release(&self, watermark: u64) -> Result<(), Error> {
        let flushed = self.flushed.load(Ordering::Acquire);
        self.journal.release(watermark.min(flushed))
    }

    fn lock_files(&self) -> std::sync::MutexGuard<'_, Flushed> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
