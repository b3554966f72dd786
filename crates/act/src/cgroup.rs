//! Stopping every process of a control group with the kernel's freezer, also those it forks meanwhile; undone by thawing.
//!
//! Version 2 (`cgroup.freeze`) and version 1 (`freezer.state`), and both at once as hybrid machines have them.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use schema::Act;

use crate::process::Process;
use crate::{Error, NeverTouch};

const POLL: Duration = Duration::from_millis(1);
/// Processes of a group that are compared with the never-touch list.
const PROCESSES_MAX: usize = 65_536;
const GROUPS_MAX: usize = 4096;

/// The mounts of control groups that can freeze, of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    v2: Option<PathBuf>,
    v1: Option<PathBuf>,
}

/// How a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing in it runs.
    Frozen,
    /// It was told to freeze, and something in it still runs.
    Freezing,
    /// It runs.
    Thawed,
}

/// One group with its freezer.
#[derive(Debug)]
struct Group {
    dir: PathBuf,
    path: String,
    is_v2: bool,
}

impl Cgroups {
    /// Looks the mounts up in `/proc/self/mountinfo`.
    pub fn find() -> Result<Self, Error> {
        let path = Path::new("/proc/self/mountinfo");
        let mounts = fs::read_to_string(path).map_err(|source| freezer(path, source))?;
        Ok(Self::parse(&mounts))
    }

    /// proc_pid_mountinfo(5): field 5 is the mount point; after a lone `-` come type, source and options.
    fn parse(mountinfo: &str) -> Self {
        let mut found = Self { v2: None, v1: None };
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(point) = before.split(' ').nth(4).map(unescape) else { continue };
            let mut after = after.split(' ');
            let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") => found.v2 = found.v2.or(Some(point)),
                Some("cgroup") if options.split(',').any(|option| option == "freezer") => {
                    found.v1 = found.v1.or(Some(point));
                }
                _ => {}
            }
        }
        found
    }

    /// Freezes a group and waits until nothing in it runs. Refused: the root group, a group that holds this process or one that
    /// is never touched. A group that does not stand still in time is thawed again.
    pub fn freeze(&self, path: &str, never: &NeverTouch, patience: Duration) -> Result<(), Error> {
        if let Some(entry) = never.forbids(&Act::FreezeCgroup { path: path.to_owned() }) {
            return Err(Error::NeverTouch { entry });
        }
        let group = self.group(path)?;
        group.refuse_own()?;
        if let Some(entry) = group.first_never(never) {
            return Err(Error::NeverTouch { entry });
        }
        group.write(true)?;
        let waited = group.wait(Standing::Frozen, patience);
        if waited.is_err() {
            group.write(false)?;
        }
        waited
    }

    /// Lets a group go on, and waits until it does. One that runs already stays so.
    pub fn thaw(&self, path: &str, patience: Duration) -> Result<(), Error> {
        let group = self.group(path)?;
        group.write(false)?;
        group.wait(Standing::Thawed, patience)
    }

    /// How a group stands, as the kernel says.
    pub fn standing(&self, path: &str) -> Result<Standing, Error> {
        self.group(path)?.standing()
    }

    /// The group in the hierarchy where it has processes; a path may exist in both.
    fn group(&self, path: &str) -> Result<Group, Error> {
        let bad = |reason: &str| Error::BadCgroup { path: path.to_owned(), reason: reason.to_owned() };
        let relative = path.strip_prefix('/').ok_or_else(|| bad("its path does not begin with /"))?;
        let mut steps = Path::new(relative).components().peekable();
        if steps.peek().is_none() {
            return Err(bad("it is the root group"));
        }
        if path.contains('\0') || steps.any(|step| !matches!(step, Component::Normal(_))) {
            return Err(bad("its path has a step that is no name"));
        }
        let of = |mount: &Option<PathBuf>, is_v2| {
            let dir = mount.as_ref()?.join(relative);
            let group = Group { dir, path: path.to_owned(), is_v2 };
            group.control().is_file().then_some(group)
        };
        match (of(&self.v2, true), of(&self.v1, false)) {
            (Some(v2), Some(v1)) => Ok(if v2.processes().is_empty() { v1 } else { v2 }),
            (Some(group), None) | (None, Some(group)) => Ok(group),
            (None, None) => Err(bad("there is no such group with a freezer")),
        }
    }
}

