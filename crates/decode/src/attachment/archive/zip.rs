//! The directory of a ZIP archive (APPNOTE 6.3.10), read as tolerantly as the programs that open archives do. Ours, because entries of
//! one name, overlapping entries and archives put together out of two are what attackers hide behind.

use super::super::bytes::{name, part, size, u16_le, u32_le, u64_le};
use super::super::unpack::{self, End, Unpacked};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

/// One file of an archive.
pub(in super::super) struct Entry<'z> {
    pub(in super::super) name: String,
    /// The name in its own header, where it is another one.
    pub(super) other_name: Option<String>,
    pub(in super::super) packed: &'z [u8],
    pub(super) method: u16,
    pub(super) length: u64,
    pub(super) crc: u32,
    pub(super) flags: u16,
    pub(super) time: u16,
    /// Vendor version and strength, where it is encrypted with AES; `method` is then what is inside.
    pub(super) aes: Option<(u16, u8)>,
    /// Where it lies, with its header.
    start: usize,
    end: usize,
}

/// The files of an archive.
#[derive(Default)]
pub(super) struct Directory<'z> {
    pub(super) entries: Vec<Entry<'z>>,
    /// There are more than were asked for.
    pub(super) more: bool,
    /// No directory at the end: the files were found by their own headers.
    pub(super) broken: bool,
    /// What lies before the archive and is one itself.
    pub(super) before: &'z [u8],
}

impl Directory<'_> {
    /// Whether two entries share bytes: no program writes that, and it unpacks without end.
    pub(super) fn overlaps(&self) -> bool {
        let mut places: Vec<(usize, usize)> =
            self.entries.iter().map(|entry| (entry.start, entry.end)).collect();
        places.sort_unstable();
        places.windows(2).any(|pair| matches!(pair, [first, second] if first.1 > second.0))
    }
}

impl Entry<'_> {
    pub(super) fn encrypted(&self) -> bool {
        self.flags & 1 != 0 || self.aes.is_some()
    }

    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with(['/', '\\']) && self.length == 0
    }

    /// Its content, of which at most `max` bytes.
    pub(in super::super) fn unpack(&self, max: usize) -> Unpacked {
        self.unpack_from(self.packed, max)
    }

    /// The same from bytes that were decrypted before.
    pub(super) fn unpack_from(&self, packed: &[u8], max: usize) -> Unpacked {
        match self.method {
            0 => {
                let end = if packed.len() > max { End::Bound } else { End::Whole };
                Unpacked { bytes: part(packed, 0, max).to_vec(), end, consumed: packed.len().min(max) }
            }
            8 => unpack::deflate(packed, max),
            9 => unpack::deflate64(packed, max),
            12 => unpack::bzip2(packed, max),
            14 => unpack::zip_lzma(packed, if self.flags & 2 != 0 { u64::MAX } else { self.length }, max),
            95 => unpack::xz(packed, max),
            _ => Unpacked { bytes: Vec::new(), end: End::Bound, consumed: 0 },
        }
    }
}

/// The files of an archive, at most `max`.
pub(super) fn directory(bytes: &[u8], max: usize) -> Directory<'_> {
    let found = end_of_directory(bytes).and_then(|place| central(bytes, &place, max));
    found.unwrap_or_else(|| by_headers(bytes, max))
}

/// Where the directory begins, and how far everything is shifted by what lies before the archive.
struct Place {
    start: usize,
    shift: usize,
}

fn end_of_directory(bytes: &[u8]) -> Option<Place> {
    // The comment behind it has at most 64 KiB; some programs append a little more.
    let from = bytes.len().saturating_sub((64 << 10) + 1_024);
    let tail = bytes.get(from..)?;
    memchr::memmem::rfind_iter(tail, END).take(64).find_map(|at| place(bytes, from + at))
}

fn place(bytes: &[u8], end: usize) -> Option<Place> {
    let (mut length, mut offset) = (u64::from(u32_le(bytes, end + 12)?), u64::from(u32_le(bytes, end + 16)?));
    let mut directory_end = end;
    if let Some(locator) = end.checked_sub(20).filter(|&at| part(bytes, at, 4) == b"PK\x06\x07") {
        let at = size(u64_le(bytes, locator + 8)?);
        if part(bytes, at, 4) == b"PK\x06\x06" {
            length = u64_le(bytes, at.checked_add(40)?)?;
            offset = u64_le(bytes, at.checked_add(48)?)?;
            directory_end = at;
        }
    }
    let (length, offset) = (size(length), size(offset));
    let start = directory_end.checked_sub(length)?;
    let is_one = |at: usize| length == 0 || part(bytes, at, 4) == CENTRAL;
    if is_one(start) && start >= offset {
        Some(Place { start, shift: start - offset })
    } else {
        is_one(offset).then_some(Place { start: offset, shift: 0 })
    }
}

