//! What is known about a path besides its content, between the kernel's form and restic's.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use jiff::Timestamp;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::tree::{Kind, Node};

// Go's os.FileMode.
const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
const GO_PIPE: u32 = 1 << 25;
const GO_SOCKET: u32 = 1 << 24;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_CHAR: u32 = 1 << 21;
const GO_STICKY: u32 = 1 << 20;
const GO_IRREGULAR: u32 = 1 << 19;

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

/// Mode of a directory that exists in the snapshot only.
pub(crate) const SYNTHETIC_DIR: u32 = GO_DIR | 0o755;

pub(crate) fn kind_of(stat: &Stat) -> Kind {
    match stat.st_mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o060_000 => Kind::Dev,
        0o020_000 => Kind::CharDev,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        _ => Kind::Irregular,
    }
}

fn go_mode(kind: Kind, mode: u32) -> u32 {
    let kind = match kind {
        Kind::File => 0,
        Kind::Dir => GO_DIR,
        Kind::Symlink => GO_SYMLINK,
        Kind::Dev => GO_DEVICE,
        Kind::CharDev => GO_DEVICE | GO_CHAR,
        Kind::Fifo => GO_PIPE,
        Kind::Socket => GO_SOCKET,
        Kind::Irregular => GO_IRREGULAR,
    };
    let special = [(SETUID, GO_SETUID), (SETGID, GO_SETGID), (STICKY, GO_STICKY)];
    special.iter().filter(|(unix, _)| mode & unix != 0).fold(kind | mode & 0o777, |all, (_, go)| all | go)
}

/// Permission bits for `chmod`.
pub(crate) fn unix_mode(go: u32) -> u32 {
    let special = [(SETUID, GO_SETUID), (SETGID, GO_SETGID), (STICKY, GO_STICKY)];
    special.iter().filter(|(_, bit)| go & bit != 0).fold(go & 0o777, |all, (unix, _)| all | unix)
}

/// Go's way to write a mode: a letter for each special bit, then the permissions.
pub(crate) fn permissions(go: u32) -> String {
    let mut text: String = "dalTLDpSugct?"
        .chars()
        .enumerate()
        .filter(|(bit, _)| go & 1 << (31 - bit) != 0)
        .map(|(_, c)| c)
        .collect();
    if text.is_empty() {
        text.push('-');
    }
    let bits = "rwxrwxrwx".chars().enumerate();
    text.extend(bits.map(|(bit, c)| if go & 1 << (8 - bit) != 0 { c } else { '-' }));
    text
}

/// A time as a snapshot can hold it: years 0 to 9999, as Go's JSON.
pub(crate) fn timestamp(seconds: i64, nanoseconds: i64) -> Timestamp {
    const YEAR_0: i64 = -62_167_219_200;
    const YEAR_9999: i64 = 253_370_764_800;
    let seconds = seconds.clamp(YEAR_0, YEAR_9999);
    Timestamp::new(seconds, nanoseconds as i32).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn mtime(stat: &Stat) -> Timestamp {
    timestamp(stat.st_mtime, stat.st_mtime_nsec as i64)
}

pub(crate) fn ctime(stat: &Stat) -> Timestamp {
    timestamp(stat.st_ctime, stat.st_ctime_nsec as i64)
}

/// Names of users and groups, read once.
#[derive(Default)]
pub(crate) struct Names {
    users: HashMap<u32, Arc<str>>,
    groups: HashMap<u32, Arc<str>>,
    nobody: Arc<str>,
}

impl Names {
    pub(crate) fn of_this_host() -> Names {
        Names { users: name_table("/etc/passwd"), groups: name_table("/etc/group"), nobody: Arc::from("") }
    }
}

fn name_table(path: &str) -> HashMap<u32, Arc<str>> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, Arc::from(name)))
    };
    // The first of several names for one id, as getpwuid does.
    text.lines().rev().filter_map(entry).collect()
}

