//! Which moment of the folders is captured: that of a file system's snapshot where there is one, else the one at which they held
//! still.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schema::{Instant, RootMoment};

use super::MomentChoice;
use crate::adapter::btrfs::{self, Snapshot};
use crate::error::Error;
use crate::vault::Pictures;

/// A folder with more volumes in it than this is read as it is: they may be somebody's own snapshots.
const NESTED_MAX: usize = 64;

/// What is to be captured of one moment.
pub(super) struct Asked<'a> {
    pub(super) choice: MomentChoice,
    /// Paths that are left out, with all that is below them.
    pub(super) exclude: &'a [PathBuf],
    /// What is mounted in a folder is left out.
    pub(super) one_file_system: bool,
}

/// Where folders are read, and which moment they then show. Snapshots are removed when this goes.
#[derive(Default)]
pub(super) struct Instants {
    snapshots: Vec<Snapshot>,
    /// From the path in the vault's snapshot to where it is read.
    pub(super) grafts: BTreeMap<PathBuf, PathBuf>,
    pub(super) pictures: Pictures,
    /// Snapshots, ours and those of other backups that are running: no part of what is backed up.
    pub(super) left_out: Vec<PathBuf>,
    /// Those with a snapshot are complete; the others are still to be read.
    moments: Vec<RootMoment>,
    looked: BTreeSet<PathBuf>,
}

/// A folder and all that is mounted or a volume of its own in it: path, where it is read, and the snapshot that it is in, if any.
struct Plan {
    places: Vec<(PathBuf, PathBuf, Option<usize>)>,
    cause: Option<String>,
}

impl Instants {
    /// Takes the snapshots for folders, each by its path in the vault's snapshot and where it lies.
    pub(super) fn take(
        asked: &Asked<'_>,
        folders: &[(PathBuf, PathBuf)],
        now: &dyn Fn() -> Timestamp,
    ) -> Result<Instants, Error> {
        let mut all = Instants::default();
        for (path, live) in folders {
            let plan = all.plan(asked, live, now);
            if let (MomentChoice::Snapshot, Some(reason)) = (asked.choice, &plan.cause) {
                return Err(Error::NoInstant { path: live.clone(), reason: reason.clone() });
            }
            all.adopt(path, live, plan, now());
        }
        // A folder that is read as it is may hold them.
        all.left_out.extend(all.snapshots.iter().map(|snapshot| snapshot.at.clone()));
        Ok(all)
    }

    /// Where a folder below `at`, which is `path` in the vault's snapshot, is read.
    pub(super) fn place(&self, path: &Path, at: PathBuf) -> PathBuf {
        self.pictures.overlays.get(path).cloned().unwrap_or(at)
    }

    /// What the manifest says; what was read until it held still did so by `read_until`.
    pub(super) fn moments(&self, read_until: Timestamp) -> Vec<RootMoment> {
        let mut moments = self.moments.clone();
        for moment in moments.iter_mut().filter(|moment| moment.instant == Instant::Reread) {
            moment.ended_at = read_until;
        }
        moments
    }

    /// Removes the snapshots and returns why some are still there.
    pub(super) fn release(mut self) -> Vec<String> {
        self.remove().into_iter().map(|error| error.chain()).collect()
    }

    fn remove(&mut self) -> Vec<Error> {
        self.snapshots.drain(..).filter_map(|snapshot| snapshot.remove().err()).collect()
    }

    /// Takes what snapshots a folder needs. Without one for the folder itself, it is read as it is, with all that is in it.
    fn plan(&mut self, asked: &Asked<'_>, live: &Path, now: &dyn Fn() -> Timestamp) -> Plan {
        let as_it_is = |cause: Option<String>| Plan {
            places: vec![(live.to_path_buf(), live.to_path_buf(), None)],
            cause,
        };
        let because = |cause: &str| as_it_is(Some(cause.to_owned()));
        if !rustix::process::geteuid().is_root() {
            return because("snapshots of file systems are only made as root");
        }
        let subvolume = match btrfs::subvolume_of(live) {
            Ok(subvolume) => subvolume,
            Err(reason) => return because(reason),
        };
        self.look_for_leftovers(&subvolume);
        if asked.choice == MomentChoice::Reread {
            return as_it_is(None);
        }
        let (mut taken, mut cause) = (vec![subvolume], None);
        let mut places = Vec::new();
        let mounts = if asked.one_file_system { Vec::new() } else { mounted_in(live) };
        if mounts.iter().any(|mount| !mount.is_dir()) {
            return because("a single file is mounted in it");
        }
        let mut open: Vec<PathBuf> = mounts.into_iter().rev().chain([live.to_path_buf()]).collect();
        while let Some(path) = open.pop() {
            let is_known = places.iter().any(|(known, _, _)| *known == path);
            if is_known || asked.exclude.iter().any(|excluded| path.starts_with(excluded)) {
                continue;
            }
            if taken.len() + open.len() > NESTED_MAX {
                return because("there are too many subvolumes in it");
            }
            let place = btrfs::subvolume_of(&path).map_err(str::to_owned).and_then(|subvolume| {
                let (snapshot, at) = self.read_at(&path, &subvolume, now)?;
                let inside = btrfs::nested(&subvolume).map_err(|error| error.chain())?;
                Ok((subvolume, snapshot, at, inside))
            });
            match place {
                Ok((subvolume, snapshot, at, inside)) => {
                    places.push((path.clone(), at, Some(snapshot)));
                    if !asked.one_file_system {
                        open.extend(inside.into_iter().filter(|it| *it != path && it.starts_with(&path)));
                    }
                    taken.push(subvolume);
                }
                Err(reason) if path == live => return because(&reason),
                Err(reason) => {
                    cause.get_or_insert_with(|| format!("{}: {reason}", path.display()));
                    places.push((path.clone(), path, None));
                }
            }
        }
        Plan { places, cause }
    }

