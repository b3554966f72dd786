//! A stream is cut into blocks where a record ends.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use decode::evtx::{CHUNK_LEN, HEADER_LEN, Header, TEXT_MAX};
use encoding_rs::{CoderResult, Decoder, UTF_8, UTF_16BE, UTF_16LE};
use flate2::Crc;

use super::{Block, Give, Kind, Piece};
use crate::Error;

/// Chunks of a block.
const CHUNKS: usize = 16;
/// What of a chunk's header is checked.
pub(super) const CHUNK_HEADER_LEN: usize = 512;
/// No record is shorter.
const RECORD_LEN_MIN: u64 = 24;
const IS_DIRTY: u8 = 1;
const HAS_NO_CHECKSUM: u8 = 4;
/// Bytes of text after which a block ends.
const TEXT: usize = 1 << 20;
const END: &str = "</Event>";

/// Cuts one file.
pub(super) struct Cutter {
    name: Arc<str>,
    kind: Kind,
    in_use: u64,
}

impl Cutter {
    pub(super) fn new(name: &str, kind: Kind) -> Cutter {
        Cutter { name: Cutter::named(name), kind, in_use: u64::MAX }
    }

    fn block(&self, first: u64, bytes: Vec<u8>) -> Piece {
        let (name, kind, in_use) = (Arc::clone(&self.name), self.kind, self.in_use);
        Piece::Block(Block { name, kind, first, in_use, after: 0, last: None, bytes })
    }

    /// Reads what lies before the chunks. A damaged one says nothing, and nothing is lost by that.
    pub(super) fn header(&mut self, input: &mut (impl Read + ?Sized)) -> io::Result<()> {
        let mut header = Vec::with_capacity(HEADER_LEN);
        input.take(HEADER_LEN as u64).read_to_end(&mut header)?;
        self.in_use = Header::read(&header).map_or(u64::MAX, |header| u64::from(header.chunks));
        // More chunks than the header has room to count.
        if self.in_use == u64::from(u16::MAX) {
            self.in_use = u64::MAX;
        }
        Ok(())
    }

    /// Gives chunks, some at a time; `first` is the number of the first.
    pub(super) fn chunks(
        &mut self,
        input: &mut (impl Read + ?Sized),
        first: u64,
        give: &mut Give<'_>,
    ) -> io::Result<bool> {
        let mut first = first;
        loop {
            let mut bytes = Vec::with_capacity(CHUNKS * CHUNK_LEN);
            let outcome = input.take((CHUNKS * CHUNK_LEN) as u64).read_to_end(&mut bytes);
            let count = bytes.len();
            // What was read before a packed file broke off is read all the same.
            if count > 0 && !give(self.block(first, bytes)) {
                return Ok(false);
            }
            outcome?;
            if count < CHUNKS * CHUNK_LEN {
                return Ok(true);
            }
            first += CHUNKS as u64;
        }
    }

    /// Gives lines, some at a time.
    pub(super) fn lines(
        &mut self,
        input: &mut (impl BufRead + ?Sized),
        give: &mut Give<'_>,
    ) -> io::Result<bool> {
        let (mut first, mut next) = (1, 1);
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            let outcome = input.take(TEXT_MAX as u64 + 1).read_until(b'\n', &mut bytes);
            let count = bytes.len() - before;
            next += 1;
            if count > TEXT_MAX {
                bytes.truncate(before);
                if !give(Piece::Failed(Error::LogRecordTooLong { name: self.name.to_string(), at: next - 1 }))
                {
                    return Ok(false);
                }
                skip_line(input)?;
                // Its number is not another's.
                bytes.push(b'\n');
            }
            let is_end = count == 0 || outcome.is_err();
            if (bytes.len() >= TEXT || is_end) && !bytes.is_empty() {
                if !give(self.block(first, std::mem::take(&mut bytes))) {
                    return Ok(false);
                }
                first = next;
            }
            outcome?;
            if is_end {
                return Ok(true);
            }
        }
    }

    /// Gives XML, some records at a time, as UTF-8.
    pub(super) fn xml(
        &mut self,
        input: &mut (impl BufRead + ?Sized),
        give: &mut Give<'_>,
    ) -> io::Result<bool> {
        let start = input.fill_buf()?;
        let mut decoder = match start {
            [0xff, 0xfe, ..] | [b'<', 0, ..] => UTF_16LE,
            [0xfe, 0xff, ..] | [0, b'<', ..] => UTF_16BE,
            _ => UTF_8,
        }
        .new_decoder_with_bom_removal();
        let (mut text, mut number) = (String::new(), 1);
        loop {
            let read = input.fill_buf();
            let (count, failure) = match read {
                Ok(bytes) => {
                    decoded(&mut decoder, bytes, &mut text);
                    (bytes.len(), None)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => (0, Some(error)),
            };
            input.consume(count);
            let is_end = count == 0;
            if text.len() >= TEXT || is_end {
                let end = if is_end { Some(text.len()) } else { text.rfind(END).map(|at| at + END.len()) };
                match end {
                    Some(end) if !text[..end].trim().is_empty() => {
                        let rest = text.split_off(end);
                        let block = std::mem::replace(&mut text, rest).into_bytes();
                        if !give(self.block(number, block)) {
                            return Ok(false);
                        }
                        number += 1;
                    }
                    None if text.len() > TEXT_MAX => {
                        text.clear();
                        if !give(Piece::Failed(Error::LogRecordTooLong {
                            name: self.name.to_string(),
                            at: number,
                        })) {
                            return Ok(false);
                        }
                    }
                    _ => {}
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
            if is_end {
                return Ok(true);
            }
        }
    }
}

fn decoded(decoder: &mut Decoder, mut bytes: &[u8], text: &mut String) {
    let is_last = bytes.is_empty();
    loop {
        text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len()).max(16));
        let (result, read, _) = decoder.decode_to_string(bytes, text, is_last);
        bytes = &bytes[read..];
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

/// Reads on to the next line without keeping any of this one.
fn skip_line(input: &mut (impl BufRead + ?Sized)) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(bytes.len(), |end| end + 1);
        let is_end = bytes.is_empty() || end.is_some();
        input.consume(count);
        if is_end {
            return Ok(());
        }
    }
}

/// Numbers of a chunk's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) first: u64,
    pub(super) last: u64,
    /// The header's checksum is right; the chunk that is being written may do without.
    pub(super) is_sealed: bool,
}

/// What a chunk's header says; `None` when it is none, or damaged.
pub(super) fn numbers(header: &[u8; CHUNK_HEADER_LEN]) -> Option<Numbers> {
    let number = |at: usize| header[at..at + 8].try_into().ok().map(u64::from_le_bytes);
    let (first, last) = (number(24)?, number(32)?);
    let mut sum = Crc::new();
    sum.update(&header[..120]);
    sum.update(&header[128..]);
    let is_sealed = sum.sum().to_le_bytes() == header[124..128];
    let is_open = header[120] & (IS_DIRTY | HAS_NO_CHECKSUM) != 0;
    let is_possible = first <= last && last - first < CHUNK_LEN as u64 / RECORD_LEN_MIN;
    let is_one = header.starts_with(b"ElfChnk\0") && is_possible && (is_sealed || is_open);
    is_one.then_some(Numbers { first, last, is_sealed })
}
