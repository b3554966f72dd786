//! What a sample holds together as, and how far that was seen to be true.

use std::ops::Range;

use super::format::{
    Hold, archive, bmp, brotli, dicom, lzma, media, ole, packed, pdf, picture, riff, sqlite, tiff,
};
use super::{Kind, Sample, fields, text, written};

/// The format of a sample, and what speaks against taking it at its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    /// What it holds together as.
    pub kind: Kind,
    /// It begins as a known format does and what follows contradicts that.
    pub broken: bool,
    /// It says itself that its content is encrypted: a ZIP, 7z, PDF or office document with a password.
    pub sealed: bool,
    /// Its content was unpacked or walked, not only its frame.
    pub opened: bool,
    /// A text that spells noise, and no document: base64, hexadecimal, base85, uuencode or an alphabet of one's own.
    pub spells_noise: bool,
}

impl Structure {
    /// Of a sample. Where `changed` names places, formats with many parts are looked at there first.
    pub fn of(sample: &Sample, changed: &[Range<u64>]) -> Self {
        let mut found =
            Self { kind: Kind::Empty, broken: false, sealed: false, opened: false, spells_noise: false };
        if sample.len == 0 {
            return found;
        }
        if let Some((kind, hold)) = signature(sample, changed) {
            found.kind = if hold == Hold::Broken { Kind::Unknown } else { kind };
            found.broken = hold == Hold::Broken;
            found.sealed = hold == Hold::Sealed;
            found.opened = hold == Hold::Opened;
        } else if text::is_text(sample) {
            found.kind = text_kind(sample.head());
            found.opened = true;
            found.spells_noise = written::spells_noise(sample) && !fields::carry_document(sample);
        } else if brotli::is_brotli(sample) {
            // Last, as nothing in its first bytes tells it from noise.
            found.kind = Kind::Compressed;
            found.opened = true;
        } else {
            found.kind = Kind::Unknown;
        }
        found
    }
}

impl Kind {
    /// What the first bytes promise, kept or not. No content is looked for noise here: a wrapper in a wrapper in a wrapper would be
    /// followed as deep as its maker likes.
    pub(super) fn signature_of(sample: &Sample) -> Option<Kind> {
        // A stretch without its file: only the start can be believed.
        let start = Sample { len: u64::MAX, chunks: sample.chunks.clone() };
        if let Some((kind, _)) = marked(&start) {
            Some(kind)
        } else if packed::zlib_content(&start).is_some() || lzma::lzma_content(&start).is_some() {
            Some(Kind::Compressed)
        } else if media::other(&start).is_some() {
            Some(Kind::Other)
        } else {
            text::is_text(sample).then_some(Kind::Text)
        }
    }
}

fn text_kind(head: &[u8]) -> Kind {
    let start = head.trim_ascii_start();
    if ["MSH|", "FHS|", "BHS|", "\u{b}MSH|"].iter().any(|first| head.starts_with(first.as_bytes())) {
        Kind::Hl7
    } else if start.starts_with(b"<") || start.starts_with(b"{") || start.starts_with(b"[") {
        Kind::Markup
    } else {
        Kind::Text
    }
}

/// How a format is held against its rules.
type Check = fn(&Sample, &[Range<u64>]) -> Hold;

fn signature(sample: &Sample, changed: &[Range<u64>]) -> Option<(Kind, Hold)> {
    if let Some((kind, check)) = marked(sample) {
        Some((kind, check(sample, changed)))
    } else if let Some(hold) = packed::zlib(sample).or_else(|| lzma::lzma(sample)) {
        Some((Kind::Compressed, hold))
    } else {
        Some((Kind::Other, media::other(sample)?))
    }
}

/// The format whose mark stands at the start, with its check. Whoever wants only the name does not run that.
fn marked(sample: &Sample) -> Option<(Kind, Check)> {
    let head = sample.head();
    let is = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let found: (Kind, Check) = if is(b"SQLite format 3\0") {
        (Kind::Sqlite, sqlite::sqlite)
    } else if is(b"%PDF-") {
        (Kind::Pdf, pdf::pdf)
    } else if is(b"PK\x03\x04") || is(b"PK\x05\x06") {
        (Kind::Zip, archive::zip)
    } else if is(b"\x89PNG\r\n\x1a\n") {
        (Kind::Image, |sample, _| picture::png(sample))
    } else if is(b"\xff\xd8\xff") {
        (Kind::Image, |sample, _| picture::jpeg(sample))
    } else if is(b"GIF87a") || is(b"GIF89a") {
        (Kind::Image, |sample, _| picture::gif(sample))
    } else if at(128, b"DICM") {
        // Before TIFF: its free first bytes may hold a TIFF header, for programs that know only that.
        (Kind::Dicom, |sample, _| dicom::dicom(sample))
    } else if is(b"II*\0") || is(b"MM\0*") {
        (Kind::Image, |sample, _| tiff::tiff(sample))
    } else if is(b"RIFF") && at(8, b"WEBP") {
        (Kind::Image, |sample, _| riff::webp(sample))
    } else if is(b"BM") && at(6, b"\0\0\0\0") {
        (Kind::Image, |sample, _| bmp::bmp(sample))
    } else if is(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        (Kind::Other, |sample, _| ole::ole(sample))
    } else if at(257, b"ustar") {
        (Kind::Other, |sample, _| archive::tar(sample))
    } else if is(b"RIFF") {
        (Kind::Other, |sample, _| riff::riff(sample))
    } else {
        (Kind::Compressed, packed(head)?)
    };
    Some(found)
}

fn packed(head: &[u8]) -> Option<Check> {
    let is = |magic: &[u8]| head.starts_with(magic);
    let check: Check = if is(b"\x1f\x8b\x08") {
        |sample, _| packed::gzip(sample)
    } else if is(b"BZh") {
        |sample, _| packed::bzip2(sample)
    } else if is(b"\xfd7zXZ\0") {
        |sample, _| packed::xz(sample)
    } else if is(b"\x28\xb5\x2f\xfd") {
        |sample, _| packed::zstd(sample)
    } else if is(b"\x04\x22\x4d\x18") {
        |sample, _| packed::lz4(sample)
    } else if is(b"7z\xbc\xaf\x27\x1c") {
        |sample, _| packed::seven_zip(sample)
    } else {
        return None;
    };
    Some(check)
}
