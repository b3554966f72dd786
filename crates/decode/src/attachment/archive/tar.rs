//! tar, in the forms of POSIX and GNU.

use super::super::bytes::{name, part, size, until_nul};
use super::super::sort::octal;
use super::super::values::MarkKind;
use super::super::walk::Walk;

const BLOCK: usize = 512;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut at = 0;
    let mut long = None;
    loop {
        let header = part(bytes, at, BLOCK);
        if header.len() < BLOCK || header.iter().all(|&byte| byte == 0) {
            return;
        }
        let Some(length) = octal(part(header, 124, 12)).map(size) else {
            walk.mark(MarkKind::Broken, "a header of tar without a length");
            return;
        };
        let content = part(bytes, at + BLOCK, length);
        match header.get(156) {
            Some(b'L') => long = Some(name(until_nul(part(content, 0, 4_096)))),
            Some(b'x') => long = pax(content).or(long),
            Some(0 | b'0' | b'7' | b'S') => {
                if !walk.may_look_at_more() {
                    return;
                }
                walk.lying(&long.take().unwrap_or_else(|| own_name(header)), content);
                if content.len() < length {
                    walk.mark(MarkKind::Broken, "tar that ends in a file");
                    return;
                }
            }
            _ => long = None,
        }
        let blocks = length.div_ceil(BLOCK).saturating_mul(BLOCK);
        let Some(next) = at.checked_add(BLOCK).and_then(|at| at.checked_add(blocks)) else { return };
        at = next;
    }
}

fn own_name(header: &[u8]) -> String {
    let own = name(until_nul(part(header, 0, 100)));
    let prefix = if part(header, 257, 6) == b"ustar\0" {
        name(until_nul(part(header, 345, 155)))
    } else {
        String::new()
    };
    if prefix.is_empty() { own } else { format!("{prefix}/{own}") }
}

/// `27 path=…`, one record a line.
fn pax(content: &[u8]) -> Option<String> {
    let line = content.split(|&byte| byte == b'\n').find_map(|line| {
        let at = super::super::bytes::find(line, b" path=")?;
        line.get(at + 6..)
    })?;
    Some(name(part(line, 0, 4_096)))
}