impl Group {
    fn control(&self) -> PathBuf {
        self.dir.join(if self.is_v2 { "cgroup.freeze" } else { "freezer.state" })
    }

    fn write(&self, frozen: bool) -> Result<(), Error> {
        let word = match (self.is_v2, frozen) {
            (true, true) => "1",
            (true, false) => "0",
            (false, true) => "FROZEN",
            (false, false) => "THAWED",
        };
        let path = self.control();
        fs::write(&path, word).map_err(|source| freezer(&path, source))
    }

    fn standing(&self) -> Result<Standing, Error> {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(|source| freezer(&path, source));
        let word = read(self.control())?;
        if !self.is_v2 {
            return Ok(match word.trim() {
                "FROZEN" => Standing::Frozen,
                "FREEZING" => Standing::Freezing,
                _ => Standing::Thawed,
            });
        }
        let events = read(self.dir.join("cgroup.events"))?;
        Ok(match (events.lines().any(|line| line == "frozen 1"), word.trim()) {
            (true, _) => Standing::Frozen,
            (false, "1") => Standing::Freezing,
            (false, _) => Standing::Thawed,
        })
    }

    fn wait(&self, wanted: Standing, patience: Duration) -> Result<(), Error> {
        let end = Instant::now() + patience;
        while self.standing()? != wanted {
            if Instant::now() >= end {
                let wanted = if wanted == Standing::Frozen { "frozen" } else { "thawed" };
                return Err(Error::FreezerSlow { path: self.path.clone(), wanted });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut dirs = vec![self.dir.clone()];
        let mut at = 0;
        while let Some(dir) = dirs.get(at).cloned() {
            at += 1;
            let listed = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            let room = PROCESSES_MAX.saturating_sub(found.len());
            found.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()).take(room));
            let below = fs::read_dir(&dir).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            dirs.extend(below.map(|entry| entry.path()).take(GROUPS_MAX.saturating_sub(dirs.len())));
        }
        found
    }

    /// Who freezes itself never thaws. Asked of the kernel's own list rather than of `/proc/self/cgroup`, whose paths are seen
    /// from a cgroup namespace.
    fn refuse_own(&self) -> Result<(), Error> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        if self.processes().contains(&own) {
            let reason = "it holds Chartward itself".to_owned();
            return Err(Error::BadCgroup { path: self.path.clone(), reason });
        }
        Ok(())
    }

    fn first_never(&self, never: &NeverTouch) -> Option<String> {
        self.processes().into_iter().filter_map(Process::of).find_map(|process| never.holds_process(&process))
    }
}

fn freezer(path: &Path, source: std::io::Error) -> Error {
    Error::Freezer { path: path.to_owned(), source }
}

/// Blanks and the like stand in mountinfo as three octal digits behind a backslash.
fn unescape(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_on_pure_and_hybrid_machines() {
        let v1 = "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n";
        let hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        let other = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";
        let pure = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let odd = "1 2 0:3 / /mnt/a\\040b rw - cgroup2 none rw\nnonsense\n";
        for (mountinfo, v2, found_v1) in [
            (format!("{other}{v1}{hybrid}"), Some("/sys/fs/cgroup/unified"), Some("/sys/fs/cgroup/freezer")),
            (pure.to_owned(), Some("/sys/fs/cgroup"), None),
            (format!("{other}{v1}"), None, Some("/sys/fs/cgroup/freezer")),
            (odd.to_owned(), Some("/mnt/a b"), None),
            (String::new(), None, None),
        ] {
            let expected = Cgroups { v2: v2.map(PathBuf::from), v1: found_v1.map(PathBuf::from) };
            assert_eq!(Cgroups::parse(&mountinfo), expected, "{mountinfo}");
        }
    }
}
