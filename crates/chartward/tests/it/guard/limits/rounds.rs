//! Ordinary work on many small files, over and over, with few descriptors for the guard.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Guarded, Place, may};
use crate::guard::record;

const FILES: u32 = 1500;
const DESCRIPTORS: u32 = 512;

/// Time of the guard on a processor, in ticks of a hundredth of a second: a busy machine does not change it much.
fn ticks(guarded: &Guarded) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", guarded.guard.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

fn descriptors(guarded: &Guarded) -> usize {
    fs::read_dir(format!("/proc/{}/fd", guarded.guard.id())).unwrap().count()
}

fn archive(place: &Place) -> PathBuf {
    let (from, to) = (place.dir.path().join("small"), place.dir.path().join("small.tar"));
    for number in 0..FILES {
        let folder = from.join(format!("{:02}", number % 50));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("r{number:05}")), record(number)).unwrap();
    }
    run(Command::new("tar").arg("cf").arg(&to).arg("-C").arg(&from).arg("."), "tar c");
    fs::remove_dir_all(from).unwrap();
    to
}

/// Each is a process of its own, as from a shell: what one made another removes.
fn run(command: &mut Command, what: &str) {
    let done = command.stdout(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    // grep finds nothing.
    assert!(done.status.success() || what == "grep" && done.status.code() == Some(1), "{what}: {said}");
}

#[test]
fn unpacking_reading_and_removing_a_tree_over_and_over_is_never_refused_and_never_dearer() {
    let test = "unpacking_reading_and_removing_a_tree_over_and_over_is_never_refused_and_never_dearer";
    if !may(test) || testkit::tool(test, "prlimit").is_none() {
        return;
    }
    let place = Place::new();
    let archive = archive(&place);
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}")).arg(env!("CARGO_BIN_EXE_chartward"));
    let mut guarded = Guarded::launch(limited, &place, &[]);
    let x = place.tree.join("x");
    let mut spent = Vec::new();
    for round in 0..4 {
        let before = ticks(&guarded);
        fs::create_dir(&x).unwrap();
        run(Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(&x), "tar x");
        run(Command::new("grep").args(["-r", "nobody is called so"]).arg(&x), "grep");
        assert_eq!(count(&x), FILES, "round {round}");
        run(Command::new("rm").arg("-rf").arg(&x), "rm");
        spent.push(ticks(&guarded) - before);
        let open = descriptors(&guarded);
        assert!(open < DESCRIPTORS as usize * 3 / 4, "round {round}: {open} of {DESCRIPTORS} descriptors");
    }
    guarded.end();
    println!("ticks of the guard by round: {spent:?}");
    let dearest = spent.iter().skip(1).max().unwrap();
    assert!(*dearest < spent[0] * 5 + 100, "{spent:?}");
    let told: Vec<_> = guarded.seen.iter().cloned().chain(guarded.lines.try_iter()).collect();
    // That much was removed is told, as it should be, and stops nobody.
    let wrong = |line: &&serde_json::Value| {
        line["type"] == "missed" || line["type"] == "finding" && line["detector"] != "removal.burst"
    };
    assert_eq!(told.iter().find(wrong), None);
    assert_eq!(place.lost(), Vec::<PathBuf>::new());
}

fn count(folder: &Path) -> u32 {
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found += if entry.file_type().unwrap().is_dir() {
            count(&entry.path())
        } else {
            assert!(entry.metadata().unwrap().size() > 0);
            1
        };
    }
    found
}
