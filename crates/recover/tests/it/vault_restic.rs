//! Both directions against a stock restic.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use recover::vault::{BackupRequest, CheckLevel, Vault};

use crate::support::{PASSWORD, Place, below, census, noise, password};

/// Everything that a file system has to offer.
fn odd_tree(place: &Place) {
    place.write("record.txt", "MSH|^~\\&|");
    place.write("empty", "");
    place.write("large", noise(1, 5 << 20));
    place.write("text", "a line that compresses well\n".repeat(100_000));
    place.write("患者/全角\u{3000}空白<&>\u{200b}", "名前");
    place.write("quote\"back\\slash\ttab\nline", "x");
    place.write("deep/er/and/deeper/file", "deep");
    fs::create_dir(place.source().join("empty-dir")).unwrap();
    fs::write(place.source().join(OsStr::from_bytes(b"not-utf8-\xff\xfe")), "bytes").unwrap();
    symlink("record.txt", place.source().join("link")).unwrap();
    symlink("/nowhere/at/all", place.source().join("dangling")).unwrap();
    symlink(".", place.source().join("deep/loop")).unwrap();
    fs::hard_link(place.source().join("large"), place.source().join("deep/hard")).unwrap();
    let sparse = fs::File::create(place.source().join("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &noise(2, 300_000), 20 << 20).unwrap();
    fs::set_permissions(place.source().join("record.txt"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(place.source().join("empty-dir"), fs::Permissions::from_mode(0o1770)).unwrap();
    assert!(Command::new("mkfifo").arg(place.source().join("pipe")).status().unwrap().success());
    for name in ["record.txt", "deep/er", "empty-dir"] {
        let status = Command::new("touch")
            .args(["-h", "-d", "2018-10-16T05:40:00.123456789Z"])
            .arg(place.source().join(name))
            .status();
        assert!(status.unwrap().success());
    }
}

#[test]
fn what_we_write_a_stock_restic_lists_checks_and_restores() {
    let Some(restic) = testkit::tool("what_we_write_a_stock_restic_lists_checks_and_restores", "restic")
    else {
        return;
    };
    let place = Place::new();
    odd_tree(&place);
    let report = place.backup();
    assert_eq!(report.exceptions, []);
    assert_eq!(report.files_new, 10);
    place.restic(&restic, &["check", "--read-data"]);
    let listed = place.restic(&restic, &["snapshots", "--json"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&report.snapshot.unwrap().0), "{listed}");

    let target = place.dir.path().join("by-restic");
    place.restic(&restic, &["restore", "latest", "--target", target.to_str().unwrap()]);
    assert_eq!(census(&below(&target, &place.source())), census(&place.source()));

    let (ours, report) = place.restore_latest("by-us");
    assert_eq!((report.not_restored, report.metadata, report.notes), (vec![], vec![], vec![]));
    assert_eq!(census(&ours), census(&place.source()));
    let held = |path: &std::path::Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap());
    assert!(held(&ours.join("sparse")) * 512 < 2 << 20, "holes stay holes");
}

#[test]
fn what_restic_writes_we_list_check_and_restore() {
    let Some(restic) = testkit::tool("what_restic_writes_we_list_check_and_restore", "restic") else {
        return;
    };
    for version in ["1", "2"] {
        let place = Place::new();
        odd_tree(&place);
        fs::remove_dir_all(place.vault_dir()).unwrap();
        place.restic(&restic, &["init", "--repository-version", version]);
        place.restic(&restic, &["backup", place.source().to_str().unwrap()]);
        let vault = Vault::open(&place.vault_dir(), &password()).unwrap();
        let checked = vault.check(CheckLevel::ReadData, &|_| ()).unwrap();
        assert_eq!((checked.problems, checked.notes, checked.snapshots), (vec![], vec![], 1));
        let (ours, report) = place.restore_latest("by-us");
        assert_eq!((report.not_restored, report.metadata), (vec![], vec![]));
        assert_eq!(census(&ours), census(&place.source()));
    }
}

#[test]
fn unchanged_folders_are_stored_once_whoever_stores_them() {
    let Some(restic) = testkit::tool("unchanged_folders_are_stored_once_whoever_stores_them", "restic")
    else {
        return;
    };
    let place = Place::new();
    odd_tree(&place);
    place.backup();
    let packs = place.packs().len();
    let source = place.source();
    // `--force` reads and chunks everything; names, chunks and trees have to be the same bytes for nothing to be added.
    place.restic(&restic, &["backup", "--force", source.to_str().unwrap()]);
    let root = |vault: &Vault| {
        let snapshots = vault.snapshots().unwrap().0;
        let entry = |s| {
            vault.files(s).walk(&source).unwrap().map(|e| format!("{:?}", e.unwrap())).collect::<Vec<_>>()
        };
        snapshots.iter().map(entry).collect::<Vec<_>>()
    };
    let vault = place.reopen();
    let trees = root(&vault);
    assert_eq!(trees[0], trees[1]);
    // Directories above the source have changed; they are in one small pack.
    assert!(place.packs().len() <= packs + 1, "{:?}", place.packs());

    let report = vault.backup(BackupRequest::new(vec![source]), &|_| ()).unwrap();
    assert_eq!((report.files_new, report.files_changed, report.files_unmodified), (0, 0, 10));
    place.restic(&restic, &["check", "--read-data"]);
}

#[test]
fn a_proof_is_readable_by_a_stock_restic_and_is_never_the_latest_snapshot() {
    let test = "a_proof_is_readable_by_a_stock_restic_and_is_never_the_latest_snapshot";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = Place::new();
    place.write("a", "record");
    let backup = place.backup().snapshot.unwrap();
    let files = vec![("/.chartward/proof.json".to_owned(), b"{\"passed\":true}".to_vec())];
    let proof = place.vault.store_proof(files, jiff::Timestamp::now()).unwrap();
    assert_eq!(place.vault.find("latest").unwrap().id, backup);
    assert!(place.vault.find(&proof.0[..12]).unwrap().is_proof());
    let dumped = place.restic(&restic, &["dump", &proof.0, "/.chartward/proof.json"]);
    assert_eq!(dumped.stdout, b"{\"passed\":true}");
    place.restic(&restic, &["check", "--read-data"]);
    let vault = place.reopen();
    let files =
        vault.files(&vault.find(&proof.0).unwrap()).entry("/.chartward/proof.json".as_ref()).unwrap().size();
    assert_eq!(files, 15);
}

#[test]
fn a_passphrase_that_restic_added_opens_the_vault() {
    let Some(restic) = testkit::tool("a_passphrase_that_restic_added_opens_the_vault", "restic") else {
        return;
    };
    let place = Place::new();
    let file = place.dir.path().join("new-password");
    fs::write(&file, "second").unwrap();
    place.restic(&restic, &["key", "add", "--new-password-file", file.to_str().unwrap()]);
    for text in [PASSWORD, "second"] {
        Vault::open(&place.vault_dir(), &recover::vault::Password::new(text)).unwrap();
    }
}

/// A `restic check`, stopped while it holds an exclusive lock.
fn stopped_check(place: &Place, restic: &std::path::Path) -> std::process::Child {
    let locks = place.vault_dir().join("locks");
    let held = || fs::read_dir(&locks).unwrap().any(|lock| lock.unwrap().file_name().len() == 64);
    for _ in 0..10 {
        let mut check = Command::new(restic)
            .args(["--no-cache", "-r"])
            .arg(place.vault_dir())
            .args(["check", "--read-data"])
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !held() && check.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(Command::new("kill").args(["-STOP", &check.id().to_string()]).status().is_ok());
        if held() {
            return check;
        }
        check.kill().unwrap();
        check.wait().unwrap();
    }
    panic!("restic was done before it could be stopped, ten times");
}

#[test]
fn a_lock_of_restic_that_wants_the_vault_for_itself_is_honoured() {
    let test = "a_lock_of_restic_that_wants_the_vault_for_itself_is_honoured";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = Place::new();
    place.write("a", "record");
    place.backup();
    let mut check = stopped_check(&place, &restic);
    let refused = place.vault.backup(place.request(), &|_| ());
    check.kill().unwrap();
    check.wait().unwrap();
    let error = refused.unwrap_err();
    assert!(matches!(error, recover::Error::Locked { .. }), "{error}");
    assert!(error.next_step().unwrap().contains("restic unlock"));
    // The process is dead now, and its lock with it.
    place.backup();
    assert_eq!(fs::read_dir(place.vault_dir().join("locks")).unwrap().count(), 0);
}

#[test]
fn a_held_vault_takes_backups_and_lets_nobody_forget_or_prune() {
    let Some(restic) = testkit::tool("a_held_vault_takes_backups_and_lets_nobody_forget_or_prune", "restic")
    else {
        return;
    };
    let place = Place::new();
    place.write("record.txt", "MSH|^~\\&|");
    place.backup();
    let hold = place.vault.hold().unwrap();
    place.write("record.txt", "MSH|^~\\&|later");
    place.backup();
    place.restic(&restic, &["backup", place.source().to_str().unwrap()]);
    let forget = ["forget", "--keep-last", "1", "--group-by", "", "--prune"];
    let refused = place.restic_unchecked(&restic, &forget);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("already locked"), "{said}");
    drop(hold);
    place.restic(&restic, &forget);
}
