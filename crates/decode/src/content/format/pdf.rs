//! PDF (ISO 32000): header, trailer, cross references, and streams that unpack.

use std::ops::Range;

use memchr::memmem;
use miniz_oxide::DataFormat;

use super::{Hold, inflate};
use crate::content::Sample;

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
    let last = tail.get(tail.len().saturating_sub(8192)..).unwrap_or_default();
    if memmem::find(last, b"/Encrypt").is_some() {
        return Hold::Framed;
    }
    let (sound, broken) = streams(sample, changed);
    match (sound, broken) {
        (0, 0) => Hold::Framed,
        _ => Hold::opened(broken * 4 <= sound),
    }
}

/// `startxref` names a place, and there stands what it should.
fn has_cross_references(sample: &Sample, end: &[u8]) -> bool {
    let Some(at) = memmem::rfind(end, b"startxref") else { return end.is_empty() };
    let digits = end.get(at + 9..).unwrap_or_default().trim_ascii_start();
    let digits: Vec<u8> = digits.iter().copied().take_while(u8::is_ascii_digit).take(19).collect();
    let offset = String::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    let Some(offset) = offset else { return false };
    // Junk before the header moves everything by a few bytes, and readers forgive that.
    let there = sample.at(offset.saturating_sub(32));
    let there = there.get(..there.len().min(1024)).unwrap_or_default();
    there.is_empty() || memmem::find(there, b"xref").is_some() || memmem::find(there, b"obj").is_some()
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
