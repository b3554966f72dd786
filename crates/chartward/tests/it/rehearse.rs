//! `chartward rehearse uda-2018`: the main job on real parts, and what happens when one is missing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{BINARY, Run, open_to_all, run};

const PATIENTS: &str = "80";

fn rehearse(dir: &Path, more: &[&str]) -> Run {
    run(Command::new(BINARY)
        .args(["rehearse", "uda-2018", "--json", "--patients", PATIENTS, "--dir"])
        .arg(dir)
        .args(more))
}

fn number(summary: &Value, field: &str) -> u64 {
    summary[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {summary}"))
}

#[test]
fn with_guard_and_vault_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    let played = rehearse(&dir.path().join("stage"), &[]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    let summary = played.last();
    assert_eq!((number(summary, "patients_total"), number(summary, "patients_intact")), (80, 80));
    assert_eq!(number(summary, "files_irrecoverable"), 0);
    assert!(number(summary, "patients_affected") < 24, "the guard stopped it early: {summary}");
    assert!(number(summary, "time_to_stop_ms") < 60_000, "{summary}");
    assert!(summary["first_chart_seconds"].as_f64().unwrap() < 60.0, "{summary}");
    assert!(summary["restore_seconds"].is_number() && summary["rpo_seconds"].is_number(), "{summary}");
    assert_eq!(summary["proof"]["passed"], true);
    for report in ["report", "report_ja"] {
        let html = fs::read_to_string(summary[report].as_str().unwrap()).unwrap();
        assert!(html.contains("</html>") && html.contains("80"), "{report}");
    }
    let ledger = run(Command::new(BINARY).args([
        "prove",
        "verify",
        "--json",
        "--ledger",
        summary["ledger"].as_str().unwrap(),
    ]));
    assert_eq!(ledger.code, 0, "{}", ledger.stdout);
    assert!(
        !fs::read_to_string("/proc/mounts").unwrap().contains(dir.path().to_str().unwrap()),
        "a mount stayed behind"
    );
}

#[test]
fn without_guard_the_vault_brings_everything_back() {
    let dir = TempDir::new().unwrap();
    let played = rehearse(&dir.path().join("stage"), &["--without", "guard"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    let summary = played.last();
    assert_eq!((number(summary, "patients_affected"), number(summary, "patients_intact")), (24, 80));
    assert_eq!(number(summary, "files_restored"), number(summary, "files_touched"));
    assert_eq!(number(summary, "files_irrecoverable"), 0);
}

#[test]
fn without_backup_the_guard_puts_everything_back() {
    let dir = TempDir::new().unwrap();
    let played = rehearse(&dir.path().join("stage"), &["--without", "backup"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    let summary = played.last();
    assert_eq!((number(summary, "patients_intact"), number(summary, "files_irrecoverable")), (80, 0));
    assert!(summary["proof"].is_null() && summary["first_chart_seconds"].is_null(), "{summary}");
}

#[test]
fn without_either_records_are_really_lost_and_it_says_how_many() {
    let dir = TempDir::new().unwrap();
    let played = rehearse(&dir.path().join("stage"), &["--without", "guard", "--without", "backup"]);
    assert_eq!(played.code, 1, "{}", played.stderr);
    let summary = played.last();
    assert_eq!((number(summary, "patients_affected"), number(summary, "patients_intact")), (24, 56));
    assert_eq!(number(summary, "files_irrecoverable"), number(summary, "files_touched"));
    assert!(number(summary, "files_touched") > 24, "{summary}");
}

#[test]
fn an_ordinary_user_gets_the_nearest_means_and_is_told() {
    let test = "an_ordinary_user_gets_the_nearest_means_and_is_told";
    if !testkit::root(test) || testkit::tool(test, "setpriv").is_none() {
        return;
    }
    let dir = TempDir::new().unwrap();
    open_to_all(dir.path());
    // The binary may lie where others cannot reach it.
    let binary = dir.path().join("chartward");
    fs::copy(BINARY, &binary).unwrap();
    let played = run(Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--no-new-privs"])
        .arg(&binary)
        .args(["rehearse", "uda-2018", "--json", "--patients", PATIENTS, "--speed", "50", "--dir"])
        .arg(dir.path().join("stage")));
    assert_eq!(played.code, 0, "{}", played.stderr);
    let summary = played.last();
    assert_eq!(
        (number(summary, "patients_intact"), number(summary, "files_irrecoverable")),
        (80, 0),
        "{summary}"
    );
    assert!(played.stderr.contains("without root"), "{}", played.stderr);
}

#[test]
fn it_refuses_a_folder_that_is_in_use_and_the_attacker_any_other_folder() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    let refused = rehearse(dir.path(), &[]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let attacker = |rehearsal: &Path, token: &str, store: &Path| {
        run(Command::new(BINARY)
            .args(["simulate-encryptor", "--token", token, "--patients", "1", "--rehearsal"])
            .arg(rehearsal)
            .arg("--store")
            .arg(store)
            .arg("--journal")
            .arg(dir.path().join("journal")))
    };
    let marked = TempDir::new().unwrap();
    fs::write(marked.path().join(".chartward-rehearsal"), "0123456789abcdef").unwrap();
    for (rehearsal, token, store) in [
        (dir.path(), "0123456789abcdef", dir.path()),
        (marked.path(), "0123456789abcdee", marked.path()),
        (marked.path(), "0123456789abcdef", marked.path()),
        (marked.path(), "0123456789abcdef", dir.path()),
        (marked.path(), "", dir.path()),
    ] {
        let refused = attacker(rehearsal, token, store);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
    }
    assert_eq!(fs::read_to_string(dir.path().join("thesis.txt")).unwrap(), "years of work");
}

#[test]
fn a_guard_that_was_started_for_a_rehearsal_ends_with_it_even_when_it_is_killed() {
    let dir = TempDir::new().unwrap();
    let protected = dir.path().join("protected");
    fs::create_dir(&protected).unwrap();
    let mut parent = Command::new("sh")
        .args(["-c", r#""$0" guard "$1" --json --end-with-parent --store "$2" --state "$3" & wait"#, BINARY])
        .args([&protected, &dir.path().join("store"), &dir.path().join("state")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("ready"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The guard holds the other end: it has ended when nothing more can come.
    lines.for_each(drop);
    assert!(
        !fs::read_to_string("/proc/mounts").unwrap().contains(protected.to_str().unwrap()),
        "a mount stayed behind"
    );
}

#[test]
fn what_the_attacker_did_can_be_reversed() {
    let dir = TempDir::new().unwrap();
    let stage = dir.path().join("stage");
    assert_eq!(rehearse(&stage, &["--without", "guard", "--without", "backup"]).code, 1);
    let token = fs::read_to_string(stage.join(".chartward-rehearsal")).unwrap();
    let reversed = run(Command::new(BINARY)
        .args(["simulate-encryptor", "--reverse", "--patients", "1", "--token", &token, "--rehearsal"])
        .arg(&stage)
        .arg("--store")
        .arg(stage.join("hospital/ssmix2"))
        .arg("--journal")
        .arg(stage.join("attacker.jsonl")));
    assert_eq!(reversed.code, 0, "{}", reversed.stderr);
    let charts =
        run(Command::new(BINARY).args(["charts", "list", "--json", "--from"]).arg(stage.join("hospital")));
    assert_eq!(charts.code, 0, "{}", charts.stderr);
    assert_eq!(charts.lines.iter().filter(|line| line["type"] == "patient").count(), 80);
}
