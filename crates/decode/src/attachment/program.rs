//! Programs, scripts and help files, by content.

use super::bytes::{part, size, u16_le, u32_le};
use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;

/// Notes what runs by itself.
pub(super) fn judge(walk: &mut Walk<'_>, bytes: &[u8], sort: Sort) {
    match sort {
        Sort::Pe => walk.mark(MarkKind::Executable, pe(bytes)),
        Sort::Dos => walk.mark(MarkKind::Executable, "a program for DOS"),
        Sort::Elf => walk.mark(MarkKind::Executable, "a program for Linux (ELF)"),
        Sort::MachO => walk.mark(MarkKind::Executable, "a program for macOS (Mach-O)"),
        Sort::JavaClass => walk.mark(MarkKind::Executable, "a Java class"),
        Sort::Installer => walk.mark(MarkKind::Executable, "a package of programs"),
        Sort::Script(what) => walk.mark(MarkKind::Script, format!("reads as a script ({what})")),
        Sort::Chm => walk.mark(MarkKind::Script, "a compiled help file"),
        _ => {}
    }
}

/// What kind of Windows program, after its headers.
fn pe(bytes: &[u8]) -> String {
    let header = size(u32_le(bytes, 0x3c).unwrap_or_default());
    if part(bytes, header, 2) != b"PE" {
        return "a program for Windows, 16 bit".to_owned();
    }
    let flags = u16_le(bytes, header.saturating_add(22)).unwrap_or_default();
    let what = if flags & 0x2000 == 0 { "a program" } else { "a library" };
    let wide = u16_le(bytes, header.saturating_add(24)) == Some(0x20b);
    // The fifteenth directory is the one of .NET.
    let directory = header.saturating_add(24).saturating_add(if wide { 112 } else { 96 } + 14 * 8);
    // Its header always has this length.
    let net = u32_le(bytes, directory.saturating_add(4)) == Some(72);
    format!("{what} for Windows (PE{})", if net { ", .NET" } else { "" })
}
