//! Dynamic data exchange, with which a document starts a program.

use super::super::bytes::{part, text};
use super::super::name::extension;
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// Bytes of a table that are read.
const TABLE_MAX: usize = 8 << 20;

/// Whether a field's instruction exchanges data.
pub(super) fn is_field(field: &str) -> bool {
    let first = field.trim_start().split([' ', '\t', '\u{a0}', '"']).next().unwrap_or_default();
    first.eq_ignore_ascii_case("dde") || first.eq_ignore_ascii_case("ddeauto")
}

/// A table as text: `=cmd|'/c …'!A1`, which Excel takes for a formula.
pub(in super::super) fn csv(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) {
    if !matches!(extension(name).as_str(), "csv" | "tsv" | "slk" | "iqy" | "dif" | "prn" | "xls") {
        return;
    }
    if bytes.len() > TABLE_MAX {
        walk.mark(MarkKind::NotLookedAt, "a table longer than is read");
    }
    let table = text(part(bytes, 0, TABLE_MAX));
    for line in table.lines() {
        // Only a pipe makes it an exchange.
        if !line.contains('|') {
            continue;
        }
        let cells = line.split([',', ';', '\t']).map(|cell| cell.trim().trim_matches('"').trim());
        for cell in cells {
            if let Some(formula) = formula(cell) {
                walk.mark(MarkKind::Dde, formula);
            }
        }
    }
}

/// `=server|topic!item`, also behind `+`, `-`, `@` and sums (`=1+cmd|…`).
fn formula(cell: &str) -> Option<&str> {
    let body = cell
        .strip_prefix(['=', '+', '-', '@'])
        .or_else(|| cell.split_once(";E").map(|(_, formula)| formula))?;
    let (before, after) = body.split_once('|')?;
    let server: String =
        before.chars().rev().take_while(|c| c.is_alphanumeric() || "_.".contains(*c)).collect();
    let quoted = after.trim_start().starts_with(['\'', '"', '/']);
    (!server.is_empty() && quoted && after.contains('!')).then_some(cell)
}
