//! Files that were dragged into a document: packages (`\1Ole10Native`).

use super::super::bytes::{last, name, part, size, u32_le, until_nul};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// The stream: its length, then the package.
pub(super) fn stream(walk: &mut Walk<'_>, bytes: &[u8]) {
    package(walk, bytes.get(4..).unwrap_or_default());
}

/// A package: label, path it had, path it gets, content.
pub(in super::super) fn package(walk: &mut Walk<'_>, bytes: &[u8]) {
    match parse(bytes) {
        Some((file, content)) => {
            walk.mark(MarkKind::EmbeddedObject, format!("the file {file}"));
            walk.lying(&file, content);
        }
        None => walk.mark(MarkKind::EmbeddedObject, "a package that cannot be read"),
    }
}

fn parse(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut at = 2;
    let mut text = || {
        let written = until_nul(part(bytes, at, 1_024));
        at += written.len() + 1;
        name(written)
    };
    let (label, path) = (text(), text());
    // Two numbers of two bytes, then the path it is unpacked to, with its length before it.
    at += 4;
    let target = size(u32_le(bytes, at)?);
    let written = name(until_nul(part(bytes, at + 4, target.min(1_024))));
    at = at.checked_add(4)?.checked_add(target)?;
    let length = size(u32_le(bytes, at)?);
    let content = part(bytes, at + 4, length);
    // It starts by the name it is unpacked to; a label can say anything.
    let named = [written, path, label]
        .into_iter()
        .map(|path| last(&path).to_owned())
        .find(|name| !name.is_empty())?;
    Some((named, content))
}
