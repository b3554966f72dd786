//! Documents up to Word 2003 ([MS-DOC]): passwords, and fields that start another program.

use super::super::bytes::{name, part, u16_le, utf16_le};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// Characters of a field that are read.
const FIELD_MAX: usize = 400;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let flags = u16_le(bytes, 10).unwrap_or_default();
    if flags & 0x0100 != 0 {
        walk.mark(MarkKind::Encrypted, "an older document with a password");
        return;
    }
    // A field's instruction stands between 0x13 and 0x14 or 0x15, in one byte or two for a character.
    for at in memchr::memchr_iter(0x13, bytes) {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let wide = rest.first() == Some(&0);
        if !begins_so(rest) {
            continue;
        }
        let field =
            if wide { utf16_le(part(rest, 1, 2 * FIELD_MAX)) } else { name(part(rest, 0, FIELD_MAX)) };
        let field = field.split(['\u{14}', '\u{15}']).next().unwrap_or_default().trim();
        if super::dde::is_field(field) {
            walk.mark(MarkKind::Dde, field);
        }
    }
}

/// Whether a field begins as one that exchanges data, before any of it is decoded: there may be millions of fields.
fn begins_so(rest: &[u8]) -> bool {
    let letters = rest.iter().take(64).filter(|byte| !matches!(byte, 0 | b' ' | b'\t' | 0x13));
    letters.map(u8::to_ascii_uppercase).take(3).eq(*b"DDE")
}
