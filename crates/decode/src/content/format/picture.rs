//! Pictures whose points are packed: PNG, JPEG, GIF.

use miniz_oxide::DataFormat;

use super::{Hold, be16, be32, inflate};
use crate::content::Sample;

const CHUNKS_MAX: usize = 4096;
const PIXELS_MAX: usize = 256 * 1024;

/// PNG (ISO/IEC 15948): chunks with their checksums, and the pixels unpack to something that is no noise.
pub(in crate::content) fn png(sample: &Sample) -> Hold {
    let mut at = 8u64;
    let mut pixels = Vec::new();
    for number in 0..CHUNKS_MAX {
        let bytes = sample.at(at);
        let (Some(len), Some(name)) = (be32(bytes, 0), bytes.get(4..8)) else { break };
        let header_first = (name == b"IHDR") == (number == 0);
        if !header_first || len > i32::MAX as u32 || !name.iter().all(u8::is_ascii_alphabetic) {
            return Hold::Broken;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let named = bytes.get(4..8usize.saturating_add(len)).unwrap_or(bytes.get(4..).unwrap_or_default());
        if let Some(crc) = be32(bytes, 8usize.saturating_add(len))
            && crc32fast::hash(named) != crc
        {
            return Hold::Broken;
        }
        if name == b"IDAT" && pixels.len() < PIXELS_MAX {
            pixels.extend_from_slice(named.get(4..).unwrap_or_default());
        }
        if name == b"IEND" || named.len() < 4 + len {
            break;
        }
        at += 12 + len as u64;
    }
    if pixels.is_empty() {
        return Hold::Framed;
    }
    let inside = inflate::unpack(&pixels, DataFormat::Zlib);
    Hold::opened(inside.is_some_and(|inside| !inside.is_noise()))
}

/// JPEG (ITU-T T.81): segments up to the scan, and in the scan no marker that cannot be there.
pub(in crate::content) fn jpeg(sample: &Sample) -> Hold {
    let head = sample.head();
    let mut at = 2;
    let mut scanning = false;
    loop {
        if scanning {
            match scan_end(head.get(at..).unwrap_or_default()) {
                Some(len) => at += len,
                None => break,
            }
        }
        let (Some(0xff), Some(&marker)) = (head.get(at), head.get(at + 1)) else {
            return if at + 1 < head.len() { Hold::Broken } else { Hold::Framed };
        };
        match marker {
            0xff => {
                at += 1;
                continue;
            }
            0xd9 => return Hold::framed(scanning),
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            0x00..=0xbf | 0xd8 => return Hold::Broken,
            _ => {}
        }
        let Some(len) = be16(head, at + 2).map(usize::from) else { return Hold::Framed };
        if len < 2 || !segment_is_sound(marker, head.get(at + 4..at + 2 + len)) {
            return Hold::Broken;
        }
        at += 2 + len;
        scanning = marker == 0xda || scanning;
    }
    // The scan goes on behind what was read from the start: the rest may hold no impossible marker either.
    let beyond = sample.chunks.iter().skip(1);
    let sound = |bytes: &[u8]| {
        let impossible = |pair: &[u8]| pair[0] == 0xff && (0x02..=0xbf).contains(&pair[1]);
        !bytes.windows(2).any(impossible)
    };
    Hold::framed(
        beyond.take_while(|chunk| chunk.offset < sample.len / 10 * 9).all(|chunk| sound(&chunk.bytes)),
    )
}

/// Where the next marker that is no restart stands; `None` when the scan goes on to the end.
fn scan_end(scan: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(0xff, scan.get(from..)?) {
        let at = from + found;
        match scan.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => from = at + 2,
            0xff => from = at + 1,
            _ => return Some(at),
        }
    }
    None
}

/// What little a segment must keep to: the tables and the frame say how long they are themselves.
fn segment_is_sound(marker: u8, body: Option<&[u8]>) -> bool {
    let Some(body) = body else { return true };
    match marker {
        // Start of frame: precision, size, then three bytes for each component.
        0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
            body.get(5).is_some_and(|&parts| body.len() == 6 + 3 * usize::from(parts))
        }
        // Huffman tables: as many symbols as the sixteen counts add up to.
        0xc4 => {
            let mut rest = body;
            while let Some(counts) = rest.get(1..17) {
                let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
                match rest.get(17 + symbols..) {
                    Some(more) if rest[0] & 0xef <= 3 => rest = more,
                    _ => return false,
                }
            }
            rest.is_empty()
        }
        0xda => body.first().is_some_and(|&parts| body.len() == 4 + 2 * usize::from(parts)),
        _ => true,
    }
}

/// GIF: blocks along their lengths, and codes that the packed pixels can hold.
pub(in crate::content) fn gif(sample: &Sample) -> Hold {
    let head = sample.head();
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0usize };
    let mut at = 13 + head.get(10).map_or(0, |&flags| table(flags));
    for _ in 0..CHUNKS_MAX {
        let Some(&kind) = head.get(at) else { return Hold::Framed };
        at += 1;
        match kind {
            0x3b => return Hold::Opened,
            0x21 => at += 1,
            0x2c => {
                let Some(&flags) = head.get(at + 8) else { return Hold::Framed };
                at += 9 + table(flags);
                let Some(&width) = head.get(at) else { return Hold::Framed };
                at += 1;
                if !(2..=11).contains(&width) || !codes_are_sound(blocks(head, at), width) {
                    return Hold::Broken;
                }
            }
            _ => return Hold::Broken,
        }
        at += blocks(head, at).map(|block| block.len() + 1).sum::<usize>() + 1;
    }
    Hold::Framed
}

/// The blocks from `at` on, up to the empty one that ends them.
fn blocks(bytes: &[u8], mut at: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::from(*bytes.get(at)?);
        let block = bytes.get(at + 1..at + 1 + len).filter(|block| !block.is_empty())?;
        at += 1 + len;
        Some(block)
    })
}

/// LZW: no code may be ahead of what was told so far.
fn codes_are_sound<'a>(blocks: impl Iterator<Item = &'a [u8]>, width_min: u8) -> bool {
    let clear = 1u32 << width_min;
    let (mut next, mut width, mut first) = (clear + 2, u32::from(width_min) + 1, true);
    let (mut bits, mut held) = (0u32, 0u32);
    for &byte in blocks.flatten() {
        bits |= u32::from(byte) << held;
        held += 8;
        while held >= width {
            let code = bits & ((1 << width) - 1);
            bits >>= width;
            held -= width;
            if code == clear {
                (next, width, first) = (clear + 2, u32::from(width_min) + 1, true);
                continue;
            }
            if code == clear + 1 {
                return true;
            }
            if code > next || (first && code >= clear) {
                return false;
            }
            if !first && next < 4096 {
                next += 1;
            }
            first = false;
            if next == 1 << width && width < 12 {
                width += 1;
            }
        }
    }
    true
}
