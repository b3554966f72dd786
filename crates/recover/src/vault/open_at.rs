//! Opening and listing below a folder without ever following a symbolic link.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags, openat, openat2};
use rustix::io::Errno;

const DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// Opens the directory at `relative` below `root`. No component may be a symbolic link or lead out.
pub(crate) fn dir(root: BorrowedFd<'_>, relative: &Path) -> io::Result<OwnedFd> {
    if relative.as_os_str().is_empty() {
        return Ok(openat(root, c".", DIR, Mode::empty())?);
    }
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match openat2(root, relative, DIR, Mode::empty(), resolve) {
        // Old kernels, sandboxes, and paths that are too long for one call.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::NAMETOOLONG | Errno::AGAIN) => {
            step_by_step(root, relative)
        }
        result => Ok(result?),
    }
}

fn step_by_step(root: BorrowedFd<'_>, relative: &Path) -> io::Result<OwnedFd> {
    let mut here = openat(root, c".", DIR, Mode::empty())?;
    for component in relative.components() {
        let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
        here = openat(here.as_fd(), name, DIR, Mode::empty())?;
    }
    Ok(here)
}

/// Opens a directory by its absolute path, following links: for what the operator named.
pub(crate) fn named_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a regular file to read it, without changing its access time where the owner may ask for that.
pub(crate) fn file(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    // Not blocking: a pipe may have taken the file's place.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let name = OsStr::from_bytes(name);
    match openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => Ok(openat(dir, name, flags, Mode::empty())?),
        result => Ok(result?),
    }
}

/// The names in a directory, ordered.
pub(crate) fn names(fd: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut names = Vec::new();
    let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    // A directory that changes while it is listed may show a name twice.
    names.dedup();
    Ok(names)
}
