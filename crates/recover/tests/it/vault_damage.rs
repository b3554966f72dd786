//! Damage costs what it hits, is named, and never makes the engine panic.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use recover::Error;
use recover::vault::{CheckLevel, Password, RestoreReport, Vault};

use crate::support::{Place, census, noise, password};

/// A vault with several data packs: 30 files of 2 MB that do not compress.
fn several_packs() -> Place {
    let place = Place::new();
    for number in 0..30 {
        place.write(&format!("{:02}/record-{number}", number % 5), noise(number + 1, 2_000_000));
    }
    place.backup();
    assert!(place.packs().len() >= 4);
    place
}

fn largest_pack(place: &Place) -> PathBuf {
    place.packs().into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn writable(path: &Path) -> fs::File {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

fn flip(path: &Path, at: u64) {
    let file = writable(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// After damage: everything that is not named is back and right, and what is named is not there.
fn restores_all_but_what_it_names(place: &Place, name: &str) -> RestoreReport {
    let (restored, report) = place.restore_latest(name);
    let before = census(&place.source());
    let after = census(&restored);
    let source = place.source();
    let lost = |relative: &Path| {
        report.not_restored.iter().any(|lost| source.join(relative).starts_with(&lost.path))
    };
    for (path, what) in &before {
        let relative: &Path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
        let back = after.get(path);
        if source.join(relative).is_file() && lost(relative) {
            assert_eq!(back, None, "{relative:?} is named as lost");
        } else if source.join(relative).is_file() {
            assert_eq!(back, Some(what), "{relative:?} is not named");
        }
    }
    report
}

#[test]
fn every_injected_damage_is_found_and_costs_only_its_files() {
    type Inject = fn(&Place);
    let cases: &[(&str, CheckLevel, std::ops::RangeInclusive<usize>, Inject)] = &[
        ("a data pack is missing", CheckLevel::Structure, 1..=10, |place| {
            fs::remove_file(largest_pack(place)).unwrap()
        }),
        ("a data pack is empty", CheckLevel::Structure, 1..=10, |place| {
            writable(&largest_pack(place)).set_len(0).unwrap()
        }),
        // Each vault cuts its files elsewhere, so a half of at most ten may hold the ends of most of them.
        ("a data pack is cut in half", CheckLevel::Structure, 1..=9, |place| {
            let pack = largest_pack(place);
            let size = fs::metadata(&pack).unwrap().len();
            writable(&pack).set_len(size / 2).unwrap();
        }),
        ("one bit of one blob has flipped", CheckLevel::ReadData, 1..=1, |place| {
            flip(&largest_pack(place), 3_000_000)
        }),
        ("a pack's header is damaged", CheckLevel::ReadData, 0..=0, |place| {
            let pack = largest_pack(place);
            flip(&pack, fs::metadata(&pack).unwrap().len() - 10);
        }),
        ("a pack's header length is absurd", CheckLevel::ReadData, 0..=0, |place| {
            let pack = largest_pack(place);
            let size = fs::metadata(&pack).unwrap().len();
            writable(&pack).write_all_at(&[0xff; 4], size - 4).unwrap();
        }),
        ("a pack is noise", CheckLevel::ReadData, 1..=10, |place| {
            let pack = largest_pack(place);
            let size = fs::metadata(&pack).unwrap().len();
            writable(&pack).write_all_at(&noise(99, size as usize), 0).unwrap();
        }),
        ("an index is damaged", CheckLevel::Structure, 0..=0, |place| {
            let index =
                fs::read_dir(place.vault_dir().join("index")).unwrap().next().unwrap().unwrap().path();
            flip(&index, 40);
        }),
        ("the index is lost", CheckLevel::Structure, 0..=0, |place| {
            fs::remove_dir_all(place.vault_dir().join("index")).unwrap();
            fs::create_dir(place.vault_dir().join("index")).unwrap();
        }),
    ];
    let place = several_packs();
    let whole = place.dir.path().join("whole");
    copy(&place.vault_dir(), &whole);
    for (what, level, lost, inject) in cases {
        fs::remove_dir_all(place.vault_dir()).unwrap();
        copy(&whole, &place.vault_dir());
        inject(&place);
        let checked = place.reopen().check(*level, &|_| ()).unwrap();
        assert!(!checked.is_whole(), "{what}: unnoticed");
        let report = restores_all_but_what_it_names(&place, what);
        assert!(lost.contains(&report.not_restored.len()), "{what}: {:?}", report.not_restored);
        let named: u64 = checked.problems.iter().map(|problem| problem.paths_total).sum();
        assert!(named as usize >= report.not_restored.len(), "{what}: {checked:?}");
        assert!(checked.problems.iter().all(|problem| !problem.next_step.is_empty()));
        fs::remove_dir_all(place.dir.path().join(what)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn the_next_backup_stores_again_what_a_lost_pack_held() {
    let place = several_packs();
    fs::remove_file(largest_pack(&place)).unwrap();
    let report = place.backup();
    assert!(report.files_unmodified < 30 && report.bytes_added > 10_000_000, "{report:?}");
    assert_eq!(restores_all_but_what_it_names(&place, "again").not_restored, []);
}

#[test]
fn the_next_backup_writes_an_index_where_it_was_lost() {
    let place = several_packs();
    fs::remove_dir_all(place.vault_dir().join("index")).unwrap();
    fs::create_dir(place.vault_dir().join("index")).unwrap();
    let packs = place.packs().len();
    place.backup();
    assert!(place.packs().len() <= packs + 1);
    let vault = place.reopen();
    assert_eq!(vault.notes(), Vec::<String>::new());
    assert!(vault.check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
}

#[test]
fn a_damaged_directory_costs_what_is_below_it_and_is_named() {
    let place = several_packs();
    // The smallest pack has the directories above the source; the next one those below it, in the order they were finished.
    let mut packs = place.packs();
    packs.sort_by_key(|path| fs::metadata(path).unwrap().len());
    flip(&packs[1], 20);
    let checked = place.reopen().check(CheckLevel::ReadData, &|_| ()).unwrap();
    assert!(
        checked.problems.iter().any(|p| p.paths.iter().any(|path| path.starts_with(place.source()))),
        "{checked:?}"
    );
    let report = restores_all_but_what_it_names(&place, "again");
    assert_eq!((report.not_restored.len(), report.files), (1, 24), "{report:?}");
    assert!(report.not_restored[0].path.starts_with(place.source()));
}

#[test]
fn a_damaged_snapshot_is_reported_and_the_others_are_listed() {
    let place = Place::new();
    place.write("a", "1");
    let first = place.backup().snapshot.unwrap();
    place.write("a", "2");
    let second = place.backup().snapshot.unwrap();
    flip(&place.vault_dir().join("snapshots").join(&first.0), 30);
    let (snapshots, damaged) = place.vault.snapshots().unwrap();
    assert_eq!(snapshots.iter().map(|s| &s.id).collect::<Vec<_>>(), [&second]);
    assert!(matches!(damaged.as_slice(), [Error::Damaged { what: "snapshot", id, .. }] if *id == first.0));
    assert!(!place.vault.check(CheckLevel::Structure, &|_| ()).unwrap().is_whole());
}

#[test]
fn opening_tells_an_absent_an_empty_and_a_foreign_medium_from_a_wrong_passphrase() {
    let place = Place::new();
    let dir = place.dir.path();
    let open = |dir: &Path, password: &Password| Vault::open(dir, password).err().unwrap();
    assert!(matches!(open(&dir.join("absent"), &password()), Error::MediumAbsent { .. }));
    fs::create_dir(dir.join("empty")).unwrap();
    assert!(matches!(open(&dir.join("empty"), &password()), Error::NoRepository { .. }));
    assert!(matches!(open(&place.source(), &password()), Error::NoRepository { .. }));
    let wrong = open(&place.vault_dir(), &Password::new("wrong"));
    assert!(matches!(wrong, Error::WrongPassphrase { .. }));
    assert!(wrong.next_step().is_some());
    assert_eq!(format!("{:?}", Password::new("secret")), "Password(..)");
    for used in ["vault", "."] {
        let refused = Vault::init(&dir.join(used), &password()).err().unwrap();
        assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
    }
}

#[test]
fn a_lost_config_and_lost_keys_say_what_to_fetch() {
    let place = Place::new();
    let dir = place.vault_dir();
    let open = || Vault::open(&dir, &password()).err().unwrap();
    let (config, aside) = (dir.join("config"), place.dir.path().join("config"));
    fs::rename(&config, &aside).unwrap();
    assert!(matches!(open(), Error::ConfigLost { .. }));
    assert!(open().next_step().unwrap().contains("`config`"));
    fs::write(&config, "no config").unwrap();
    assert!(open().next_step().unwrap().contains("`config`"));
    fs::remove_file(&config).unwrap();
    fs::rename(&aside, &config).unwrap();
    let key = fs::read_dir(dir.join("keys")).unwrap().next().unwrap().unwrap().path();
    flip(&key, 30);
    assert!(open().next_step().unwrap().contains("`keys`"));
    fs::remove_file(&key).unwrap();
    assert!(open().next_step().unwrap().contains("`keys`"));
}

#[test]
fn damaged_and_hostile_keys_and_configs_are_errors() {
    let place = Place::new();
    let key = fs::read_dir(place.vault_dir().join("keys")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&key).unwrap();
    let config = place.vault_dir().join("config");
    let sealed = fs::read(&config).unwrap();
    for length in [0, 10, sealed.len() - 1] {
        writable(&config).set_len(length as u64).unwrap();
        assert!(matches!(
            Vault::open(&place.vault_dir(), &password()),
            Err(Error::Damaged { what: "config", .. })
        ));
        fs::write(&config, &sealed).unwrap();
    }
    fs::remove_file(&key).unwrap();
    for (from, to) in [
        ("\"N\":32,", "\"N\":1073741824,"),
        ("\"N\":32,", "\"N\":33,"),
        ("\"N\":32,", "\"N\":9223372036854775808,"),
        ("\"r\":8", "\"r\":18446744073709551615"),
        ("\"p\":1", "\"p\":4000000000"),
        ("\"r\":8", "\"r\":0"),
        ("\"salt\":\"", "\"salt\":\"*"),
        ("{", "[["),
    ] {
        let hostile = text.replacen(from, to, 1);
        assert_ne!(hostile, text);
        let name = sha256_name(&hostile);
        let path = place.vault_dir().join("keys").join(name);
        fs::write(&path, &hostile).unwrap();
        let error = Vault::open(&place.vault_dir(), &password()).err().unwrap();
        let expected = matches!(
            error,
            Error::Damaged { what: "key", .. } | Error::KeyDerivationBound { .. } | Error::Engine { .. }
        );
        assert!(expected, "{to}: {error}");
        fs::remove_file(path).unwrap();
    }
}

fn sha256_name(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}
