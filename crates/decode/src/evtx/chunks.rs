//! Chunks of an EVTX file.
//!
//! The format's reader is the `evtx` crate, which gives a record as JSON bytes (there is no public tree); these are read as a stream
//! straight into the record's buffer, without a tree of our own. Chunks are independent of each other, so that a log of many
//! gigabytes is read some of them at a time, and one that cannot be read takes nothing with it.

use std::io::Cursor;
use std::ops::ControlFlow;

use ::evtx::EvtxParser;
use ::evtx::err::EvtxError;
use schema::LogRecord;

use super::{Damage, EvtxFault, Reader, json};

/// Length of a chunk.
pub const CHUNK_LEN: usize = 1 << 16;
/// Length of what lies before the first chunk of a file.
pub const HEADER_LEN: usize = 4096;

const FILE_MAGIC: &[u8; 8] = b"ElfFile\0";
const CHUNK_MAGIC: &[u8; 8] = b"ElfChnk\0";
/// Where a chunk's records begin.
const CHUNK_HEADER_LEN: usize = 512;
const IS_DIRTY: u32 = 1;
const HAS_NO_CHECKSUM: u32 = 4;

/// What a file says of itself in its first 4,096 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Chunks that were in use when it was last written.
    pub chunks: u16,
    /// Number that the next record was to get.
    pub next_record: u64,
    /// The log was open when the file was taken: the header and the last chunk's checksums may be behind.
    pub is_dirty: bool,
    /// Whether its checksum is right.
    pub is_intact: bool,
}

impl Header {
    /// Reads it; `None` when these bytes are no EVTX file's beginning.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..128).filter(|header| header.starts_with(FILE_MAGIC))?;
        let flags = u32_at(header, 120);
        Some(Header {
            chunks: u16::from_le_bytes([header[42], header[43]]),
            next_record: u64::from(u32_at(header, 24)) | u64::from(u32_at(header, 28)) << 32,
            is_dirty: flags & IS_DIRTY != 0,
            is_intact: flags & HAS_NO_CHECKSUM != 0 || crc32fast::hash(&header[..120]) == u32_at(header, 124),
        })
    }
}

/// What a reader finds.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record.
    Record(&'a LogRecord),
    /// Something that could not be read as it was meant.
    Damage(&'a Damage),
}

impl Reader {
    /// Gives all records of some chunks to `take`, in the order of their numbers, until it wants no more; the last chunk may be cut off.
    /// `first` is the number of the first of them in its file.
    pub fn chunks(
        &mut self,
        bytes: &[u8],
        first: u64,
        record: &mut LogRecord,
        mut take: impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for (number, chunk) in (first..).zip(bytes.chunks(CHUNK_LEN)) {
            if let Some(damage) = checked(chunk, number) {
                take(Item::Damage(&damage))?;
            }
        }
        self.frame(bytes);
        let Ok(mut parser) = EvtxParser::from_read_seek(Cursor::new(&self.buffer[..])) else {
            return ControlFlow::Continue(());
        };
        for found in parser.records_json_bytes() {
            let fault = match found {
                Ok(found) => {
                    record.clear();
                    record.at = found.timestamp.as_microsecond();
                    record.number = found.event_record_id;
                    match json::event(&mut self.flat, &found.data, record) {
                        Ok(()) => {
                            record.number = found.event_record_id;
                            take(Item::Record(record))?;
                            continue;
                        }
                        Err(fault) => unreadable(first, found.event_record_id, &fault),
                    }
                }
                Err(error) => damaged(first, &error),
            };
            take(Item::Damage(&fault))?;
        }
        ControlFlow::Continue(())
    }

    /// Puts the chunks behind the header that the format's reader wants to see, and fills the last one up. A file's own header is not
    /// needed for anything, and it may be damaged.
    fn frame(&mut self, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.resize(HEADER_LEN, 0);
        self.buffer[..8].copy_from_slice(FILE_MAGIC);
        self.buffer[40..42].copy_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        self.buffer[120..124].copy_from_slice(&HAS_NO_CHECKSUM.to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        let filled = HEADER_LEN + bytes.len().next_multiple_of(CHUNK_LEN);
        self.buffer.resize(filled, 0);
    }
}

/// What can be seen of a chunk's damage without reading its records: that it was cut off or changed afterwards. Such a chunk is read all
/// the same. One without the mark of a chunk is named by the format's reader.
fn checked(chunk: &[u8], number: u64) -> Option<Damage> {
    if chunk.len() < CHUNK_LEN {
        let what = format!("cut off after {} of {CHUNK_LEN} bytes", chunk.len());
        return chunk.iter().any(|byte| *byte != 0).then(|| Damage::new(number, None, true, what));
    }
    let flags = u32_at(chunk, 120);
    // A log that was open when it was copied has not written the sums of its last chunk yet.
    if !chunk.starts_with(CHUNK_MAGIC) || flags & (IS_DIRTY | HAS_NO_CHECKSUM) != 0 {
        return None;
    }
    let mut header = crc32fast::Hasher::new();
    header.update(&chunk[..120]);
    header.update(&chunk[128..CHUNK_HEADER_LEN]);
    let records = chunk.get(CHUNK_HEADER_LEN..u32_at(chunk, 48) as usize).unwrap_or_default();
    let what = match (header.finalize() == u32_at(chunk, 124), crc32fast::hash(records) == u32_at(chunk, 52))
    {
        (true, true) => return None,
        (false, _) => "the checksum of the chunk's header is wrong; read all the same",
        (true, false) => "the checksum of the chunk's records is wrong; read all the same",
    };
    Some(Damage::new(number, None, false, what.to_owned()))
}

fn unreadable(first: u64, record: u64, fault: &EvtxFault) -> Damage {
    Damage::new(first, Some(record), true, fault.to_string())
}

fn damaged(first: u64, error: &EvtxError) -> Damage {
    let (chunk, record) = match error {
        EvtxError::FailedToParseChunk { chunk_id, .. } => (*chunk_id, None),
        EvtxError::FailedToReadRecordAt { chunk, .. } => (chunk.unwrap_or_default(), None),
        EvtxError::FailedToParseRecord { record_id, .. } => (0, Some(*record_id)),
        _ => (0, None),
    };
    Damage::new(first + chunk, record, true, chain(error))
}

/// An error with its causes, on one line.
fn chain(error: &EvtxError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}

/// The little-endian number there, which the caller knows to be there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}