/// A node with everything but content, subtree, link target and attributes.
pub(crate) fn node(name: &[u8], stat: &Stat, names: &Names) -> Node {
    let kind = kind_of(stat);
    let mtime = mtime(stat);
    let mut node = Node::new(name, kind);
    node.mode = go_mode(kind, stat.st_mode);
    node.mtime = mtime;
    // As restic does unless asked otherwise: reading must not make a tree differ.
    node.atime = mtime;
    node.ctime = ctime(stat);
    node.uid = stat.st_uid;
    node.gid = stat.st_gid;
    node.user = Arc::clone(names.users.get(&stat.st_uid).unwrap_or(&names.nobody));
    node.group = Arc::clone(names.groups.get(&stat.st_gid).unwrap_or(&names.nobody));
    node.inode = stat.st_ino;
    node.device_id = stat.st_dev;
    match kind {
        Kind::File => {
            node.size = stat.st_size as u64;
            node.links = stat.st_nlink;
            node.content = Some(Vec::new());
        }
        Kind::Symlink => node.links = stat.st_nlink,
        Kind::Dev | Kind::CharDev => {
            node.links = stat.st_nlink;
            node.device = stat.st_rdev;
        }
        _ => {}
    }
    node
}

/// Extended attributes, and those that could not be read.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) attributes: Vec<super::tree::Attribute>,
    pub(crate) unread: Vec<(String, io::Error)>,
}

/// Extended attributes of an open file or directory. File systems without any have none.
pub(crate) fn attributes(fd: BorrowedFd<'_>) -> Attributes {
    read_attributes(
        |list| rustix::fs::flistxattr(fd, list),
        |name, value| rustix::fs::fgetxattr(fd, name, value),
    )
}

/// Extended attributes of what cannot be opened: a link itself, a pipe, a device.
pub(crate) fn attributes_at(dir: &OwnedFd, name: &[u8]) -> Attributes {
    let path = path_at(dir, name);
    read_attributes(
        |list| rustix::fs::llistxattr(&path, list),
        |name, value| rustix::fs::lgetxattr(&path, name, value),
    )
}

/// A path to a name in an open directory, for calls that take no directory. Its last part is not followed by calls on links.
pub(crate) fn path_at(dir: &OwnedFd, name: &[u8]) -> PathBuf {
    let folder = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    folder.join(OsStr::from_bytes(name))
}

/// The kernel's bound of a list and of a value.
const MAX_ATTRIBUTE: usize = 64 << 10;

fn read_attributes(
    list_into: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get_into: impl Fn(&str, &mut [u8]) -> Result<usize, Errno>,
) -> Attributes {
    let mut found = Attributes::default();
    // File systems without any attributes, and paths that are gone, have none.
    let Ok(list) = read_sized(list_into) else { return found };
    for name in list.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else {
            let error = io::Error::other("its name is not UTF-8, and the format has no room for it");
            found.unread.push((String::from_utf8_lossy(name).into_owned(), error));
            continue;
        };
        match read_sized(|buffer| get_into(name, buffer)) {
            Ok(value) => found.attributes.push(super::tree::Attribute { name: name.to_owned(), value }),
            // It was there a moment ago.
            Err(Errno::NODATA) => {}
            Err(error) => found.unread.push((name.to_owned(), error.into())),
        }
    }
    found.attributes.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// What a call gives that writes into a buffer. Mostly it is nothing, or short: that costs one call and hardly any memory.
fn read_sized(read_into: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut short = [0; 256];
    match read_into(&mut short) {
        Ok(length) => Ok(short[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut long = vec![0; MAX_ATTRIBUTE];
            let length = read_into(&mut long)?;
            long.truncate(length);
            long.shrink_to_fit();
            Ok(long)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

pub(crate) fn own_ids() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
}

pub(crate) fn username() -> String {
    let (uid, _) = own_ids();
    name_table("/etc/passwd").get(&uid).map_or_else(|| uid.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_there_and_back() {
        for (kind, unix, go) in [
            (Kind::File, 0o644, 420),
            (Kind::Dir, 0o1777, 2_148_532_735),
            (Kind::Symlink, 0o777, 134_218_239),
            (Kind::Fifo, 0o644, 33_554_852),
            (Kind::Dev, 0o644, 67_109_284),
            (Kind::File, 0o6755, GO_SETUID | GO_SETGID | 0o755),
        ] {
            assert_eq!(go_mode(kind, unix), go);
            assert_eq!(unix_mode(go), unix);
        }
    }
}
