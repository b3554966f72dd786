//! Sound and film, programs, fonts, parts of git, and packages that are only framed.

use miniz_oxide::DataFormat;

use super::{Hold, be16, be32, exactly, inflate, le16, le32, le64};
use crate::content::Sample;

const PARTS_MAX: usize = 4096;

/// What `sample` claims to be by its first bytes, if it is one of these, and how it holds.
pub(in crate::content) fn other(sample: &Sample) -> Option<Hold> {
    let head = sample.head();
    let is = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(if is(b"\x7fELF") {
        elf(sample)
    } else if is(b"PACK\0\0\0") {
        git_pack(head)
    } else if is(b"DIRC\0\0\0") {
        Hold::framed(head.get(7).is_some_and(|version| (2..=4).contains(version)))
    } else if is(b"\xfftOc") {
        Hold::framed(ascends(head.get(8..1032).unwrap_or_default()))
    } else if is(b"OggS") {
        ogg(sample)
    } else if is(b"fLaC") {
        flac(head)
    } else if at(4, b"ftyp") || at(4, b"jP  \r\n") || at(4, b"moov") {
        boxes(sample)
    } else if is(b"\x1a\x45\xdf\xa3") {
        let start = head.get(..head.len().min(128)).unwrap_or_default();
        let named = |name: &[u8]| start.windows(name.len()).any(|window| window == name);
        Hold::framed((named(b"matroska") || named(b"webm")) && named(b"\x18\x53\x80\x67"))
    } else if is(b"\0\x01\0\0") && be16(head, 4).is_some_and(|tables| (4..64).contains(&tables))
        || is(b"OTTO")
    {
        font(sample)
    } else if is(b"wOF2") || is(b"wOFF") {
        Hold::framed(be32(head, 8).is_some_and(|len| u64::from(len).abs_diff(sample.len) < 4))
    } else if is(b"MSCF\0\0\0\0") {
        Hold::framed(le32(head, 8).is_some_and(|len| u64::from(len) <= sample.len))
    } else if is(b"Rar!\x1a\x07\x01\0") {
        Hold::framed(rar_header(head).unwrap_or(true))
    } else if is(b"!<arch>\n") {
        Hold::framed(at(66, b"`\n") || head.len() == 8)
    } else {
        return None;
    })
}

fn elf(sample: &Sample) -> Hold {
    let head = sample.head();
    let wide = match head.get(4..7) {
        Some([1, 1 | 2, 1]) => false,
        Some([2, 1 | 2, 1]) => true,
        _ => return Hold::Broken,
    };
    if head.get(5) == Some(&2) {
        return Hold::Framed;
    }
    let (sections, size, count) = if wide {
        (le64(head, 40), le16(head, 58), le16(head, 60))
    } else {
        (le32(head, 32).map(u64::from), le16(head, 46), le16(head, 48))
    };
    let (Some(sections), Some(size), Some(count)) = (sections, size, count) else { return Hold::Framed };
    let end = sections.saturating_add(u64::from(size) * u64::from(count));
    if end > sample.len || count > 0 && !matches!(size, 40 | 64) {
        return Hold::Broken;
    }
    // The first section is the empty one.
    let first = exactly(sample, sections, usize::from(size).min(24)).filter(|_| count > 0);
    Hold::framed(first.is_none_or(|first| first.iter().all(|&byte| byte == 0)))
}

/// The first object of a pack: its type and length, then a packed stream.
fn git_pack(head: &[u8]) -> Hold {
    let Some(&first) = head.get(12) else { return Hold::Framed };
    let len = head.get(12..).unwrap_or_default().iter().take_while(|&&byte| byte & 0x80 != 0).count() + 1;
    let base = match first >> 4 & 7 {
        1..=4 => 0,
        7 => 20,
        6 => 1,
        _ => return Hold::Broken,
    };
    let body = head.get(12 + len + base..).unwrap_or_default();
    Hold::framed(base == 1 || body.is_empty() || inflate::unpack(body, DataFormat::Zlib).is_some())
}

fn ascends(table: &[u8]) -> bool {
    let numbers: Vec<u32> = table.chunks_exact(4).filter_map(|four| be32(four, 0)).collect();
    numbers.is_sorted()
}

/// Pages along their lengths.
fn ogg(sample: &Sample) -> Hold {
    let mut at = 0u64;
    for _ in 0..PARTS_MAX {
        let bytes = sample.at(at);
        let Some(&segments) = bytes.get(26) else { break };
        if !bytes.starts_with(b"OggS\0") {
            return Hold::Broken;
        }
        let Some(table) = bytes.get(27..27 + usize::from(segments)) else { break };
        at += 27 + u64::from(segments) + table.iter().map(|&len| u64::from(len)).sum::<u64>();
    }
    Hold::Framed
}

/// The blocks of metadata, then the first frame's mark.
fn flac(head: &[u8]) -> Hold {
    let mut at = 4;
    for _ in 0..128 {
        let Some(block) = be32(head, at) else { return Hold::Framed };
        at += 4 + (block & 0xff_ffff) as usize;
        if block >> 24 & 0x7f > 6 {
            return Hold::Broken;
        }
        if block >> 31 == 1 {
            return Hold::framed(be16(head, at).is_none_or(|mark| mark & 0xfffc == 0xfff8));
        }
    }
    Hold::Broken
}

/// The boxes of MP4, QuickTime, HEIC and JPEG 2000 along their lengths.
fn boxes(sample: &Sample) -> Hold {
    let mut at = 0u64;
    for _ in 0..PARTS_MAX {
        let Some(header) = exactly(sample, at, 8) else { break };
        let Some(len) = be32(header, 0) else { break };
        if !header.iter().skip(4).all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9) {
            return Hold::Broken;
        }
        at = match len {
            0 => return Hold::Framed,
            1 => {
                let Some(wide) =
                    exactly(sample, at + 8, 8).and_then(|wide| Some((be32(wide, 0)?, be32(wide, 4)?)))
                else {
                    break;
                };
                at.saturating_add(u64::from(wide.0) << 32 | u64::from(wide.1))
            }
            2..=7 => return Hold::Broken,
            _ => at + u64::from(len),
        };
    }
    Hold::Framed
}

/// The directory of a font's tables.
fn font(sample: &Sample) -> Hold {
    let head = sample.head();
    let count = usize::from(be16(head, 4).unwrap_or(0));
    let tables = head.get(12..12 + 16 * count).unwrap_or_default().chunks_exact(16);
    let sound = tables.clone().all(|table| {
        let end = be32(table, 8).zip(be32(table, 12)).map(|(at, len)| u64::from(at) + u64::from(len));
        table.iter().take(4).all(|byte| (0x20..0x7f).contains(byte))
            && end.is_some_and(|end| end <= sample.len + 3)
    });
    Hold::framed(sound && tables.len() == count)
}

/// RAR 5: the first header's checksum.
fn rar_header(head: &[u8]) -> Option<bool> {
    let crc = le32(head, 8)?;
    let size = usize::from(*head.get(12)?);
    if size >= 0x80 {
        return None;
    }
    Some(crc32fast::hash(head.get(12..13 + size)?) == crc)
}
