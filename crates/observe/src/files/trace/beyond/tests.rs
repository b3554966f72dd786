use std::io::Write;

use super::*;
use crate::files::preimage::Store;
use crate::files::process::Intent;
use crate::files::trace::KEEP_READ_MAX;

const WHO: Actor = Actor { pid: 7, start_ticks: 70 };

fn tracker(dir: &Path, max: u64, pins: usize) -> Tracker {
    Tracker::new(Store::open(&dir.join("store"), max).unwrap(), pins)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn record(dir: &Path, name: &str, len: usize) -> PathBuf {
    let path = dir.canonicalize().unwrap().join(name);
    fs::write(&path, vec![b'r'; len]).unwrap();
    path
}

fn opened(tracker: &mut Tracker, path: &Path, intent: Intent, second: i64) {
    tracker.opened(WHO, File::open(path).unwrap(), path.to_owned(), intent, at(second));
}

#[test]
fn a_file_that_is_emptied_by_its_path_is_evidence_and_its_content_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 1 << 20, 64);
    let path = record(dir.path(), "a", 4000);
    opened(&mut tracker, &path, Intent::Read, 0);
    assert!(tracker.is_kept(&File::open(&path).unwrap()));
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    tracker.modified(Some(WHO), File::open(&path).unwrap(), path.clone(), at(1));
    let evidence = tracker.evidence(WHO).evidence;
    assert_eq!((evidence.len(), evidence[0].size_before, evidence[0].size_after), (1, 4000, 0));
    let touches = tracker.take(WHO, at(2));
    assert_eq!(touches[0].original.as_ref().unwrap().stamp.size, 4000);
}

#[test]
fn what_was_renamed_and_removed_unseen_is_found_by_the_pins_and_what_took_its_place_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 1 << 20, 64);
    let now = Timestamp::now();
    let paths: Vec<PathBuf> = (0..3).map(|n| record(dir.path(), &format!("r{n}"), 3000)).collect();
    for path in &paths {
        tracker.opened(WHO, File::open(path).unwrap(), path.clone(), Intent::Read, now);
    }
    assert_eq!(tracker.recover(now), 0);
    let renamed = paths[0].with_extension("KRAB");
    fs::rename(&paths[0], &renamed).unwrap();
    fs::File::create(paths[1].with_extension("locked")).unwrap().write_all(&[7; 3000]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    assert_eq!(tracker.recover(now), 2);
    tracker.evidence(WHO);
    let touches = tracker.take(WHO, now);
    let of = |path: &Path| touches.iter().find(|touch| touch.path_before == path).unwrap();
    assert_eq!(of(&paths[0]).path_now.as_deref(), Some(renamed.as_path()));
    assert_eq!(of(&paths[1]).path_now, None);
    assert!(of(&paths[1]).replaced_by().is_some(), "the new file beside it took its place");
    assert!(!touches.iter().any(|touch| touch.path_before == paths[2]));
}

#[test]
fn a_full_store_lets_go_of_what_was_unused_for_longest_and_says_what_it_could_not_keep() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 10_000, 64);
    let paths: Vec<PathBuf> = (0..20).map(|n| record(dir.path(), &format!("r{n}"), 1000)).collect();
    for (second, path) in (0..).zip(&paths) {
        opened(&mut tracker, path, Intent::Read, second);
    }
    assert_eq!(tracker.store().refused(), 0);
    assert!(!tracker.is_kept(&File::open(&paths[0]).unwrap()));
    assert!(tracker.is_kept(&File::open(&paths[19]).unwrap()));
    let large = record(dir.path(), "large", 10_001);
    opened(&mut tracker, &large, Intent::Write, 30);
    assert_eq!(tracker.store().refused(), 1);
    assert!(
        tracker.is_kept(&File::open(&paths[19]).unwrap()),
        "nothing goes for a file that cannot fit at all"
    );
    // What an actor is being judged for does not go.
    let mut held = Vec::new();
    for (second, path) in (40..).zip(&paths) {
        opened(&mut tracker, path, Intent::Write, second);
        held.push(path);
    }
    assert!(tracker.store().used() <= 10_000);
    assert!(tracker.store().refused() > 1, "files beyond the bound are counted");
}

#[test]
fn what_nobody_used_for_as_long_as_things_are_kept_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 1 << 20, 64);
    tracker.keep_for(SignedDuration::from_hours(1));
    let (old, young) = (record(dir.path(), "old", 1000), record(dir.path(), "young", 1000));
    opened(&mut tracker, &old, Intent::Read, 0);
    tracker.expire(at(1));
    opened(&mut tracker, &young, Intent::Read, 1800);
    tracker.expire(at(1801));
    assert_eq!(tracker.store().used(), 2000);
    tracker.expire(at(3700));
    assert_eq!(tracker.store().used(), 1000);
    assert!(tracker.is_kept(&File::open(&young).unwrap()));
    tracker.expire(at(9000));
    assert_eq!(tracker.store().used(), 0);
}

#[test]
fn fewer_pins_are_held_when_descriptors_run_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 1 << 20, 64);
    for n in 0..60 {
        let path = record(dir.path(), &format!("r{n}"), 10);
        opened(&mut tracker, &path, Intent::Read, n);
    }
    tracker.bound_pins(8, at(61));
    assert!(tracker.table.named().count() <= 8);
}

#[test]
fn a_large_file_that_was_only_read_and_then_renamed_is_kept_before_it_is_written_to_or_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut tracker = tracker(dir.path(), 1 << 20, 64);
    let len = usize::try_from(KEEP_READ_MAX).unwrap() + 1;
    for (name, goes_away) in [("written", false), ("gone", true)] {
        let path = record(dir.path(), name, len);
        let renamed = path.with_extension("locked");
        opened(&mut tracker, &path, Intent::Read, 0);
        assert!(
            !tracker.is_kept(&File::open(&path).unwrap()),
            "it is too large to be kept when it is only read"
        );
        fs::rename(&path, &renamed).unwrap();
        tracker.renamed(Some(WHO), Some(&path), Some(renamed.clone()), at(1));
        tracker.evidence(WHO);
        if goes_away {
            fs::remove_file(&renamed).unwrap();
            tracker.deleted(Some(WHO), &renamed, at(2));
        } else {
            opened(&mut tracker, &renamed, Intent::Write, 2);
            File::options().write(true).open(&renamed).unwrap().write_all(&[7; 100_000]).unwrap();
        }
        let evidence = tracker.evidence(WHO).evidence;
        assert_eq!((evidence.len(), evidence[0].size_before), (1, len as u64), "{name}");
        let original = tracker.take(WHO, at(3))[0].original.clone().unwrap();
        assert!(original.sample().unwrap().head().iter().all(|&byte| byte == b'r'), "{name}");
    }
}
