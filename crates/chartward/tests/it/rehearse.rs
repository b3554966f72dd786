//! `chartward rehearse uda-2018`: the main job on real parts, and what happens when one is missing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
fn the_hub_finds_opens_isolates_and_its_times_are_told() {
    let test = "the_hub_finds_opens_isolates_and_its_times_are_told";
    if !can_isolate(test) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let (code, summary, pid) = rehearse_with_pid(&dir.path().join("stage"), &[]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!((&summary["hub"], &summary["isolation_verified"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!(summary["incident"], "INC-0001");
    let times = ["finding_ms", "incident_ms", "isolated_ms"].map(|field| number(&summary, field));
    assert!(times.is_sorted() && times[2] < 60_000, "{summary}");
    for (report, words) in [
        ("report", ["opened INC-0001", "the open connection is dead"]),
        ("report_ja", ["INC-0001", "保管庫とコンソールには届きます"]),
    ] {
        let html = fs::read_to_string(summary[report].as_str().unwrap()).unwrap();
        assert!(words.iter().all(|word| html.contains(word)), "{report}");
    }
    nothing_is_left(pid, dir.path());
}

#[test]
fn nothing_stays_behind_when_it_fails_or_is_killed() {
    let test = "nothing_stays_behind_when_it_fails_or_is_killed";
    if !can_isolate(test) {
        return;
    }
    let dir = TempDir::new().unwrap();
    let stage = dir.path().join("stage");
    for moment in ["A synthetic hospital stands", "The hub's guard is up", "The attacker starts"] {
        let mut playing = start(&stage, &["--speed", "5"]);
        let pid = playing.id();
        let mut lines = BufReader::new(playing.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(moment)), "{moment}");
        playing.kill().unwrap();
        playing.wait().unwrap();
        nothing_is_left(pid, dir.path());
        fs::remove_dir_all(&stage).unwrap();
    }
    let mut playing = start(&stage, &[]);
    let pid = playing.id();
    let mut lines = BufReader::new(playing.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("A synthetic hospital stands")));
    // Without its configuration or its store nothing goes on.
    fs::rename(stage.join("hospital"), stage.join("elsewhere")).unwrap();
    lines.for_each(drop);
    assert_eq!(playing.wait().unwrap().code(), Some(2));
    nothing_is_left(pid, dir.path());
}

#[test]
fn what_a_rehearsal_left_that_nobody_swept_is_taken_away_by_the_next() {
    let test = "what_a_rehearsal_left_that_nobody_swept_is_taken_away_by_the_next";
    if !can_isolate(test) {
        return;
    }
    // No process ever has this id: it is above the kernel's limit.
    let name = "chartward-reh-4194305-ward";
    assert!(Command::new("ip").args(["netns", "add", name]).status().unwrap().success());
    let dir = TempDir::new().unwrap();
    let played = rehearse(&dir.path().join("stage"), &["--without", "backup"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    let is_gone = !Path::new("/run/netns").join(name).exists();
    if !is_gone {
        let _ = Command::new("ip").args(["netns", "del", name]).status();
    }
    assert!(is_gone);
}

#[test]
fn a_server_without_any_agent_loses_what_was_written_since_the_last_backup_and_no_more() {
    let test = "a_server_without_any_agent_loses_what_was_written_since_the_last_backup_and_no_more";
    if !can_isolate(test) || testkit::tool(test, "smbd").is_none() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let (code, summary, pid) = rehearse_with_pid(&dir.path().join("stage"), &["--agentless"]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!(
        (&summary["agentless"], &summary["isolation_verified"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    assert_eq!((number(&summary, "patients_total"), number(&summary, "patients_intact")), (80, 80));
    assert_eq!((number(&summary, "records_lost"), number(&summary, "files_irrecoverable")), (5, 0));
    assert!(summary["rpo_seconds"].as_f64().unwrap() < 900.0, "{summary}");
    let (touched, before) = (number(&summary, "files_touched"), number(&summary, "files_before_isolation"));
    assert!(0 < before && before <= touched, "{summary}");
    assert!(number(&summary, "finding_ms") <= number(&summary, "isolated_ms"), "{summary}");
    nothing_is_left(pid, dir.path());
}

/// Whether networks can be made and cut off here; says so where not.
fn can_isolate(test: &str) -> bool {
    testkit::root(test) && ["ip", "nft", "nsenter"].iter().all(|tool| testkit::tool(test, tool).is_some())
}

fn start(dir: &Path, more: &[&str]) -> Child {
    Command::new(BINARY)
        .args(["rehearse", "uda-2018", "--json", "--patients", PATIENTS, "--dir"])
        .arg(dir)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn rehearse_with_pid(dir: &Path, more: &[&str]) -> (i32, Value, u32) {
    let playing = start(dir, more);
    let pid = playing.id();
    let ended = playing.wait_with_output().unwrap();
    let last =
        String::from_utf8_lossy(&ended.stdout).lines().last().map(|line| serde_json::from_str(line).unwrap());
    (ended.status.code().unwrap_or(-1), last.unwrap_or_default(), pid)
}

/// Neither namespaces (and so no table of the packet filter), nor mounts, nor processes that work in the folder.
fn nothing_is_left(pid: u32, dir: &Path) {
    let left = || {
        let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let namespaces = namespaces.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut left: Vec<String> =
            namespaces.filter(|name| name.starts_with(&format!("chartward-reh-{pid}-"))).collect();
        let dir = dir.to_str().unwrap();
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(dir)).map(str::to_owned));
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if command.contains(dir) && process.file_name() != std::process::id().to_string().as_str() {
                left.push(command);
            }
        }
        left
    };
    // The machine may be slow to end what a killed process left.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !left().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), Vec::<String>::new());
    let tables = Command::new("nft").args(["list", "tables"]).output().unwrap();
    assert!(
        !String::from_utf8_lossy(&tables.stdout).contains("chartward"),
        "a table outside of the rehearsal's network"
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
    assert!(summary["isolation_verified"].is_null() && summary["isolated_ms"].is_null(), "{summary}");
    assert!(summary["incident_ms"].is_number() && summary["finding_ms"].is_number(), "{summary}");
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
