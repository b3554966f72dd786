//! Attacks that are spread over processes with as little in common as possible, and people who have nothing in common.

use std::os::unix::fs::PermissionsExt;

use super::*;

const FILES: usize = 16;
/// What is touched before the widest circle is full, with what runs on meanwhile.
const TOUCHED_MAX: u64 = 14;

/// A control group of the test's own, for groups below it; dropped, they are gone.
struct Groups(PathBuf);

impl Groups {
    fn new(test: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let v2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let Some(point) = v2.and_then(|line| line.split(' ').nth(4)) else {
            testkit::skip(test, "no control groups of version 2 are mounted");
            return None;
        };
        let dir = Path::new(point).join(format!("guard-test-{}-{test}", std::process::id()));
        match fs::create_dir(&dir) {
            Ok(()) => Some(Self(dir)),
            Err(error) => {
                testkit::skip(test, &format!("no control group can be made: {error}"));
                None
            }
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // A group can go once its last process is gone.
        for _ in 0..100 {
            let below =
                fs::read_dir(&self.0).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
            below.for_each(|entry| drop(fs::remove_dir(entry.path())));
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spread(case: &Case, kind: &str, files: usize, groups: &Path) -> Attacker {
    Attacker::start(script(case, kind, files, groups))
}

fn script(case: &Case, kind: &str, files: usize, groups: &Path) -> Command {
    // Other users take part.
    fs::set_permissions(case.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = case.dir.path().join("actors.py");
    fs::write(&script, include_str!("actors.py")).unwrap();
    let mut command = Command::new("python3");
    command.arg(script).arg(kind).arg(&case.tree).arg(files.to_string()).arg(groups);
    command
}

fn open_to_all(case: &mut Case) {
    for path in case.before.keys() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    case.before = contents(&case.tree);
}

/// Lines until nothing comes for a while.
fn drain(case: &mut Case, attacker: &mut Attacker) {
    let end = Instant::now() + Duration::from_secs(40);
    let mut quiet = 0;
    while quiet < 3 && Instant::now() < end {
        let came = case.wait_for("restored", Duration::from_millis(400)).is_some();
        let over = attacker.0.try_wait().unwrap().is_some() || is_frozen(attacker);
        quiet = if came || !over { 0 } else { quiet + 1 };
    }
}

fn is_frozen(attacker: &Attacker) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", attacker.0.id())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[allow(clippy::print_stdout, reason = "the figures per class are what a reader of the test's output wants")]
fn check_spread(test: &str, kind: &str) {
    let Some(groups) = Groups::new(&format!("{test}-{kind}")) else { return };
    let mut case = Case::new("permission", &[]);
    open_to_all(&mut case);
    let mut attacker = spread(&case, kind, FILES, &groups.0);
    let first = case
        .wait_for("restored", Duration::from_secs(30))
        .unwrap_or_else(|| panic!("{kind}: not stopped: {:?}", case.seen));
    drain(&mut case, &mut attacker);
    for restored in case.seen.iter().filter(|line| line["type"] == "restored") {
        assert_eq!(restored["files_irrecoverable"], 0, "{kind}: {restored}");
    }
    let touched = first["files_touched"].as_u64().unwrap();
    println!("{kind}: {touched} touched before the first stop, after {} ms", first["time_to_stop_ms"]);
    assert!(touched <= TOUCHED_MAX, "{kind}: {first}");
    case.end();
    let after = contents(&case.tree);
    for (path, before) in &case.before {
        assert_eq!(after.get(path), Some(before), "{kind}: {}", path.display());
    }
    let left: Vec<_> = after.keys().filter(|path| !case.before.contains_key(*path)).collect();
    // Where one process writes the copy and another removes the original, the stop can come between the two: then nothing was done
    // to the original (it is as before, see above), and the copy stays.
    let copies_max = usize::from(kind.contains("split"));
    assert!(left.len() <= copies_max, "{kind} leaves {left:?}");
}

#[test]
fn an_attack_that_is_spread_over_processes_adds_up_and_all_comes_back() {
    let test = "an_attack_that_is_spread_over_processes_adds_up_and_all_comes_back";
    if testkit::root(test) && testkit::tool(test, "python3").is_some() {
        for kind in [
            "double-fork",
            "session-per-file",
            "group-per-file",
            "user-per-file",
            "users-of-one-job",
            "split",
            "split-and-renamed",
            "long-lived-split",
        ] {
            check_spread("spread", kind);
        }
    }
}

#[test]
fn people_who_have_nothing_in_common_do_not_add_up() {
    let test = "people_who_have_nothing_in_common_do_not_add_up";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    // Forty people save a document each, and five encrypt one of theirs.
    for (kind, files) in [("one-edit-each", 40), ("one-noise-each", 5)] {
        let mut case = Case::new("permission", &[]);
        open_to_all(&mut case);
        let end = Instant::now() + Duration::from_secs(120);
        for number in 0..files {
            // Each comes from this process, which is none of the guard's actors: nobody forked two of them.
            let mut person = script(&case, kind, files, Path::new("/nonexistent"));
            person.arg(number.to_string());
            let mut person = Attacker::start(person);
            // On a busy machine one of them may stand still for a moment, until its turn to be judged comes: that is no stop.
            while person.0.try_wait().unwrap().is_none() {
                case.wait_for("nothing", Duration::from_millis(5));
                assert!(Instant::now() < end, "{kind} does not come to an end: {:?}", case.seen);
            }
        }
        case.wait_for("nothing more", Duration::from_millis(400));
        let accused = case.seen.iter().find(|line| line.to_string().contains("encryption."));
        assert_eq!(accused, None, "{kind} is taken for an attack");
        case.end();
        assert_ne!(contents(&case.tree), case.before, "{kind} did nothing");
    }
}
