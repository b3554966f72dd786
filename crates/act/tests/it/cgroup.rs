use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use act::cgroup::{Cgroups, Standing};
use act::{Error, NeverTouch};

const PATIENCE: Duration = Duration::from_secs(10);

/// A group of one hierarchy with a process in it that counts in a file.
struct Group {
    dir: PathBuf,
    path: String,
    child: Child,
    count: tempfile::NamedTempFile,
}

impl Group {
    fn new(mount: &str, hierarchy: &str) -> Self {
        let path = format!("/act-{hierarchy}-{}/inner", std::process::id());
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

    fn counts(&self) -> bool {
        let read = || fs::read_to_string(self.count.path()).unwrap();
        let before = read();
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            let now = read();
            !now.is_empty() && now != before
        })
    }

    fn stands(&self) -> bool {
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
fn mounts() -> Vec<(&'static str, String)> {
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

#[test]
fn a_group_stands_still_with_all_it_forks_and_goes_on_when_thawed() {
    let test = "a_group_stands_still";
    if !testkit::root(test) {
        return;
    }
    let mounts = mounts();
    if mounts.is_empty() {
        return testkit::skip(test, "no hierarchy of control groups that can freeze is mounted");
    }
    let cgroups = Cgroups::find().unwrap();
    for (hierarchy, mount) in mounts {
        let group = Group::new(&mount, hierarchy);
        assert!(group.counts(), "{hierarchy}");
        for _ in 0..2 {
            cgroups.freeze(&group.path, &NeverTouch::default(), PATIENCE).unwrap();
            assert_eq!(cgroups.standing(&group.path).unwrap(), Standing::Frozen);
            assert!(group.stands(), "{hierarchy}");
        }
        for _ in 0..2 {
            cgroups.thaw(&group.path, PATIENCE).unwrap();
            assert_eq!(cgroups.standing(&group.path).unwrap(), Standing::Thawed);
            assert!(group.counts(), "{hierarchy}");
        }
        let mut never = NeverTouch::of_commands(vec!["sh".into()]);
        assert!(matches!(cgroups.freeze(&group.path, &never, PATIENCE), Err(Error::NeverTouch { .. })));
        let above = group.path.trim_end_matches("/inner");
        assert!(matches!(cgroups.freeze(above, &never, PATIENCE), Err(Error::NeverTouch { .. })));
        never.commands.clear();
        never.cgroups.push(group.path.clone());
        assert!(matches!(cgroups.freeze(above, &never, PATIENCE), Err(Error::NeverTouch { .. })));
        assert_eq!(cgroups.standing(&group.path).unwrap(), Standing::Thawed);
    }
}

#[test]
fn the_root_a_way_out_of_the_mount_and_our_own_group_are_never_frozen() {
    let test = "the_root_a_way_out";
    if !testkit::root(test) {
        return;
    }
    let cgroups = Cgroups::find().unwrap();
    let never = NeverTouch::default();
    for path in
        ["", "/", "//", "relative", "/..", "/a/../..", "/./..", "/../../tmp", "/nobody/has/this", "/a\0b"]
    {
        let refused = cgroups.freeze(path, &never, PATIENCE);
        assert!(
            matches!(refused, Err(Error::BadCgroup { .. } | Error::NeverTouch { .. })),
            "{path}: {refused:?}"
        );
    }
    for (hierarchy, mount) in mounts() {
        // This test would stand still itself, and so would whoever waits for it.
        let name = format!("/act-own-{hierarchy}-{}", std::process::id());
        let dir = PathBuf::from(format!("{mount}{name}"));
        fs::create_dir(&dir).unwrap();
        let before = fs::read_to_string("/proc/self/cgroup").unwrap();
        let line = before.lines().find(|line| {
            if hierarchy == "v2" { line.starts_with("0::") } else { line.contains(":freezer:") }
        });
        let home = format!("{mount}{}/cgroup.procs", line.unwrap().rsplit(':').next().unwrap());
        fs::write(dir.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        let refused = cgroups.freeze(&name, &never, PATIENCE);
        // Whatever other tests started meanwhile was born in this group.
        while fs::remove_dir(&dir).is_err() {
            for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap().lines() {
                let _ = fs::write(&home, pid);
            }
        }
        assert!(matches!(refused, Err(Error::BadCgroup { .. })), "{hierarchy}: {refused:?}");
    }
}
