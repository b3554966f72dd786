//! Numbers and text out of messages, never past their end.

use std::net::IpAddr;

/// A little-endian number of two bytes.
pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A little-endian number of four bytes.
pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A little-endian number of eight bytes.
pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A big-endian number of two bytes.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A big-endian number of three bytes.
pub(super) fn be24(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = *bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

/// A big-endian number of four bytes.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// As many bytes of a part as there are.
pub(super) fn part(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    &rest[..length.min(rest.len())]
}

/// UTF-16LE as text; an odd last byte is left away.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The hash by which accounts and services are told apart without their names being kept: FNV-1a (64 bits) over the domain or realm, a
/// backslash and the name, in lower case and UTF-8; without a domain over the name alone. 0 for no name.
pub fn account_hash(domain: &str, name: &str) -> u64 {
    if name.is_empty() {
        return 0;
    }
    let separator = if domain.is_empty() { "" } else { "\\" };
    if domain.is_ascii() && name.is_ascii() {
        let bytes = domain.bytes().chain(separator.bytes()).chain(name.bytes());
        return bytes.fold(FNV, |hash, byte| fnv(hash, byte.to_ascii_lowercase()));
    }
    let text = domain.chars().chain(separator.chars()).chain(name.chars()).flat_map(char::to_lowercase);
    let mut hash = FNV;
    let mut utf8 = [0; 4];
    for letter in text {
        for byte in letter.encode_utf8(&mut utf8).bytes() {
            hash = fnv(hash, byte);
        }
    }
    hash
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

/// A host's name as it is judged: lower case, no port, no last dot, at most 255 bytes; `None` for an address or nothing. Bytes that no
/// name on the wire has become `?`.
pub(super) fn host(bytes: &[u8]) -> Option<Box<str>> {
    let bytes = bytes.trim_ascii();
    let bytes = match bytes.iter().rposition(|byte| *byte == b':') {
        Some(colon) if bytes[colon + 1..].iter().all(u8::is_ascii_digit) => &bytes[..colon],
        _ => bytes,
    };
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let bytes = &bytes[..bytes.len().min(255)];
    let clean = |byte: &u8| if byte.is_ascii_graphic() { byte.to_ascii_lowercase() } else { b'?' };
    let name = String::from_utf8(bytes.iter().map(clean).collect()).ok()?;
    // Few names look like an address at all.
    let may_be = name.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '[' | ']'))
        || memchr::memchr(b':', name.as_bytes()).is_some();
    let is_address = may_be && name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    (!name.is_empty() && !is_address).then(|| name.into())
}
