//! DICOM files (PS3.10): the group of file information, then elements in ascending order.

use std::ops::Range;

use memchr::memmem;
use miniz_oxide::DataFormat;

use super::{Hold, be32, inflate, le16, le32, samples};
use crate::content::Sample;

const ELEMENTS_MAX: usize = 512;
const PIXELS: (u16, u16) = (0x7fe0, 0x0010);
const OPEN: u32 = u32::MAX;
/// Behind sequences of open length the points are looked for at so many places: icons have some as well.
const PLACES_MAX: usize = 8;

/// Elements in order, with known representations, within the file; points that are stored as they are are no noise.
pub(in crate::content) fn dicom(sample: &Sample) -> Hold {
    let bytes = sample.head();
    let mut at = 132;
    let mut syntax: &[u8] = b"1.2.840.10008.1.2.1";
    let mut last = (0, 0);
    // The file information always spells its representations out.
    while let Some(element) = Element::explicit(bytes, at) {
        if element.tag.0 != 2 {
            break;
        }
        if !element.known || element.tag < last || element.len == OPEN {
            return Hold::Broken;
        }
        last = element.tag;
        let value = element.value(bytes);
        if element.tag == (2, 0x10) {
            syntax = value.unwrap_or_default();
        }
        at = element.end();
    }
    let syntax = syntax.strip_suffix(b"\0").unwrap_or(syntax);
    match syntax.strip_prefix(b"1.2.840.10008.1.2") {
        Some(b"") => stored(sample, at, elements(sample, at, Element::implicit), &IMPLICIT),
        Some(b".1.99") => {
            let packed = bytes.get(at..).unwrap_or_default();
            Hold::opened(inflate::unpack(packed, DataFormat::Raw).is_some())
        }
        Some(b".1") => stored(sample, at, elements(sample, at, Element::explicit), &EXPLICIT),
        // Big-endian, retired: only its points are looked at.
        Some(b".2") => stored(sample, at, Hold::Framed, &BIG_ENDIAN),
        _ => elements(sample, at, Element::explicit),
    }
}

/// How the element of the points begins: its tag, its representation, and the number that says how long it is.
struct Points {
    marks: &'static [&'static [u8]],
    len: fn(&[u8], usize) -> Option<u32>,
}

const IMPLICIT: Points = Points { marks: &[b"\xe0\x7f\x10\x00"], len: le32 };
const EXPLICIT: Points = Points { marks: &[b"\xe0\x7f\x10\x00OW\0\0", b"\xe0\x7f\x10\x00OB\0\0"], len: le32 };
const BIG_ENDIAN: Points =
    Points { marks: &[b"\x7f\xe0\x00\x10OW\0\0", b"\x7f\xe0\x00\x10OB\0\0"], len: be32 };

/// The verdict on a data set from `at` on whose points are stored as they are: noise breaks it. They are searched for, as the
/// sequences before them need not say how long they are.
fn stored(sample: &Sample, at: usize, hold: Hold, points: &Points) -> Hold {
    let bytes = sample.head();
    let is_noise = |start: usize, mark: &[u8]| {
        let body = (start + mark.len() + 4) as u64;
        let len = (points.len)(bytes, start + mark.len()).filter(|&len| len != OPEN);
        len.is_some_and(|len| {
            let place: Range<u64> = body..body + u64::from(len);
            samples::are_noise(sample, &[place], |_| true)
        })
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let has_noise = points.marks.iter().any(|mark| {
        memmem::find_iter(rest, mark).take(PLACES_MAX).any(|start| is_noise(at.saturating_add(start), mark))
    });
    if has_noise { Hold::Broken } else { hold }
}

fn elements(sample: &Sample, mut at: usize, read: fn(&[u8], usize) -> Option<Element>) -> Hold {
    let bytes = sample.head();
    let mut last = (0, 0);
    for _ in 0..ELEMENTS_MAX {
        let Some(element) = read(bytes, at) else { break };
        if !element.known || element.tag < last || element.tag.0 < 4 {
            return Hold::Broken;
        }
        if element.tag >= PIXELS || element.len == OPEN {
            break;
        }
        if element.end() as u64 > sample.len {
            // It ends beyond the file: one that is still written, unless the lengths are no lengths.
            return Hold::framed(u64::from(element.len) < 1 << 28);
        }
        last = element.tag;
        at = element.end();
    }
    Hold::Framed
}

struct Element {
    tag: (u16, u16),
    /// Its representation is one of the standard's.
    known: bool,
    start: usize,
    len: u32,
}

impl Element {
    fn explicit(bytes: &[u8], at: usize) -> Option<Self> {
        let tag = (le16(bytes, at)?, le16(bytes, at + 2)?);
        let representation = bytes.get(at + 4..at + 6)?;
        let (start, len) = match representation {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
            | b"UV" => (at + 12, le32(bytes, at + 8)?),
            _ => (at + 8, u32::from(le16(bytes, at + 6)?)),
        };
        let short: [&[u8; 2]; 21] = [
            b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH",
            b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
        ];
        let known = start == at + 12 || short.iter().any(|name| name.as_slice() == representation);
        Some(Self { tag, known, start, len })
    }

    fn implicit(bytes: &[u8], at: usize) -> Option<Self> {
        let tag = (le16(bytes, at)?, le16(bytes, at + 2)?);
        Some(Self { tag, known: true, start: at + 8, len: le32(bytes, at + 4)? })
    }

    fn end(&self) -> usize {
        self.start.saturating_add(usize::try_from(self.len).unwrap_or(usize::MAX))
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(self.start..self.end())
    }
}
