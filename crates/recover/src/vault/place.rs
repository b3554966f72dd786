//! Putting things into the target: always relative to an open directory, never through a symbolic link.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
    futimens, linkat, mknodat, openat, renameat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::meta;
use super::tree::{Kind, Node};
use super::unset::{Facet, Unset};

/// Makes a symbolic link, a pipe or a device, in place of another that is there.
pub(crate) fn special(dir: &OwnedFd, node: &Node) -> io::Result<()> {
    let name = OsStr::from_bytes(&node.name);
    let make = || match node.kind {
        Kind::Symlink => symlinkat(OsStr::from_bytes(node.link_target()), dir, name),
        Kind::Fifo => mknodat(dir, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0),
        Kind::Dev => mknodat(dir, name, FileType::BlockDevice, Mode::RUSR | Mode::WUSR, node.device),
        Kind::CharDev => mknodat(dir, name, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, node.device),
        // A socket means nothing without the process that made it; restic leaves it out, too.
        _ => Ok(()),
    };
    match make() {
        Err(Errno::EXIST) => {
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if meta::kind_of(&stat) == Kind::Dir {
                return Err(in_the_way());
            }
            unlinkat(dir, name, AtFlags::empty())?;
            Ok(make()?)
        }
        result => Ok(result?),
    }
}

/// What to say when a directory stands where a file belongs.
pub(crate) fn in_the_way() -> io::Error {
    io::Error::other("a directory stands in its place in the target")
}

pub(crate) fn hard_link(from: &OwnedFd, first: &[u8], to: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let (first, name) = (OsStr::from_bytes(first), OsStr::from_bytes(name));
    match linkat(from, first, to, name, AtFlags::empty()) {
        Err(Errno::EXIST) => {
            let (there, source) = (
                statat(to, name, AtFlags::SYMLINK_NOFOLLOW)?,
                statat(from, first, AtFlags::SYMLINK_NOFOLLOW)?,
            );
            if (there.st_dev, there.st_ino) == (source.st_dev, source.st_ino) {
                return Ok(());
            }
            if meta::kind_of(&there) == Kind::Dir {
                return Err(in_the_way());
            }
            unlinkat(to, name, AtFlags::empty())?;
            Ok(linkat(from, first, to, name, AtFlags::empty())?)
        }
        result => Ok(result?),
    }
}

/// Creates a file that is not there yet.
pub(crate) fn create(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR)
}

/// Opens a file that this restore has created.
pub(crate) fn reopen(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(openat(dir, OsStr::from_bytes(name), flags, Mode::empty())?)
}

pub(crate) fn remove(dir: BorrowedFd<'_>, name: &[u8]) {
    // It is a leftover whose removal is a courtesy.
    let _ = unlinkat(dir, OsStr::from_bytes(name), AtFlags::empty());
}

pub(crate) fn rename(dir: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> io::Result<()> {
    Ok(renameat(dir, OsStr::from_bytes(from), dir, OsStr::from_bytes(to))?)
}

/// Sets owner, mode, attributes and times of an open file or directory.
pub(crate) fn metadata(fd: BorrowedFd<'_>, node: &Node, as_root: bool) -> Result<(), Unset> {
    let mut unset = Unset::default();
    set_owner(&mut unset, node, as_root, |uid, gid| fchown(fd, uid, gid));
    for attribute in &node.extended_attributes {
        let set = rustix::fs::fsetxattr(fd, attribute.name.as_str(), &attribute.value, XattrFlags::empty());
        unset.keep(Facet::of_attribute(&attribute.name), set);
    }
    for name in meta::attributes(fd).attributes.into_iter().map(|attribute| attribute.name) {
        if is_foreign(&name, node) {
            unset.keep(Facet::of_attribute(&name), rustix::fs::fremovexattr(fd, name.as_str()));
        }
    }
    // After the owner, since a change of owner clears the set-uid bits.
    unset.keep(Facet::Mode, fchmod(fd, Mode::from_raw_mode(meta::unix_mode(node.mode))));
    unset.keep(Facet::Times, futimens(fd, &times(node)));
    unset.into_result()
}

/// As [`metadata`], for what cannot be opened.
pub(crate) fn metadata_at(dir: &OwnedFd, node: &Node, as_root: bool) -> Result<(), Unset> {
    let mut unset = Unset::default();
    if node.kind == Kind::Socket || node.kind == Kind::Irregular {
        return Ok(());
    }
    let name = OsStr::from_bytes(&node.name);
    set_owner(&mut unset, node, as_root, |uid, gid| chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW));
    for attribute in &node.extended_attributes {
        let path = meta::path_at(dir, &node.name);
        let set =
            rustix::fs::lsetxattr(&path, attribute.name.as_str(), &attribute.value, XattrFlags::empty());
        unset.keep(Facet::of_attribute(&attribute.name), set);
    }
    if node.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(meta::unix_mode(node.mode));
        unset.keep(Facet::Mode, rustix::fs::chmodat(dir, name, mode, AtFlags::empty()));
    }
    unset.keep(Facet::Times, utimensat(dir, name, &times(node), AtFlags::SYMLINK_NOFOLLOW));
    unset.into_result()
}

/// An ordinary user can give nothing away, but may put it into a group of theirs.
fn set_owner(
    unset: &mut Unset,
    node: &Node,
    as_root: bool,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
) {
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    if as_root {
        return unset.keep(Facet::Owner, chown(Some(uid), Some(gid)));
    }
    let is_own = uid == rustix::process::geteuid();
    let grouped = chown(None, Some(gid));
    unset.keep(Facet::Owner, if is_own { grouped } else { Err(Errno::PERM) });
}

/// Whether an attribute came from the target: an access list that a folder hands down would let people read what they could not.
fn is_foreign(name: &str, node: &Node) -> bool {
    let is_inherited = name.starts_with("system.posix_acl_") || name.starts_with("user.");
    is_inherited && node.extended_attributes.iter().all(|attribute| attribute.name != name)
}

fn times(node: &Node) -> Timestamps {
    let spec = |time: jiff::Timestamp| {
        let nanoseconds = time.as_nanosecond();
        let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        Timespec { tv_sec: seconds as i64, tv_nsec: rest as _ }
    };
    Timestamps { last_access: spec(node.atime), last_modification: spec(node.mtime) }
}
