//! OneNote sections: the files that lie in them behind a picture "double click here" ([MS-ONESTORE] 2.6.13).

use super::bytes::{part, size, u64_le};
use super::name::{extension, is_program, is_script};
use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;

/// FileDataStoreObject, as its GUID lies in the file.
const FILE_DATA: &[u8] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
const HEADER: usize = 36;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    names(walk, bytes);
    for (number, at) in memchr::memmem::find_iter(bytes, FILE_DATA).enumerate() {
        if !walk.may_look_at_more() {
            return;
        }
        let content = part(bytes, at + HEADER, size(u64_le(bytes, at + 16).unwrap_or_default()));
        let name = format!("embedded-{}", number + 1);
        let sort = Sort::of(&name, content);
        if !matches!(sort, Sort::Image | Sort::Media | Sort::Empty) {
            walk.mark(MarkKind::EmbeddedObject, format!("a file inside a notebook ({})", sort.mime()));
        }
        walk.lying(&name, content);
    }
}

/// Names of embedded files stand in the section as UTF-16, apart from their contents.
fn names(walk: &mut Walk<'_>, bytes: &[u8]) {
    for parity in 0..2 {
        let mut run = String::new();
        let units = bytes.get(parity..).unwrap_or_default().chunks_exact(2);
        for unit in units.chain([&[0, 0][..]]) {
            let unit = u16::from_le_bytes([unit[0], unit[1]]);
            match char::from_u32(u32::from(unit)) {
                Some(c) if !c.is_control() && run.len() < 256 => run.push(c),
                _ => {
                    let extension = extension(&run);
                    if is_program(&extension) || is_script(&extension) {
                        walk.mark(
                            MarkKind::EmbeddedObject,
                            format!("a file inside a notebook, {}", tail(&run)),
                        );
                    }
                    run.clear();
                }
            }
        }
    }
}

fn tail(name: &str) -> &str {
    let from = name.char_indices().rev().nth(79).map_or(0, |(at, _)| at);
    super::bytes::last(name.get(from..).unwrap_or(name))
}
