//! A log that grows: what was not there before is given, and nothing twice.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decode::evtx::{CHUNK_LEN, HEADER_LEN, TEXT_MAX};

use super::{Block, Give, Kind, Piece};
use crate::Error;

/// Text that is read at once; what is left comes with the next look.
const TEXT_AT_ONCE: u64 = 8 << 20;

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
        Ok(follow)
    }

    /// Follows an EVTX file from the record after `given`, which [`Block::last`] told before.
    #[must_use]
    pub fn resume(path: &Path, given: u64) -> Follow {
        Follow { given, ..Follow::of(path) }
    }

    fn of(path: &Path) -> Follow {
        let name = Arc::from(path.to_string_lossy());
        Follow { path: path.to_owned(), name, file: None, given: 0, offset: 0, line: 1, is_silent: false }
    }

    /// Whether the file was there at the last look.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Gives what is new; a file that is not there is waited for. `false` once no more is wanted.
    pub fn look(&mut self, give: &mut Give<'_>) -> bool {
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
            let goes_on = self.read(give)?;
            (self.file, self.given, self.offset, self.line) = (None, 0, 0, 1);
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
        let count = file.metadata()?.len().saturating_sub(HEADER_LEN as u64) / CHUNK_LEN as u64;
        let mut changed = Vec::new();
        let (mut start, mut highest) = ([0; 40], 0);
        for chunk in 0..count {
            file.seek(SeekFrom::Start(HEADER_LEN as u64 + chunk * CHUNK_LEN as u64))?;
            file.read_exact(&mut start)?;
            if let Some((first, last)) = super::cut::numbers(&start) {
                highest = highest.max(last);
                changed.push((first, last, chunk));
            }
        }
        if highest < self.given {
            // Numbers began anew: the log was cleared.
            self.given = 0;
        }
        changed.retain(|(_, last, _)| *last > self.given);
        changed.sort_unstable();
        let after = self.given;
        if self.is_silent {
            self.given = highest.max(after);
            return Ok(true);
        }
        for (_, last, chunk) in changed {
            self.given = last.max(self.given);
            file.seek(SeekFrom::Start(HEADER_LEN as u64 + chunk * CHUNK_LEN as u64))?;
            let mut bytes = vec![0; CHUNK_LEN];
            file.read_exact(&mut bytes)?;
            let name = Arc::clone(&self.name);
            let (kind, last) = (Kind::Chunks, Some(self.given));
            let block = Block { name, kind, first: chunk, in_use: u64::MAX, after, last, bytes };
            if !give(Piece::Block(block)) {
                return Ok(false);
            }
        }
        Ok(true)
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
