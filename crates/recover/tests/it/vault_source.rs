//! Sources that do not hold still, cannot be read or are odd, and targets that are in use.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use recover::Error;
use recover::vault::{BackupRequest, CheckLevel, KeyCost, Kind, Observer, ParentChoice, Vault};
use schema::ExceptionKind;

use crate::support::{Place, below, census, noise, password};

/// A mount that goes away with the test, also when it fails.
struct Mount(PathBuf);

impl Mount {
    fn new(args: &[&OsStr], at: &Path) -> Mount {
        let status = Command::new("mount").args(args).arg(at).status().unwrap();
        assert!(status.success());
        Mount(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn named(place: &Place, report: &recover::vault::BackupReport, kind: ExceptionKind) -> Vec<String> {
    let prefix = place.source();
    let relative = |path: &str| Path::new(path).strip_prefix(&prefix).unwrap().display().to_string();
    report.exceptions.iter().filter(|e| e.kind == kind).map(|e| relative(&e.path)).collect()
}

#[test]
fn an_unreadable_file_is_named_and_the_rest_goes_on() {
    let place = Place::new();
    place.write("good", "record");
    let bad = place.write("bad", "hidden");
    // Root may read anything, but not the memory of a process at address zero.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let _mount = if is_root {
        Some(Mount::new(&["--bind".as_ref(), "/proc/self/mem".as_ref()], &bad))
    } else {
        fs::set_permissions(&bad, fs::Permissions::from_mode(0o000)).unwrap();
        None
    };
    let report = place.backup();
    assert_eq!(named(&place, &report, ExceptionKind::Unreadable), ["bad"]);
    assert!(!report.exceptions[0].cause.is_empty());
    let (restored, report) = place.restore_latest("again");
    assert_eq!((report.files, fs::read(restored.join("good")).unwrap()), (1, b"record".to_vec()));
}

#[test]
fn a_file_that_keeps_changing_is_flagged() {
    let place = Place::new();
    let log = place.write("log", noise(1, 8 << 20));
    place.write("record", "still");
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&log).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"one more line\n").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let report = place.vault.backup(place.request(), &|_| ());
        stop.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    assert_eq!(named(&place, &report, ExceptionKind::Unstable), ["log"]);
    assert_eq!(report.exceptions.len(), 1);
    assert!(place.reopen().check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
}

#[test]
fn what_changes_between_two_looks_is_captured_as_it_is_at_the_end() {
    let place = Place::new();
    let early = place.write("a/record", "before");
    place.write("b/other", "other");
    let passes = AtomicUsize::new(0);
    let observer = Observer {
        pass: &|| {
            if passes.fetch_add(1, Ordering::Relaxed) == 1 {
                fs::write(&early, "after").unwrap();
                fs::remove_file(place.source().join("b/other")).unwrap();
                place.write("c/new", "new");
            }
        },
        content: &|_, _| (),
        folder: &|_, _| (),
    };
    let request = BackupRequest { observer: Some(observer), ..place.request() };
    let report = place.vault.backup(request, &|_| ()).unwrap();
    assert!(passes.load(Ordering::Relaxed) > 2);
    assert_eq!(named(&place, &report, ExceptionKind::Unstable), Vec::<String>::new());
    let (restored, _) = place.restore_latest("again");
    assert_eq!(census(&restored), census(&place.source()));
}

#[test]
fn files_that_vanish_while_the_folder_is_read_are_named() {
    for attempt in 0..30 {
        let place = Place::new();
        let paths: Vec<PathBuf> = (0..4000).map(|n| place.write(&format!("{n:04}"), "x")).collect();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(500 * attempt));
                paths.iter().rev().for_each(|path| fs::remove_file(path).unwrap());
            });
            place.vault.backup(place.request(), &|_| ()).unwrap()
        });
        let (_, restored) = place.restore_latest("again");
        assert_eq!(restored.not_restored, []);
        if !named(&place, &report, ExceptionKind::Vanished).is_empty() {
            return;
        }
    }
    panic!("no file vanished at the right moment");
}

#[test]
fn a_root_that_does_not_exist_is_an_error() {
    let place = Place::new();
    for (root, expected) in [(place.dir.path().join("missing"), true), (PathBuf::from("relative"), false)] {
        let error = place.vault.backup(BackupRequest::new(vec![root]), &|_| ()).unwrap_err();
        assert_eq!(matches!(error, Error::RootMissing { .. }), expected, "{error}");
    }
    assert!(place.vault.backup(BackupRequest::new(vec![]), &|_| ()).is_err());
    assert_eq!(place.vault.snapshots().unwrap().0, []);
}