    fn look_for_leftovers(&mut self, subvolume: &Path) {
        if self.looked.insert(subvolume.to_path_buf()) {
            self.left_out.extend(btrfs::remove_leftovers(subvolume));
        }
    }

    /// The snapshot that shows `path`, taken if there is none yet, and the path in it.
    fn read_at(
        &mut self,
        path: &Path,
        subvolume: &Path,
        now: &dyn Fn() -> Timestamp,
    ) -> Result<(usize, PathBuf), String> {
        self.look_for_leftovers(subvolume);
        let number = match self.snapshots.iter().position(|snapshot| snapshot.of == subvolume) {
            Some(number) => number,
            None => {
                self.snapshots.push(Snapshot::take(subvolume, now).map_err(|error| error.chain())?);
                self.snapshots.len() - 1
            }
        };
        let relative = path.strip_prefix(subvolume).unwrap_or(Path::new(""));
        // Not with an empty name: that would end with a slash.
        let at = self.snapshots[number].at.join(relative).components().collect::<PathBuf>();
        let inode = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.ino()).ok();
        // Another part of the same subvolume may be mounted over the way here.
        if inode(&at).is_none() || inode(&at) != inode(path) {
            return Err("it lies elsewhere in the snapshot of its subvolume".to_owned());
        }
        Ok((number, at))
    }

    fn adopt(&mut self, path: &Path, live: &Path, plan: Plan, now: Timestamp) {
        let is_pictured = plan.places.iter().any(|(_, _, snapshot)| snapshot.is_some());
        for (place, at, snapshot) in plan.places {
            let relative = place.strip_prefix(live).unwrap_or(Path::new(""));
            let shown = path.join(relative).components().collect::<PathBuf>();
            let taken = snapshot.and_then(|number| self.snapshots.get(number));
            self.moments.push(RootMoment {
                path: shown.to_string_lossy().into_owned(),
                instant: if taken.is_some() { Instant::BtrfsSnapshot } else { Instant::Reread },
                began_at: taken.map_or(now, |snapshot| snapshot.began_at),
                ended_at: taken.map_or(now, |snapshot| snapshot.ended_at),
                pulled_as_of: None,
                cause: if taken.is_none() { plan.cause.clone() } else { None },
            });
            if let Some(snapshot) = taken {
                self.pictures.devices.insert(snapshot.devices.0, snapshot.devices.1);
                let since =
                    self.pictures.since.map_or(snapshot.began_at, |since| since.min(snapshot.began_at));
                self.pictures.since = Some(since);
            }
            if place != live {
                self.pictures.overlays.insert(shown, at);
            } else if is_pictured {
                self.grafts.insert(shown, at);
            }
        }
    }
}

impl Drop for Instants {
    fn drop(&mut self) {
        // After an error nobody is left to tell; the next backup tries again.
        self.remove();
    }
}

/// What is mounted below a folder (proc(5), `mountinfo`), uppermost first.
fn mounted_in(folder: &Path) -> Vec<PathBuf> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points =
        table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let below = points.map(unescaped).filter(|point| point != folder && point.starts_with(folder));
    below.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk::<3>().and_then(|it| std::str::from_utf8(it).ok());
        let code = digits.filter(|_| *first == b'\\').and_then(|it| u8::from_str_radix(it, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        for (field, expected) in
            [(&b"/a"[..], "/a"), (b"/a\\040b\\134", "/a b\\"), (b"/a\\04", "/a\\04"), (b"", "")]
        {
            assert_eq!(unescaped(field), Path::new(expected));
        }
    }
}
