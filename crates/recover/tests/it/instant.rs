//! One instant of files that go on changing, on a file system of the test's own.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::Error;
use recover::adapter::Source;
use recover::capture::{CaptureRequest, Captured, MomentChoice, capture};
use recover::vault::{Filter, Observer, ParentChoice, Vault};
use schema::{ExceptionKind, Instant};

use crate::support::{Place, below, census, noise, password};

/// A file system in a file, mounted until this goes.
struct Volume {
    place: Place,
    mount: PathBuf,
    also: Vec<PathBuf>,
}

impl Volume {
    fn new(test: &str) -> Option<Volume> {
        let volume = Volume::of(test, "btrfs")?;
        volume.subvolume("store");
        Some(volume)
    }

    fn of(test: &str, kind: &str) -> Option<Volume> {
        let mkfs = testkit::tool(test, &format!("mkfs.{kind}"))?;
        if !testkit::root(test) {
            return None;
        }
        let place = Place::new();
        let image = place.dir.path().join("image");
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        run(Command::new(mkfs).arg("-q").arg(&image));
        let mount = place.dir.path().join("mount");
        fs::create_dir(&mount).unwrap();
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &mount]));
        Some(Volume { place, mount, also: Vec::new() })
    }

    fn store(&self) -> PathBuf {
        self.mount.join("store")
    }

    fn subvolume(&self, name: &str) {
        run(Command::new("btrfs").args(["-q", "subvolume", "create"]).arg(self.mount.join(name)));
    }

    fn capture(&self, choice: MomentChoice) -> Captured {
        capture_of(&self.place.reopen(), self.place.dir.path(), &[self.store()], choice, &|| ()).unwrap()
    }

    /// What it restored to, by the stock program.
    fn restored(&self, name: &str) -> Option<PathBuf> {
        let restic = testkit::tool(name, "restic")?;
        let target = self.place.dir.path().join(name);
        self.place.restic(&restic, &["restore", "latest", "--target", target.to_str().unwrap()]);
        Some(below(&target, &self.store()))
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().contains(".chartward-instant-")).collect()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        for mount in self.also.iter().chain([&self.mount]) {
            let _ = Command::new("umount").arg(mount).status();
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn capture_of(
    vault: &Vault,
    dir: &Path,
    roots: &[PathBuf],
    moment: MomentChoice,
    at_each_step: &dyn Fn(),
) -> Result<Captured, Error> {
    capture_with(vault, dir, roots, Vec::new(), moment, at_each_step)
}

fn capture_with(
    vault: &Vault,
    dir: &Path,
    roots: &[PathBuf],
    sources: Vec<Source>,
    moment: MomentChoice,
    at_each_step: &dyn Fn(),
) -> Result<Captured, Error> {
    let staging = tempfile::tempdir_in(dir).unwrap();
    let request = CaptureRequest {
        pulled: Vec::new(),
        recovery: Vec::new(),
        roots: roots.to_vec(),
        sources,
        exclude: Vec::new(),
        filter: Filter::default(),
        tags: Vec::new(),
        hostname: "emr".to_owned(),
        zone: TimeZone::UTC,
        time: None,
        cache: Some(dir.join("cache")),
        parent: ParentChoice::Newest,
        moment,
        staging: staging.path().to_path_buf(),
    };
    capture(vault, &request, &Timestamp::now, &|_| at_each_step())
}

/// An EMR at work until it is told to stop: two files that count together, a record that moves between two folders, and scans
/// with a row for each.
fn work(store: &Path, stop: &AtomicBool, turns: &AtomicU64) {
    let [left, right] = ["left", "right"].map(|name| File::create(store.join(name)).unwrap());
    let folders = ["inbox", "outbox"].map(|name| store.join(name));
    for folder in folders.iter().chain([&store.join("scans")]) {
        fs::create_dir(folder).unwrap();
    }
    let database = rusqlite::Connection::open(store.join("emr.sqlite")).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE scan (n INTEGER)")
        .unwrap();
    fs::write(folders[1].join("record"), "the only one").unwrap();
    let mut turn = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        for counter in [&left, &right] {
            counter.write_all_at(&turn.to_be_bytes(), 0).unwrap();
            counter.sync_all().unwrap();
        }
        let (from, to) = (&folders[turn as usize % 2], &folders[(turn as usize + 1) % 2]);
        let _ = fs::rename(from.join("record"), to.join("record"));
        let _ = fs::rename(to.join("record"), from.join("record"));
        let scan = File::create(store.join(format!("scans/{turn}"))).unwrap();
        scan.sync_all().unwrap();
        database.execute("INSERT INTO scan VALUES (?1)", [turn as i64]).unwrap();
        turns.store(turn, Ordering::Relaxed);
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `backup` while an EMR works on `store`.
fn at_work<T>(store: &Path, backup: impl FnOnce(&AtomicU64) -> T) -> T {
    let (stop, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| work(store, &stop, &turns));
        wait_until(|| turns.load(Ordering::Relaxed) > 3);
        backup(&turns)
    })
}

fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not happen");
}

fn counter(path: &Path) -> u64 {
    u64::from_be_bytes(fs::read(path).unwrap().try_into().unwrap())
}

#[test]
fn what_changes_during_a_backup_is_captured_as_of_one_instant() {
    let Some(volume) = Volume::new("what_changes_during_a_backup") else { return };
    let store = volume.store();
    // So that the backup takes a while.
    for number in 0..8 {
        fs::write(store.join(format!("middle-{number}")), noise(number, 4 << 20)).unwrap();
    }
    at_work(&store, |turns| {
        for round in 0..3 {
            let before = turns.load(Ordering::Relaxed);
            let vault = volume.place.reopen();
            // Each report of progress waits for the EMR to go on.
            let slowly = || {
                let seen = turns.load(Ordering::Relaxed);
                wait_until(|| turns.load(Ordering::Relaxed) > seen + 2);
            };
            let roots = [volume.store()];
            let captured =
                capture_of(&vault, volume.place.dir.path(), &roots, MomentChoice::Snapshot, &slowly).unwrap();
            assert!(turns.load(Ordering::Relaxed) > before + 2);
            assert_eq!(captured.manifest.exceptions, []);
            assert_eq!(captured.left_behind, [""; 0]);
            let [moment] = captured.manifest.moments.as_slice() else { panic!("one root") };
            assert_eq!(
                (moment.instant, moment.path.as_str()),
                (Instant::BtrfsSnapshot, store.to_str().unwrap())
            );
            assert!(moment.began_at < moment.ended_at && moment.ended_at < captured.manifest.finished_at);
            let Some(restored) = volume.restored(&format!("restored-{round}")) else { return };
            let (left, right) = (counter(&restored.join("left")), counter(&restored.join("right")));
            assert!(left == right || left == right + 1, "{left} and {right}");
            let records = ["inbox", "outbox"].map(|folder| restored.join(folder).join("record").exists());
            assert!(records[0] != records[1], "{records:?}");
            let scans = fs::read_dir(restored.join("scans")).unwrap().count() as u64;
            let rows = captured.manifest.census.databases[0].tables["scan"];
            assert!(scans == rows || scans == rows + 1, "{scans} scans, {rows} rows");
            assert!(!restored.join("emr.sqlite-wal").exists());
            let database = rusqlite::Connection::open(restored.join("emr.sqlite")).unwrap();
            let there: i64 = database.query_row("SELECT count(*) FROM scan", [], |row| row.get(0)).unwrap();
            assert_eq!(there as u64, rows);
        }
    });
    assert!(volume.snapshots().is_empty());
}

#[test]
fn without_a_snapshot_the_same_files_are_torn_apart_and_named() {
    let Some(volume) = Volume::new("without_a_snapshot_the_same_files") else { return };
    let store = volume.store();
    let report = at_work(&store, |turns| {
        let content = |path: &Path, _: &[u8]| {
            if path.ends_with("left") {
                let seen = turns.load(Ordering::Relaxed);
                wait_until(|| turns.load(Ordering::Relaxed) > seen + 2);
            }
        };
        let mut request = recover::vault::BackupRequest::new(vec![volume.store()]);
        request.observer = Some(Observer { pass: &|| (), content: &content, folder: &|_, _| () });
        volume.place.reopen().backup(request, &|_| ()).unwrap()
    });
    let unstable = |name: &str| {
        let path = store.join(name).to_string_lossy().into_owned();
        report.exceptions.iter().any(|it| it.path == path && it.kind == ExceptionKind::Unstable)
    };
    assert!(unstable("left") && unstable("right"), "{:?}", report.exceptions);
    let Some(restored) = volume.restored("torn") else { return };
    let (left, right) = (counter(&restored.join("left")), counter(&restored.join("right")));
    assert!(right > left, "{left} and {right}");
}

