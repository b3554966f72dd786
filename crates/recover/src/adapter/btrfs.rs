//! Read-only snapshots of btrfs subvolumes (btrfs-subvolume(8)): all that a subvolume holds at one instant, at once.
//!
//! A snapshot lies in the subvolume that it shows, under a name that says whose it is, and whoever uses it holds a lock on it. The
//! kernel lets go of that lock however the holder ends, so what can be locked was left behind and is removed. LVM has no
//! adapter: a file system on a logical volume is read until it holds still, as every other one.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, FsWord, Mode, OFlags, flock, open, statfs};

use super::program;
use crate::error::Error;
use crate::vault::random_bytes;

/// How the names of our snapshots begin; 16 digits follow.
pub(crate) const PREFIX: &str = ".chartward-instant-";
const DIGITS: usize = 16;
/// Inode of the uppermost folder of every subvolume (BTRFS_FIRST_FREE_OBJECTID).
const SUBVOLUME: u64 = 256;
/// From linux/magic.h.
const MAGIC: FsWord = 0x9123_683e;
/// Somebody who removes what was left behind may be faster than our lock.
const ATTEMPTS: usize = 3;

/// A snapshot that exists, for as long as this does.
pub(crate) struct Snapshot {
    /// Where it is read.
    pub(crate) at: PathBuf,
    /// Uppermost folder of the subvolume that it shows.
    pub(crate) of: PathBuf,
    /// Device numbers of both.
    pub(crate) devices: (u64, u64),
    /// It was taken after this,
    pub(crate) began_at: Timestamp,
    /// and before this.
    pub(crate) ended_at: Timestamp,
    /// Carries the lock.
    _held: OwnedFd,
}

impl Snapshot {
    /// Takes one of the subvolume whose uppermost folder is given.
    pub(crate) fn take(of: &Path, now: &dyn Fn() -> Timestamp) -> Result<Snapshot, Error> {
        let began_at = now();
        let mut attempt = 1;
        loop {
            let at = of.join(new_name()?);
            program::run(btrfs()?.args(["subvolume", "snapshot", "-r", "--"]).args([of, &at]))?;
            match lock(&at) {
                Ok(Some(held)) => {
                    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev());
                    let io = |source| Error::Io { op: "look at", path: at.clone(), source };
                    let devices = (device(&at).map_err(io)?, device(of).map_err(io)?);
                    let of = of.to_path_buf();
                    return Ok(Snapshot { at, of, devices, began_at, ended_at: now(), _held: held });
                }
                _ if attempt < ATTEMPTS => attempt += 1,
                Ok(None) => return Err(Error::InstantLost { path: at }),
                Err(source) => return Err(Error::Io { op: "lock", path: at, source }),
            }
        }
    }

    /// Removes it. What cannot be removed now is removed when a backup of the same subvolume begins.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        delete(&self.at)
    }
}

/// Uppermost folder of the subvolume that holds `path`, or why there is none to take a snapshot of.
pub(crate) fn subvolume_of(path: &Path) -> Result<PathBuf, &'static str> {
    let is_btrfs = statfs(path).is_ok_and(|fs| fs.f_type == MAGIC);
    if !is_btrfs {
        return Err("its file system has no snapshots that this program can make");
    }
    let meta = |path: &Path| fs::symlink_metadata(path);
    let device = meta(path).map_err(|_| "it cannot be looked at")?.dev();
    path.ancestors()
        .map_while(|folder| meta(folder).ok().filter(|meta| meta.dev() == device).map(|meta| (folder, meta)))
        .find(|(_, meta)| meta.is_dir() && meta.ino() == SUBVOLUME)
        .map(|(folder, _)| folder.to_path_buf())
        .ok_or("only a part of its subvolume is mounted")
}

/// Subvolumes that lie in a subvolume, as absolute paths. Ours are not among them.
pub(crate) fn nested(subvolume: &Path) -> Result<Vec<PathBuf>, Error> {
    let ask = |args: &[&str]| {
        let answer = program::output(btrfs()?.args(args).arg(subvolume))?;
        Ok::<_, Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let id = ask(&["inspect-internal", "rootid"])?;
    let own = ask(&["inspect-internal", "subvolid-resolve", id.trim()])?;
    let own = Path::new(own.trim_end_matches('\n'));
    // Each line ends with a path from the top of the file system, wherever it is mounted.
    let list = ask(&["subvolume", "list", "-o"])?;
    let paths = list.lines().filter_map(|line| line.split_once(" path ").map(|(_, path)| Path::new(path)));
    let inside = paths.filter_map(|path| path.strip_prefix(own).ok()).map(|path| subvolume.join(path));
    Ok(inside.filter(|path| !path.file_name().is_some_and(is_ours)).collect())
}

/// Removes what backups that were killed left in a subvolume; returns what others are using, which is no part of a backup.
pub(crate) fn remove_leftovers(subvolume: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(subvolume) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| is_ours(&entry.file_name())).map(|entry| entry.path());
    let snapshots = ours.filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| meta.ino() == SUBVOLUME));
    snapshots.filter(|path| !matches!(lock(path), Ok(Some(_held)) if delete(path).is_ok())).collect()
}

fn is_ours(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    digits.is_some_and(|it| it.len() == DIGITS && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn new_name() -> Result<String, Error> {
    let mut noise = [0; DIGITS / 2];
    random_bytes(&mut noise)?;
    Ok(format!("{PREFIX}{}", hex::encode(noise)))
}

/// `None` if somebody else holds it.
fn lock(path: &Path) -> std::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = open(path, flags, Mode::empty())?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(fd)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn delete(path: &Path) -> Result<(), Error> {
    program::run(btrfs()?.args(["subvolume", "delete", "--"]).arg(path))
}

fn btrfs() -> Result<Command, Error> {
    Ok(program::command(&program::find("btrfs", "btrfs-progs")?))
}
