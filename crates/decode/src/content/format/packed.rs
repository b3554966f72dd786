//! One stream, packed: gzip, zlib, xz, zstd, bzip2, lz4, 7z.
//!
//! DEFLATE is unpacked. The others are walked along their own lengths and checksums: noise behind a header does not keep them.

use miniz_oxide::DataFormat;

use super::inflate::Inflated;
use super::{Hold, be32, exactly, inflate, is_nameless_noise, le16, le32, le64};
use crate::content::Sample;

/// At most this many blocks are followed.
const BLOCKS_MAX: usize = 4096;

/// gzip, RFC 1952.
pub(in crate::content) fn gzip(sample: &Sample) -> Hold {
    let head = sample.head();
    let flags = head.get(3).copied().unwrap_or(0);
    if flags & 0xe0 != 0 || head.get(2) != Some(&8) {
        return Hold::Broken;
    }
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(le16(head, at).unwrap_or(0));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let text = head.get(at..).unwrap_or_default();
            at += text.iter().position(|&byte| byte == 0).map_or(text.len(), |end| end + 1);
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    let body = head.get(at..).unwrap_or_default();
    let Some(inside) = inflate::unpack(body, DataFormat::Raw) else { return Hold::Broken };
    // Its codes decode, and so does noise by chance, but then its end is never reached. It may be in the midst of being written, too.
    let is_all = head.len() as u64 == sample.len;
    if is_all && inside.end.is_none() && inside.len < inflate::OUT_MAX {
        return Hold::framed(!inside.is_noise());
    }
    let trailer = inside.end.and_then(|end| body.get(end..));
    let (crc, len) = trailer.map_or((None, None), |trailer| (le32(trailer, 0), le32(trailer, 4)));
    let agrees = crc.is_none_or(|crc| crc == inside.crc)
        && len.is_none_or(|len| u64::from(len) == inside.len & 0xffff_ffff);
    Hold::opened(agrees && !inside.is_noise())
}

/// zlib, RFC 1950. Its two bytes of header are no signature, so that a whole unpacked stretch has to speak for it.
pub(in crate::content) fn zlib(sample: &Sample) -> Option<Hold> {
    zlib_content(sample).filter(|inside| !is_nameless_noise(git_object(&inside.head))).map(|_| Hold::Opened)
}

/// What a loose object of git holds, behind its kind and length (gitformat-loose): a document that was packed well is known by its own
/// first bytes. Anything else as it is.
fn git_object(bytes: &[u8]) -> &[u8] {
    let kinds = [&b"blob "[..], b"tree ", b"commit ", b"tag "];
    let Some(rest) = kinds.iter().find_map(|kind| bytes.strip_prefix(*kind)) else { return bytes };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..).and_then(|rest| rest.strip_prefix(b"\0")).unwrap_or(bytes)
}

/// What a zlib stream holds, if it is one.
pub(in crate::content) fn zlib_content(sample: &Sample) -> Option<Inflated> {
    let head = sample.head();
    let flags = *head.get(1)?;
    if head.first() != Some(&0x78) || !u16::from_be_bytes([0x78, flags]).is_multiple_of(31) {
        return None;
    }
    let inside = inflate::unpack(head, DataFormat::Zlib)?;
    (inside.end.is_some() || inside.len >= 1024).then_some(inside)
}

/// xz: header and footer with their checksums, then the chunks of LZMA2 one after the other.
pub(in crate::content) fn xz(sample: &Sample) -> Hold {
    let head = sample.head();
    let flags = head.get(6..8).unwrap_or_default();
    if be32(head, 8).is_some_and(|crc| crc.swap_bytes() != crc32fast::hash(flags)) {
        return Hold::Broken;
    }
    let footer = sample.tail();
    let footer = footer.get(footer.len().saturating_sub(12)..).unwrap_or_default();
    let ends = footer.ends_with(b"YZ");
    if ends && le32(footer, 0) != footer.get(4..10).map(crc32fast::hash) {
        return Hold::Broken;
    }
    let Some(&size) = head.get(12) else { return Hold::Framed };
    if size == 0 {
        return Hold::framed(sample.len <= 64);
    }
    let size = (usize::from(size) + 1) * 4;
    let Some(header) = head.get(12..12 + size) else { return Hold::Framed };
    let (fields, crc) = header.split_at(size - 4);
    if le32(crc, 0) != Some(crc32fast::hash(fields)) {
        return Hold::Broken;
    }
    let is_lzma2 = header.get(1).is_some_and(|flags| flags & 3 == 0)
        && (header.get(2) == Some(&0x21) || header.get(1).is_some_and(|flags| flags & 0xc0 != 0));
    if is_lzma2 { lzma2(sample, 12 + size as u64) } else { Hold::Framed }
}

