use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use schema::Event;

use super::Replayed;
use super::disk::keep_aside;
use super::record::{self, Piece, Record};
use crate::Error;
use crate::durable::sync_dir;

/// Where a segment is closed and the next one begins. Readers hold one segment at a time.
const SEGMENT_BYTES: u64 = 16 << 20;
const EXTENSION: &str = "journal";

/// Append-only segments of records, named by the first position that they may hold.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    open: Mutex<Open>,
    /// Held by the one who calls fsync; those who wait for it meanwhile find themselves served.
    syncing: Mutex<()>,
}

#[derive(Debug)]
struct Open {
    segment: Segment,
    file: std::sync::Arc<File>,
    /// What is written, and what of it is durable.
    written: Mark,
    synced: Mark,
    /// Counts failed fsyncs: what was not durable at one of them is gone.
    failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    position: u64,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    first: u64,
    path: PathBuf,
}

impl Journal {
    /// Opens it for appending after `flushed` and everything it holds. A torn end is set aside and cut off.
    pub(super) fn open(dir: &Path, flushed: u64, set_aside: &mut Vec<PathBuf>) -> Result<Self, Error> {
        let mut position = flushed;
        let mut last = None;
        for segment in segments(dir)? {
            let bytes = fs::read(&segment.path).map_err(Error::file("read", &segment.path))?;
            let mut whole = 0;
            for piece in record::pieces(&bytes) {
                match piece {
                    Piece::Record(it) => {
                        position = position.max(it.last());
                        whole = bytes.len();
                    }
                    Piece::Damaged(at, damaged) => {
                        let aside = segment.path.with_extension(format!("damaged-{at}"));
                        set_aside.push(keep_aside(aside, damaged)?);
                        whole = at;
                    }
                }
            }
            position = position.max(segment.first.saturating_sub(1));
            last = Some((segment, whole as u64));
        }
        let (segment, file, bytes) = match last {
            Some((segment, bytes)) => {
                let file = OpenOptions::new().write(true).open(&segment.path);
                let file = file.map_err(Error::file("open", &segment.path))?;
                file.set_len(bytes)
                    .and_then(|()| file.sync_all())
                    .map_err(Error::file("cut the torn end off", &segment.path))?;
                (segment, file, bytes)
            }
            None => {
                let (segment, file) = begin_segment(dir, position + 1)?;
                (segment, file, 0)
            }
        };
        let mark = Mark { position, bytes };
        let open = Open { segment, file: file.into(), written: mark, synced: mark, failures: 0 };
        Ok(Journal { dir: dir.to_owned(), open: Mutex::new(open), syncing: Mutex::new(()) })
    }

    pub(super) fn position(&self) -> u64 {
        self.lock().synced.position
    }

    pub(super) fn bytes(&self) -> u64 {
        let segments = segments(&self.dir).unwrap_or_default();
        segments.iter().filter_map(|segment| segment.path.metadata().ok()).map(|meta| meta.len()).sum()
    }

    pub(super) fn append(&self, events: &[Event], now: Timestamp) -> Result<u64, Error> {
        let payloads = encode(events)?;
        let (end, failures) = {
            let mut open = self.lock();
            open.write(&self.dir, &payloads, now)?;
            (open.written.position, open.failures)
        };
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.lock();
        if open.failures != failures {
            let cause = io::Error::other("another write that was not on the disk yet failed");
            return Err(Error::file("append to", &open.segment.path)(cause));
        }
        if open.synced.position >= end {
            return Ok(end);
        }
        let (file, written) = (open.file.clone(), open.written);
        drop(open);
        let done = file.sync_data();
        open = self.lock();
        match done {
            Ok(()) => open.synced = open.synced.later(written),
            Err(cause) => {
                open.failures += 1;
                open.take_back();
                return Err(Error::file("append to", &open.segment.path)(cause));
            }
        }
        Ok(end)
    }

