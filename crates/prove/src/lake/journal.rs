use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Those that are not durable to their end, oldest first; the last one is written to.
    segments: Vec<(Segment, Arc<File>)>,
    /// What is written: `bytes` of the last segment.
    written: Mark,
    /// What of it is durable: `bytes` of the first one.
    synced: Mark,
    /// Counts failed fsyncs: what was not durable at one of them is gone.
    failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    position: u64,
    bytes: u64,
}

/// Events that were written and may still be lost when the machine stops; [`super::Lake::sync`] makes them durable.
#[derive(Debug, Clone, Copy)]
#[must_use = "what is not synced is not kept"]
pub struct Written {
    position: u64,
    failures: u64,
}

impl Written {
    /// The position of the last of them.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether these are gone, too, now that others could not be made durable.
    pub fn is_lost_with(&self, failed: Written) -> bool {
        self.failures <= failed.failures
    }
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
                (segment, file.into(), bytes)
            }
            None => {
                let (segment, file) = begin_segment(dir, position + 1)?;
                sync_dir(&segment.path)?;
                (segment, file, 0)
            }
        };
        let mark = Mark { position, bytes };
        let open = Open { segments: vec![(segment, file)], written: mark, synced: mark, failures: 0 };
        Ok(Journal { dir: dir.to_owned(), open: Mutex::new(open), syncing: Mutex::new(()) })
    }

    pub(super) fn position(&self) -> u64 {
        self.lock().synced.position
    }

    pub(super) fn bytes(&self) -> u64 {
        let segments = segments(&self.dir).unwrap_or_default();
        segments.iter().filter_map(|segment| segment.path.metadata().ok()).map(|meta| meta.len()).sum()
    }

    /// Writes without waiting for the disk. A process that is killed loses nothing of it, a machine that stops may.
    pub(super) fn write(&self, events: &[Event], now: Timestamp) -> Result<Written, Error> {
        let payloads = encode(events)?;
        let mut open = self.lock();
        open.write(&self.dir, &payloads, now)?;
        Ok(Written { position: open.written.position, failures: open.failures })
    }

    /// Makes everything that is written now durable, and says up to which position that is.
    pub(super) fn sync(&self, wanted: Written) -> Result<u64, Error> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let (segments, written, synced) = {
            let open = self.lock();
            if open.failures != wanted.failures {
                let cause = io::Error::other("another write that was not on the disk yet failed");
                return Err(open.failed(cause));
            }
            (open.segments.clone(), open.written, open.synced)
        };
        if synced.position >= wanted.position {
            return Ok(synced.position);
        }
        let is_new = segments.len() > 1;
        let done = segments.iter().try_for_each(|(_, file)| file.sync_data());
        let done = done.and_then(|()| if is_new { File::open(&self.dir)?.sync_all() } else { Ok(()) });
        let mut open = self.lock();
        match done {
            Ok(()) => {
                open.segments.drain(..segments.len().saturating_sub(1));
                open.synced = written;
                Ok(written.position)
            }
            Err(cause) => {
                open.failures += 1;
                open.take_back();
                Err(open.failed(cause))
            }
        }
    }

    /// Goes on behind a position that was given out before and is not here any more.
    pub(super) fn skip_to(&self, position: u64) {
        let mut open = self.lock();
        open.written.position = open.written.position.max(position);
        open.synced.position = open.synced.position.max(position);
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
            (open.synced, open.segments.first().map_or(0, |(segment, _)| segment.first))
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
        let unsynced = self.lock().segments.first().map_or(0, |(segment, _)| segment.first);
        let segments = segments(&self.dir)?;
        for pair in segments.windows(2) {
            if pair[1].first <= upto + 1 && pair[0].first < unsynced {
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
            self.segments.push(begin_segment(dir, self.written.position + 1)?);
            self.written.bytes = 0;
        }
        let Some((_, file)) = self.segments.last().cloned() else { return Ok(()) };
        let before = self.written;
        for (events, payload) in payloads {
            let record = record::seal(self.written.position + 1, *events, now, payload);
            if let Err(cause) = file.write_all_at(&record, self.written.bytes) {
                self.written = before;
                // What cannot be cut off is written over, or found as a torn end.
                let _ = file.set_len(before.bytes);
                return Err(self.failed(cause));
            }
            self.written.position += u64::from(*events);
            self.written.bytes += record.len() as u64;
        }
        Ok(())
    }

    /// After a failed fsync nobody knows what the disk holds: back to what it holds for sure.
    fn take_back(&mut self) {
        self.written = self.synced;
        for (segment, _) in self.segments.drain(1..) {
            let _ = fs::remove_file(&segment.path);
        }
        for (_, file) in &self.segments {
            let _ = file.set_len(self.synced.bytes);
        }
    }

    fn failed(&self, cause: io::Error) -> Error {
        let path = self.segments.last().map_or(Path::new(""), |(segment, _)| segment.path.as_path());
        Error::file("append to", path)(cause)
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

/// Its folder is synced with what is written to it.
fn begin_segment(dir: &Path, first: u64) -> Result<(Segment, Arc<File>), Error> {
    let path = dir.join(format!("{first:020}.{EXTENSION}"));
    // Not `append`: writes name their place, so that what a failed one left is written over.
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
    let file = file.map_err(Error::file("open", &path))?;
    Ok((Segment { first, path }, file.into()))
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
