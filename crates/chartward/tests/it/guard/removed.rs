//! Files that were read and removed, which stops nobody: they are kept, listed and brought back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::after::guard;
use super::databases::{Loop, guarded_with_store};
use super::{Case, contents};

const PATIENCE: Duration = Duration::from_secs(30);

/// Takes everything away in another form and removes it, in a marked tree only.
const THIEF: &str = r#"
import os, random, sys
tree, out = sys.argv[1:3]
assert open(os.path.join(os.path.dirname(tree), "made-by-the-guard-test")).read() == tree
for place, _, files in os.walk(tree):
    for path in (os.path.join(place, file) for file in files):
        data = open(path, "rb").read()
        with open(out, "ab") as file:
            file.write(bytes(a ^ b for a, b in zip(data, random.Random(path).randbytes(len(data)))))
        os.unlink(path)
"#;

fn steal(case: &Case) {
    let out = case.dir.path().join("elsewhere");
    let status = Command::new("python3").args(["-c", THIEF]).arg(&case.tree).arg(out).status().unwrap();
    assert!(status.success());
}

/// The one finding about many removals.
fn told(case: &mut Case) -> Value {
    let finding = case.wait_for("finding", PATIENCE).expect("the removals are not told");
    assert_eq!(
        (&finding["detector"], &finding["severity_id"]),
        (&"removal.burst".into(), &1.into()),
        "{finding}"
    );
    assert_eq!(finding["attacks"][0]["technique"]["uid"], "T1485");
    finding
}

fn shell(case: &Case, line: &str) {
    let status = Command::new("sh").args(["-ec", line]).env("T", &case.tree).status().unwrap();
    assert!(status.success(), "{line}");
}

fn removed(case: &Case, more: &[&str]) -> (i32, Vec<Value>, String) {
    guard(case, &[&["removed"], more].concat())
}

#[test]
fn what_was_stolen_and_removed_comes_back_and_the_bringing_back_can_be_undone() {
    let test = "what_was_stolen_and_removed_comes_back_and_the_bringing_back_can_be_undone";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &[]);
    steal(&case);
    let finding = told(&mut case);
    assert!(finding.to_string().contains("200 are kept until"), "{finding}");
    assert!(!finding.to_string().contains("_OML-11_"), "a record is named");
    assert!(case.wait_for("action", Duration::from_millis(300)).is_none(), "somebody was stopped");

    let (code, lines, words) = removed(&case, &[]);
    assert_eq!((code, lines.len()), (0, case.before.len()), "{words}");
    assert!(lines.iter().all(|line| line["stands"] == false && line["remover"]["uid"] == 0), "{}", lines[0]);
    assert!(lines[0]["remover"]["words"].as_str().unwrap().contains("python3"), "{}", lines[0]);
    assert!(lines[0]["kept_until"].as_str() > lines[0]["removed_at"].as_str());
    let store = case.dir.path().join("store/removed");
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(&store).unwrap().flatten() {
        let mode = file.metadata().unwrap().mode() & 0o777;
        assert!(mode == 0o600 || file.path().is_dir() && mode == 0o700, "{:o} {:?}", mode, file.path());
    }

    // One folder to somewhere else, then everything to its place, with a file that somebody has made anew meanwhile.
    let aside = case.dir.path().join("aside");
    let folder = case.tree.join("003");
    let args = ["--restore", "--to", aside.to_str().unwrap(), folder.to_str().unwrap()];
    let (code, lines, words) = removed(&case, &args);
    let below = case.before.keys().filter(|path| path.starts_with(&folder)).count();
    assert_eq!((code, lines.last().unwrap()["files"].as_u64()), (0, Some(below as u64)), "{words}");
    let anew = case.before.keys().next().unwrap().clone();
    fs::write(&anew, "made anew").unwrap();
    shell(&case, "rm -r $T/01*");
    let (code, lines, words) = removed(&case, &["--restore"]);
    let last = lines.last().unwrap();
    assert_eq!((code, &last["files"], &last["left"]), (1, &199.into(), &1.into()), "{words}");
    assert_eq!(fs::read_to_string(&anew).unwrap(), "made anew");
    fs::write(&anew, &case.before[&anew].0).unwrap();
    let after = contents(&case.tree);
    for (path, before) in case.before.iter().filter(|(path, _)| **path != anew) {
        assert_eq!(after.get(path), Some(before), "{}", path.display());
    }
    assert_eq!(after.len(), case.before.len());

    // Edited since: stays. The rest goes again, and is still kept.
    let edited = case.before.keys().last().unwrap();
    fs::write(edited, "an addendum").unwrap();
    let (code, lines, words) = removed(&case, &["--undo", last["id"].as_str().unwrap()]);
    assert_eq!((code, lines.last().unwrap()["files"].as_u64()), (1, Some(198)), "{words}");
    assert_eq!(contents(&case.tree).len(), 2);
    assert_eq!(removed(&case, &[]).1.len(), 200);
    assert!(case.wait_for("action", Duration::from_millis(300)).is_none());
    case.end();
    // Without a guard as well.
    let (code, lines, words) = removed(&case, &["--restore", "--since", "1h"]);
    assert_eq!((code, lines.last().unwrap()["files"].as_u64()), (1, Some(198)), "{words}");
}

