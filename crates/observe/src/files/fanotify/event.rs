//! Events as the kernel writes them (fanotify(7)), parsed without trust in any length.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

const METADATA_LEN: usize = 24;
const INFO_HEADER_LEN: usize = 4;
const FSID_LEN: usize = 8;
const FID: u8 = 1;
const DFID_NAME: u8 = 2;
const OLD_DFID_NAME: u8 = 10;
const NEW_DFID_NAME: u8 = 12;
const RANGE: u8 = 6;
/// Kinds of file handles that begin with the inode's number: of 4 bytes (ext4, small XFS), and of 8 (XFS, btrfs).
const INO32: (i32, usize) = (1, 8);
const INO64: [(i32, usize); 2] = [(0x81, 12), (0x4d, 20)];

/// One event: what, by whom, and the records that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) mask: u64,
    pub(super) fd: i32,
    /// Thread id in a group with FAN_REPORT_TID, else process id.
    pub(super) pid: i32,
    info: &'a [u8],
}

/// A directory as the kernel names it for good: it survives renames.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Handle {
    pub(super) fsid: [u8; FSID_LEN],
    pub(super) kind: i32,
    pub(super) bytes: Box<[u8]>,
}

/// The names in an event: of the entry, or for a rename the old and the new one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) entry: Option<(Handle, OsString)>,
    pub(super) old: Option<(Handle, OsString)>,
    pub(super) new: Option<(Handle, OsString)>,
}

/// The events in one buffer; what is cut off or does not add up ends the list.
pub(super) fn events(mut rest: &[u8]) -> impl Iterator<Item = Event<'_>> {
    std::iter::from_fn(move || {
        let len = u32_at(rest, 0)? as usize;
        let metadata_len = usize::from(u16_at(rest, 6)?);
        let event = rest.get(..len).filter(|event| event.len() >= METADATA_LEN)?;
        rest = rest.get(len..)?;
        Some(Event {
            mask: u64::from_ne_bytes(event.get(8..16)?.try_into().ok()?),
            fd: i32::from_ne_bytes(event.get(16..20)?.try_into().ok()?),
            pid: i32::from_ne_bytes(event.get(20..24)?.try_into().ok()?),
            info: event.get(metadata_len..).unwrap_or_default(),
        })
    })
}

impl<'a> Event<'a> {
    /// How many bytes an access is about, rounded up to whole pages; `None` when the kernel does not say.
    pub(super) fn bytes(&self) -> Option<u64> {
        let record = self.records().find(|(kind, _)| *kind == RANGE)?.1;
        // Four bytes of padding and the offset stand before it.
        Some(u64::from_ne_bytes(record.get(16..24)?.try_into().ok()?))
    }

    /// The directory handles and names that come with the event.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for (kind, record) in self.records() {
            match kind {
                DFID_NAME => names.entry = handle_and_name(record),
                OLD_DFID_NAME => names.old = handle_and_name(record),
                NEW_DFID_NAME => names.new = handle_and_name(record),
                _ => {}
            }
        }
        names
    }

    /// The inode behind the entry, where its file system's handles are known to name it.
    pub(super) fn inode(&self) -> Option<u64> {
        let (_, record) = self.records().find(|(kind, _)| *kind == FID)?;
        let (handle, _) = handle(record)?;
        let kind = (handle.kind, handle.bytes.len());
        if kind == INO32 {
            Some(u32_at(&handle.bytes, 0)?.into())
        } else if INO64.contains(&kind) {
            Some(u64::from_ne_bytes(handle.bytes.get(..8)?.try_into().ok()?))
        } else {
            None
        }
    }

    /// What follows the event: kinds with whole records.
    fn records(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.info;
        std::iter::from_fn(move || {
            let (&kind, len) = (rest.first()?, usize::from(u16_at(rest, 2)?));
            let record = rest.get(..len).filter(|record| record.len() >= INFO_HEADER_LEN)?;
            rest = rest.get(len..)?;
            Some((kind, record))
        })
    }
}

fn handle_and_name(record: &[u8]) -> Option<(Handle, OsString)> {
    let (handle, name) = handle(record)?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Some((handle, OsStr::from_bytes(name).to_owned()))
}

