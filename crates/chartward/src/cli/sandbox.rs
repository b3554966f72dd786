//! Where records lie in the clear while they are looked at: in memory where they fit, else on disk; never longer than
//! needed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use tempfile::TempDir;

/// A file system in memory that every Linux has.
const MEMORY: &str = "/dev/shm";
/// What a small file and its folders take there: a page, and two or three inodes.
const BYTES_PER_FILE: u64 = 12 * 1024;

/// A folder of mode 0700 that is removed when dropped.
pub(crate) struct Sandbox {
    dir: TempDir,
    in_memory: bool,
}

impl Sandbox {
    /// A folder with room for so many files. In memory, if they take at most half of what is free there, since what
    /// was never on a disk cannot be found on it; else in `below` or the system's temporary folder.
    pub(crate) fn for_files(files: u64, bytes: u64, below: Option<&Path>) -> anyhow::Result<Sandbox> {
        let needed = bytes.saturating_add(files.saturating_mul(BYTES_PER_FILE));
        if below.is_none()
            && free_memory().is_some_and(|free| needed <= free / 2)
            && let Ok(dir) = builder("drill").tempdir_in(MEMORY)
        {
            return Ok(Sandbox { dir, in_memory: true });
        }
        Sandbox::on_disk("drill", below)
    }

    /// A folder on disk.
    pub(crate) fn on_disk(purpose: &str, below: Option<&Path>) -> anyhow::Result<Sandbox> {
        let made = match below {
            Some(below) => builder(purpose).tempdir_in(below),
            None => builder(purpose).tempdir(),
        };
        let dir = made.context("cannot make a folder for the sandbox; name another with --sandbox")?;
        Ok(Sandbox { dir, in_memory: false })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

fn builder(purpose: &str) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(if purpose == "drill" { "chartward-drill-" } else { "chartward-capture-" });
    builder.permissions(Permissions::from_mode(0o700));
    builder
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
