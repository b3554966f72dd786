//! What a file is, told by its contents, and what is packed in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decode::evtx::{CHUNK_LEN, HEADER_LEN};
use flate2::bufread::MultiGzDecoder;

use super::cut::Cutter;
use super::{Give, Kind, Limits, Piece, zip};
use crate::Error;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZIP: &[u8] = b"PK\x03\x04";
/// What is looked at to tell what a file is.
const LOOK: usize = 64;

/// Gives the blocks of an opened file.
pub(super) fn file(file: File, path: &Path, limits: &Limits, give: &mut Give<'_>) -> bool {
    let shown = path.to_string_lossy();
    let mut input = BufReader::with_capacity(256 << 10, file);
    let start = match input.fill_buf() {
        Ok(start) => start[..start.len().min(LOOK)].to_vec(),
        Err(source) => return give(Piece::Failed(Error::ReadLog { path: path.to_owned(), source })),
    };
    if start.starts_with(ZIP) {
        return zip::members(input, path, limits, give);
    }
    let is_evtx = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("evtx"));
    if kind(&start, is_evtx) != Some(Kind::Chunks) {
        return stream(&mut input, &shown, limits, give);
    }
    let mut inner = input.into_inner();
    let oldest = oldest(&mut inner).unwrap_or(0);
    let outcome = inner.seek(SeekFrom::Start(0)).and_then(|_| {
        let mut cutter = Cutter::new(&shown, Kind::Chunks);
        let mut header = BufReader::with_capacity(256 << 10, &inner);
        Ok((cutter.header(&mut header)?, cutter))
    });
    let failed = |source| Piece::Failed(Error::ReadLog { path: path.to_owned(), source });
    let mut cutter = match outcome {
        Ok((_, cutter)) => cutter,
        Err(source) => return give(failed(source)),
    };
    // A log that has come round begins with its oldest chunk.
    for (from, until) in [(oldest, u64::MAX), (0, oldest)] {
        if from >= until {
            continue;
        }
        let at = HEADER_LEN as u64 + from * CHUNK_LEN as u64;
        let bytes = until.saturating_sub(from).saturating_mul(CHUNK_LEN as u64);
        let cut = inner.seek(SeekFrom::Start(at)).and_then(|_| {
            cutter.chunks(&mut BufReader::with_capacity(256 << 10, &inner).take(bytes), from, give)
        });
        match cut {
            Ok(true) => {}
            Ok(false) => return false,
            Err(source) => return give(failed(source)),
        }
    }
    true
}

/// The chunk with the lowest number of a record.
fn oldest(file: &mut File) -> io::Result<u64> {
    let chunks = file.metadata()?.len().saturating_sub(HEADER_LEN as u64) / CHUNK_LEN as u64;
    let mut oldest = (u64::MAX, 0);
    let mut start = [0; super::cut::CHUNK_HEADER_LEN];
    for chunk in 0..chunks {
        file.seek(SeekFrom::Start(HEADER_LEN as u64 + chunk * CHUNK_LEN as u64))?;
        file.read_exact(&mut start)?;
        if let Some(found) = super::cut::numbers(&start).filter(|found| found.first < oldest.0) {
            oldest = (found.first, chunk);
        }
    }
    Ok(oldest.1)
}

/// Gives the blocks of a stream, which may be packed with gzip.
pub(super) fn stream(input: &mut dyn Read, name: &str, limits: &Limits, give: &mut Give<'_>) -> bool {
    let mut input = BufReader::with_capacity(256 << 10, input);
    let path = PathBuf::from(name);
    let outcome = match input.fill_buf() {
        Ok(start) if start.starts_with(GZIP) => {
            let packed = Counted { input, count: 0 };
            let unpacked = MultiGzDecoder::new(BufReader::new(packed));
            let grown = Grown { input: unpacked, bytes: 0, limits: *limits, packed: packed_bytes };
            plain(&mut BufReader::with_capacity(256 << 10, grown), name, give)
        }
        Ok(_) => plain(&mut input, name, give),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|source| give(Piece::Failed(failure(path, source))))
}

fn packed_bytes<R>(input: &MultiGzDecoder<BufReader<Counted<R>>>) -> u64 {
    input.get_ref().get_ref().count
}

/// Gives the blocks of a stream that is not packed any more.
pub(super) fn plain(input: &mut dyn BufRead, name: &str, give: &mut Give<'_>) -> io::Result<bool> {
    let is_evtx = name.trim_end_matches(".gz").to_ascii_lowercase().ends_with(".evtx");
    let start = input.fill_buf()?;
    let Some(kind) = kind(&start[..start.len().min(LOOK)], is_evtx) else {
        if start.is_empty() {
            return Ok(true);
        }
        return Ok(give(Piece::Failed(Error::LogFormat { path: name.into() })));
    };
    let mut cutter = Cutter::new(name, kind);
    match kind {
        Kind::Chunks => {
            cutter.header(input)?;
            cutter.chunks(input, 0, give)
        }
        Kind::Xml => cutter.xml(input, give),
        Kind::Lines => cutter.lines(input, give),
    }
}

/// What the beginning of a file is; one called `.evtx` is read as that even when its header is damaged.
fn kind(start: &[u8], is_evtx: bool) -> Option<Kind> {
    if start.starts_with(b"ElfFile\0") || is_evtx {
        return (!start.is_empty()).then_some(Kind::Chunks);
    }
    let bare = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    match bare {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', ..] | [0, b'<', ..] => Some(Kind::Xml),
        // The event viewer's own copy begins with the sign that it draws before an element.
        [b'-', b' ' | b'<', ..] => Some(Kind::Xml),
        [b'{' | b'[', ..] => Some(Kind::Lines),
        _ => None,
    }
}

/// The end of what is packed is no end of the log: what is missing has to be named.
fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::InvalidData, "the packed file is cut off")
        }
        _ => error,
    }
}

/// An error of reading as ours: what grew too much is named as that.
pub(super) fn failure(path: PathBuf, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::FileTooLarge {
        Error::LogGrows { path }
    } else {
        Error::ReadLog { path, source }
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// What is unpacked, as long as it does not grow beyond all measure.
pub(super) struct Grown<R, P> {
    pub(super) input: R,
    pub(super) bytes: u64,
    pub(super) limits: Limits,
    /// How much of the packed bytes was read for it.
    pub(super) packed: P,
}

impl<R: Read, P: Fn(&R) -> u64> Read for Grown<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer).map_err(cut_off)?;
        self.bytes += count as u64;
        let allowed = (self.packed)(&self.input).saturating_mul(self.limits.ratio);
        if self.bytes > allowed.max(self.limits.unpacked) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(count)
    }
}

impl Cutter {
    /// The name as blocks carry it.
    pub(super) fn named(name: &str) -> Arc<str> {
        Arc::from(name)
    }
}
