//! Shortcuts: what they start.

use super::bytes::{name, part, size, text, u16_le, u32_le, until_nul, utf16_le};
use super::values::MarkKind;
use super::walk::Walk;

/// Characters of each text that are read.
const TEXT_MAX: usize = 4_096;

/// [MS-SHLLINK]: the link's target and the arguments it is started with.
pub(super) fn lnk(walk: &mut Walk<'_>, bytes: &[u8]) {
    walk.mark(MarkKind::Script, read(bytes).unwrap_or_else(|| "a shortcut".to_owned()));
}

fn read(bytes: &[u8]) -> Option<String> {
    let flags = u32_le(bytes, 20)?;
    let mut at = 0x4c;
    if flags & 1 != 0 {
        at += 2 + usize::from(u16_le(bytes, at)?);
    }
    let mut target = String::new();
    if flags & 2 != 0 {
        let length = size(u32_le(bytes, at)?);
        let info = part(bytes, at, length);
        let path = u32_le(info, 16).map(size).filter(|&place| place != 0);
        target = path.map(|place| name(until_nul(part(info, place, TEXT_MAX)))).unwrap_or_default();
        at = at.checked_add(length)?;
    }
    // Description, relative path, folder, arguments, icon: those whose flag is set, in this order.
    let mut arguments = String::new();
    for bit in 2..=5 {
        if flags & (1 << bit) == 0 {
            continue;
        }
        let Some(length) = u16_le(bytes, at).map(usize::from) else { break };
        let wide = flags & 0x80 != 0;
        let length = if wide { length * 2 } else { length };
        let raw = part(bytes, at + 2, length.min(2 * TEXT_MAX));
        let written = if wide { utf16_le(raw) } else { name(raw) };
        match bit {
            3 if target.is_empty() => target = written,
            5 => arguments = written,
            _ => {}
        }
        at += 2 + length;
    }
    // Hundreds of blanks keep what is started out of the sight of those who look at the properties.
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let line = format!("{target} {}", arguments.join(" "));
    let line = line.trim();
    (!line.is_empty()).then(|| format!("a shortcut to {line}"))
}

/// A shortcut of the browser.
pub(super) fn url(walk: &mut Walk<'_>, bytes: &[u8]) {
    let text = text(part(bytes, 0, 64 << 10));
    let target = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.trim().eq_ignore_ascii_case("url").then(|| value.trim().to_owned())
    });
    walk.mark(MarkKind::Script, format!("a shortcut to {}", target.unwrap_or_default()));
}
