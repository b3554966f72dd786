//! What `backup` and `vault` make of what they are given, and what they say of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Run, Site, files, restored, run};

/// A vault, and a folder with two files.
fn site() -> Site {
    let site = Site::new();
    site.init();
    fs::create_dir_all(site.hospital_dir().join("sub")).unwrap();
    fs::write(site.hospital_dir().join("record"), "content").unwrap();
    fs::write(site.hospital_dir().join("sub/record"), "more content").unwrap();
    site
}

fn snapshots(site: &Site) -> Vec<serde_json::Value> {
    site.vaulted(["snapshots", "--exceptions"]).lines
}

fn paths(site: &Site) -> Vec<serde_json::Value> {
    snapshots(site).last().unwrap()["paths"].as_array().unwrap().clone()
}

/// Backs up with the hospital's own folder as the working directory.
fn backup_inside<S: AsRef<OsStr>>(site: &Site, args: impl IntoIterator<Item = S>) -> Run {
    let mut command = site.command(["backup", "--json", "--state", &site.state()]);
    run(command.arg("--vault").arg(site.vault()).args(args).current_dir(site.hospital_dir()))
}

/// A file system in memory that goes away with the test, also when it fails.
struct Memory(PathBuf);

impl Memory {
    fn mount(at: &Path, options: &str) -> Memory {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "test"]).arg(at).status();
        assert!(mounted.unwrap().success());
        Memory(at.to_owned())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_link_is_followed_to_the_folder_that_it_names() {
    let site = site();
    let link = site.path().join("link");
    symlink(site.hospital_dir(), &link).unwrap();
    for named in [link.clone(), link.join("")] {
        let backup = site.backup(&named);
        assert_eq!((backup.code, &backup.last()["files"]), (0, &2.into()), "{}", backup.stderr);
        let real = site.hospital_dir();
        assert!(backup.stderr.contains(&format!("Reading {}", real.display())), "{}", backup.stderr);
        assert_eq!(paths(&site), [real.to_str().unwrap()]);
    }
    let target = site.path().join("back");
    assert_eq!(site.vaulted(["restore", "latest", "--target", target.to_str().unwrap()]).code, 0);
    assert_eq!(files(&restored(&target, &site.hospital_dir())), files(&site.hospital_dir()));
}

#[test]
fn a_folder_without_a_file_is_named_even_beside_one_that_has_some() {
    let site = site();
    let empty = site.path().join("not-mounted");
    fs::create_dir_all(empty.join("only/folders")).unwrap();
    let backup = site.run([OsStr::new("backup"), site.hospital_dir().as_os_str(), empty.as_os_str()]);
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    let named: Vec<_> = backup.lines.iter().filter(|line| line["type"] == "exception").collect();
    assert_eq!(named.len(), 1, "{}", backup.stdout);
    assert_eq!((&named[0]["kind"], &named[0]["path"]), (&"empty".into(), &empty.to_str().unwrap().into()));
    assert!(backup.stderr.contains("not-mounted"), "{}", backup.stderr);
    // A single file is a root that holds one; what is unchanged counts as well.
    for _ in 0..2 {
        assert_eq!(site.backup(&site.hospital_dir().join("record")).code, 0);
    }
}

#[test]
fn sources_are_noted_as_clean_absolute_paths() {
    let site = site();
    let hospital = site.hospital_dir();
    fs::create_dir(site.path().join("other")).unwrap();
    fs::write(site.path().join("other/file"), "x").unwrap();
    let (hospital, other) = (hospital.to_str().unwrap(), site.path().join("other"));
    for (named, expected) in [
        (&["../other"][..], &[other.to_str().unwrap()][..]),
        (&["./sub/../sub/", "."], &[hospital]),
        (&["../hospital/", hospital, "sub"], &[hospital]),
        (&["../other/", "."], &[hospital, other.to_str().unwrap()]),
    ] {
        let backup = backup_inside(&site, named);
        assert_eq!(backup.code, 0, "{named:?}: {}", backup.stderr);
        assert_eq!(paths(&site), expected, "{named:?}");
    }
    // However the folder was written down before, what is unchanged in it is not read again.
    assert_eq!(backup_inside(&site, [".", ".", "sub/"]).last()["files_unmodified"], 2);
}

#[test]
fn what_cannot_be_backed_up_could_not_run() {
    let site = site();
    let vault = site.vault();
    let (vault, inside) = (vault.to_str().unwrap(), vault.join("data"));
    for (args, said) in [
        (&["../missing"][..], "missing"),
        (&[vault], "it is the vault, or lies in it"),
        (&[".", inside.to_str().unwrap()], "it is the vault, or lies in it"),
        (&[".", "--tag", "chartward-proof"], "reserved"),
        (&["sub", "--exclude", "."], "leaves nothing of"),
    ] {
        let backup = backup_inside(&site, args);
        assert_eq!(backup.code, 2, "{args:?}: {}", backup.stderr);
        assert!(backup.stderr.contains(said), "{args:?}: {}", backup.stderr);
    }
    assert_eq!(snapshots(&site), Vec::<serde_json::Value>::new());
    // The folder around the vault can be backed up; the vault in it is left out.
    assert_eq!(site.backup(site.path()).code, 0);
}