#[test]
fn on_a_file_system_with_reflinks_nothing_is_copied() {
    let test = "on_a_file_system_with_reflinks_nothing_is_copied";
    if !testkit::root(test) || testkit::tool(test, "mkfs.xfs").is_none() {
        return;
    }
    let Some(disk) = Loop::new(&["mkfs.xfs", "-q", "-m", "reflink=1"]) else {
        return testkit::skip(test, "no loop device");
    };
    let tree = disk.at.join("tree");
    fs::create_dir(&tree).unwrap();
    let picture: Vec<u8> = (0..40_000_000_u32).map(|at| (at / 7) as u8).collect();
    fs::write(tree.join("picture"), &picture).unwrap();
    let store = disk.at.join("store");
    // There is room for a megabyte of copies.
    let mut case =
        guarded_with_store(tempfile::tempdir().unwrap(), &tree, &store, &["--removed-max", "1000000"]);
    case.wait_for("ready", PATIENCE).unwrap();
    shell(&case, "head -c 10 $T/picture >/dev/null; rm $T/picture; sleep 0.5");
    case.end();
    let (code, lines, words) = removed(&case, &["--restore"]);
    assert_eq!((code, lines.len()), (0, 2), "{words}");
    assert_eq!(fs::read(tree.join("picture")).unwrap(), picture);
    let note = fs::read_to_string(store.join("removed/1.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&note).unwrap()["reflinked"], true);
}

#[test]
fn what_nobody_had_opened_is_gone_and_that_is_said() {
    let test = "what_nobody_had_opened_is_gone_and_that_is_said";
    if !testkit::root(test) {
        return;
    }
    let mut case = Case::new("permission", &[]);
    shell(&case, "rm -r $T/00*");
    let finding = told(&mut case);
    assert!(finding.to_string().contains("100 could not be kept"), "{finding}");
    let (code, lines, words) = removed(&case, &["--restore"]);
    assert_eq!((code, lines.len()), (2, 0), "{words}");
    assert!(words.contains("nothing of that is kept"), "{words}");
    case.end();
}

#[test]
fn builds_caches_and_a_few_files_are_not_worth_a_word() {
    let test = "builds_caches_and_a_few_files_are_not_worth_a_word";
    if !testkit::root(test) {
        return;
    }
    for line in [
        "for d in 1 2 3 4 5; do mkdir -p $T/target/$d; for f in 1 2 3 4 5 6 7 8 9 10; do echo $f >$T/target/$d/$f; done; done; \
         cat $T/target/*/* >/dev/null; rm -r $T/target",
        "for d in 1 2 3 4 5; do mkdir -p $T/.cache/$d; for f in 1 2 3 4 5 6 7 8 9 10; do echo $f >$T/.cache/$d/$f; done; done; \
         setsid sh -c 'cat $T/.cache/*/* >/dev/null; rm -r $T/.cache'",
        "find $T -type f | head -20 | xargs rm",
    ] {
        let mut case = Case::new("permission", &[]);
        shell(&case, line);
        assert!(case.wait_for("finding", Duration::from_millis(1800)).is_none(), "{line}");
        case.end();
    }
}

#[test]
fn what_was_overwritten_before_it_was_removed_comes_back_as_it_was() {
    let test = "what_was_overwritten_before_it_was_removed_comes_back_as_it_was";
    if !testkit::root(test) || testkit::tool(test, "shred").is_none() {
        return;
    }
    let mut case = Case::new("permission", &[]);
    let one = case.before.keys().nth(7).unwrap().clone();
    shell(&case, &format!("shred -u {}; sleep 0.5", one.display()));
    let (_, lines, words) = removed(&case, &["--restore"]);
    case.end();
    // Shredding renames before it removes, so the name is not the old one; the content is what counts.
    let back = lines.iter().find(|line| line["type"] == "back").unwrap_or_else(|| panic!("{words}"));
    assert_eq!(fs::read(back["path"].as_str().unwrap()).unwrap(), case.before[&one].0);
}

#[test]
fn the_oldest_go_first_and_the_list_is_in_japanese_too() {
    let test = "the_oldest_go_first_and_the_list_is_in_japanese_too";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut case = Case::new("permission", &["--removed-max", "20000"]);
    steal(&case);
    told(&mut case);
    case.end();
    let (_, lines, _) = removed(&case, &[]);
    let bytes: u64 = lines.iter().filter_map(|line| line["bytes"].as_u64()).sum();
    assert!((10_000..=20_000).contains(&bytes), "{bytes}");
    assert_eq!(lines.last().unwrap()["id"], 200);
    let output = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "removed", "--lang", "ja", "--state"])
        .arg(case.dir.path().join("state"))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("が削除") && words.contains("まで保管"), "{words}");
}