#[test]
fn ten_gigabytes_of_hole_take_seconds() {
    let place = Place::new();
    let file = fs::File::create(place.source().join("sparse")).unwrap();
    file.set_len(10 << 30).unwrap();
    for at in [0, 123_456_789, 5 << 30, (10 << 30) - 5] {
        file.write_all_at(b"data!", at).unwrap();
    }
    let began = Instant::now();
    let report = place.backup();
    assert_eq!(report.bytes, 10 << 30);
    assert!(report.bytes_added < 4 << 20, "{report:?}");
    let (restored, _) = place.restore_latest("again");
    let file = fs::File::open(restored.join("sparse")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10 << 30);
    assert!(file.metadata().unwrap().blocks() * 512 < 16 << 20);
    for at in [0, 123_456_789, 5 << 30, (10 << 30) - 5] {
        let mut bytes = [0; 5];
        file.read_exact_at(&mut bytes, at).unwrap();
        assert_eq!(&bytes, b"data!");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_full_medium_is_named_and_earlier_snapshots_stay() {
    if !testkit::root("a_full_medium_is_named_and_earlier_snapshots_stay") {
        return;
    }
    let place = Place::new();
    let medium = place.dir.path().join("medium");
    fs::create_dir(&medium).unwrap();
    let _mount = Mount::new(&["-t", "tmpfs", "-o", "size=24m", "vault"].map(OsStr::new), &medium);
    let vault = Vault::init_with_cost(&medium.join("vault"), &password(), KeyCost::TEST).unwrap();
    place.write("first", noise(1, 3 << 20));
    let first = vault.backup(place.request(), &|_| ()).unwrap().snapshot;
    place.write("second", noise(2, 60 << 20));
    let error = vault.backup(place.request(), &|_| ()).unwrap_err();
    assert!(matches!(&error, Error::VaultFull { dir, .. } if dir.starts_with(&medium)), "{error}");
    assert!(error.next_step().is_some());
    let vault = Vault::open(&medium.join("vault"), &password()).unwrap();
    let snapshots = vault.snapshots().unwrap().0;
    assert_eq!(snapshots.iter().map(|s| Some(s.id.clone())).collect::<Vec<_>>(), [first]);
    let target = place.dir.path().join("again");
    vault.restore(&snapshots[0], &target, &[], &|_| ()).unwrap();
    assert_eq!(fs::read(below(&target, &place.source()).join("first")).unwrap(), noise(1, 3 << 20));
    // Nothing unfinished is left under a name that counts, and a smaller backup works again.
    fs::remove_file(place.source().join("second")).unwrap();
    place.write("third", "small");
    fs::remove_dir_all(&target).unwrap();
    match vault.backup(place.request(), &|_| ()) {
        Ok(_) | Err(Error::VaultFull { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_medium_that_is_read_only_is_named_and_can_be_read() {
    if !testkit::root("a_medium_that_is_read_only_is_named_and_can_be_read") {
        return;
    }
    let place = Place::new();
    let medium = place.dir.path().join("medium");
    fs::create_dir(&medium).unwrap();
    let _mount = Mount::new(&["-t", "tmpfs", "vault"].map(OsStr::new), &medium);
    let vault = Vault::init_with_cost(&medium.join("vault"), &password(), KeyCost::TEST).unwrap();
    place.write("record", "content");
    vault.backup(place.request(), &|_| ()).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&medium).status().unwrap();
    assert!(remounted.success());
    let proof = vec![("/.chartward/proof.json".to_owned(), b"{}".to_vec())];
    for error in [
        vault.backup(place.request(), &|_| ()).unwrap_err(),
        vault.store_proof(proof, jiff::Timestamp::UNIX_EPOCH).unwrap_err(),
        Vault::init_with_cost(&medium.join("another"), &password(), KeyCost::TEST).err().unwrap(),
    ] {
        assert!(matches!(&error, Error::ReadOnly { dir, .. } if dir.starts_with(&medium)), "{error}");
        assert!(error.next_step().is_some());
    }
    let vault = Vault::open(&medium.join("vault"), &password()).unwrap();
    let snapshot = vault.find("latest").unwrap();
    let target = place.dir.path().join("again");
    assert_eq!(vault.restore(&snapshot, &target, &[], &|_| ()).unwrap().files, 1);
}

#[test]
fn a_backup_finds_its_parent_however_the_folders_are_written() {
    let place = Place::new();
    place.write("a/record", "content");
    let first = place.backup();
    let source = place.source();
    let written = [source.join("a"), source.join("./"), PathBuf::from(format!("{}/", source.display()))];
    let second = place.vault.backup(BackupRequest::new(written.to_vec()), &|_| ()).unwrap();
    assert_eq!((second.parent, second.files_unmodified), (first.snapshot, 1));
    let snapshot = place.vault.find("latest").unwrap();
    assert_eq!(snapshot.paths, [source.to_str().unwrap()]);
}

#[test]
fn the_vault_is_no_source_and_the_tag_of_proofs_is_no_label() {
    let place = Place::new();
    let link = place.dir.path().join("link");
    symlink(place.vault_dir(), &link).unwrap();
    for root in [place.vault_dir(), place.vault_dir().join("data"), link] {
        let error = place.vault.backup(BackupRequest::new(vec![root]), &|_| ()).unwrap_err();
        assert!(matches!(error, Error::UnusablePath { .. }), "{error}");
    }
    let mut request = place.request();
    request.tags = vec!["nightly".to_owned(), "chartward-proof".to_owned()];
    let error = place.vault.backup(request, &|_| ()).unwrap_err();
    assert!(matches!(error, Error::ReservedTag { .. }), "{error}");
    assert_eq!(place.vault.snapshots().unwrap().0, []);
}

#[test]
fn what_killed_backups_left_behind_is_tidied_up_or_taken_over() {
    let place = Place::new();
    place.write("record", noise(1, 1 << 20));
    place.backup();
    // As after a kill between the packs and the index: packs that nobody lists, half a pack, half an index.
    for folder in ["index", "snapshots"] {
        for entry in fs::read_dir(place.vault_dir().join(folder)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    let half = place.vault_dir().join("data/00").join(format!("{}-tmp-1", "0".repeat(64)));
    fs::write(&half, "half a pack").unwrap();
    fs::write(place.vault_dir().join("index").join(format!("{}-tmp-1", "0".repeat(64))), "half an index")
        .unwrap();
    let report = place.backup();
    assert!(report.bytes_added < 100_000, "{report:?}");
    assert!(!half.exists());
    assert_eq!(fs::read_dir(place.vault_dir().join("locks")).unwrap().count(), 0);
    assert!(place.reopen().check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
}

#[test]
fn excluded_paths_substitutes_and_files_in_memory_make_the_snapshot() {
    let place = Place::new();
    let database = place.write("emr/emr.db", "live, in the middle of a write");
    place.write("emr/emr.db-wal", "log");
    place.write("skip/below/this", "x");
    let copy = place.dir.path().join("copy.db");
    fs::write(&copy, "a consistent copy").unwrap();
    // The vault's own folder is never part of a backup of a folder that holds it.
    let mut request = BackupRequest::new(vec![place.dir.path().to_owned()]);
    request.exclude = vec![place.source().join("emr/emr.db-wal"), place.source().join("skip"), copy.clone()];
    request.substitutes = [(database.clone(), copy)].into();
    request.tags = vec!["nightly".to_owned()];
    request.extra = Some(Box::new(|report| {
        assert_eq!((report.snapshot.as_ref(), report.files), (None, 1));
        Ok(vec![("/.chartward/manifest.json".to_owned(), b"{}".to_vec())])
    }));
    let report = place.vault.backup(request, &|_| ()).unwrap();
    assert_eq!(report.exceptions, []);
    let snapshot = place.vault.find("latest").unwrap();
    assert_eq!(
        (snapshot.tags.as_slice(), Some(&snapshot.id)),
        (&["nightly".to_owned()][..], report.snapshot.as_ref())
    );
    let files = place.vault.files(&snapshot);
    let all: Vec<PathBuf> = files
        .walk("/".as_ref())
        .unwrap()
        .map(Result::unwrap)
        .filter(|e| e.kind() == Kind::File)
        .map(|e| e.path)
        .collect();
    assert_eq!(all, [Path::new("/.chartward/manifest.json"), &database]);
    assert_eq!(files.read_path(&database, 100).unwrap(), b"a consistent copy");
    assert_eq!(files.entry(&database).unwrap().mtime().as_second(), fs::metadata(&database).unwrap().mtime());
    assert!(matches!(files.read_path(&database, 5), Err(Error::TooLarge { .. })));
    assert!(matches!(files.entry("/nowhere".as_ref()), Err(Error::PathNotFound { .. })));
    assert!(files.read_path(place.source(), 100).is_err());
}

#[test]
fn unchanged_files_are_not_read_again_unless_asked() {
    let place = Place::new();
    for n in 0..50 {
        place.write(&format!("{n}"), noise(n, 10_000));
    }
    let first = place.backup();
    assert_eq!((first.files_new, first.files_unmodified), (50, 0));
    place.write("7", noise(700, 10_000));
    let second = place.backup();
    assert_eq!((second.files_new, second.files_changed, second.files_unmodified), (0, 1, 49));
    assert_eq!(second.parent, first.snapshot);
    let mut request = place.request();
    request.parent = ParentChoice::ReadEverything;
    let third = place.vault.backup(request, &|_| ()).unwrap();
    assert_eq!(third.files_new, 50);
    assert!(third.bytes_added < 20_000, "{third:?}");
}

#[test]
fn an_encrypted_store_is_put_back_in_place() {
    let place = Place::new();
    for n in 0..20 {
        place.write(&format!("{n:02}/record"), noise(n, 3000));
    }
    place.write("large", noise(99, 3 << 20));
    let before = census(&place.source());
    place.backup();
    for n in 0..10 {
        let path = place.source().join(format!("{n:02}/record"));
        fs::write(&path, noise(1000 + n, 3000)).unwrap();
        fs::rename(&path, path.with_extension("KRAB")).unwrap();
    }
    // Same length, other content, and a time stamp that hides it.
    let large = fs::File::options().write(true).open(place.source().join("large")).unwrap();
    let mtime = large.metadata().unwrap().modified().unwrap();
    large.write_all_at(b"!", 2 << 20).unwrap();
    large.set_modified(mtime).unwrap();
    place.write("came-later", "kept");
    let vault = place.reopen();
    let snapshot = vault.find("latest").unwrap();
    let report = vault.restore(&snapshot, "/".as_ref(), &[place.source()], &|_| ()).unwrap();
    assert_eq!((report.not_restored, report.files, report.files_left), (vec![], 21, 10));
    let after = census(&place.source());
    let wrong: Vec<_> = before.iter().filter(|(path, what)| after.get(*path) != Some(what)).collect();
    assert_eq!(wrong, Vec::<(&Vec<u8>, &String)>::new());
    // Nothing is deleted: what came later, the ransom notes, the encrypted copies.
    assert_eq!(after.len(), before.len() + 11);
}

#[test]
fn a_restore_never_writes_through_a_link_in_the_target() {
    let place = Place::new();
    place.write("dir/file", "record");
    place.write("file", "record");
    place.backup();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "untouched").unwrap();
    let target = place.dir.path().join("target");
    let there = below(&target, &place.source());
    fs::create_dir_all(&there).unwrap();
    symlink(&outside, there.join("dir")).unwrap();
    symlink(outside.join("victim"), there.join("file")).unwrap();
    let snapshot = place.vault.find("latest").unwrap();
    let report = place.vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
    assert_eq!(
        report.not_restored.iter().map(|lost| &lost.path).collect::<Vec<_>>(),
        [&place.source().join("dir")]
    );
    assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(there.join("file")).unwrap(), "record");
    assert!(fs::symlink_metadata(there.join("file")).unwrap().is_file());
}

#[test]
fn part_of_a_snapshot_is_restored_and_what_it_lacks_is_named() {
    let place = Place::new();
    place.write("a/one", "1");
    place.write("b/two", "2");
    place.backup();
    let snapshot = place.vault.find("latest").unwrap();
    let target = place.dir.path().join("part");
    let only = [place.source().join("b"), place.source().join("missing")];
    let report = place.vault.restore(&snapshot, &target, &only, &|_| ()).unwrap();
    assert_eq!((report.files, report.not_restored.len()), (1, 1));
    assert_eq!(report.not_restored[0].path, only[1]);
    assert!(
        below(&target, &place.source()).join("b/two").exists()
            && !below(&target, &place.source()).join("a").exists()
    );
}

#[test]
fn a_backup_that_ends_during_a_check_is_no_damage() {
    let place = Place::new();
    place.write("first", noise(1, 8 << 20));
    place.backup();
    let meanwhile = Cell::new(false);
    let checked = place.reopen().check(CheckLevel::ReadData, &|_| {
        if !meanwhile.replace(true) {
            place.write("second", noise(2, 1 << 16));
            place.backup();
        }
    });
    assert!(meanwhile.get());
    let problems = checked.unwrap().problems;
    assert!(problems.is_empty(), "{problems:?}");
}
