//! The formats, one file each: whether what follows a signature is what the format demands.
//!
//! A sample rarely holds the whole file. Every check looks at what there is and passes over what was not read; a file that ends
//! in the midst of a part is one that is being written and still holds. Only bytes that contradict the format break it.

pub(super) mod archive;
pub(super) mod bmp;
pub(super) mod brotli;
pub(super) mod dicom;
pub(super) mod inflate;
pub(super) mod lzma;
pub(super) mod media;
pub(super) mod ole;
pub(super) mod packed;
pub(super) mod pdf;
pub(super) mod picture;
pub(super) mod riff;
pub(super) mod samples;
pub(super) mod sqlite;
pub(super) mod tiff;

use super::{Histogram, Kind, Sample};

/// How far a file keeps what its signature promises, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hold {
    /// What follows contradicts it.
    Broken,
    /// It holds together, and says itself that its content is encrypted.
    Sealed,
    /// Headers, lengths and checksums of the frame agree; the content was not looked into.
    Framed,
    /// The content was unpacked or walked and is sound.
    Opened,
}

impl Hold {
    pub(super) fn framed(sound: bool) -> Self {
        if sound { Hold::Framed } else { Hold::Broken }
    }

    pub(super) fn opened(sound: bool) -> Self {
        if sound { Hold::Opened } else { Hold::Broken }
    }
}

/// Numbers out of bytes that may be missing.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    be16(bytes, at).map(u16::swap_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Exactly `len` bytes at `offset`, where they were read.
pub(super) fn exactly(sample: &Sample, offset: u64, len: usize) -> Option<&[u8]> {
    sample.at(offset).get(..len)
}

/// Whether a content that was stored as it is is noise without a format: ciphertext wrapped up to look like something.
pub(super) fn is_nameless_noise(bytes: &[u8]) -> bool {
    let bytes = bytes.get(..bytes.len().min(32 * 1024)).unwrap_or_default();
    let mut histogram = Histogram::default();
    histogram.add(bytes.iter().copied());
    bytes.len() >= 256 && histogram.is_even() && Kind::signature_of(&Sample::whole(bytes)).is_none()
}