/// The chunks of LZMA2: a control byte, lengths, content. Stored ones hide nothing.
fn lzma2(sample: &Sample, mut at: u64) -> Hold {
    let mut first = true;
    let (mut hidden, mut packed) = (false, 0);
    for _ in 0..BLOCKS_MAX {
        let bytes = sample.at(at);
        let Some(&control) = bytes.first() else { break };
        let (len, header) = match control {
            0 => break,
            1 | 2 => {
                let Some(len) = bytes.get(1..3) else { break };
                hidden = hidden
                    || hides_noise(sample, at + 3, u64::from(u16::from_be_bytes([len[0], len[1]])) + 1);
                (u64::from(len[0]) << 8 | u64::from(len[1]), 3)
            }
            3..=0x7f => return Hold::Broken,
            _ => {
                let properties = control >= 0xc0;
                let Some(len) = bytes.get(3..5) else { break };
                let start = 5 + usize::from(properties);
                // A range coder begins with a zero byte.
                if bytes.get(start).is_some_and(|&byte| byte != 0)
                    || properties && bytes.get(5).is_some_and(|&byte| byte > 224)
                {
                    return Hold::Broken;
                }
                packed += 1;
                (u64::from(len[0]) << 8 | u64::from(len[1]), start as u64)
            }
        };
        if first && !(control == 1 || control >= 0xe0) {
            return Hold::Broken;
        }
        first = false;
        at = at.saturating_add(header).saturating_add(len + 1);
    }
    // What cannot be packed is stored as it is, and then it is a picture or an archive.
    Hold::framed(at <= sample.len && (!hidden || packed > 0))
}

/// Whether the first of the stored blocks is noise; later ones begin in the midst of something.
fn hides_noise(sample: &Sample, at: u64, len: u64) -> bool {
    let bytes = sample.at(at);
    at < 64
        && is_nameless_noise(
            bytes.get(..usize::try_from(len).unwrap_or(0).min(bytes.len())).unwrap_or_default(),
        )
}

/// zstd, RFC 8878: the blocks along their lengths to the end of the frame.
pub(in crate::content) fn zstd(sample: &Sample) -> Hold {
    let head = sample.head();
    let Some(&descriptor) = head.get(4) else { return Hold::Framed };
    if descriptor & 8 != 0 {
        return Hold::Broken;
    }
    let single = descriptor & 0x20 != 0;
    let content = [usize::from(single), 2, 4, 8].get(usize::from(descriptor >> 6)).copied().unwrap_or(0);
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
    let mut at = 5 + u64::from(!single) + (dictionary + content) as u64;
    let (mut raw, mut packed) = (false, 0u64);
    for _ in 0..BLOCKS_MAX {
        let Some(bytes) = exactly(sample, at, 3) else { return Hold::framed(at <= sample.len + 3) };
        let block = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        let len = u64::from(block >> 3);
        let here = match block >> 1 & 3 {
            0 => len,
            1 => 1,
            2 => len,
            _ => return Hold::Broken,
        };
        if len > 128 * 1024 {
            return Hold::Broken;
        }
        if block >> 1 & 3 == 0 {
            raw = raw || hides_noise(sample, at + 3, len);
        } else {
            packed += 1;
        }
        at += 3 + here;
        if block & 1 == 1 {
            let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
            // A frame of raw blocks alone is a wrapper around what cannot be packed: a picture, an archive or ciphertext.
            return Hold::framed(at + checksum <= sample.len && (packed > 0 || !raw));
        }
    }
    Hold::Framed
}