/// The handle, and what follows it.
fn handle(record: &[u8]) -> Option<(Handle, &[u8])> {
    let fsid = record.get(INFO_HEADER_LEN..INFO_HEADER_LEN + FSID_LEN)?.try_into().ok()?;
    let at = INFO_HEADER_LEN + FSID_LEN;
    let len = u32_at(record, at)? as usize;
    let kind = u32_at(record, at + 4)?.cast_signed();
    let bytes = record.get(at + 8..)?.get(..len)?;
    Some((Handle { fsid, kind, bytes: bytes.into() }, record.get(at + 8 + len..)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u64, fd: i32, pid: i32, info: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((24 + info.len() as u32).to_ne_bytes());
        bytes.extend([3, 0]);
        bytes.extend(24u16.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(fd.to_ne_bytes());
        bytes.extend(pid.to_ne_bytes());
        bytes.extend(info);
        bytes
    }

    fn record(kind: u8, handle: &[u8], name: &str) -> Vec<u8> {
        let mut body = [7; FSID_LEN].to_vec();
        body.extend((handle.len() as u32).to_ne_bytes());
        body.extend(1i32.to_ne_bytes());
        body.extend(handle);
        body.extend(name.as_bytes());
        body.extend([0; 3]);
        let mut record = vec![kind, 0];
        record.extend((4 + body.len() as u16).to_ne_bytes());
        record.extend(body);
        record
    }

    #[test]
    fn a_rename_carries_both_names() {
        let info =
            [record(OLD_DFID_NAME, b"dir1", "a.hl7"), record(NEW_DFID_NAME, b"dir2", "a.hl7.KRAB")].concat();
        let buffer = [event(1, 5, 42, &[]), event(2, -1, 43, &info)].concat();
        let all: Vec<_> = events(&buffer).collect();
        assert_eq!(
            all.iter().map(|event| (event.mask, event.fd, event.pid)).collect::<Vec<_>>(),
            [(1, 5, 42), (2, -1, 43)]
        );
        let names = all[1].names();
        assert_eq!(
            names.old.map(|(handle, name)| (handle.bytes.to_vec(), name)).unwrap(),
            (b"dir1".to_vec(), "a.hl7".into())
        );
        assert_eq!(names.new.unwrap().1, "a.hl7.KRAB");
    }

    #[test]
    fn an_entry_says_which_inode_it_names_where_the_handle_is_of_a_known_kind() {
        let target = |kind: i32, bytes: &[u8]| {
            let mut record = record(FID, bytes, "");
            record[16..20].copy_from_slice(&kind.to_ne_bytes());
            [self::record(DFID_NAME, b"folder", "a.hl7"), record].concat()
        };
        let ext4 = [12_345_u32.to_ne_bytes(), 7_u32.to_ne_bytes()].concat();
        let xfs = [&(1_u64 << 40 | 5).to_ne_bytes()[..], &[0; 4]].concat();
        let tmpfs = [7_u32.to_ne_bytes(), 12_345_u32.to_ne_bytes(), [0; 4]].concat();
        for (kind, bytes, expected) in [
            (1, &ext4, Some(12_345)),
            (0x81, &xfs, Some(1 << 40 | 5)),
            (1, &tmpfs, None),
            (0x81, &ext4, None),
        ] {
            assert_eq!(events(&event(2, -1, 43, &target(kind, bytes))).next().unwrap().inode(), expected);
        }
        assert_eq!(events(&event(2, -1, 43, &[])).next().unwrap().inode(), None);
    }

    #[test]
    fn an_access_says_how_many_bytes_it_is_about() {
        let mut range = vec![RANGE, 0, 24, 0, 0, 0, 0, 0];
        range.extend(8192u64.to_ne_bytes());
        range.extend(4096u64.to_ne_bytes());
        assert_eq!(events(&event(1, 5, 42, &range)).next().unwrap().bytes(), Some(4096));
        assert_eq!(events(&event(1, 5, 42, &range[..20])).next().unwrap().bytes(), None);
        assert_eq!(events(&event(1, 5, 42, &[])).next().unwrap().bytes(), None);
    }

    #[test]
    fn cut_off_or_lying_lengths_end_the_list_without_a_panic() {
        let whole = event(2, -1, 43, &record(DFID_NAME, b"handle", "name"));
        for end in 0..whole.len() {
            assert_eq!(events(&whole[..end]).count(), 0, "cut at {end}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                for event in events(&broken).take(4) {
                    let _ = (event.names(), event.inode(), event.bytes());
                }
            }
        }
    }
}
