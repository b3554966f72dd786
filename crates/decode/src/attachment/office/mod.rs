//! Office documents: what runs when they open, what they fetch, what lies in them.

mod biff;
mod compound;
mod crypto;
mod dde;
mod encrypted;
pub(super) mod native;
mod odf;
mod ooxml;
mod slides;
#[cfg(test)]
mod tests;
mod vba;
mod word;

use super::bytes::{size, u32_le, utf16_le};
use super::sort::Sort;
use super::values::MarkKind;
use super::walk::Walk;
use compound::{Compound, Node};

pub(super) use dde::csv;
pub(super) use odf::{is_odf, look as odf};
pub(super) use ooxml::{is_ooxml, look as ooxml};

/// Bytes of one stream that are read.
const STREAM_MAX: usize = 64 << 20;
/// Class of a Windows installer, a patch and a transformation of one (the first byte differs).
const INSTALLER: [u8; 15] = [0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46];
/// Classes of objects that run something by themselves or are known for holes, as their bytes lie in the file.
const CLASSES: [([u8; 16], &str); 6] = [
    (
        [0x02, 0xce, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46],
        "Equation 3.0",
    ),
    (
        [0xc3, 0x2a, 0xb2, 0xea, 0xc1, 0x30, 0xcf, 0x11, 0xa7, 0xeb, 0x00, 0x00, 0xc0, 0x5b, 0xae, 0x0b],
        "Shell.Explorer",
    ),
    (
        [0x61, 0xf9, 0x56, 0x88, 0x0a, 0x34, 0xd0, 0x11, 0xa9, 0x6b, 0x00, 0xc0, 0x4f, 0xd7, 0x05, 0xa2],
        "Shell.Explorer",
    ),
    (
        [0x20, 0x69, 0x33, 0x25, 0xf9, 0x03, 0xcf, 0x11, 0x8f, 0xd0, 0x00, 0xaa, 0x00, 0x68, 0x6f, 0x13],
        "htmlfile",
    ),
    (
        [0xd3, 0x0b, 0x29, 0x06, 0xaa, 0x48, 0xd2, 0x11, 0x84, 0x32, 0x00, 0x60, 0x08, 0xc3, 0xfb, 0xfc],
        "script",
    ),
    (
        [0xc7, 0xb0, 0xab, 0xec, 0x19, 0x7f, 0xd2, 0x11, 0x97, 0x8e, 0x00, 0x00, 0xf8, 0x75, 0x7e, 0x2a],
        "script",
    ),
];
/// Class of a moniker that is an address.
const URL_MONIKER: [u8; 16] =
    [0xe0, 0xc9, 0xea, 0x79, 0xf9, 0xba, 0xce, 0x11, 0x8c, 0x82, 0, 0xaa, 0, 0x4b, 0xa9, 0x0b];

/// A compound file: documents up to Office 2003, encrypted ones, installers, mails of Outlook, the inside of embedded objects.
pub(super) fn compound(walk: &mut Walk<'_>, name: &str, bytes: &[u8]) {
    let Some(file) = Compound::open(bytes) else {
        walk.mark(MarkKind::Broken, "a compound file that does not hold together");
        return;
    };
    if file.root_class().is_some_and(|class| class.get(1..) == Some(&INSTALLER[..])) {
        walk.mark(MarkKind::Executable, "an installer for Windows (MSI)");
        walk.mark(MarkKind::NotLookedAt, "what the installer carries");
        return;
    }
    if let Some(package) = file.find("EncryptedPackage") {
        encrypted::look(walk, name, &file, package);
        return;
    }
    vba::look(walk, &file);
    for node in file.nodes() {
        part(walk, &file, node);
    }
}

/// One stream or storage of a compound file.
fn part(walk: &mut Walk<'_>, file: &Compound<'_>, node: &Node) {
    if !node.stream {
        if let Some((_, what)) = CLASSES.iter().find(|(class, _)| *class == node.class) {
            walk.mark(MarkKind::EmbeddedObject, format!("an object ({what})"));
        }
        return;
    }
    match node.name.as_str() {
        "WordDocument" => word::look(walk, &file.read(node, STREAM_MAX)),
        "Workbook" | "Book" => biff::look(walk, &file.read(node, STREAM_MAX)),
        "PowerPoint Document" => slides::look(walk, &file.read(node, STREAM_MAX)),
        "\u{1}Ole10Native" | "\u{1}Ole10ItemName" => native::stream(walk, &file.read(node, STREAM_MAX)),
        "\u{1}Ole" => linked(walk, &file.read(node, 64 << 10)),
        "Equation Native" => walk.mark(MarkKind::EmbeddedObject, "an object (Equation 3.0)"),
        // An office document of today inside one of yesterday, or a file of another program.
        "Package" | "CONTENTS" | "EmbeddedOdf" => walk.lying(&node.path, &file.read(node, STREAM_MAX)),
        // A file that a mail of Outlook carries.
        "__substg1.0_37010102" => {
            let text = |property: &str, wide: bool| {
                let path = format!("{}/__substg1.0_{property}", node.parent());
                let raw = file.read(file.find(&path)?, 2_048);
                Some(if wide { utf16_le(&raw) } else { super::bytes::name(&raw) })
            };
            let names = [("3707001F", true), ("3707001E", false), ("3704001F", true), ("3704001E", false)];
            let name = names.iter().find_map(|(property, wide)| text(property, *wide)).unwrap_or_default();
            walk.lying(&name, &file.read(node, STREAM_MAX));
        }
        _ => {
            // Anything else that is plainly a program of its own.
            if node.length > 64 {
                let head = file.read(node, 4_096);
                if matches!(Sort::of("", &head), Sort::Pe | Sort::Lnk) {
                    walk.lying(&node.path, &file.read(node, STREAM_MAX));
                }
            }
        }
    }
}

/// `\1Ole`: where a linked object comes from ([MS-OLEDS] 2.3.3).
fn linked(walk: &mut Walk<'_>, bytes: &[u8]) {
    let Some(at) = super::bytes::find(bytes, &URL_MONIKER) else { return };
    let length = size(u32_le(bytes, at + 16).unwrap_or_default());
    let address = utf16_le(super::bytes::part(bytes, at + 20, length.min(4_096)));
    let address = address.split('\0').next().unwrap_or_default();
    if is_remote(address) {
        walk.mark(MarkKind::ExternalTemplate, format!("object {address}"));
    }
}

/// Whether an address leads away from the computer: over the network, or through a handler that does.
pub(super) fn is_remote(target: &str) -> bool {
    let target = target.trim().to_ascii_lowercase();
    let local_file = target.starts_with("file:///") && !target.starts_with("file:////");
    !local_file
        && [
            "http:",
            "https:",
            "ftp:",
            "\\\\",
            "//",
            "file://",
            "mhtml:",
            "ms-",
            "search-ms:",
            "script:",
            "x-usc:",
            "ldap:",
            "dav:",
        ]
        .iter()
        .any(|start| target.starts_with(start))
}
