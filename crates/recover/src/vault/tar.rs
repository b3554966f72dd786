//! A tar archive (POSIX.1-2001 pax) of what a snapshot holds: what the old header has no room for stands in pax records.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::meta;
use super::tree::{Kind, Node};

const BLOCK: usize = 512;
/// Largest number in the old header's field for sizes, and in those for owners.
const MAX_SIZE: u64 = 0o77_777_777_777;
const MAX_ID: u32 = 0o7_777_777;

/// Writes the header of an entry. A file's content of `size` bytes and [`pad`] follow it.
pub(crate) fn header(
    out: &mut dyn Write,
    path: &Path,
    node: &Node,
    size: u64,
    same_as: Option<&Path>,
) -> io::Result<()> {
    let mut name = path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes().to_vec();
    if node.kind == Kind::Dir {
        name.push(b'/');
    }
    let target = match same_as {
        Some(first) => first.strip_prefix("/").unwrap_or(first).as_os_str().as_bytes(),
        None if node.kind == Kind::Symlink => node.link_target(),
        None => b"",
    };
    let records = records(&name, node, size, target);
    if !records.is_empty() {
        out.write_all(&block(b"pax", b'x', &Fields { size: records.len() as u64, ..Fields::default() }))?;
        out.write_all(&records)?;
        pad(out, records.len() as u64)?;
    }
    let kind = match node.kind {
        _ if same_as.is_some() => b'1',
        Kind::Dir => b'5',
        Kind::Symlink => b'2',
        Kind::Dev => b'4',
        Kind::CharDev => b'3',
        Kind::Fifo => b'6',
        _ => b'0',
    };
    out.write_all(&block(&name, kind, &Fields { node: Some(node), size, target }))
}

/// Fills the last block of `size` bytes.
pub(crate) fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let over = (size % BLOCK as u64) as usize;
    out.write_all(&[0; BLOCK][..if over == 0 { 0 } else { BLOCK - over }])
}

/// Writes the end of the archive.
pub(crate) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

#[derive(Default)]
struct Fields<'n> {
    node: Option<&'n Node>,
    size: u64,
    target: &'n [u8],
}

fn block(name: &[u8], kind: u8, fields: &Fields<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, length: usize, bytes: &[u8]| {
        let length = bytes.len().min(length);
        block[at..at + length].copy_from_slice(&bytes[..length]);
    };
    let node = fields.node;
    let octal = |number: u64, digits: usize| format!("{number:0digits$o}\0").into_bytes();
    put(0, 100, name);
    put(100, 8, &octal(node.map_or(0o644, |node| meta::unix_mode(node.mode)).into(), 7));
    put(108, 8, &octal(node.map_or(0, |node| node.uid).min(MAX_ID).into(), 7));
    put(116, 8, &octal(node.map_or(0, |node| node.gid).min(MAX_ID).into(), 7));
    put(124, 12, &octal(fields.size.min(MAX_SIZE), 11));
    let seconds = node.map_or(0, |node| node.mtime.as_second()).clamp(0, MAX_SIZE as i64);
    put(136, 12, &octal(seconds as u64, 11));
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, fields.target);
    put(257, 8, b"ustar\x0000");
    if let Some(node) = node {
        put(265, 31, node.user.as_bytes());
        put(297, 31, node.group.as_bytes());
        if matches!(node.kind, Kind::Dev | Kind::CharDev) {
            put(329, 8, &octal(rustix::fs::major(node.device).min(MAX_ID).into(), 7));
            put(337, 8, &octal(rustix::fs::minor(node.device).min(MAX_ID).into(), 7));
        }
    }
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// What the old header cannot say: long names, bytes beyond ASCII, fractions of a second, times before 1970, attributes.
fn records(name: &[u8], node: &Node, size: u64, target: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &str, value: &[u8]| record(&mut records, key, value);
    if name.len() > 100 || !name.is_ascii() {
        add("path", name);
    }
    if target.len() > 100 || !target.is_ascii() {
        add("linkpath", target);
    }
    if size > MAX_SIZE {
        add("size", size.to_string().as_bytes());
    }
    for (key, id) in [("uid", node.uid), ("gid", node.gid)] {
        if id > MAX_ID {
            add(key, id.to_string().as_bytes());
        }
    }
    for (key, name) in [("uname", &node.user), ("gname", &node.group)] {
        if name.len() > 31 || !name.is_ascii() {
            add(key, name.as_bytes());
        }
    }
    let nanoseconds = node.mtime.as_nanosecond();
    if nanoseconds.rem_euclid(1_000_000_000) != 0 || nanoseconds < 0 {
        let sign = if nanoseconds < 0 { "-" } else { "" };
        let nanoseconds = nanoseconds.unsigned_abs();
        let text = format!("{sign}{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        add("mtime", text.as_bytes());
    }
    for attribute in &node.extended_attributes {
        // In these, `=` ends the name.
        if !attribute.name.contains('=') {
            add(&format!("SCHILY.xattr.{}", attribute.name), &attribute.value);
        }
    }
    for (key, name) in
        [("SCHILY.acl.access", "system.posix_acl_access"), ("SCHILY.acl.default", "system.posix_acl_default")]
    {
        let value = node.extended_attributes.iter().find(|attribute| attribute.name == name);
        if let Some(text) = value.and_then(|attribute| acl_text(&attribute.value)) {
            add(key, text.as_bytes());
        }
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A POSIX ACL in words, from the kernel's form (`linux/posix_acl_xattr.h`).
fn acl_text(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&[2, 0, 0, 0])?;
    let entries = entries.chunks_exact(8).map(|entry| {
        let number = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let id = u32::from(number(4)) | u32::from(number(6)) << 16;
        let bits: String =
            "rwx".chars().zip([4, 2, 1]).map(|(c, bit)| if number(2) & bit != 0 { c } else { '-' }).collect();
        Some(match number(0) {
            0x01 => format!("user::{bits}"),
            0x02 => format!("user:{id}:{bits}"),
            0x04 => format!("group::{bits}"),
            0x08 => format!("group:{id}:{bits}"),
            0x10 => format!("mask::{bits}"),
            0x20 => format!("other::{bits}"),
            _ => return None,
        })
    });
    Some(entries.collect::<Option<Vec<_>>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for (length, expected) in
            [(1, "6 k=v"), (4, "9 k=vvvv"), (5, "11 k=vvvvv"), (93, "99 k="), (94, "101 k=")]
        {
            let mut records = Vec::new();
            record(&mut records, "k", &vec![b'v'; length]);
            let text = String::from_utf8(records).unwrap();
            assert!(text.starts_with(expected), "{length}: {text}");
            assert_eq!(text.split(' ').next().unwrap().parse::<usize>().unwrap(), text.len());
        }
    }

    #[test]
    fn an_access_list_is_written_in_words() {
        let acl: &[u8] = &[
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0, 4, 0, 4, 0, 255, 255, 255,
            255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ];
        assert_eq!(acl_text(acl).unwrap(), "user::rw-,user:1000:r--,group::r--,mask::r--,other::---");
        assert_eq!(acl_text(b"junk"), None);
    }
}
