//! `winmail.dat` (TNEF, [MS-OXTNEF]): what Outlook packs attachments into.

use super::bytes::{name, part, size, u32_le, until_nul};
use super::values::MarkKind;
use super::walk::Walk;

const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;
/// Begins the attributes of the next attachment.
const RENDERING: u32 = 0x0006_9002;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 6;
    let mut title = String::new();
    let mut data: Option<&[u8]> = None;
    // Level, attribute, length, content, checksum.
    while let (Some(attribute), Some(length)) = (u32_le(bytes, at + 1), u32_le(bytes, at + 5)) {
        let content = part(bytes, at + 9, size(length));
        match attribute {
            RENDERING => give(walk, &mut title, &mut data),
            TITLE => title = name(until_nul(content)),
            DATA => data = Some(content),
            _ => {}
        }
        if content.len() < size(length) {
            walk.mark(MarkKind::Broken, "winmail.dat that ends early");
            break;
        }
        at += 11 + content.len();
    }
    give(walk, &mut title, &mut data);
}

fn give(walk: &mut Walk<'_>, title: &mut String, data: &mut Option<&[u8]>) {
    let title = std::mem::take(title);
    if let Some(data) = data.take() {
        walk.lying(&title, data);
    }
}
