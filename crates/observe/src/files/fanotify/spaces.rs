//! The same folder in other mount namespaces. A service with a private /tmp and a container have mounts of their own, which no mark
//! of ours covers: theirs are marked as well, as soon as they are found.
//!
//! A folder that is a whole file system needs none of this: there the file system is marked, whoever mounts it wherever.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, openat2, readlinkat, statx};
use rustix::time::Timespec;

use super::{sched, sys};
use crate::Error;

/// So long a process may work in a new namespace before its mounts are marked. A look takes two microseconds a process.
const LOOKS_EVERY: Duration = Duration::from_millis(200);
const ITSELF: &CStr = c".";

/// A mount that is marked by itself, not with its file system.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Where it is mounted, in every namespace.
    pub(super) at: PathBuf,
    /// What opens and changes are marked with.
    pub(super) masks: Vec<u64>,
}

/// The thread that looks for them; dropped after the pipe is closed whose other end it holds, it has ended.
#[derive(Debug)]
pub(super) struct Spaces(Option<thread::JoinHandle<()>>);

impl Spaces {
    /// Marks what is there now before it returns.
    pub(super) fn start(
        content: Arc<OwnedFd>,
        closes: Arc<OwnedFd>,
        places: &[Place],
        stopped: OwnedFd,
    ) -> Result<Self, Error> {
        let places = places.iter().filter_map(|place| Known::of(place.clone())).collect();
        let mut finder = Finder { content, closes, places, own: own_space(), seen: BTreeSet::new() };
        if finder.places.is_empty() || finder.own.is_none() {
            return Ok(Self(None));
        }
        finder.look();
        let thread = thread::Builder::new().name("spaces".into());
        thread.spawn(move || finder.run(&stopped)).map(|thread| Self(Some(thread))).map_err(Error::Read)
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// A place, and which folder it is.
struct Known {
    place: Place,
    device: (u32, u32),
    inode: u64,
}

impl Known {
    fn of(place: Place) -> Option<Self> {
        let meta = fs::metadata(&place.at).ok()?;
        let device = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        Some(Self { place, device, inode: meta.ino() })
    }
}

struct Finder {
    content: Arc<OwnedFd>,
    closes: Arc<OwnedFd>,
    places: Vec<Known>,
    own: Option<u64>,
    /// Namespaces that were dealt with, as long as they have processes: their numbers are given out again.
    seen: BTreeSet<u64>,
}

impl Finder {
    fn run(mut self, stopped: &OwnedFd) {
        sched::roam();
        let timeout = Timespec { tv_sec: 0, tv_nsec: LOOKS_EVERY.subsec_nanos().into() };
        loop {
            match poll(&mut [PollFd::new(stopped, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => self.look(),
                Err(rustix::io::Errno::INTR) => {}
                _ => return,
            }
        }
    }

    fn look(&mut self) {
        let Ok(processes) = File::open("/proc") else { return };
        let mut there = BTreeSet::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Some(space) = space_of(&processes, pid).filter(|space| Some(*space) != self.own) else {
                continue;
            };
            if self.seen.contains(&space) || !there.contains(&space) && self.mark(&processes, pid) {
                there.insert(space);
            }
        }
        self.seen = there;
    }

    /// `false` when the process ended before its mounts were found.
    fn mark(&self, processes: &File, pid: u32) -> bool {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(processes, format!("{pid}/root"), flags, Mode::empty());
        let Ok(root) = root else { return false };
        for known in &self.places {
            let Some(mount) = found(&root, known) else { continue };
            let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_MOUNT;
            // What is refused here was refused on our own mount, or the namespace is about to go.
            for mask in &known.place.masks {
                let _ = sys::mark_at(self.content.as_fd(), flags, *mask, mount.as_fd(), ITSELF);
            }
            let _ = sys::mark_at(self.closes.as_fd(), flags, libc::FAN_CLOSE_WRITE, mount.as_fd(), ITSELF);
        }
        true
    }
}

/// The place below that root, where it is a mount of this very folder: whoever made the namespace may have laid anything there.
fn found(root: &OwnedFd, known: &Known) -> Option<OwnedFd> {
    let path = known.place.at.strip_prefix("/").ok()?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let there = openat2(root, path, flags, Mode::empty(), resolve).ok()?;
    let stat = statx(&there, "", AtFlags::EMPTY_PATH, StatxFlags::INO).ok()?;
    let is_mount = stat.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT);
    let device = (stat.stx_dev_major, stat.stx_dev_minor);
    (is_mount && stat.stx_ino == known.inode && device == known.device).then_some(there)
}

fn own_space() -> Option<u64> {
    space_of(&File::open("/proc").ok()?, "self")
}

/// The number of a process's mount namespace, as proc_pid_ns(5) shows it: `mnt:[4026531841]`.
fn space_of(processes: &File, process: impl std::fmt::Display) -> Option<u64> {
    let link = readlinkat(processes, format!("{process}/ns/mnt"), Vec::with_capacity(32)).ok()?;
    link.to_str().ok()?.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}
