//! A log that grows: what was not there before is given, and nothing twice.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use decode::evtx::{CHUNK_LEN, HEADER_LEN, TEXT_MAX};

use super::cut::{self, CHUNK_HEADER_LEN};
use super::{Block, Give, Kind, Piece};
use crate::Error;

/// Text that is read at once; what is left comes with the next look.
const TEXT_AT_ONCE: u64 = 8 << 20;
/// How often every chunk is looked at; between, the one that was written last, and where the next one will be.
const ALL_EVERY: Duration = Duration::from_secs(10);
/// Looks take at most this part of the time, however long a log is and however slow the share it lies on.
const SHARE: u32 = 20;
/// Nobody looks more often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One file that is looked at again and again: an EVTX file on the share of a server, or the JSON lines of a collector.
///
/// An EVTX file is compared by the numbers of its records, so that a log that has come round is followed too; one that was cleared or
/// replaced is read from its beginning. Lines are followed through truncation and rotation.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    name: Arc<str>,
    /// File and its identity; `None` before it was seen.
    file: Option<(File, (u64, u64))>,
    /// EVTX: the highest number of a record that was given.
    given: u64,
    /// It was not told where the log stands, without which a restart would take it for one that was never met.
    is_untold: bool,
    /// EVTX: the chunk with the youngest records.
    newest: u64,
    /// When the youngest chunks are looked at next; when all of them can be, and are in any case.
    due: Instant,
    all_again: Instant,
    all_due: Instant,
    /// Lines: how far they were read.
    offset: u64,
    line: u64,
    is_silent: bool,
}

impl Follow {
    /// Follows a file from what it holds now (`only_new`) or from its beginning.
    ///
    /// # Errors
    /// What [`Follow::look`] finds unreadable.
    pub fn new(path: &Path, only_new: bool) -> Result<Follow, Error> {
        let mut follow = Follow::of(path);
        if only_new {
            follow.is_silent = true;
            let mut failure = None;
            follow.look(&mut |piece| {
                if let Piece::Failed(error) = piece {
                    failure = Some(error);
                }
                true
            });
            follow.is_silent = false;
            if let Some(error) = failure {
                return Err(error);
            }
        }
        follow.is_untold = follow.offset == 0;
        Ok(follow)
    }

    /// Follows an EVTX file from the record after `given`, which [`Block::last`] told before.
    #[must_use]
    pub fn resume(path: &Path, given: u64) -> Follow {
        Follow { given, ..Follow::of(path) }
    }

    fn of(path: &Path) -> Follow {
        let name = Arc::from(path.to_string_lossy());
        let now = Instant::now();
        Follow {
            path: path.to_owned(),
            name,
            file: None,
            given: 0,
            is_untold: false,
            newest: 0,
            due: now,
            all_again: now,
            all_due: now,
            offset: 0,
            line: 1,
            is_silent: false,
        }
    }

    /// Whether the file was there at the last look.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Gives what is new; a file that is not there is waited for. The first block may be without records, and tells the place only.
    /// `false` once no more is wanted.
    pub fn look(&mut self, give: &mut Give<'_>) -> bool {
        if std::mem::take(&mut self.is_untold) && !give(Piece::Block(self.block(0, Vec::new()))) {
            return false;
        }
        self.looked(give)
            .unwrap_or_else(|source| give(Piece::Failed(Error::ReadLog { path: self.path.clone(), source })))
    }

    fn looked(&mut self, give: &mut Give<'_>) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(meta) => Some(meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_same = |meta: &Metadata, id: (u64, u64)| (meta.dev(), meta.ino()) == id;
        if let Some((_, id)) = &self.file
            && now.as_ref().is_none_or(|meta| !is_same(meta, *id))
        {
            // What was written to the old file before it was put aside.
            self.all_now();
            let goes_on = self.read(give)?;
            (self.file, self.given, self.offset, self.line) = (None, 0, 0, 1);
            self.all_now();
            if !goes_on {
                return Ok(false);
            }
        }
        if self.file.is_none()
            && let Some(meta) = now
        {
            self.file = Some((File::open(&self.path)?, (meta.dev(), meta.ino())));
        }
        self.read(give)
    }