fn central<'z>(bytes: &'z [u8], place: &Place, max: usize) -> Option<Directory<'z>> {
    let mut found = Directory::default();
    let mut at = place.start;
    while part(bytes, at, 4) == CENTRAL {
        if found.entries.len() >= max {
            found.more = true;
            break;
        }
        let lengths = [28, 30, 32].map(|field| usize::from(u16_le(bytes, at + field).unwrap_or_default()));
        let [name_length, extra_length, comment_length] = lengths;
        let Some(entry) = central_entry(bytes, at, name_length, extra_length, place.shift) else {
            found.broken = true;
            break;
        };
        found.entries.push(entry);
        at += 46 + name_length + extra_length + comment_length;
    }
    let before = part(bytes, 0, place.shift);
    if memchr::memmem::find(before, LOCAL).is_some() {
        found.before = before;
    }
    // An empty directory before which files lie is a trick.
    (!found.entries.is_empty() || !bytes.starts_with(LOCAL)).then_some(found)
}

fn central_entry(bytes: &[u8], at: usize, names: usize, extras: usize, shift: usize) -> Option<Entry<'_>> {
    let field = |offset: usize| u32_le(bytes, at + offset);
    let extra = part(bytes, at + 46 + names, extras);
    let (mut packed, mut length, mut offset) =
        (u64::from(field(20)?), u64::from(field(24)?), u64::from(field(42)?));
    // Large values stand in the extra field, in this order and only those that do not fit.
    let mut wide = extra_field(extra, 1).unwrap_or_default();
    for value in [&mut length, &mut packed, &mut offset] {
        if *value == u64::from(u32::MAX)
            && let Some(large) = u64_le(wide, 0)
        {
            *value = large;
            wide = wide.get(8..).unwrap_or_default();
        }
    }
    let mut entry = local(bytes, size(offset).checked_add(shift)?, Some(size(packed)))?;
    let own = std::mem::take(&mut entry.name);
    let raw = part(bytes, at + 46, names);
    let unicode = extra_field(extra, 0x7075).and_then(|field| field.get(5..));
    entry.name = name(unicode.unwrap_or(raw));
    entry.other_name = (own != entry.name && own != name(raw)).then_some(own);
    entry.length = length;
    entry.crc = field(16)?;
    entry.flags = u16_le(bytes, at + 8)?;
    entry.time = u16_le(bytes, at + 12)?;
    entry.method = u16_le(bytes, at + 10)?;
    strength(&mut entry, extra);
    Some(entry)
}

/// AES stands in an extra field of its own, with the method that lies under it.
fn strength(entry: &mut Entry<'_>, extra: &[u8]) {
    if entry.method == 99
        && let Some(aes) = extra_field(extra, 0x9901)
        && let (Some(version), Some(&strength), Some(method)) = (u16_le(aes, 0), aes.get(4), u16_le(aes, 5))
    {
        entry.aes = Some((version, strength));
        entry.method = method;
    }
}

/// A file by its own header; without a length it goes as far as the archive.
fn local(bytes: &[u8], at: usize, packed: Option<usize>) -> Option<Entry<'_>> {
    if part(bytes, at, 4) != LOCAL {
        return None;
    }
    let names = usize::from(u16_le(bytes, at + 26)?);
    let extras = usize::from(u16_le(bytes, at + 28)?);
    let data = at + 30 + names + extras;
    let content = part(bytes, data, packed.unwrap_or(usize::MAX));
    let mut entry = Entry {
        name: name(part(bytes, at + 30, names)),
        other_name: None,
        packed: content,
        method: u16_le(bytes, at + 8)?,
        length: u64::from(u32_le(bytes, at + 22)?),
        crc: u32_le(bytes, at + 14)?,
        flags: u16_le(bytes, at + 6)?,
        time: u16_le(bytes, at + 10)?,
        aes: None,
        start: at,
        end: data + content.len(),
    };
    strength(&mut entry, part(bytes, at + 30 + names, extras));
    Some(entry)
}

/// The files of an archive whose end is missing.
fn by_headers(bytes: &[u8], max: usize) -> Directory<'_> {
    let mut found = Directory { broken: true, ..Directory::default() };
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memmem::find(rest, LOCAL)) {
        at += next;
        if found.entries.len() >= max {
            found.more = true;
            break;
        }
        // A length of 0 may stand behind the data instead.
        let length = u32_le(bytes, at + 18).filter(|&length| length != 0 && length != u32::MAX);
        if let Some(mut entry) = local(bytes, at, length.map(size)) {
            if length.is_none() {
                entry.end = entry.start;
            }
            at = if length.is_none() { at + 30 } else { entry.end.max(at + 4) };
            found.entries.push(entry);
        } else {
            at += 4;
        }
    }
    found
}

fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while let (Some(id), Some(length)) = (u16_le(extra, 0), u16_le(extra, 2)) {
        let field = part(extra, 4, usize::from(length));
        if id == wanted {
            return Some(field);
        }
        extra = extra.get(4 + usize::from(length)..).unwrap_or_default();
    }
    None
}