/// A disk image that a machine goes on writing to: its first and its last block count together.
#[test]
fn a_file_that_never_holds_still_is_whole_where_files_can_share_blocks() {
    let Some(volume) = Volume::of("a_file_that_never_holds_still", "xfs") else { return };
    fs::create_dir(volume.store()).unwrap();
    let path = volume.store().join("disk.img");
    fs::write(&path, noise(1, 24 << 20)).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let (stop, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    let captured = std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let turn = turns.fetch_add(1, Ordering::Relaxed) + 1;
                for at in [0, 24 << 20] {
                    file.write_all_at(&turn.to_be_bytes(), at).unwrap();
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        wait_until(|| turns.load(Ordering::Relaxed) > 3);
        volume.capture(MomentChoice::Auto)
    });
    let [exception] = captured.manifest.exceptions.as_slice() else { panic!("one file") };
    assert_eq!(exception.kind, ExceptionKind::Unstable);
    assert!(exception.cause.contains("reflink"), "{}", exception.cause);
    let Some(restored) = volume.restored("restored-image") else { return };
    let bytes = fs::read(restored.join("disk.img")).unwrap();
    let [first, last] = [0, 24 << 20].map(|at| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()));
    assert!(first == last || first == last + 1, "{first} and {last}");
    assert_eq!(fs::read_dir(volume.store()).unwrap().count(), 1);
}

#[test]
fn volumes_and_mounts_in_a_folder_are_captured_and_unchanged_folders_taken_over() {
    let Some(mut volume) = Volume::new("volumes_and_mounts_in_a_folder") else { return };
    let store = volume.store();
    volume.subvolume("store/scans");
    fs::create_dir_all(store.join("deep/er")).unwrap();
    volume.subvolume("store/deep/er/x rays");
    volume.subvolume("store/deep/er/x rays/old");
    fs::create_dir(store.join("mem ory")).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(store.join("mem ory")));
    volume.also.push(store.join("mem ory"));
    let files = [
        "top",
        "scans/one",
        "deep/er/two",
        "deep/er/x rays/three",
        "deep/er/x rays/old/four",
        "mem ory/five",
    ];
    for file in files {
        fs::write(store.join(file), file).unwrap();
    }
    fs::hard_link(store.join("top"), store.join("deep/linked")).unwrap();
    // A vault in what it protects is no part of it, in its picture neither.
    let vault =
        Vault::init_with_cost(&store.join("vault"), &password(), recover::vault::KeyCost::TEST).unwrap();
    let inside = capture_of(&vault, volume.place.dir.path(), &[volume.store()], MomentChoice::Auto, &|| ());
    assert_eq!(inside.unwrap().report.files, 7);
    fs::remove_dir_all(store.join("vault")).unwrap();
    std::thread::sleep(Duration::from_millis(60));

    let first = volume.capture(MomentChoice::Auto);
    assert_eq!(first.manifest.exceptions, []);
    let moments: Vec<(&str, Instant)> = first
        .manifest
        .moments
        .iter()
        .map(|moment| {
            let inside = moment.path.strip_prefix(store.to_str().unwrap());
            (inside.unwrap().trim_start_matches('/'), moment.instant)
        })
        .collect();
    assert_eq!(moments.len(), 5, "{moments:?}");
    for (path, instant) in [
        ("", Instant::BtrfsSnapshot),
        ("scans", Instant::BtrfsSnapshot),
        ("deep/er/x rays", Instant::BtrfsSnapshot),
        ("deep/er/x rays/old", Instant::BtrfsSnapshot),
        ("mem ory", Instant::Reread),
    ] {
        assert!(moments.contains(&(path, instant)), "{path}: {moments:?}");
    }
    if let Some(restored) = volume.restored("nested") {
        let (mut was, mut is) = (census(&store), census(&restored));
        // Making a snapshot in a folder changes the folder's time.
        for uppermost in ["", "scans", "deep/er/x rays", "deep/er/x rays/old"] {
            assert!(was.remove(uppermost.as_bytes()).is_some() && is.remove(uppermost.as_bytes()).is_some());
        }
        assert_eq!(was, is);
    }
    let again = volume.capture(MomentChoice::Auto);
    assert_eq!((again.report.files_unmodified, again.report.bytes_read), (7, 0));
    // From a picture to the files themselves and back: nothing is read again either.
    let live = volume.capture(MomentChoice::Reread);
    assert_eq!((live.report.files_unmodified, live.report.bytes_read), (7, 0));
    assert_eq!(live.manifest.moments[0].instant, Instant::Reread);
    fs::write(store.join("scans/one"), "new").unwrap();
    let changed = volume.capture(MomentChoice::Auto);
    assert_eq!((changed.report.files_changed, changed.report.files_unmodified), (1, 6));
    let refused = capture_of(
        &volume.place.reopen(),
        volume.place.dir.path(),
        &[volume.store()],
        MomentChoice::Snapshot,
        &|| (),
    );
    assert!(matches!(refused, Err(Error::NoInstant { .. })), "what is in memory has no snapshot");
    assert!(volume.snapshots().is_empty());
}

