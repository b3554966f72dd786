//! Disk images. Windows mounts them at a double click, and what is in them does not carry the mark of the web. ISO 9660 with its
//! Joliet names is walked (ECMA-119); of the others only what they are is told.

use super::bytes::{name, part, size, u32_le, utf16_be};
use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;

const SECTOR: usize = 2_048;
/// Folders within folders; the standard allows eight.
const FOLDERS_MAX: usize = 16;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8], sort: Sort) {
    walk.mark(MarkKind::DiskImage, sort.mime());
    if sort != Sort::Iso {
        walk.mark(MarkKind::NotLookedAt, "a disk image that is not opened");
        return;
    }
    let Some((root, joliet)) = root(bytes) else {
        walk.mark(MarkKind::Broken, "an ISO image without a root folder");
        return;
    };
    if (16..32).any(|sector| matches!(part(bytes, sector * SECTOR + 1, 5), b"NSR02" | b"NSR03")) {
        walk.mark(MarkKind::NotLookedAt, "the image holds a second file system (UDF)");
    }
    let mut tree = Tree { bytes, joliet, seen: Vec::new() };
    tree.folder(walk, &root, "", 0);
}

/// A folder's record of one file.
struct Record<'i> {
    start: usize,
    length: usize,
    flags: u8,
    name: &'i [u8],
}

/// The root folder of the volume, of the Joliet one where there is one.
fn root(bytes: &[u8]) -> Option<(Record<'_>, bool)> {
    let mut found = None;
    for sector in 16..48 {
        let descriptor = part(bytes, sector * SECTOR, SECTOR);
        if part(descriptor, 1, 5) != b"CD001" {
            break;
        }
        match descriptor.first()? {
            1 if found.is_none() => found = Some((record(descriptor, 156)?, false)),
            2 if matches!(part(descriptor, 88, 3), b"%/@" | b"%/C" | b"%/E") => {
                found = Some((record(descriptor, 156)?, true));
            }
            255 => break,
            _ => {}
        }
    }
    found
}

fn record(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let length = usize::from(*bytes.get(at)?);
    let body = part(bytes, at, length);
    let names = usize::from(*body.get(32)?);
    Some(Record {
        start: size(u32_le(body, 2)?).checked_mul(SECTOR)?,
        length: size(u32_le(body, 10)?),
        flags: *body.get(25)?,
        name: part(body, 33, names),
    })
}

struct Tree<'i> {
    bytes: &'i [u8],
    joliet: bool,
    /// Folders that were walked: an image may name one of them again.
    seen: Vec<usize>,
}

impl Tree<'_> {
    fn folder(&mut self, walk: &mut Walk<'_>, folder: &Record<'_>, path: &str, depth: usize) {
        if depth > FOLDERS_MAX || self.seen.contains(&folder.start) || self.seen.len() > walk.entries_max() {
            walk.mark(MarkKind::Broken, "folders of an ISO image that lie in one another");
            return;
        }
        self.seen.push(folder.start);
        let records = part(self.bytes, folder.start, folder.length);
        let mut at = 0;
        while at < records.len() && walk.may_look_at_more() {
            // A record does not cross a sector: the rest of it is nothing.
            if records.get(at) == Some(&0) {
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            let Some(found) = record(records, at) else {
                walk.mark(MarkKind::Broken, "an ISO image whose folder does not hold");
                return;
            };
            at += usize::from(records.get(at).copied().unwrap_or(1));
            // The folder itself, and the one above.
            if matches!(found.name, [0 | 1]) {
                continue;
            }
            let name = self.name(found.name);
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if found.flags & 2 != 0 {
                self.folder(walk, &found, &path, depth + 1);
            } else {
                self.file(walk, &found, &path);
            }
        }
    }

    fn file(&self, walk: &mut Walk<'_>, found: &Record<'_>, path: &str) {
        let content = part(self.bytes, found.start, found.length);
        walk.lying(path, content);
        if content.len() < found.length {
            walk.mark(MarkKind::Broken, "an ISO image that ends in a file");
        }
    }

    fn name(&self, written: &[u8]) -> String {
        let text = if self.joliet { utf16_be(written) } else { name(written) };
        // The version behind the semicolon is no part of the name.
        text.split(';').next().unwrap_or_default().trim_end_matches('.').to_owned()
    }
}
