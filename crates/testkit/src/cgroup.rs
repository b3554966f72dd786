//! A control group of its own with a process in it, gone with the test.
#![allow(clippy::unwrap_used, reason = "only tests call it, and what fails here fails them")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A group of one hierarchy with a process in it that counts in a file.
#[derive(Debug)]
pub struct Group {
    dir: PathBuf,
    /// Its path below the mount.
    pub path: String,
    child: Child,
    count: tempfile::NamedTempFile,
}

impl Group {
    /// Made below `mount`.
    pub fn new(mount: &str, hierarchy: &str) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/act-{hierarchy}-{}-{count}/inner", std::process::id());
        let dir = PathBuf::from(format!("{mount}{path}"));
        fs::create_dir_all(&dir).unwrap();
        let count = tempfile::NamedTempFile::new().unwrap();
        // Frozen processes that are forked from it later belong to the group as well.
        let script = "n=0; while :; do n=$((n+1)); echo $n > \"$0\"; sleep 0.01; done";
        let child =
            Command::new("sh").arg("-c").arg(script).arg(count.path()).stdin(Stdio::null()).spawn().unwrap();
        let group = Self { dir, path, child, count };
        fs::write(group.dir.join("cgroup.procs"), group.child.id().to_string()).unwrap();
        group
    }

    /// Whether its process goes on.
    pub fn counts(&self) -> bool {
        let read = || fs::read_to_string(self.count.path()).unwrap();
        let before = read();
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            let now = read();
            !now.is_empty() && now != before
        })
    }

    /// Whether its process does nothing for a moment.
    pub fn stands(&self) -> bool {
        let read = || fs::read_to_string(self.count.path()).unwrap();
        let before = read();
        std::thread::sleep(Duration::from_millis(150));
        read() == before
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join("cgroup.freeze"), "0");
        let _ = fs::write(self.dir.join("freezer.state"), "THAWED");
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..200 {
            // The last forked `sleep` takes a moment to go.
            if fs::remove_dir(&self.dir).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.dir.parent().map(fs::remove_dir);
    }
}

/// Where each hierarchy that can freeze is mounted here.
pub fn mounts() -> Vec<(&'static str, String)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = |kind: &str, option: &str| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields[2] == kind && fields[3].split(',').any(|has| option.is_empty() || has == option))
                .then(|| fields[1].to_owned())
        })
    };
    [("v2", mount("cgroup2", "")), ("v1", mount("cgroup", "freezer"))]
        .into_iter()
        .filter_map(|(name, mount)| Some((name, mount?)))
        .collect()
}
