//! What speeds a backup up must never change what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recover::vault::{BackupReport, CheckRequest, ParentChoice, Portion};

use crate::support::{Place, census, noise};

fn cache(place: &Place) -> PathBuf {
    place.dir.path().join("cache")
}

fn backup(place: &Place, parent: ParentChoice) -> BackupReport {
    let mut request = place.request();
    (request.cache, request.parent) = (Some(cache(place)), parent);
    // As another process: nothing is left over from before in memory.
    place.reopen().backup(request, &|_| ()).unwrap()
}

/// Folders with files only, with folders only, with both, deep and empty ones.
fn filled() -> Place {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("leaf-{}/record-{number}", number % 4), format!("record {number}"));
    }
    place.write("mixed/record", "in a folder that holds another");
    place.write("mixed/deeper/still/record", "deep");
    place.write("mixed/large", noise(7, 3_000_000));
    fs::create_dir(place.source().join("empty")).unwrap();
    std::os::unix::fs::symlink("record-0", place.source().join("leaf-0/link")).unwrap();
    // What changed within a tick of the clock before a backup is never trusted.
    std::thread::sleep(Duration::from_millis(60));
    place
}

fn check_restored(place: &Place, name: &str) {
    let (restored, report) = place.restore_latest(name);
    assert_eq!(report.not_restored, [], "{name}");
    assert_eq!(census(&restored), census(&place.source()), "{name}");
}

#[test]
fn an_unchanged_store_is_taken_over_and_every_change_is_seen() {
    let place = filled();
    assert_eq!(backup(&place, ParentChoice::Newest).files_new, 43);
    let again = backup(&place, ParentChoice::Newest);
    assert_eq!((again.files_unmodified, again.bytes_read, again.files), (43, 0, 43));
    let source = place.source();
    let changes: &[(&str, &dyn Fn())] = &[
        ("content", &|| drop(place.write("leaf-1/record-1", "changed"))),
        ("same length, old time", &|| {
            let path = source.join("leaf-1/record-5");
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "RECORD 5").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        }),
        ("mode", &|| {
            fs::set_permissions(source.join("leaf-2/record-2"), PermissionsExt::from_mode(0o600)).unwrap()
        }),
        ("new", &|| drop(place.write("leaf-3/another", "new"))),
        ("renamed", &|| fs::rename(source.join("leaf-0/record-0"), source.join("leaf-0/record-x")).unwrap()),
        ("removed", &|| fs::remove_file(source.join("leaf-0/record-4")).unwrap()),
        ("link", &|| {
            fs::remove_file(source.join("leaf-0/link")).unwrap();
            std::os::unix::fs::symlink("record-8", source.join("leaf-0/link")).unwrap();
        }),
        ("a folder in a leaf", &|| drop(place.write("leaf-2/new/record", "deeper"))),
        ("a folder's mode", &|| {
            fs::set_permissions(source.join("leaf-3"), PermissionsExt::from_mode(0o700)).unwrap()
        }),
        ("a folder moved", &|| fs::rename(source.join("leaf-3"), source.join("mixed/leaf-3")).unwrap()),
        ("deep", &|| drop(place.write("mixed/deeper/still/record", "changed"))),
    ];
    for (what, change) in changes {
        change();
        backup(&place, ParentChoice::Newest);
        check_restored(&place, what);
    }
}

#[test]
fn a_cache_that_is_damaged_forged_or_of_another_snapshot_is_ignored() {
    let place = filled();
    backup(&place, ParentChoice::Newest);
    let file = fs::read_dir(cache(&place)).unwrap().next().unwrap().unwrap().path();
    let first = fs::read(&file).unwrap();
    for (what, content) in [
        ("cut", first[..first.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("noise", noise(3, first.len())),
        ("one bit", {
            let mut flipped = first.clone();
            flipped[100] ^= 1;
            flipped
        }),
        ("of an older snapshot", first.clone()),
    ] {
        fs::write(&file, content).unwrap();
        place.write("leaf-1/record-1", format!("changed: {what}"));
        let report = backup(&place, ParentChoice::Newest);
        assert_eq!((report.files_changed, report.files), (1, 43), "{what}");
        check_restored(&place, what);
        assert_ne!(fs::read(&file).unwrap(), first, "{what}: it is written anew");
    }
}

#[test]
fn a_lost_pack_is_noticed_although_nothing_has_changed() {
    let place = filled();
    backup(&place, ParentChoice::Newest);
    for pack in place.packs() {
        fs::remove_file(pack).unwrap();
    }
    let report = backup(&place, ParentChoice::Newest);
    assert_eq!(report.files_unmodified, 0);
    check_restored(&place, "again");
}

#[test]
fn reading_everything_does_without_the_cache_and_leaves_one() {
    let place = filled();
    backup(&place, ParentChoice::Newest);
    let report = backup(&place, ParentChoice::ReadEverything);
    assert_eq!((report.files_unmodified, report.bytes_read), (0, report.bytes));
    let report = backup(&place, ParentChoice::Newest);
    assert_eq!((report.files_unmodified, report.bytes_read), (43, 0));
}

#[test]
fn a_share_at_each_check_reaches_every_byte_and_damage_does_not_count_as_read() {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("record-{number}"), noise(number + 1, 2_000_000));
    }
    place.backup();
    let packs = place.packs();
    let reads = place.dir.path().join("state");
    let check = |days: i64, portion| {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let request = CheckRequest { reads: Some(reads.clone()), now, ..CheckRequest::new(Some(portion)) };
        place.reopen().check_as(&request, &|_| ()).unwrap()
    };
    let mut covered = 0;
    for day in 1..=packs.len() as i64 {
        let report = check(day, Portion::Bytes(1));
        let coverage = report.coverage.unwrap();
        assert_eq!(report.packs_read, 1, "the one that has waited longest");
        assert!(coverage.bytes_covered > covered && coverage.bytes_overdue == 0);
        covered = coverage.bytes_covered;
    }
    let coverage = check(20, Portion::Bytes(1)).coverage.unwrap();
    assert_eq!((coverage.percent(), coverage.oldest_read.is_some()), (100, true));

    let pack = packs.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    fs::set_permissions(pack, PermissionsExt::from_mode(0o600)).unwrap();
    let mut bytes = fs::read(pack).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(pack, bytes).unwrap();
    let report = check(21, Portion::All);
    assert!(!report.is_whole());
    assert!(report.coverage.unwrap().percent() < 100);

    // A record that somebody cut is no record.
    let record = fs::read_dir(&reads).unwrap().next().unwrap().unwrap().path();
    fs::write(&record, &fs::read(&record).unwrap()[..100]).unwrap();
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 22);
    assert_eq!(place.reopen().coverage(&reads, now, SignedDuration::from_hours(24)), None);
}