#[test]
fn excluded_paths_are_found_from_where_the_command_runs_and_misses_are_named() {
    let site = site();
    let link = site.path().join("link");
    symlink(site.hospital_dir(), &link).unwrap();
    for excluded in ["sub", "./sub/", "sub/../sub", "../link/sub"] {
        let backup = backup_inside(&site, [".", "--exclude", excluded]);
        assert_eq!(backup.last()["files"], 1, "{excluded}: {}", backup.stderr);
        assert!(!backup.stderr.contains("nothing out"), "{excluded}: {}", backup.stderr);
    }
    for missed in ["subb", "../elsewhere", "/nowhere/at/all"] {
        let backup = backup_inside(&site, [".", "--exclude", missed]);
        assert_eq!((backup.code, &backup.last()["files"]), (0, &2.into()), "{missed}: {}", backup.stderr);
        assert!(
            backup.stderr.contains(&format!("--exclude {missed} leaves nothing out")),
            "{}",
            backup.stderr
        );
    }
}

#[test]
fn a_vault_that_cannot_be_written_to_is_work_not_done() {
    let test = "a_vault_that_cannot_be_written_to_is_work_not_done";
    if !testkit::root(test) {
        return;
    }
    let site = Site::new();
    fs::create_dir(site.hospital_dir()).unwrap();
    fs::write(site.hospital_dir().join("record"), "content").unwrap();
    let medium = Memory::mount(&site.vault(), "size=64m");
    site.init();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&medium.0).status().unwrap();
    assert!(remounted.success());
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    for said in ["is read-only", "next:", "no snapshot was made"] {
        assert!(backup.stderr.contains(said), "{said}: {}", backup.stderr);
    }
}

#[test]
fn a_snapshot_whose_line_in_the_ledger_is_missing_is_not_said_to_be_missing() {
    let test = "a_snapshot_whose_line_in_the_ledger_is_missing_is_not_said_to_be_missing";
    if !testkit::root(test) {
        return;
    }
    let site = site();
    let state = Memory::mount(Path::new(&site.state()), "size=64k");
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    // Whatever is free but the rest of the ledger's last page.
    let mut left: u64 = 64 << 10;
    while left >= 4096 {
        if fs::write(state.0.join(format!("filler-{left}")), vec![0; 4096]).is_err() {
            break;
        }
        left -= 4096;
    }
    for taken in 2..20 {
        let backup = site.backup(&site.hospital_dir());
        assert_eq!(snapshots(&site).len(), taken);
        if backup.code == 0 {
            continue;
        }
        assert_eq!(backup.code, 1, "{}", backup.stderr);
        let id = backup.last()["snapshot"].as_str().unwrap();
        assert_eq!(snapshots(&site).last().unwrap()["id"], id);
        assert!(backup.stderr.contains(&format!("snapshot {} is sealed", &id[..8])), "{}", backup.stderr);
        assert!(!backup.stderr.contains("no snapshot was made"), "{}", backup.stderr);
        return;
    }
    panic!("the state folder never became full");
}

#[test]
fn a_vault_is_not_made_when_its_beginning_cannot_be_noted() {
    let site = Site::new();
    let file = site.path().join("a-file");
    fs::write(&file, "").unwrap();
    let made = site.bare([
        OsStr::new("vault"),
        OsStr::new("init"),
        site.vault().as_os_str(),
        OsStr::new("--state"),
        file.join("state").as_os_str(),
    ]);
    assert_eq!(made.code, 2, "{}", made.stderr);
    assert!(!site.vault().exists());
    site.init();
}

#[test]
fn the_vault_to_check_is_named_either_way() {
    let site = site();
    let vault = site.vault();
    let vault = vault.to_str().unwrap();
    for args in [&["vault", "check", vault][..], &["vault", "check", "--vault", vault]] {
        let check = site.bare(args);
        assert_eq!(check.code, 0, "{}", check.stderr);
    }
    let named_by_environment = run(site.command(["vault", "check"]).env("CHARTWARD_VAULT", vault));
    assert_eq!(named_by_environment.code, 0, "{}", named_by_environment.stderr);
    let other = ["vault", "check", vault, "--vault", "/elsewhere"];
    for args in [&["vault", "check"][..], &other] {
        assert_eq!(site.bare(args).code, 2);
    }
}

#[test]
fn a_lost_config_is_told_from_a_medium_that_was_wiped() {
    let site = site();
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    fs::remove_file(site.vault().join("config")).unwrap();
    let check = site.bare([OsStr::new("vault"), OsStr::new("check"), site.vault().as_os_str()]);
    assert_eq!(check.code, 2, "{}", check.stderr);
    assert!(check.stderr.contains("the data is still there"), "{}", check.stderr);
    assert!(!check.stderr.contains("begin anew`"), "{}", check.stderr);
}

#[test]
fn names_of_files_cannot_command_the_terminal() {
    let site = site();
    let name = OsString::from_vec(b"x\x1b]0;pwned\x07\nfake.db".to_vec());
    // It starts as a database and is none: named by its path, and by SQLite's words.
    let mut page = vec![0; 4096];
    page[..16].copy_from_slice(b"SQLite format 3\0");
    fs::write(site.hospital_dir().join(&name), page).unwrap();
    let backup = site.backup(&site.hospital_dir());
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    assert!(backup.stderr.contains("pwned"), "{}", backup.stderr);
    assert!(!backup.stderr.contains(['\x1b', '\x07']), "{:?}", backup.stderr);
    assert!(!backup.stderr.lines().any(|line| line.starts_with("fake")), "{:?}", backup.stderr);
    let pack = files(&site.vault().join("data")).into_keys().next().unwrap();
    fs::remove_file(site.vault().join("data").join(pack)).unwrap();
    let check = site.bare([OsStr::new("vault"), OsStr::new("check"), site.vault().as_os_str()]);
    assert_eq!(check.code, 1, "{}", check.stderr);
    assert!(!check.stderr.contains(['\x1b', '\x07']), "{:?}", check.stderr);
}
