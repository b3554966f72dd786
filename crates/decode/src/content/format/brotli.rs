//! Brotli, RFC 7932. It has no signature and no checksum: only what comes out of it tells.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::is_nameless_noise;
use crate::content::Sample;

const OUT_MAX: usize = 1024 * 1024;
const BUFFER: usize = 64 * 1024;
/// So much has to come out of a whole file,
const WHOLE_MIN: usize = 64;
/// so much of one whose end was not seen.
const PART_MIN: usize = 64 * 1024;
/// Shorter contents are too few to see noise in, so that they have to have been packed.
const SHORT: usize = 256;

/// Whether a sample unpacks to something that is no noise.
pub(in crate::content) fn is_brotli(sample: &Sample) -> bool {
    let head = sample.head();
    let is_whole = head.len() as u64 == sample.len;
    let Some(content) = unpack(head) else { return false };
    let is_enough = match content.end {
        Some(end) => {
            is_whole
                && end == head.len()
                && content.len >= WHOLE_MIN
                && (content.len >= SHORT || content.len > end)
        }
        None => content.len >= if is_whole { OUT_MAX } else { PART_MIN },
    };
    is_enough && !is_nameless_noise(&content.head)
}

struct Content {
    /// The first bytes.
    head: Vec<u8>,
    /// All that came out.
    len: usize,
    /// Where the stream ended; `None` when the input or the bound came first.
    end: Option<usize>,
}

/// Unpacks; `None` when the bytes are no such stream.
fn unpack(input: &[u8]) -> Option<Content> {
    // Strict: no windows beyond the 16 MiB of the RFC.
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut buffer = vec![0; BUFFER];
    let mut content = Content { head: Vec::new(), len: 0, end: None };
    let (mut left, mut used, mut total) = (input.len(), 0, 0);
    loop {
        let (mut room, mut written) = (BUFFER, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            input,
            &mut room,
            &mut written,
            &mut buffer,
            &mut total,
            &mut state,
        );
        if content.len == 0 {
            content.head = buffer.get(..written.min(BUFFER / 2))?.to_vec();
        }
        content.len += written;
        match result {
            BrotliResult::ResultSuccess => {
                content.end = Some(used);
                break;
            }
            BrotliResult::NeedsMoreOutput if written > 0 && content.len < OUT_MAX => {}
            BrotliResult::NeedsMoreOutput | BrotliResult::NeedsMoreInput => break,
            BrotliResult::ResultFailure => return None,
        }
    }
    Some(content)
}
