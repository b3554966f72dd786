//! A log file from its beginning to its end, packed with gzip or not.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use schema::Micros;

use super::split::Splitter;
use crate::Error;

/// Text packs to a fiftieth; what unpacks to more than this many times its size is no log.
const RATIO_MAX: u64 = 200;
/// From so many bytes on that is looked at.
const RATIO_FROM: u64 = 64 << 20;
const CHUNK: usize = 256 << 10;

/// A file that is read once.
pub struct FileLines {
    input: Box<dyn Read + Send>,
    splitter: Splitter,
    buffer: Vec<u8>,
    packed_bytes: Option<u64>,
    read: u64,
    /// When it was written last: lines without a year are not younger.
    pub written: Micros,
}

/// Why a file was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It unpacks to more than any log does.
    Bomb,
}

/// Whether so much comes out of so little that it is no log.
pub(super) fn is_bomb(unpacked: u64, packed: u64) -> bool {
    unpacked > RATIO_FROM && unpacked / RATIO_MAX > packed
}

impl FileLines {
    /// Opens a file; `-` is the standard input.
    ///
    /// # Errors
    /// When it cannot be opened or is no file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let at = |source| Error::OpenLog { path: path.to_owned(), source };
        if path == Path::new("-") {
            return Ok(Self::new(Box::new(io::stdin()), None, 0));
        }
        let file = File::open(path).map_err(at)?;
        let meta = file.metadata().map_err(at)?;
        let written = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let written = written.map_or(0, |since| Micros::try_from(since.as_micros()).unwrap_or(0));
        let mut file = BufReader::with_capacity(CHUNK, file);
        let is_packed = {
            use std::io::BufRead;
            file.fill_buf().map_err(at)?.starts_with(&[0x1f, 0x8b])
        };
        if is_packed {
            return Ok(Self::new(Box::new(MultiGzDecoder::new(file)), Some(meta.len()), written));
        }
        Ok(Self::new(Box::new(file), None, written))
    }

    fn new(input: Box<dyn Read + Send>, packed_bytes: Option<u64>, written: Micros) -> Self {
        Self { input, splitter: Splitter::default(), buffer: vec![0; CHUNK], packed_bytes, read: 0, written }
    }

    /// Some more lines; `false` at the end.
    ///
    /// # Errors
    /// When reading fails; the inner one says what is wrong with the content.
    pub fn some(&mut self, line: &mut impl FnMut(&[u8])) -> io::Result<Result<bool, Stopped>> {
        let length = match self.input.read(&mut self.buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Ok(true)),
            other => other?,
        };
        if length == 0 {
            self.splitter.finish(line);
            return Ok(Ok(false));
        }
        self.read += length as u64;
        if self.packed_bytes.is_some_and(|packed| is_bomb(self.read, packed)) {
            return Ok(Err(Stopped::Bomb));
        }
        self.splitter.feed(self.buffer.get(..length).unwrap_or_default(), line);
        Ok(Ok(true))
    }

    /// Lines that were cut, and bytes that were read, unpacked.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.splitter.cut, self.read)
    }
}
