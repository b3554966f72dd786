use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use act::cgroup::{Cgroups, Standing};
use act::{Error, NeverTouch};
use testkit::cgroup::{Group, mounts};

const PATIENCE: Duration = Duration::from_secs(10);

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
