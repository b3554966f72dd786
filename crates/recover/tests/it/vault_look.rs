//! Looking into a vault: `ls`, `find`, `diff` and `dump`, held against a stock restic's words.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use recover::Error;
use recover::vault::{Change, FindRequest, Pattern, Snapshot, Vault, WithMetadata};
use serde_json::Value;

use crate::support::{PASSWORD, Place, below, census, noise};

fn lines(output: &[u8]) -> Vec<Value> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Fields of ours that restic also writes, times as moments.
fn same_fields(ours: &Value, theirs: &Value) {
    for (key, value) in theirs.as_object().unwrap() {
        let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        match moment(value) {
            Some(time) => assert_eq!(moment(&ours[key]), Some(time), "{key} of {ours}"),
            None => assert_eq!(&ours[key], value, "{key} of {ours}"),
        }
    }
}

/// A tree with every kind that `ls` names.
fn tree(place: &Place) {
    place.write("record.txt", "MSH|^~\\&|");
    place.write("sub/患者 一覧", "名前");
    place.write("sub/deeper/same", "content");
    place.write("gone/one", "one");
    place.write("gone/two", "two");
    place.write("becomes-a-folder", "file");
    place.write("large", noise(1, 3 << 20));
    symlink("record.txt", place.source().join("link")).unwrap();
    fs::write(place.source().join(OsStr::from_bytes(b"not-utf8-\xff")), "bytes").unwrap();
    fs::set_permissions(place.source().join("large"), fs::Permissions::from_mode(0o4750)).unwrap();
    fs::set_permissions(place.source().join("sub"), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(Command::new("mkfifo").arg(place.source().join("pipe")).status().unwrap().success());
}

fn change(place: &Place) {
    let source = place.source();
    place.write("record.txt", "MSH|^~\\&|changed");
    place.write("added/new", "new");
    // The same content elsewhere adds no piece of content.
    place.write("added/copy", noise(1, 3 << 20));
    place.write("added/moved", "one");
    fs::remove_dir_all(source.join("gone")).unwrap();
    fs::remove_file(source.join("becomes-a-folder")).unwrap();
    place.write("becomes-a-folder/inside", "x");
    fs::remove_file(source.join("link")).unwrap();
    fs::write(source.join("link"), "no link any more").unwrap();
    fs::set_permissions(source.join("large"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn walk(vault: &Vault, snapshot: &Snapshot) -> Vec<Value> {
    let top = vault.files(snapshot).entry(Path::new("/")).unwrap();
    vault.walk(&top).map(|entry| serde_json::to_value(entry.unwrap().listed()).unwrap()).collect()
}

#[test]
fn a_listing_says_what_restic_says() {
    let Some(restic) = testkit::tool("a_listing_says_what_restic_says", "restic") else { return };
    let place = Place::new();
    tree(&place);
    place.backup();
    let theirs = lines(&place.restic(&restic, &["ls", "--json", "latest"]).stdout);
    let ours = walk(&place.vault, &place.vault.find("latest").unwrap());
    assert_eq!(ours.len(), theirs.len() - 1, "the first line is the snapshot's");
    for (ours, theirs) in ours.iter().zip(&theirs[1..]) {
        same_fields(ours, theirs);
    }
    let odd = ours.iter().find(|line| line["path_raw"].is_string()).unwrap();
    assert!(odd["path"].as_str().unwrap().ends_with("not-utf8-\u{fffd}"));
}

fn find(place: &Place, request: &FindRequest) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let snapshots = place.vault.snapshots().unwrap().0;
    let report = place.vault.search(&snapshots, request, &mut |snapshot, entry| {
        found.push((snapshot.id.0.clone(), serde_json::to_value(entry.unwrap().matched()).unwrap()));
        ControlFlow::Continue(())
    });
    assert_eq!(
        (report.hits, report.snapshots, report.unlisted),
        (found.len() as u64, snapshots.len() as u64, 0)
    );
    found
}

#[test]
fn a_search_finds_what_restic_finds_in_every_snapshot() {
    let test = "a_search_finds_what_restic_finds_in_every_snapshot";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = Place::new();
    tree(&place);
    place.backup();
    change(&place);
    place.backup();
    for patterns in
        [&["record*"][..], &["gone"], &["sub/*/same", "new"], &["**/added/*"], &["[a-g]?*"], &["nothing"]]
    {
        let mut args = vec!["find", "--json"];
        args.extend(patterns);
        let theirs: Value = serde_json::from_slice(&place.restic(&restic, &args).stdout).unwrap();
        let mut matches = BTreeMap::new();
        for snapshot in theirs.as_array().unwrap() {
            let id = snapshot["snapshot"].as_str().unwrap().to_owned();
            for found in snapshot["matches"].as_array().unwrap() {
                matches.insert((id.clone(), found["path"].as_str().unwrap().to_owned()), found.clone());
            }
        }
        let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let ours = find(&place, &FindRequest { patterns, ..FindRequest::default() });
        assert_eq!(ours.len(), matches.len(), "{args:?}");
        for (id, found) in ours {
            same_fields(&found, &matches[&(id, found["path"].as_str().unwrap().to_owned())]);
        }
    }
}

#[test]
fn a_search_can_be_limited_by_time_and_by_letters() {
    let place = Place::new();
    for (name, time) in [("Old.TXT", "2001-02-03"), ("new.txt", "2018-10-16")] {
        let path = place.write(name, "x");
        assert!(Command::new("touch").args(["-d", time]).arg(path).status().unwrap().success());
    }
    place.backup();
    let names = |request: FindRequest| {
        let name = |found: &(String, Value)| {
            found.1["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
        };
        find(&place, &request).iter().map(name).collect::<Vec<_>>()
    };
    let patterns = || vec![Pattern::parse("*.txt").unwrap()];
    let between = Some("2010-01-01T00:00:00Z".parse().unwrap());
    let request =
        |ignore_case, oldest, newest| FindRequest { patterns: patterns(), ignore_case, oldest, newest };
    assert_eq!(names(request(false, None, None)), ["new.txt"]);
    assert_eq!(names(request(true, None, None)), ["Old.TXT", "new.txt"]);
    assert_eq!(names(request(true, between, None)), ["new.txt"]);
    assert_eq!(names(request(true, None, between)), ["Old.TXT"]);
}

fn diff(vault: &Vault, with_metadata: WithMetadata) -> (Vec<Value>, Value) {
    let snapshots = vault.snapshots().unwrap().0;
    let mut changes = Vec::new();
    let report = vault.diff(&snapshots[0], &snapshots[1], with_metadata, &mut |change| {
        let Change { path, kind, .. } = change.unwrap();
        let slash = if *kind == recover::vault::Kind::Dir { "/" } else { "" };
        changes.push(serde_json::json!({
            "message_type": "change",
            "path": format!("{}{slash}", path.to_string_lossy()),
            "modifier": change.unwrap().modifier(),
        }));
        ControlFlow::Continue(())
    });
    (changes, serde_json::to_value(report).unwrap())
}

#[test]
fn a_comparison_names_and_counts_what_restic_does() {
    let Some(restic) = testkit::tool("a_comparison_names_and_counts_what_restic_does", "restic") else {
        return;
    };
    let place = Place::new();
    tree(&place);
    place.backup();
    change(&place);
    place.backup();
    let ids: Vec<String> = place.vault.snapshots().unwrap().0.into_iter().map(|s| s.id.0).collect();
    for (option, with_metadata) in [(None, WithMetadata::No), (Some("--metadata"), WithMetadata::Yes)] {
        let mut args = vec!["diff", "--json", &ids[0], &ids[1]];
        args.extend(option);
        // Its `-q` leaves out the differences.
        let output = Command::new(&restic)
            .args(["--no-cache", "-r"])
            .arg(place.vault_dir())
            .args(&args)
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        let mut theirs = lines(&output.stdout);
        let mut statistics = theirs.pop().unwrap();
        statistics.as_object_mut().unwrap().remove("message_type");
        let (ours, report) = diff(&place.vault, with_metadata);
        assert_eq!(ours, theirs);
        assert_eq!(report, statistics);
    }
}

#[test]
fn equal_snapshots_do_not_differ() {
    let place = Place::new();
    tree(&place);
    place.backup();
    place.backup();
    let (mut changes, report) = diff(&place.vault, WithMetadata::Yes);
    // Other tests change the folders above meanwhile.
    changes.retain(|change| {
        change["path"].as_str().is_some_and(|path| Path::new(path).starts_with(place.source()))
    });
    assert_eq!((changes, &report["added"]["data_blobs"]), (vec![], &0.into()));
}

fn dump(vault: &Vault, path: &Path) -> (Vec<u8>, recover::vault::DumpReport) {
    let mut out = Vec::new();
    let report = vault.dump(&vault.find("latest").unwrap(), path, &mut out).unwrap();
    (out, report)
}

fn untar(archive: &[u8], target: &Path) {
    fs::create_dir(target).unwrap();
    let mut tar = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--acls", "-xpf", "-", "-C"])
        .arg(target)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut tar.stdin.take().unwrap(), archive).unwrap();
    assert!(tar.wait().unwrap().success());
}

#[test]
fn a_dumped_file_is_the_file_and_a_dumped_folder_unpacks_to_the_folder() {
    let test = "a_dumped_file_is_the_file_and_a_dumped_folder_unpacks_to_the_folder";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = Place::new();
    tree(&place);
    fs::hard_link(place.source().join("large"), place.source().join("sub/hard")).unwrap();
    place.write(&format!("{}/{}", "d".repeat(200), "長".repeat(80)), "long names");
    symlink("x".repeat(300), place.source().join("long-link")).unwrap();
    for (name, time) in
        [("record.txt", "1955-11-05T06:00:00.25Z"), ("large", "2106-02-07T06:28:16.000000001Z")]
    {
        assert!(
            Command::new("touch")
                .args(["-d", time])
                .arg(place.source().join(name))
                .status()
                .unwrap()
                .success()
        );
    }
    let acl =
        Command::new("setfacl").args(["-m", "u:1234:r"]).arg(place.source().join("record.txt")).status();
    assert!(acl.unwrap().success());
    place.backup();

    let (content, report) = dump(&place.vault, &place.source().join("large"));
    assert_eq!((content, report.files), (noise(1, 3 << 20), 1));
    let (archive, report) = dump(&place.vault, &place.source());
    assert_eq!(report.not_dumped, []);
    let target = place.dir.path().join("unpacked");
    untar(&archive, &target);
    assert_eq!(census(&below(&target, &place.source())), census(&place.source()));
    let list =
        Command::new("getfacl").arg("-cp").arg(below(&target, &place.source()).join("record.txt")).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    assert!(list.contains("user:1234:r--"), "{list}");

    let names = |archive: &[u8]| {
        let file = place.dir.path().join("archive");
        fs::write(&file, archive).unwrap();
        let listed = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
        assert!(listed.status.success());
        listed
            .stdout
            .split(|b| *b == b'\n')
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect::<BTreeSet<_>>()
    };
    let mut everything = names(&dump(&place.vault, Path::new("/")).0);
    // Its archives have only files, folders and links in them.
    everything.retain(|name| !name.ends_with("/pipe"));
    assert_eq!(everything, names(&place.restic(&restic, &["dump", "latest", "/"]).stdout));
}

#[test]
fn what_is_neither_file_nor_folder_cannot_be_dumped() {
    let place = Place::new();
    tree(&place);
    place.backup();
    let snapshot = place.vault.find("latest").unwrap();
    let dump =
        |name: &str| place.vault.dump(&snapshot, &place.source().join(name), &mut Vec::new()).unwrap_err();
    assert!(matches!(dump("pipe"), Error::UnusablePath { .. }));
    assert!(matches!(dump("missing"), Error::PathNotFound { .. }));
}

#[test]
fn damage_costs_a_dump_the_files_in_it_and_nothing_else() {
    let place = Place::new();
    place.write("a-first", noise(7, 600_000));
    place.backup();
    let damaged: Vec<PathBuf> = place.packs();
    place.write("b-second", "record");
    place.backup();
    // The pack with the content is the largest of the first backup.
    let pack = damaged.iter().max_by_key(|pack| fs::metadata(pack).unwrap().len()).unwrap();
    let mut bytes = fs::read(pack).unwrap();
    bytes[300_000] ^= 1;
    fs::write(pack, bytes).unwrap();
    let vault = place.reopen();
    let (archive, report) = dump(&vault, &place.source());
    let lost: Vec<&PathBuf> = report.not_dumped.iter().map(|lost| &lost.path).collect();
    assert_eq!(lost, [&place.source().join("a-first")]);
    let target = place.dir.path().join("unpacked");
    untar(&archive, &target);
    let unpacked = below(&target, &place.source());
    assert_eq!(fs::read(unpacked.join("b-second")).unwrap(), b"record");
    assert!(!unpacked.join("a-first").exists());
    let snapshot = vault.find("latest").unwrap();
    vault.dump(&snapshot, &place.source().join("a-first"), &mut Vec::new()).unwrap_err();
}
