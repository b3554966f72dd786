//! PDF (ISO 32000): header, trailer, cross references, and streams that unpack.

use std::ops::Range;

use memchr::memmem;
use miniz_oxide::DataFormat;

use super::{Hold, inflate};
use crate::content::Sample;

/// No trailer is longer.
const TRAILER_MAX: usize = 8192;
const STREAMS_MAX: usize = 24;
const STREAM_BYTES_MAX: usize = 128 * 1024;
const UNPACKED_MAX: u64 = 1024 * 1024;

/// Whether the parts of a PDF are where they say; streams in `changed` places are unpacked, else the first ones.
pub(in crate::content) fn pdf(sample: &Sample, changed: &[Range<u64>]) -> Hold {
    let tail = sample.tail();
    let end = tail.get(tail.len().saturating_sub(1100)..).unwrap_or_default();
    if !tail.is_empty() && memmem::rfind(end, b"%%EOF").is_none() {
        return Hold::Broken;
    }
    if !has_cross_references(sample, end) || !(has_objects(sample)) {
        return Hold::Broken;
    }
    if is_encrypted(sample, end) {
        return Hold::Sealed;
    }
    let (sound, broken) = streams(sample, changed);
    match (sound, broken) {
        (0, 0) => Hold::Framed,
        _ if broken * 4 <= sound => Hold::Opened,
        // Its trailer may be in a part that was not read.
        _ if sample.chunks.iter().any(|chunk| names_encryption(&chunk.bytes)) => Hold::Sealed,
        _ => Hold::Broken,
    }
}

/// Whether the trailer says that a password is needed (ISO 32000-2 §7.5.5, §7.6): at the end, or where `startxref` points, which may
/// be a stream of cross references and, in a file that is laid out for the web, stands near its start. That an empty password opens
/// some of these files cannot be told without trying it.
fn is_encrypted(sample: &Sample, end: &[u8]) -> bool {
    let tail = sample.tail();
    let tail = tail.get(tail.len().saturating_sub(TRAILER_MAX)..).unwrap_or_default();
    if memmem::rfind(tail, b"trailer").is_some_and(|at| names_encryption(tail.get(at..).unwrap_or_default()))
    {
        return true;
    }
    let Some(there) = cross_references(end).map(|at| sample.at(at)) else { return false };
    let dictionary = if there.trim_ascii_start().starts_with(b"xref") {
        memmem::find(there, b"trailer").and_then(|at| there.get(at..)).unwrap_or_default()
    } else {
        there
    };
    let dictionary = dictionary.get(..dictionary.len().min(TRAILER_MAX)).unwrap_or_default();
    let ends =
        [&b"startxref"[..], b"stream"].into_iter().filter_map(|end| memmem::find(dictionary, end)).min();
    names_encryption(dictionary.get(..ends.unwrap_or(dictionary.len())).unwrap_or_default())
}

/// Whether there is `/Encrypt` with the number of an object or a dictionary.
fn names_encryption(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"/Encrypt").any(|at| {
        let value = bytes.get(at + 8..).unwrap_or_default().trim_ascii_start();
        value.first().is_some_and(u8::is_ascii_digit) || value.starts_with(b"<<")
    })
}

/// `startxref` names a place, and there stands what it should.
fn has_cross_references(sample: &Sample, end: &[u8]) -> bool {
    if end.is_empty() {
        return true;
    }
    let Some(offset) = cross_references(end) else { return false };
    // Junk before the header moves everything by a few bytes, and readers forgive that.
    let there = sample.at(offset.saturating_sub(32));
    let there = there.get(..there.len().min(1024)).unwrap_or_default();
    there.is_empty() || memmem::find(there, b"xref").is_some() || memmem::find(there, b"obj").is_some()
}

/// Where `startxref` points.
fn cross_references(end: &[u8]) -> Option<u64> {
    let at = memmem::rfind(end, b"startxref")?;
    let digits = end.get(at + 9..)?.trim_ascii_start();
    let digits: Vec<u8> = digits.iter().copied().take_while(u8::is_ascii_digit).take(19).collect();
    String::from_utf8(digits).ok()?.parse().ok()
}

fn has_objects(sample: &Sample) -> bool {
    let head = sample.head();
    let head = head.get(..head.len().min(64 * 1024)).unwrap_or_default();
    memmem::find(head, b" obj").is_some() || (head.len() as u64) < sample.len && head.len() < 1024
}

/// How many packed streams unpack, and how many do not.
fn streams(sample: &Sample, changed: &[Range<u64>]) -> (usize, usize) {
    let (mut sound, mut broken, mut out) = (0, 0, 0);
    let within = |offset: u64, len: usize| {
        changed.is_empty() || changed.iter().any(|c| c.start < offset + len as u64 && c.end > offset)
    };
    for chunk in &sample.chunks {
        for at in memmem::find_iter(&chunk.bytes, b"stream") {
            if sound + broken >= STREAMS_MAX || out >= UNPACKED_MAX {
                return (sound, broken);
            }
            let Some(body) = packed_stream(&chunk.bytes, at) else { continue };
            if !within(chunk.offset + at as u64, body.len()) {
                continue;
            }
            match inflate::unpack(body, DataFormat::Zlib) {
                Some(inside) => {
                    out += inside.len;
                    sound += 1;
                }
                None => broken += 1,
            }
        }
    }
    (sound, broken)
}

/// The bytes of the stream whose keyword stands at `at`, when DEFLATE alone packed it.
fn packed_stream(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let before = bytes.get(at.saturating_sub(512)..at)?;
    if before.ends_with(b"end") {
        return None;
    }
    let dictionary = before.get(memmem::rfind(before, b"obj")?..)?;
    let filters = memmem::find_iter(dictionary, b"Decode").count();
    let parameters = memmem::find_iter(dictionary, b"DecodeParms").count();
    let is_packed = memmem::find(dictionary, b"/FlateDecode").is_some();
    // `/Decode` of an image is no filter.
    let others = memmem::find_iter(dictionary, b"/Decode").count().saturating_sub(parameters);
    if !is_packed || filters != 1 + parameters + others {
        return None;
    }
    let body = bytes.get(at + 6..)?;
    let body = body.strip_prefix(b"\r\n").or_else(|| body.strip_prefix(b"\n"))?;
    let end = memmem::find(body, b"endstream").unwrap_or(body.len());
    body.get(..end.min(STREAM_BYTES_MAX)).filter(|body| body.len() >= 8)
}
