//! Where records lie in the clear while they are looked at: in memory where they fit, else on disk; never longer than
//! needed.
//!
//! A sandbox goes away when its command ends, also by SIGTERM, SIGINT or SIGHUP. What a killed command or a power cut left
//! behind is removed when the next sandbox is made.

mod registry;

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, Mode, OFlags};
use tempfile::TempDir;

pub(crate) use registry::wait_if_ending;

/// A file system in memory that every Linux has.
const MEMORY: &str = "/dev/shm";
/// What a small file and its folders take there: a page, and two or three inodes.
const BYTES_PER_FILE: u64 = 12 * 1024;
/// Names of sandboxes begin with one of these.
const PREFIXES: [&str; 2] = ["chartward-drill-", "chartward-capture-"];
/// Somebody who sweeps may hold the lock of a folder that was made a moment ago.
const TRIES: usize = 16;

/// A folder of mode 0700 that is removed when dropped.
pub(crate) struct Sandbox {
    dir: TempDir,
    in_memory: bool,
    /// Held as long as the owner lives, across namespaces and restarts, which a process id would not be.
    _lock: File,
}

impl Sandbox {
    /// A folder with room for so many files. In memory, if they take at most half of what is free there, since what
    /// was never on a disk cannot be found on it; else in `below` or the system's temporary folder.
    pub(crate) fn for_files(files: u64, bytes: u64, below: Option<&Path>) -> anyhow::Result<Sandbox> {
        sweep(Path::new(MEMORY));
        let needed = bytes.saturating_add(files.saturating_mul(BYTES_PER_FILE));
        if below.is_none()
            && free_memory().is_some_and(|free| needed <= free / 2)
            && let Ok(mut made) = Sandbox::made("drill", Path::new(MEMORY))
        {
            made.in_memory = true;
            return Ok(made);
        }
        Sandbox::on_disk("drill", below)
    }

    /// A folder on disk.
    pub(crate) fn on_disk(purpose: &str, below: Option<&Path>) -> anyhow::Result<Sandbox> {
        let below = below.map_or_else(std::env::temp_dir, Path::to_path_buf);
        sweep(&below);
        Sandbox::made(purpose, &below).with_context(|| {
            format!("cannot make a sandbox in {}; name another folder with --sandbox", below.display())
        })
    }

    fn made(purpose: &str, below: &Path) -> anyhow::Result<Sandbox> {
        // Absolute, so that it is still found when somebody changes the working folder.
        let below = std::path::absolute(below)?;
        let mut registry = registry::lock();
        for _ in 0..TRIES {
            let dir = builder(purpose).tempdir_in(&below)?;
            let lock = match open(dir.path()) {
                // Swept before it could be locked: another one.
                Err(rustix::io::Errno::NOENT) => continue,
                opened => opened?,
            };
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                // Swept in the moment between: another one.
                Err(rustix::io::Errno::WOULDBLOCK) => continue,
                // A file system without locks has none that a sweeper could take either.
                Ok(()) | Err(_) if is_still(dir.path(), &lock) => {
                    registry.add(dir.path());
                    return Ok(Sandbox { dir, in_memory: false, _lock: lock });
                }
                Ok(()) | Err(_) => {}
            }
        }
        anyhow::bail!("every folder made in {} was removed by somebody else", below.display())
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Never returns once a signal has come: what is found in a sandbox that is being removed is no finding.
    pub(crate) fn is_in_memory(&self) -> bool {
        wait_if_ending();
        self.in_memory
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Here rather than in the folder's own drop, so that a signal meanwhile finds it registered or gone.
        registry::lock().remove(self.dir.path());
    }
}

fn builder(purpose: &str) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(if purpose == "drill" { PREFIXES[0] } else { PREFIXES[1] });
    builder.permissions(Permissions::from_mode(0o700));
    builder
}

/// Opens a folder, not what a link of that name leads to.
fn open(dir: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty())?.into())
}

fn is_still(path: &Path, opened: &File) -> bool {
    match (fs::symlink_metadata(path), opened.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        _ => false,
    }
}

/// Removes sandboxes whose owner is dead. What cannot be removed stays for the next time.
fn sweep(below: &Path) {
    let Ok(entries) = fs::read_dir(below) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if PREFIXES.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes())) {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(path: &PathBuf) {
    let Ok(folder) = open(path) else { return };
    // The second mode is that of folders in which servers ran as another user.
    let is_ours = folder.metadata().is_ok_and(|meta| {
        meta.uid() == rustix::process::geteuid().as_raw() && matches!(meta.mode() & 0o7777, 0o700 | 0o711)
    });
    if is_ours && rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
        // Links inside are removed and not followed.
        let _ = fs::remove_dir_all(path);
    }
}

/// Bytes that are free in the memory's file system and in memory itself.
fn free_memory() -> Option<u64> {
    let statistics = rustix::fs::statvfs(MEMORY).ok()?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = available.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(free.min(kilobytes.saturating_mul(1024)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, symlink};

    use super::*;

    #[test]
    fn what_a_dead_owner_left_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path();
        let folder = |name: &str, mode: u32| {
            let path = below.join(name);
            fs::DirBuilder::new().mode(mode).create(&path).unwrap();
            fs::write(path.join("record"), "x").unwrap();
            path
        };
        let left = folder("chartward-drill-dead", 0o700);
        let shared = folder("chartward-drill-shared", 0o755);
        let foreign = folder("chartward-notes", 0o700);
        symlink(&foreign, left.join("link")).unwrap();
        let link = below.join("chartward-capture-link");
        symlink(&foreign, &link).unwrap();
        let living = Sandbox::on_disk("capture", Some(below)).unwrap();
        assert!(!left.exists(), "it is swept when a sandbox is made");
        fs::write(living.path().join("record"), "x").unwrap();
        let second = Sandbox::on_disk("drill", Some(below)).unwrap();
        assert!(living.path().join("record").exists(), "its owner lives");
        assert!(shared.join("record").exists() && foreign.join("record").exists() && link.is_symlink());
        let paths = [living.path().to_path_buf(), second.path().to_path_buf()];
        drop((living, second));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
