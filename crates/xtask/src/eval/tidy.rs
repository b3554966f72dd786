//! Nothing stays behind: processes, mounts and folders of the evaluation end with it, also on Ctrl-C.
//!
//! What has to go is not remembered but looked up: every process that descends from this one (it adopts orphans), every mount
//! below the room. So there is nothing that could be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Held while something is started; whoever cleans up takes it for good, so that nothing starts after.
static STARTING: Mutex<()> = Mutex::new(());
const SWEEPS_FOR: Duration = Duration::from_secs(10);

fn starting() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program; every start of the evaluation goes through here.
pub(crate) fn start(command: &mut Command) -> anyhow::Result<Child> {
    let _held = starting();
    command.spawn().with_context(|| format!("start {}", command.get_program().to_string_lossy()))
}

/// Starts a program and waits for its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    use std::process::Stdio;
    let child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let out = child.wait_with_output().with_context(|| format!("wait for {program}"))?;
    let told = String::from_utf8_lossy(&out.stderr);
    anyhow::ensure!(
        out.status.success(),
        "{program} failed: {}",
        told.trim().lines().last().unwrap_or("no word")
    );
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// From now on orphans of descendants are adopted, and Ctrl-C, SIGTERM and SIGHUP end everything below `room` first.
pub(crate) fn watch_over(room: &Path) -> anyhow::Result<()> {
    let own = rustix::process::getpid();
    set_child_subreaper(Some(own)).context("adopt orphans")?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listen for signals")?;
    let room = room.to_owned();
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _held = starting();
            sweep(&room);
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// A folder for everything, gone with all that happens in it when dropped.
#[derive(Debug)]
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let dir =
            tempfile::Builder::new().prefix("chartward-guard-eval-").tempdir().context("make a folder")?;
        let path = dir.keep().canonicalize().context("find the folder")?;
        let room = Self(path);
        // Attackers and servers of other users have to reach what lies in it.
        fs::set_permissions(room.path(), PermissionsExt::from_mode(0o755)).context("open the folder")?;
        Ok(room)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        sweep(&self.0);
    }
}

fn sweep(room: &Path) {
    let end = Instant::now() + SWEEPS_FOR;
    loop {
        end_all(&descendants(&[]));
        let mounted = unmount_below(room);
        if (!mounted && descendants(&[]).is_empty()) || Instant::now() > end {
            break;
        }
    }
    if !unmount_below(room)
        && let Err(error) = fs::remove_dir_all(room)
        && room.exists()
    {
        eprintln!("guard-eval: {} is left behind: {error}", room.display());
    }
}

/// Processes that descend from this one and live, but for `keep` and what descends from those.
pub(crate) fn descendants(keep: &[u32]) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let is_over = matches!(fields.next()?, "Z" | "X");
        let parent: i32 = fields.next()?.parse().ok()?;
        (!is_over).then_some((pid, parent))
    }) {
        children.entry(parent).or_default().push(pid);
    }
    let kept: BTreeSet<i32> = keep.iter().filter_map(|&pid| i32::try_from(pid).ok()).collect();
    let mut found = Vec::new();
    let mut next = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(parent) = next.pop() {
        for &child in children.get(&parent).into_iter().flatten().filter(|child| !kept.contains(child)) {
            found.push(child);
            next.push(child);
        }
    }
    found
}

fn end_all(pids: &[i32]) {
    for pid in pids.iter().filter_map(|&pid| Pid::from_raw(pid)) {
        // It may have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Ends every descendant but `keep` and theirs; orphans that were adopted are waited for.
pub(crate) fn end_others(keep: &[u32]) {
    let end = Instant::now() + SWEEPS_FOR;
    loop {
        let others = descendants(keep);
        if others.is_empty() || Instant::now() > end {
            return;
        }
        end_all(&others);
        for pid in others.iter().filter_map(|&pid| Pid::from_raw(pid)) {
            // Only our own children can be waited for; the others follow when they have become ours.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Unmounts what is mounted below `dir`, the deepest first; `true` when something is left.
pub(crate) fn unmount_below(dir: &Path) -> bool {
    let mut found = mounts_below(dir);
    found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    for path in &found {
        // Detached at once, whoever still stands in it; the loop device goes with the last of them.
        let _ = unmount(path, UnmountFlags::DETACH);
    }
    !mounts_below(dir).is_empty()
}

fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(PathBuf::from).filter(|point| point.starts_with(dir)).collect()
}
