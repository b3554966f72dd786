//! What nobody here can look into yet: SQL Server's `.bak` files, disk images of virtual machines, volumes.
//!
//! They are captured, their kind is recognised by their first bytes, and every drill says that they are not proven.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use schema::DatabaseCensus;

use super::settings::{Setting, required};
use super::{Adapter, Entry, Findings, Place, Restored, Taken};
use crate::error::Error;

/// The adapter.
pub const ENTRY: Entry = Entry {
    kind: "opaque",
    title: (
        "Folders of SQL Server backups (.bak), disk images of virtual machines and volumes: captured, not proven",
        "SQL Serverのバックアップ(.bak)、仮想マシンのディスクイメージ、ボリューム:取り込みのみ(中身は検証しない)",
    ),
    settings: &SETTINGS,
    open: |settings| {
        let missing = || settings.refuse("path= is missing".to_owned());
        Ok(Box::new(Opaque { path: settings.path("path")?.ok_or_else(missing)? }))
    },
    proves: None,
    drill,
};

static SETTINGS: [Setting; 1] = [required("path", "the folder that holds them", "それらのあるフォルダー")];

const PART: &str = "files";
/// Folders deeper than this hold no images.
const DEPTH_MAX: usize = 32;
/// As much of a file as any of the marks needs.
const HEAD_BYTES: u64 = 1024;
/// Where a mark stands, what it is, and what it is the mark of.
const MARKS: [(usize, &[u8], &str); 14] = [
    (0, b"TAPE", "SQL Server backup"),
    (0, b"MSSQLBAK", "SQL Server backup, compressed"),
    (0, b"QFI\xfb", "QEMU disk image"),
    (0, b"vhdxfile", "Hyper-V disk image (VHDX)"),
    (0, b"conectix", "Hyper-V disk image (VHD)"),
    (0, b"KDMV", "VMware disk image"),
    (0, b"COWD", "VMware disk image"),
    (0, b"# Disk DescriptorFile", "VMware disk image, its description"),
    (64, b"\x7f\x10\xda\xbe", "VirtualBox disk image"),
    (0, b"LUKS\xba\xbe", "encrypted volume (LUKS)"),
    (3, b"-FVE-FS-", "encrypted volume (BitLocker)"),
    (3, b"NTFS    ", "NTFS volume"),
    (512, b"EFI PART", "disk with a partition table (GPT)"),
    (510, b"\x55\xaa", "disk with a boot record"),
];

struct Opaque {
    path: PathBuf,
}

impl Adapter for Opaque {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let instant = (place.now)();
        let kinds = kinds(&self.path, 0)?;
        let not_proven = kinds
            .iter()
            .map(|(kind, count)| {
                format!("{count} × {kind}: restored byte for byte, and nothing here looks into it")
            })
            .collect();
        let databases = vec![census(place.name, kinds)];
        let parts = vec![(PART.to_owned(), self.path.clone())];
        Ok(Taken { parts, instant: Some(instant), databases, not_proven, ..Taken::default() })
    }
}

/// The same kinds must be there as often as they were captured: a disk image that was encrypted meanwhile has no mark any more.
fn drill(restored: &Restored<'_>) -> Result<Findings, Error> {
    let kinds = kinds(&restored.part(PART), 0)?;
    Ok(Findings { databases: vec![census(&restored.source.name, kinds)], ..Findings::default() })
}

fn census(name: &str, kinds: BTreeMap<String, u64>) -> DatabaseCensus {
    DatabaseCensus {
        path: format!("opaque:{name}"),
        engine: "opaque".to_owned(),
        tables: kinds,
        ..DatabaseCensus::default()
    }
}

fn kinds(folder: &Path, depth: usize) -> Result<BTreeMap<String, u64>, Error> {
    let fail = |source| Error::Io { op: "read", path: folder.to_path_buf(), source };
    if depth > DEPTH_MAX {
        return Err(fail(std::io::Error::other("folders are nested too deep")));
    }
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            for (kind, count) in kinds(&entry.path(), depth + 1)? {
                *found.entry(kind).or_default() += count;
            }
        } else if kind.is_file() {
            let mut head = Vec::new();
            let read = File::open(entry.path()).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
            read.map_err(fail)?;
            *found.entry(kind_of(&head).to_owned()).or_default() += 1;
        }
    }
    Ok(found)
}

/// What a file is by its first bytes.
fn kind_of(head: &[u8]) -> &'static str {
    let is = |(at, mark, _): &&(usize, &[u8], &str)| head.get(*at..at + mark.len()) == Some(*mark);
    MARKS.iter().find(is).map_or("file of an unknown kind", |(_, _, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let mut disk = vec![0; 1024];
        disk[510..512].copy_from_slice(b"\x55\xaa");
        for (head, kind) in [
            (&b"TAPE\x00\x00"[..], "SQL Server backup"),
            (b"QFI\xfb\x00\x00\x00\x03", "QEMU disk image"),
            (&disk, "disk with a boot record"),
            (b"", "file of an unknown kind"),
            (b"QF", "file of an unknown kind"),
        ] {
            assert_eq!(kind_of(head), kind);
        }
    }
}