    /// Hands over records that end after a position, with pieces that are damaged, up to what is durable.
    pub(super) fn records(
        &self,
        after: u64,
        mut each: impl FnMut(Record<'_>) -> Result<(), Error>,
        mut damaged: impl FnMut(PathBuf, &[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let (synced, active) = {
            let open = self.lock();
            (open.synced, open.segment.first)
        };
        let segments = segments(&self.dir)?;
        for (n, segment) in segments.iter().enumerate() {
            if segments.get(n + 1).is_some_and(|next| next.first <= after + 1)
                || segment.first > synced.position
            {
                continue;
            }
            let mut bytes = fs::read(&segment.path).map_err(Error::file("read", &segment.path))?;
            if segment.first == active {
                bytes.truncate(synced.bytes as usize);
            }
            for piece in record::pieces(&bytes) {
                match piece {
                    Piece::Record(it) if it.last() > after && it.last() <= synced.position => each(it)?,
                    Piece::Record(_) => {}
                    Piece::Damaged(at, bytes) => {
                        damaged(segment.path.with_extension(format!("damaged-{at}")), bytes)?;
                    }
                }
            }
        }
        Ok(synced.position)
    }

    pub(super) fn replay(
        &self,
        after: u64,
        mut each: impl FnMut(u64, Timestamp, Event) -> Result<(), Error>,
    ) -> Result<Replayed, Error> {
        let mut events = 0;
        let one = |record: Record<'_>| {
            for (position, event) in (record.first..).zip(record.events()) {
                if position > after {
                    each(position, record.arrived, event)?;
                    events += 1;
                }
            }
            Ok(())
        };
        let last = self.records(after, one, |_, _| Ok(()))?;
        Ok(Replayed { events, last, missing: last.saturating_sub(after).saturating_sub(events) })
    }

    /// Removes segments that hold nothing after a position.
    pub(super) fn release(&self, upto: u64) -> Result<(), Error> {
        let active = self.lock().segment.first;
        let segments = segments(&self.dir)?;
        for pair in segments.windows(2) {
            if pair[1].first <= upto + 1 && pair[0].first != active {
                fs::remove_file(&pair[0].path).map_err(Error::file("remove", &pair[0].path))?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn write(&mut self, dir: &Path, payloads: &[(u32, Vec<u8>)], now: Timestamp) -> Result<(), Error> {
        if self.written.bytes >= SEGMENT_BYTES {
            self.roll(dir)?;
        }
        let before = self.written;
        for (events, payload) in payloads {
            let record = record::seal(self.written.position + 1, *events, now, payload);
            if let Err(cause) = self.file.write_all_at(&record, self.written.bytes) {
                self.written = before;
                // What cannot be cut off is written over, or found as a torn end.
                let _ = self.file.set_len(before.bytes);
                return Err(Error::file("append to", &self.segment.path)(cause));
            }
            self.written.position += u64::from(*events);
            self.written.bytes += record.len() as u64;
        }
        Ok(())
    }

    /// Closes the segment and begins the next.
    fn roll(&mut self, dir: &Path) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::file("append to", &self.segment.path))?;
        let (segment, file) = begin_segment(dir, self.written.position + 1)?;
        (self.segment, self.file) = (segment, file.into());
        self.written.bytes = 0;
        self.synced = self.written;
        Ok(())
    }

    fn take_back(&mut self) {
        self.written = self.synced;
        let _ = self.file.set_len(self.synced.bytes);
    }
}

impl Mark {
    /// Segments may have been changed while an fsync was under way; positions only grow.
    fn later(self, other: Mark) -> Mark {
        if other.position > self.position { other } else { self }
    }
}

/// Payloads of records, each with its count.
fn encode(events: &[Event]) -> Result<Vec<(u32, Vec<u8>)>, Error> {
    let mut payloads = Vec::new();
    let (mut count, mut payload) = (0, Vec::new());
    for event in events {
        record::encode_event(&mut payload, event)?;
        count += 1;
        if payload.len() >= record::FULL {
            payloads.push((std::mem::take(&mut count), std::mem::take(&mut payload)));
        }
    }
    if count > 0 {
        payloads.push((count, payload));
    }
    Ok(payloads)
}

fn begin_segment(dir: &Path, first: u64) -> Result<(Segment, File), Error> {
    let path = dir.join(format!("{first:020}.{EXTENSION}"));
    // Not `append`: writes name their place, so that what a failed one left is written over.
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    sync_dir(&path)?;
    Ok((Segment { first, path }, file))
}

fn segments(dir: &Path) -> Result<Vec<Segment>, Error> {
    let listed = fs::read_dir(dir).and_then(|dir| dir.collect::<io::Result<Vec<_>>>());
    let mut found: Vec<Segment> = listed
        .map_err(Error::file("list", dir))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|path| {
            let first = path.file_stem()?.to_str()?.parse().ok()?;
            Some(Segment { first, path })
        })
        .collect();
    found.sort();
    Ok(found)
}
