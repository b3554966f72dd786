//! Packed streams, unpacked up to a bound.

use std::io::{BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use deflate64::Deflate64Decoder;
use lzma_rust2::{LzmaReader, XzReader, lzma_get_memory_usage_by_props};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// Memory that a dictionary may take, kibibytes.
pub(super) const DICTIONARY_KIB_MAX: u32 = 80 << 10;

/// How an unpacked stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// There was more than may be unpacked.
    Bound,
    Broken,
}

/// What came out of a packed stream.
pub(super) struct Unpacked {
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
    /// Packed bytes that it came from.
    pub(super) consumed: usize,
}

impl Unpacked {
    pub(super) fn broken() -> Self {
        Self { bytes: Vec::new(), end: End::Broken, consumed: 0 }
    }
}

/// Raw deflate.
pub(super) fn deflate(packed: &[u8], max: usize) -> Unpacked {
    inflated(packed, max, DataFormat::Raw)
}

/// Deflate in its zlib frame, whose checksum at the end may be missing.
pub(super) fn zlib(packed: &[u8], max: usize) -> Unpacked {
    inflated(packed, max, DataFormat::ZLibIgnoreChecksum)
}

fn inflated(packed: &[u8], max: usize, format: DataFormat) -> Unpacked {
    let mut state = InflateState::new_boxed(format);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 32 << 10];
    let mut consumed = 0;
    loop {
        let step =
            inflate(&mut state, packed.get(consumed..).unwrap_or_default(), &mut buffer, MZFlush::None);
        consumed += step.bytes_consumed;
        let fresh = buffer.get(..step.bytes_written).unwrap_or_default();
        let fits = fresh.len().min(max - bytes.len());
        bytes.extend(fresh.iter().take(fits));
        let end = match step.status {
            _ if fits < fresh.len() => End::Bound,
            Ok(MZStatus::StreamEnd) => End::Whole,
            Ok(_) if step.bytes_consumed + step.bytes_written > 0 => continue,
            Ok(_) | Err(MZError::Buf) | Err(_) => End::Broken,
        };
        return Unpacked { bytes, end, consumed };
    }
}

/// bzip2, also several streams.
pub(super) fn bzip2(packed: &[u8], max: usize) -> Unpacked {
    read(packed, max, |rest| Some(MultiBzDecoder::new(rest)))
}

pub(super) fn deflate64(packed: &[u8], max: usize) -> Unpacked {
    read(packed, max, |rest| Some(Deflate64Decoder::with_buffer(rest)))
}

pub(super) fn xz(packed: &[u8], max: usize) -> Unpacked {
    read(packed, max, |rest| Some(XzReader::new_mem_limit(rest, true, DICTIONARY_KIB_MAX)))
}

/// LZMA as a file of its own (`.lzma`).
pub(super) fn lzma(packed: &[u8], max: usize) -> Unpacked {
    read(packed, max, |rest| LzmaReader::new_mem_limit(rest, DICTIONARY_KIB_MAX, None).ok())
}

/// LZMA as ZIP holds it: version, length of the properties, properties, stream.
pub(super) fn zip_lzma(packed: &[u8], length: u64, max: usize) -> Unpacked {
    let (Some(&props), Some(dictionary)) = (packed.get(4), super::bytes::u32_le(packed, 5)) else {
        return Unpacked::broken();
    };
    if lzma_get_memory_usage_by_props(dictionary, props).is_ok_and(|kib| kib <= DICTIONARY_KIB_MAX) {
        let stream = packed.get(9..).unwrap_or_default();
        read(stream, max, |rest| LzmaReader::new_with_props(rest, length, props, dictionary, None).ok())
    } else {
        Unpacked { bytes: Vec::new(), end: End::Bound, consumed: 0 }
    }
}

fn read<'p, R: Read>(
    packed: &'p [u8],
    max: usize,
    decoder: impl FnOnce(Counted<'p>) -> Option<R>,
) -> Unpacked {
    let left = std::rc::Rc::new(std::cell::Cell::new(packed.len()));
    let Some(decoder) = decoder(Counted { rest: packed, left: left.clone() }) else {
        return Unpacked::broken();
    };
    let (bytes, end) = drain(decoder, max);
    Unpacked { bytes, end, consumed: packed.len() - left.get() }
}

/// Everything that a reader gives, up to a bound.
pub(super) fn drain(mut reader: impl Read, max: usize) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    // One more tells that there is more.
    match reader.by_ref().take((max as u64).saturating_add(1)).read_to_end(&mut bytes) {
        _ if bytes.len() > max => {
            bytes.truncate(max);
            (bytes, End::Bound)
        }
        Ok(_) => (bytes, End::Whole),
        Err(_) => (bytes, End::Broken),
    }
}

/// Bytes of which one can see afterwards how many were taken.
struct Counted<'p> {
    rest: &'p [u8],
    left: std::rc::Rc<std::cell::Cell<usize>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.rest.read(out)?;
        self.left.set(self.rest.len());
        Ok(read)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        // In steps, as decoders count what they were offered.
        Ok(self.rest.get(..self.rest.len().min(32 << 10)).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.rest = self.rest.get(amount..).unwrap_or_default();
        self.left.set(self.rest.len());
    }
}
