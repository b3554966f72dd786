//! RIFF: WebP and sound in WAVE files.

use std::slice;

use super::{Hold, exactly, le16, le32, samples};
use crate::content::Sample;

const CHUNKS_MAX: usize = 4096;

/// WebP in its RIFF container.
pub(in crate::content) fn webp(sample: &Sample) -> Hold {
    let head = sample.head();
    let first = match head.get(12..16) {
        Some(b"VP8 ") => head.get(23..26).is_none_or(|start| start == b"\x9d\x01\x2a"),
        Some(b"VP8L") => head.get(20).is_none_or(|&start| start == 0x2f),
        Some(b"VP8X") => true,
        Some(_) => false,
        None => true,
    };
    if first { riff(sample) } else { Hold::Broken }
}

/// RIFF: chunks along their lengths, up to where the file says it ends.
pub(in crate::content) fn riff(sample: &Sample) -> Hold {
    let Some(len) = le32(sample.head(), 4) else { return Hold::Framed };
    let is_wave = sample.head().get(8..12) == Some(b"WAVE");
    let mut is_stored = false;
    let mut at = 12u64;
    for _ in 0..CHUNKS_MAX {
        let Some(header) = exactly(sample, at, 8) else { break };
        let Some(size) = le32(header, 4) else { break };
        if !header.iter().take(4).all(|byte| (0x20..0x7f).contains(byte)) {
            return Hold::Broken;
        }
        let (body, name) = (at.saturating_add(8), header.get(..4));
        if is_wave && name == Some(b"fmt ") {
            is_stored = stores_samples(sample.at(body));
        }
        if is_stored && name == Some(b"data") {
            // Writers that stream leave the lengths open.
            let end =
                if matches!(size, 0 | u32::MAX) { sample.len } else { body.saturating_add(size.into()) };
            if samples::are_noise(sample, slice::from_ref(&(body..end)), |_| true) {
                return Hold::Broken;
            }
        }
        at = body.saturating_add(u64::from(size).next_multiple_of(2));
    }
    Hold::framed(at <= sample.len + 1 || len == 0 || len == u32::MAX)
}

/// Whether a sound's format is numbers as they are, whole or floating: what the others pack has the look of noise.
fn stores_samples(format: &[u8]) -> bool {
    let tag = match le16(format, 0) {
        // The extensible one has its tag further on.
        Some(0xfffe) => le16(format, 24),
        tag => tag,
    };
    matches!(tag, Some(1 | 3))
}