    fn read(&mut self, give: &mut Give<'_>) -> io::Result<bool> {
        let Some((file, _)) = &self.file else { return Ok(true) };
        let mut file = file.try_clone()?;
        let mut start = [0; 8];
        file.seek(SeekFrom::Start(0))?;
        match file.read_exact(&mut start) {
            Ok(()) if &start == b"ElfFile\0" => self.chunks(&mut file, give),
            Ok(()) => self.lines(&mut file, give),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                // Too short to be told apart, or emptied: what comes is read from its beginning.
                if file.metadata()?.len() < self.offset {
                    (self.offset, self.line) = (0, 1);
                }
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn chunks(&mut self, file: &mut File, give: &mut Give<'_>) -> io::Result<bool> {
        let began = Instant::now();
        if began < self.due {
            return Ok(true);
        }
        let count = file.metadata()?.len().saturating_sub(HEADER_LEN as u64) / CHUNK_LEN as u64;
        let mut found = self.near(file, count)?;
        self.due = rested(began);
        // Where not even the youngest are there any more, it was cleared, or has come round further than one sees from here.
        let is_lost = found.highest < self.given && Instant::now() >= self.all_again;
        if is_lost || Instant::now() >= self.all_due {
            let began = Instant::now();
            found = self.at(file, 0..count)?;
            self.all_again = rested(began);
            self.all_due = self.all_again.max(began + ALL_EVERY);
        } else if found.highest < self.given {
            return Ok(true);
        }
        if found.highest < self.given {
            // Numbers began anew: the log was cleared.
            self.given = 0;
        }
        self.newest = found.newest;
        if self.is_silent {
            self.given = found.highest.max(self.given);
            return Ok(true);
        }
        found.chunks.retain(|(_, last, _)| *last > self.given);
        found.chunks.sort_unstable();
        let after = self.given;
        for (_, last, chunk) in found.chunks {
            let mut bytes = vec![0; CHUNK_LEN];
            file.read_exact_at(&mut bytes, place(chunk))?;
            self.given = last.max(self.given);
            if !give(Piece::Block(Block { after, ..self.block(chunk, bytes) })) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The chunk that was written last, and those that were written after it.
    fn near(&self, file: &File, count: u64) -> io::Result<Chunks> {
        let mut near = Chunks::default();
        let mut chunk = if self.newest < count { self.newest } else { 0 };
        for _ in 0..count {
            let mut found = self.at(file, [chunk])?;
            if found.highest <= near.highest {
                break;
            }
            near.chunks.append(&mut found.chunks);
            (near.highest, near.newest) = (found.highest, chunk);
            chunk = (chunk + 1) % count;
        }
        Ok(near)
    }

    /// Those of these chunks that hold records.
    fn at(&self, file: &File, numbers: impl IntoIterator<Item = u64>) -> io::Result<Chunks> {
        let mut header = [0; CHUNK_HEADER_LEN];
        let (mut found, mut sealed) = (Vec::new(), self.given);
        for chunk in numbers {
            file.read_exact_at(&mut header, place(chunk))?;
            if let Some(numbers) = cut::numbers(&header) {
                sealed = if numbers.is_sealed { sealed.max(numbers.last) } else { sealed };
                found.push((numbers, chunk));
            }
        }
        // A header that nothing vouches for cannot lead away from where the others end.
        found.retain(|(numbers, _)| numbers.is_sealed || sealed == 0 || numbers.first <= sealed + 1);
        let (highest, newest) = found.iter().map(|(it, chunk)| (it.last, *chunk)).max().unwrap_or_default();
        Ok(Chunks {
            chunks: found.iter().map(|(it, chunk)| (it.first, it.last, *chunk)).collect(),
            highest,
            newest,
        })
    }

    pub(super) fn all_now(&mut self) {
        let now = Instant::now();
        (self.due, self.all_again, self.all_due) = (now, now, now);
    }

    #[cfg(test)]
    pub(super) fn have_rested(&mut self) {
        (self.due, self.all_again) = (Instant::now(), Instant::now());
    }

    fn block(&self, first: u64, bytes: Vec<u8>) -> Block {
        let name = Arc::clone(&self.name);
        Block { name, kind: Kind::Chunks, first, in_use: u64::MAX, after: 0, last: Some(self.given), bytes }
    }

    fn lines(&mut self, file: &mut File, give: &mut Give<'_>) -> io::Result<bool> {
        let length = file.metadata()?.len();
        if length < self.offset {
            (self.offset, self.line) = (0, 1);
        }
        if self.is_silent {
            self.offset = length;
            return Ok(true);
        }
        while self.offset < length {
            file.seek(SeekFrom::Start(self.offset))?;
            let mut bytes = Vec::new();
            BufReader::new(&mut *file).take(TEXT_AT_ONCE.max(TEXT_MAX as u64 + 1)).read_to_end(&mut bytes)?;
            let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
                if bytes.len() <= TEXT_MAX {
                    // Half a line: the rest comes.
                    return Ok(true);
                }
                self.offset += bytes.len() as u64;
                let name = self.name.to_string();
                if !give(Piece::Failed(Error::LogRecordTooLong { name, at: self.line })) {
                    return Ok(false);
                }
                continue;
            };
            bytes.truncate(end + 1);
            self.offset += bytes.len() as u64;
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            let first = self.line;
            self.line += lines;
            let name = Arc::clone(&self.name);
            let kind = Kind::Lines;
            let block = Block { name, kind, first, in_use: u64::MAX, after: 0, last: None, bytes };
            if !give(Piece::Block(block)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Chunks that hold records, as they say.
#[derive(Debug, Default)]
struct Chunks {
    /// First and last number of a record, number of the chunk.
    chunks: Vec<(u64, u64, u64)>,
    highest: u64,
    newest: u64,
}

/// When one may look again after a look that began then.
fn rested(began: Instant) -> Instant {
    let now = Instant::now();
    let rest = now.duration_since(began) * SHARE;
    if rest < LOOK_EVERY { now } else { now + rest }
}

fn place(chunk: u64) -> u64 {
    HEADER_LEN as u64 + chunk * CHUNK_LEN as u64
}
