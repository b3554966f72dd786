//! RAR 4 and 5: names and whether they are encrypted, and the content of what is only stored. The packing itself is not undone: its
//! licence forbids writing it down from the published source, and no free description of it exists.

use super::super::bytes::{find, name, part, size, u16_le, u32_le, until_nul};
use super::super::values::MarkKind;
use super::super::walk::Walk;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    // Self-extracting ones are programs and never come here: the mark is at the start.
    if bytes.starts_with(b"Rar!\x1a\x07\x01\0") {
        five(walk, bytes);
    } else if find(part(bytes, 0, 8), b"Rar!\x1a\x07\0").is_some() {
        four(walk, bytes);
    } else {
        walk.mark(MarkKind::NotLookedAt, "a RAR of an unknown version");
    }
}

/// What the header of a file says.
struct File<'r> {
    name: String,
    encrypted: bool,
    stored: bool,
    content: &'r [u8],
}

fn file(walk: &mut Walk<'_>, file: &File<'_>) {
    if file.encrypted {
        walk.mark(MarkKind::Encrypted, "no password opens it");
        walk.named(&file.name, "encrypted");
    } else if file.stored {
        walk.lying(&file.name, file.content);
    } else {
        walk.named(&file.name, "packed by RAR");
    }
}

fn four(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 7;
    while let (Some(&kind), Some(flags), Some(header)) =
        (bytes.get(at + 2), u16_le(bytes, at + 3), u16_le(bytes, at + 5))
    {
        let header_length = usize::from(header).max(7);
        let header = part(bytes, at, header_length);
        let mut more = if flags & 0x8000 != 0 { size(u32_le(header, 7).unwrap_or_default()) } else { 0 };
        match kind {
            0x73 if flags & 0x80 != 0 => {
                walk.mark(MarkKind::Encrypted, "no password opens it; its names are encrypted as well");
                return;
            }
            0x74 => {
                if flags & 0x100 != 0 {
                    more = more.saturating_add(size(u64::from(u32_le(header, 32).unwrap_or_default()) << 32));
                }
                let names = usize::from(u16_le(header, 26).unwrap_or_default());
                let start = if flags & 0x100 != 0 { 40 } else { 32 };
                let folder = flags & 0xe0 == 0xe0;
                if !folder {
                    // Behind a NUL the name stands once more, in a packed Unicode form.
                    let found = File {
                        name: name(until_nul(part(header, start, names))),
                        encrypted: flags & 4 != 0,
                        stored: header.get(25) == Some(&0x30),
                        content: part(bytes, at + header_length, more),
                    };
                    file(walk, &found);
                }
            }
            0x7b => return,
            _ => {}
        }
        let Some(next) = at.checked_add(header_length).and_then(|at| at.checked_add(more)) else { return };
        if !walk.may_look_at_more() {
            return;
        }
        at = next;
    }
}

fn five(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 8;
    loop {
        // Checksum of four bytes, then the header's length without itself.
        let mut cursor = Vint { bytes, at: at + 4 };
        let Some(length) = cursor.next() else { return };
        let Some(end) = cursor.at.checked_add(size(length)).filter(|&end| end <= bytes.len()) else { return };
        let mut cursor = Vint { bytes: bytes.get(..end).unwrap_or_default(), at: cursor.at };
        let (Some(kind), Some(flags)) = (cursor.next(), cursor.next()) else { return };
        let extra = if flags & 1 != 0 { cursor.next().unwrap_or_default() } else { 0 };
        let data = if flags & 2 != 0 { size(cursor.next().unwrap_or_default()) } else { 0 };
        match kind {
            4 => {
                walk.mark(MarkKind::Encrypted, "no password opens it; its names are encrypted as well");
                return;
            }
            2 => {
                let extra = part(bytes, end.saturating_sub(size(extra)), size(extra).min(end));
                if let Some(mut found) = five_file(&mut cursor) {
                    found.encrypted = has_record(extra, 1);
                    found.content = part(bytes, end, data);
                    if !found.name.is_empty() {
                        file(walk, &found);
                    }
                }
            }
            5 => return,
            _ => {}
        }
        let Some(next) = end.checked_add(data) else { return };
        if !walk.may_look_at_more() {
            return;
        }
        at = next;
    }
}

/// The fields of a file's header; the name is empty for a folder.
fn five_file<'r>(cursor: &mut Vint<'r>) -> Option<File<'r>> {
    let flags = cursor.next()?;
    let (_length, _attributes) = (cursor.next()?, cursor.next()?);
    cursor.at += if flags & 2 != 0 { 4 } else { 0 } + if flags & 4 != 0 { 4 } else { 0 };
    let method = cursor.next()?;
    let _host = cursor.next()?;
    let names = size(cursor.next()?);
    let written = name(part(cursor.bytes, cursor.at, names));
    let name = if flags & 1 != 0 { String::new() } else { written };
    Some(File { name, encrypted: false, stored: (method >> 7) & 7 == 0, content: &[] })
}

/// Whether a record of a kind stands in the extra area: each has a length and a kind.
fn has_record(extra: &[u8], wanted: u64) -> bool {
    let mut cursor = Vint { bytes: extra, at: 0 };
    while let Some(length) = cursor.next() {
        let start = cursor.at;
        if cursor.next() == Some(wanted) {
            return true;
        }
        cursor.at = start.saturating_add(size(length));
    }
    false
}

/// Numbers of seven bits a byte.
struct Vint<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl Vint<'_> {
    fn next(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in 0..10 {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(7 * shift).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
