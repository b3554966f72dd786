//! Presentations up to PowerPoint 2003 ([MS-PPT]): objects and macros lie packed in the document's own stream.

use super::super::bytes::{part, size, u16_le, u32_le};
use super::super::unpack;
use super::super::walk::Walk;

/// ExOleObjStg and its siblings: an object, a control, the macros.
const OBJECT: u16 = 0x1011;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    while let (Some(version), Some(kind), Some(length)) =
        (u16_le(bytes, at), u16_le(bytes, at + 2), u32_le(bytes, at + 4))
    {
        let content = part(bytes, at + 8, size(length));
        if kind == OBJECT {
            if !walk.may_look_at_more() {
                return;
            }
            if version >> 4 == 1 {
                // Its length unpacked stands before it.
                walk.packed("object", |max| unpack::zlib(content.get(4..).unwrap_or_default(), max));
            } else {
                walk.lying("object", content);
            }
        }
        let Some(next) = at.checked_add(8).and_then(|at| at.checked_add(size(length))) else { return };
        at = next;
    }
}
