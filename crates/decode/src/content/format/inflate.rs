//! Unpacking a bounded stretch of DEFLATE (RFC 1951), to see whether it unpacks.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// What is kept of the content.
const HEAD: usize = 32 * 1024;
/// At most this many bytes come out of one stream.
pub(in crate::content) const OUT_MAX: u64 = 2 * 1024 * 1024;

/// What came out of a stream.
#[derive(Debug)]
pub(in crate::content) struct Inflated {
    /// The first bytes of it.
    pub(in crate::content) head: Vec<u8>,
    /// All that came out.
    pub(in crate::content) len: u64,
    /// CRC-32 of it.
    pub(in crate::content) crc: u32,
    /// Where the stream ended in the input; `None` when the input or the bound came first.
    pub(in crate::content) end: Option<usize>,
}

/// Inflates; `None` when the bytes are no such stream.
pub(in crate::content) fn unpack(input: &[u8], format: DataFormat) -> Option<Inflated> {
    let mut state = InflateState::new_boxed(format);
    let mut found = Inflated { head: Vec::new(), len: 0, crc: 0, end: None };
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; HEAD];
    let mut used = 0;
    loop {
        let rest = input.get(used..).unwrap_or_default();
        let step = inflate(&mut state, rest, &mut buffer, MZFlush::None);
        let out = buffer.get(..step.bytes_written).unwrap_or_default();
        used += step.bytes_consumed;
        found.len += out.len() as u64;
        crc.update(out);
        let room = HEAD.saturating_sub(found.head.len()).min(out.len());
        found.head.extend_from_slice(out.get(..room).unwrap_or_default());
        match step.status {
            Ok(MZStatus::StreamEnd) => {
                found.end = Some(used);
                break;
            }
            Ok(_) if found.len < OUT_MAX && step.bytes_consumed + step.bytes_written > 0 => {}
            // The input ends before the stream does.
            Ok(_) | Err(MZError::Buf) => break,
            Err(_) => return None,
        }
    }
    found.crc = crc.finalize();
    Some(found)
}

impl Inflated {
    /// Whether the content is noise without a format: ciphertext that was packed to look like something.
    pub(in crate::content) fn is_noise(&self) -> bool {
        super::is_nameless_noise(&self.head)
    }
}
