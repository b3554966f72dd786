//! Processes that are near a tree, as far as an ordinary user sees.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Stat;

/// How close a process is to a tree, as far as an ordinary user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// It works in a folder of the tree, has one open, or names the tree on its command line.
    Beside,
    /// It reads a file of the tree.
    Reads,
    /// It has a file of the tree open for writing.
    Writes,
}

/// Processes other than `own` that are near one of `dirs`, with their start times.
pub fn near(dirs: &[PathBuf], own: &[i32]) -> Vec<((i32, u64), Nearness)> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| !own.contains(pid))
        .filter_map(|pid| {
            let nearness = nearness(pid, dirs)?;
            let stat = Stat::of(pid).filter(|stat| !matches!(stat.state, 'T' | 'Z' | 'X'))?;
            Some(((pid, stat.start_ticks), nearness))
        })
        .collect()
}

/// Files below `dirs` that process `pid` has open for writing.
pub fn written_by(pid: i32, dirs: &[PathBuf]) -> Vec<PathBuf> {
    open_below(pid, dirs)
        .filter(|(_, nearness)| *nearness == Nearness::Writes)
        .map(|(path, _)| path)
        .collect()
}

fn nearness(pid: i32, dirs: &[PathBuf]) -> Option<Nearness> {
    let below = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir));
    let open = open_below(pid, dirs).map(|(_, nearness)| nearness);
    open.max().or_else(|| {
        let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|path| below(&path));
        let named = || {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|&byte| byte == 0).any(|word| below(Path::new(OsStr::from_bytes(word))))
        };
        (works_there || named()).then_some(Nearness::Beside)
    })
}

fn open_below(pid: i32, dirs: &[PathBuf]) -> impl Iterator<Item = (PathBuf, Nearness)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let target = fs::read_link(entry.path()).ok()?;
        dirs.iter().any(|dir| target.starts_with(dir)).then_some(())?;
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?)).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let flags = i32::from_str_radix(flags.trim(), 8).ok()?;
        let nearness = if flags & libc::O_ACCMODE != libc::O_RDONLY {
            Nearness::Writes
        } else if target.is_dir() {
            Nearness::Beside
        } else {
            Nearness::Reads
        };
        Some((target, nearness))
    })
}