#[test]
fn folders_of_sources_and_files_of_a_group_are_of_the_same_instant() {
    let Some(volume) = Volume::new("folders_of_sources_and_files_of_a_group") else { return };
    let store = volume.store();
    for folder in ["images", "files"] {
        fs::create_dir(store.join(folder)).unwrap();
        fs::write(store.join(folder).join("disk.qcow2"), b"QFI\xfb\0\0\0\x03").unwrap();
    }
    let text = format!("opaque:name=vm,path={}", store.join("images").display());
    let sources = vec![Source::parse(&text).unwrap()];
    let change = || {
        for folder in ["images", "files"] {
            fs::write(store.join(folder).join("disk.qcow2"), "changed meanwhile").unwrap();
        }
    };
    let (vault, dir) = (volume.place.reopen(), volume.place.dir.path());
    let roots = [store.join("files")];
    let captured = capture_with(&vault, dir, &roots, sources, MomentChoice::Snapshot, &change).unwrap();
    let [one, other] = captured.manifest.moments.as_slice() else { panic!("two folders") };
    assert_eq!((one.began_at, one.ended_at), (other.began_at, other.ended_at));
    let snapshot = vault.find("latest").unwrap();
    for path in ["/chartward-source/vm/files/disk.qcow2", store.join("files/disk.qcow2").to_str().unwrap()] {
        assert_eq!(vault.files(&snapshot).read_path(path, 100).unwrap(), b"QFI\xfb\0\0\0\x03", "{path}");
    }
}

#[test]
fn a_change_within_the_same_tick_of_the_clock_is_seen_by_the_next_backup() {
    let Some(volume) = Volume::new("a_change_within_the_same_tick") else { return };
    let file = volume.store().join("record");
    for round in 0..5 {
        fs::write(&file, format!("before {round}")).unwrap();
        let taken = AtomicBool::new(false);
        let change = || {
            if !taken.swap(true, Ordering::Relaxed) {
                fs::write(&file, format!("behind {round}")).unwrap();
            }
        };
        let roots = [file.clone()];
        let vault = volume.place.reopen();
        capture_of(&vault, volume.place.dir.path(), &roots, MomentChoice::Snapshot, &change).unwrap();
        capture_of(&vault, volume.place.dir.path(), &roots, MomentChoice::Snapshot, &|| ()).unwrap();
        let snapshot = vault.find("latest").unwrap();
        let content = vault.files(&snapshot).read_path(file.to_str().unwrap(), 100).unwrap();
        assert_eq!(content, format!("behind {round}").as_bytes());
    }
}

#[test]
fn elsewhere_files_are_read_until_they_hold_still_and_the_manifest_says_why() {
    let place = Place::new();
    place.write("record", "content");
    let take = |moment| capture_of(&place.reopen(), place.dir.path(), &[place.source()], moment, &|| ());
    let manifest = take(MomentChoice::Auto).unwrap().manifest;
    let [moment] = manifest.moments.as_slice() else { panic!("one root") };
    assert_eq!((moment.instant, moment.ended_at), (Instant::Reread, manifest.finished_at));
    assert!(moment.cause.is_some());
    assert!(matches!(take(MomentChoice::Snapshot), Err(Error::NoInstant { .. })));
}

const KILLED: &str = "CHARTWARD_TEST_KILLED_IN";

/// Not a test by itself: the process that the next one kills.
#[test]
fn killed_within_a_backup() {
    let Some(dir) = std::env::var_os(KILLED).map(PathBuf::from) else { return };
    let vault = Vault::open(&dir.join("vault"), &password()).unwrap();
    let roots = [dir.join("mount/store")];
    let forever = || std::thread::sleep(Duration::from_secs(60));
    let _ = capture_of(&vault, &dir, &roots, MomentChoice::Snapshot, &forever);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_killed_backup_left_goes_with_the_next_and_what_is_in_use_stays() {
    let Some(volume) = Volume::new("what_a_killed_backup_left") else { return };
    fs::write(volume.store().join("record"), "content").unwrap();
    // Not ours, however much it looks like it.
    let foreign = volume.store().join(".chartward-instant-0123456789abcdef");
    fs::create_dir(&foreign).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "instant::killed_within_a_backup"])
        .env(KILLED, volume.place.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    // The folder is there, and the lock on it taken, when its progress is first told: give it that long.
    wait_until(|| volume.snapshots().len() == 2);
    std::thread::sleep(Duration::from_millis(300));
    let used = volume.snapshots();
    for moment in [MomentChoice::Auto, MomentChoice::Reread] {
        let captured = volume.capture(moment);
        assert_eq!((captured.report.files, captured.report.dirs), (1, 2), "{moment:?}");
        assert_eq!(captured.manifest.exceptions, []);
        assert_eq!(volume.snapshots(), used);
    }
    drop(child);
    volume.capture(MomentChoice::Reread);
    assert_eq!(volume.snapshots(), std::slice::from_ref(&foreign));
    assert_ne!(fs::metadata(&foreign).unwrap().ino(), 256);
}
