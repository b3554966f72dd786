//! Workbooks up to Excel 2003 ([MS-XLS]): macro sheets, names that start them, data exchange, passwords.

use super::super::bytes::{name, part, size, u16_le, utf16_le};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// Records that are read.
const RECORDS_MAX: usize = 2_000_000;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    let mut sheets = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..RECORDS_MAX {
        let (Some(kind), Some(length)) = (u16_le(bytes, at), u16_le(bytes, at + 2)) else { break };
        let content = part(bytes, at + 4, usize::from(length));
        match kind {
            // What follows is encrypted.
            0x002f => {
                walk.mark(MarkKind::Encrypted, "an older workbook with a password");
                break;
            }
            0x0085 if content.get(5) == Some(&1) => sheets.push(sheet(content)),
            0x0018 => starts.extend(defined(content)),
            0x01ae => dde(walk, content),
            _ => {}
        }
        at += 4 + usize::from(length);
    }
    if !sheets.is_empty() {
        sheets.extend(starts);
        sheets.truncate(8);
        walk.mark(MarkKind::XlmMacro, sheets.join(", "));
    }
}

/// A macro sheet's name, and how well it is hidden.
fn sheet(content: &[u8]) -> String {
    let length = usize::from(content.get(6).copied().unwrap_or_default());
    let name = text(content.get(7..).unwrap_or_default(), length);
    match content.get(4).map(|state| state & 3) {
        Some(1) => format!("{name} (hidden)"),
        Some(2) => format!("{name} (very hidden)"),
        _ => name,
    }
}

/// A name that Excel runs by itself.
fn defined(content: &[u8]) -> Option<String> {
    let built_in = u16_le(content, 0)? & 0x20 != 0;
    let length = usize::from(*content.get(3)?);
    let name = text(content.get(14..)?, length);
    let name = match name.chars().next()? {
        '\u{1}' if built_in => "Auto_Open".to_owned(),
        '\u{2}' if built_in => "Auto_Close".to_owned(),
        '\u{a}' if built_in => "Auto_Activate".to_owned(),
        _ => name,
    };
    name.to_ascii_lowercase().starts_with("auto_").then_some(name)
}

/// A link to another program: the server and the topic, parted by a control character.
fn dde(walk: &mut Walk<'_>, content: &[u8]) {
    let length = u16_le(content, 2).map(size).unwrap_or_default();
    // These lengths stand for the workbook itself and for add-ins.
    if matches!(length, 0 | 0x0401 | 0x3a01) {
        return;
    }
    let link = text(content.get(4..).unwrap_or_default(), length.min(1_024));
    // A class with a dot is a linked object, not a server.
    if let Some((server, topic)) = link.split_once('\u{3}')
        && !server.contains('.')
        && !server.contains('\u{1}')
    {
        walk.mark(MarkKind::Dde, format!("{server} {topic}"));
    }
}

/// A text with a byte before it that says how wide its characters are.
fn text(bytes: &[u8], length: usize) -> String {
    match bytes.split_first() {
        Some((flags, rest)) if flags & 1 != 0 => utf16_le(part(rest, 0, 2 * length)),
        Some((_, rest)) => name(part(rest, 0, length)),
        None => String::new(),
    }
}