/// bzip2: the first block's header, the symbols it uses and the number of its tables.
pub(in crate::content) fn bzip2(sample: &Sample) -> Hold {
    let head = sample.head();
    let level = head.get(3).is_some_and(u8::is_ascii_digit);
    let Some(magic) = head.get(4..10) else { return Hold::framed(level) };
    if magic == b"\x17\x72\x45\x38\x50\x90" {
        return Hold::framed(level && sample.len < 64);
    }
    if !level || magic != b"\x31\x41\x59\x26\x53\x59" {
        return Hold::Broken;
    }
    let mut bits = Bits { bytes: head, at: 14 * 8 };
    Hold::framed(bzip2_tables(&mut bits).unwrap_or(true))
}

/// `None` when the bytes end before the tables do.
fn bzip2_tables(bits: &mut Bits) -> Option<bool> {
    let randomised = bits.take(1)?;
    bits.take(24)?;
    let rows = bits.take(16)?;
    let mut symbols = 2;
    for row in 0..16 {
        if rows >> (15 - row) & 1 == 1 {
            symbols += bits.take(16)?.count_ones();
        }
    }
    let tables = bits.take(3)?;
    let selectors = bits.take(15)?;
    if randomised == 1 || symbols < 3 || !(2..=6).contains(&tables) || selectors == 0 {
        return Some(false);
    }
    for _ in 0..selectors {
        let mut ones = 0;
        while bits.take(1)? == 1 {
            ones += 1;
            if ones >= tables {
                return Some(false);
            }
        }
    }
    for _ in 0..tables {
        let mut length = bits.take(5)?;
        for _ in 0..symbols {
            while bits.take(1)? == 1 {
                length = if bits.take(1)? == 0 { length + 1 } else { length.wrapping_sub(1) };
                if !(1..=20).contains(&length) {
                    return Some(false);
                }
            }
            if !(1..=20).contains(&length) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Bits from the most significant on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

/// lz4: the frame's descriptor, then the blocks along their lengths.
pub(in crate::content) fn lz4(sample: &Sample) -> Hold {
    let head = sample.head();
    let Some(&flags) = head.get(4) else { return Hold::Framed };
    if flags >> 6 != 1 || head.get(5).is_some_and(|descriptor| descriptor & 0x8f != 0) {
        return Hold::Broken;
    }
    let mut at = 7 + if flags & 8 != 0 { 8 } else { 0 } + if flags & 1 != 0 { 4 } else { 0 };
    let checksum = if flags & 16 != 0 { 4 } else { 0 };
    let (mut raw, mut packed) = (false, 0u64);
    for _ in 0..BLOCKS_MAX {
        let Some(size) = exactly(sample, at, 4).and_then(|bytes| le32(bytes, 0)) else { break };
        let len = u64::from(size & 0x7fff_ffff);
        if size == 0 {
            break;
        }
        if len > 4 * 1024 * 1024 + 64 {
            return Hold::Broken;
        }
        if size >> 31 == 1 {
            raw = raw || hides_noise(sample, at + 4, len);
        } else {
            packed += len;
        }
        at += 4 + len + checksum;
    }
    Hold::framed(at <= sample.len && (packed > 0 || !raw))
}

/// 7z: the start header's checksum, the end header where it says, and with its own checksum. Which method packed the content stands
/// in the end header, unless that is packed as well.
pub(in crate::content) fn seven_zip(sample: &Sample) -> Hold {
    let head = sample.head();
    let Some(start) = head.get(12..32) else { return Hold::Framed };
    let (Some(offset), Some(len), Some(crc)) = (le64(start, 0), le64(start, 8), le32(start, 16)) else {
        return Hold::Framed;
    };
    if start.iter().all(|&byte| byte == 0) {
        // While it is written, this place is empty.
        return Hold::Framed;
    }
    if le32(head, 8) != Some(crc32fast::hash(start)) || head.get(6) != Some(&0) {
        return Hold::Broken;
    }
    let Some(at) =
        offset.checked_add(32).filter(|at| at.checked_add(len).is_some_and(|end| end == sample.len))
    else {
        return Hold::Broken;
    };
    let Some(header) = usize::try_from(len).ok().and_then(|len| exactly(sample, at, len)) else {
        return Hold::Framed;
    };
    if crc32fast::hash(header) != crc {
        return Hold::Broken;
    }
    let aes = header.windows(4).any(|id| id == [0x06, 0xf1, 0x07, 0x01]);
    if aes { Hold::Sealed } else { Hold::Framed }
}
