//! `chartward prove`, as an auditor uses it on another machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use jiff::Timestamp;
use prove::{Fact, Head, Ledger};
use serde_json::Value;

fn chartward(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chartward")).args(args).output().unwrap()
}

/// Exit status and the one JSON line.
fn json(args: &[&str]) -> (i32, Value) {
    let out = chartward(&[args, &["--json"]].concat());
    let line = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
    (out.status.code().unwrap(), line)
}

fn state(facts: u64) -> (tempfile::TempDir, Head) {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let ledger = Ledger::open(dir.path(), now).unwrap();
    for n in 0..facts {
        ledger.append(Fact::VaultOpened { vault_id: format!("{n:064x}") }, now).unwrap();
    }
    let head = ledger.head().unwrap();
    (dir, head)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_export_verifies_elsewhere_against_what_was_noted() {
    let (state, head) = state(3);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.jsonl");
    let (status, exported) = json(&["prove", "export", "--to", text(&copy), "--state", text(state.path())]);
    assert_eq!(
        (status, &exported["entries"], &exported["head"]["hash"]),
        (0, &4.into(), &head.hash.clone().into())
    );

    let pinned =
        ["prove", "verify", "--ledger", text(&copy), "--public-key", &head.public_key, "--head", &head.hash];
    let (status, verified) = json(&pinned);
    assert_eq!((status, &verified["intact"], &verified["entries"]), (0, &true.into(), &4.into()));
    assert_eq!(verified["public_key_pinned"], true);

    // The state's own ledger has one entry more: the export itself.
    let (status, own) = json(&["prove", "verify", "--state", text(state.path()), "--head", &head.hash]);
    assert_eq!((status, &own["entries"]), (0, &5.into()));

    let again = chartward(&["prove", "export", "--to", text(&copy), "--state", text(state.path())]);
    assert_eq!(again.status.code(), Some(2), "an export replaces nothing");
}

#[test]
fn damage_is_named_with_its_line_and_a_next_step() {
    let (state, head) = state(3);
    let path = state.path().join("ledger.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let other_key = "0".repeat(64);
    let cases: [(String, &[&str], u64, &str); 5] = [
        (whole.replacen("vault_opened", "vault_0pened", 1), &[], 2, "hash"),
        ([lines[0], lines[2], lines[3]].concat(), &[], 2, "sequence"),
        (lines[..3].concat(), &["--head", &head.hash], 4, "head_missing"),
        (whole.trim_end().to_owned(), &[], 4, "unfinished"),
        (whole.clone(), &["--public-key", &other_key], 1, "other_key"),
    ];
    for (content, pins, line, fault) in cases {
        fs::write(&path, content).unwrap();
        let args = [&["prove", "verify", "--state", text(state.path())], pins].concat();
        let (status, verified) = json(&args);
        assert_eq!((status, &verified["line"], &verified["fault"]), (1, &line.into(), &fault.into()));
        let said = String::from_utf8(chartward(&args).stdout).unwrap();
        assert!(said.contains(&format!("line {line}: ")) && said.contains("Next: "), "{said}");
    }
}

#[test]
fn a_damaged_ledger_is_not_exported() {
    let (state, _) = state(3);
    let path = state.path().join("ledger.jsonl");
    fs::write(&path, fs::read_to_string(&path).unwrap().replacen("vault_opened", "vault_0pened", 1)).unwrap();
    let to = state.path().join("copy.jsonl");
    let out = chartward(&["prove", "export", "--to", text(&to), "--state", text(state.path())]);
    assert_eq!(out.status.code(), Some(1));
    assert!(!to.exists());
}

#[test]
fn what_cannot_be_read_is_neither_intact_nor_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let state = text(dir.path());
    let to = dir.path().join("copy.jsonl");
    for args in [
        vec!["prove", "verify", "--state", state],
        vec!["prove", "verify", "--ledger", state],
        vec!["prove", "verify", "--ledger", "/nowhere/ledger.jsonl"],
        vec!["prove", "verify", "--head", "abc"],
        vec!["prove", "export", "--state", state, "--to", text(&to)],
    ] {
        let out = chartward(&args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(!out.stderr.is_empty());
    }
    assert!(!dir.path().join("ledger.jsonl").exists(), "looking makes no ledger");
}
