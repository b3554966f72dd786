//! Archives of which only the list is read: CAB, LZH and ARJ. Files that are stored in LZH are looked at.

use super::super::bytes::{last, name, part, size, u16_le, u32_le, until_nul};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// [MS-CAB] 2: the header says where the files' entries begin.
pub(super) fn cab(walk: &mut Walk<'_>, bytes: &[u8]) {
    let (Some(mut at), Some(files)) = (u32_le(bytes, 16).map(size), u16_le(bytes, 28)) else {
        walk.mark(MarkKind::Broken, "a CAB without its header");
        return;
    };
    for _ in 0..files {
        let Some(start) = at.checked_add(16).filter(|&start| start < bytes.len()) else {
            walk.mark(MarkKind::Broken, "a CAB whose list ends early");
            return;
        };
        if !walk.may_look_at_more() {
            return;
        }
        let written = until_nul(part(bytes, start, 512));
        walk.named(&name(written), "packed in a CAB");
        at = start + written.len() + 1;
    }
}

/// LZH, the archive of Japanese computers: headers of level 0, 1 and 2.
pub(super) fn lzh(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    while bytes.get(at).is_some_and(|&first| first != 0) && walk.may_look_at_more() {
        let Some(entry) = lzh_entry(bytes, at) else {
            walk.mark(MarkKind::Broken, "a header of LZH that does not hold");
            return;
        };
        match part(bytes, at + 2, 5) {
            b"-lhd-" => {}
            b"-lh0-" | b"-lz4-" => walk.lying(&entry.name, part(bytes, entry.content, entry.packed)),
            _ => walk.named(&entry.name, "packed by LZH"),
        }
        let Some(next) = entry.content.checked_add(entry.packed) else { return };
        at = next;
    }
}

struct Lzh {
    name: String,
    content: usize,
    packed: usize,
}

fn lzh_entry(bytes: &[u8], at: usize) -> Option<Lzh> {
    let packed = size(u32_le(bytes, at + 7)?);
    let mut found = Lzh { name: String::new(), content: 0, packed };
    match bytes.get(at + 20)? {
        level @ (0 | 1) => {
            let header = usize::from(*bytes.get(at)?) + 2;
            let names = usize::from(*bytes.get(at + 21)?);
            found.name = name(part(bytes, at + 22, names));
            found.content = at.checked_add(header)?;
            if *level == 1 {
                // The last two bytes of the header are the length of the first extended one; they count as packed bytes.
                let first = usize::from(u16_le(bytes, found.content.checked_sub(2)?)?);
                let extended = lzh_extended(bytes, found.content, first, &mut found.name)?;
                found.packed = packed.checked_sub(extended - found.content)?;
                found.content = extended;
            }
        }
        2 => {
            found.content = at.checked_add(usize::from(u16_le(bytes, at)?).max(26))?;
            let first = usize::from(u16_le(bytes, at + 24)?);
            lzh_extended(bytes, at + 26, first, &mut found.name)?;
        }
        _ => return None,
    }
    Some(found)
}

/// Follows the extended headers, each with the length of the next one at its end; the name is in that of kind 1.
fn lzh_extended(bytes: &[u8], mut at: usize, mut length: usize, found: &mut String) -> Option<usize> {
    while length != 0 {
        let body = part(bytes, at, length);
        if length < 3 || body.len() < length {
            return None;
        }
        if body.first() == Some(&1) {
            *found = name(part(body, 1, length - 3));
        }
        at += length;
        length = usize::from(u16_le(bytes, at - 2)?);
    }
    Some(at)
}

/// ARJ: a main header, then one for each file.
pub(super) fn arj(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    let mut main = true;
    while part(bytes, at, 2) == b"\x60\xea" && walk.may_look_at_more() {
        let length = usize::from(u16_le(bytes, at + 2).unwrap_or_default());
        if length == 0 {
            return;
        }
        let header = part(bytes, at + 4, length);
        let fixed = usize::from(header.first().copied().unwrap_or_default());
        let written = name(until_nul(header.get(fixed..).unwrap_or_default()));
        let packed = if main { 0 } else { size(u32_le(header, 12).unwrap_or_default()) };
        if !main {
            if header.get(4).is_some_and(|flags| flags & 1 != 0) {
                walk.mark(MarkKind::Encrypted, "no password opens it");
            }
            walk.named(last(&written), "packed by ARJ");
        }
        main = false;
        // Checksum of the header, then extended headers until one of no length.
        let mut next = at + 4 + length + 4;
        while let Some(extended) = u16_le(bytes, next) {
            next += 2;
            if extended == 0 {
                break;
            }
            next += usize::from(extended) + 4;
        }
        let Some(after) = next.checked_add(packed) else { return };
        at = after;
    }
}
