//! What a sample holds together as, and how far that was seen to be true.

use std::ops::Range;

use super::format::{Hold, archive, dicom, media, ole, packed, pdf, picture, sqlite};
use super::{Kind, Sample, fields, text, written};

/// The format of a sample, and what speaks against taking it at its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    /// What it holds together as.
    pub kind: Kind,
    /// It begins as a known format does and what follows contradicts that.
    pub broken: bool,
    /// It says itself that its content is encrypted: a ZIP, 7z or office document with a password.
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
        } else {
            found.kind = Kind::Unknown;
        }
        found
    }
}

impl Kind {
    /// What the first bytes promise, kept or not.
    pub(super) fn signature_of(sample: &Sample) -> Option<Kind> {
        // A stretch without its file: only the start can be believed.
        let start = Sample { len: u64::MAX, chunks: sample.chunks.clone() };
        signature(&start, &[]).map(|(kind, _)| kind).or_else(|| text::is_text(sample).then_some(Kind::Text))
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

fn signature(sample: &Sample, changed: &[Range<u64>]) -> Option<(Kind, Hold)> {
    let head = sample.head();
    let is = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(if is(b"SQLite format 3\0") {
        (Kind::Sqlite, sqlite::sqlite(sample, changed))
    } else if is(b"%PDF-") {
        (Kind::Pdf, pdf::pdf(sample, changed))
    } else if is(b"PK\x03\x04") || is(b"PK\x05\x06") {
        (Kind::Zip, archive::zip(sample, changed))
    } else if is(b"\x89PNG\r\n\x1a\n") {
        (Kind::Image, picture::png(sample))
    } else if is(b"\xff\xd8\xff") {
        (Kind::Image, picture::jpeg(sample))
    } else if is(b"GIF87a") || is(b"GIF89a") {
        (Kind::Image, picture::gif(sample))
    } else if at(128, b"DICM") {
        // Before TIFF: its free first bytes may hold a TIFF header, for programs that know only that.
        (Kind::Dicom, dicom::dicom(sample))
    } else if is(b"II*\0") || is(b"MM\0*") {
        (Kind::Image, picture::tiff(sample))
    } else if is(b"RIFF") && at(8, b"WEBP") {
        (Kind::Image, picture::webp(sample))
    } else if is(b"BM") && at(6, b"\0\0\0\0") {
        (Kind::Image, picture::bmp(sample))
    } else if is(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        (Kind::Other, ole::ole(sample))
    } else if at(257, b"ustar") {
        (Kind::Other, archive::tar(sample))
    } else if let Some(hold) = packed(sample) {
        (Kind::Compressed, hold)
    } else {
        (Kind::Other, media::other(sample)?)
    })
}

fn packed(sample: &Sample) -> Option<Hold> {
    let head = sample.head();
    let is = |magic: &[u8]| head.starts_with(magic);
    Some(if is(b"\x1f\x8b\x08") {
        packed::gzip(sample)
    } else if is(b"BZh") {
        packed::bzip2(sample)
    } else if is(b"\xfd7zXZ\0") {
        packed::xz(sample)
    } else if is(b"\x28\xb5\x2f\xfd") {
        packed::zstd(sample)
    } else if is(b"\x04\x22\x4d\x18") {
        packed::lz4(sample)
    } else if is(b"7z\xbc\xaf\x27\x1c") {
        packed::seven_zip(sample)
    } else if head.first() == Some(&0x78)
        && head.get(1).is_some_and(|&flags| u16::from_be_bytes([0x78, flags]).is_multiple_of(31))
    {
        return packed::zlib(sample);
    } else {
        return None;
    })
}
