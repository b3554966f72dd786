//! What all commands share: their words on a terminal, their exit, and what they leave behind when they are ended.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::support::{BINARY, Run, Site, run};

const PATIENTS: u32 = 150;

/// Whether no control character but the line end is among the text.
fn is_printable(text: &str) -> bool {
    text.chars().all(|char| char == '\n' || !char.is_control())
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let site = Site::new();
    let store = site.path().join("store");
    let folder = store.join("000/123/0001234567/-/ADT-00");
    fs::create_dir_all(&folder).unwrap();
    let name = "0001234567_-_ADT-00_999999999999999_20181014120000000_-_1";
    fs::write(folder.join(name), "MSH|^~\\&|H|S|G|R|2018||ADT^A08|1|P|2.5\rPID|1||0001234567||A\x1b[31m^B\r")
        .unwrap();
    fs::write(folder.join(format!("{name}\x1b]0;x\x07\n")), "x").unwrap();
    let store = store.to_str().unwrap();
    for args in [
        ["charts", "show", "a\x1b[31m", "--from", store].as_slice(),
        &["charts", "show", "0001234567", "--from", store],
        &["charts", "list", "--from", store],
        &["charts", "list", "--from", "/nowhere/\x1b[31m\u{202e}"],
        &["prove", "verify", "--ledger", "/nowhere/\x1b[31m"],
        &["nothing\x1b[31m"],
        &["vault", "check", "--no\x1b[31m"],
    ] {
        let Run { stdout, stderr, .. } = site.bare(args);
        assert!(is_printable(&stdout) && is_printable(&stderr), "{args:?}: {stdout:?} {stderr:?}");
        assert!(!stdout.is_empty() || !stderr.is_empty());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::hospital(PATIENTS);
    site.backup(&site.hospital_dir());
    let (from, vault) = (site.hospital_dir(), site.vault());
    let (from, vault) = (from.to_str().unwrap(), vault.to_str().unwrap());
    for args in [
        ["charts", "list", "--json", "--from", from].as_slice(),
        &["charts", "list", "--from", from],
        &["recovery-sheet", "--vault", vault],
        &["recovery-sheet", "--json", "--vault", vault],
    ] {
        let mut child = site.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let status = child.wait().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

/// A command with a sandbox of its own, at the moment the sandbox is there.
fn with_sandbox(site: &Site, args: &[&str], below: &Path, before: &mut Command) -> Child {
    fs::create_dir_all(below).unwrap();
    let known = sandboxes(below);
    let child = before
        .args(args)
        .arg("--vault")
        .arg(site.vault())
        .args(["--state", &site.state(), "--json"])
        .arg("--sandbox")
        .arg(below)
        .env("CHARTWARD_PASSWORD", super::support::PASSPHRASE)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    // Not empty: records lie there by now.
    let is_new =
        |path: &PathBuf| !known.contains(path) && fs::read_dir(path).is_ok_and(|mut it| it.next().is_some());
    while !sandboxes(below).iter().any(is_new) {
        assert!(Instant::now() < end, "no sandbox is made");
    }
    child
}

fn sandboxes(below: &Path) -> Vec<PathBuf> {
    fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn ended_by(mut child: Child, signal: Signal) -> ExitStatus {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
    child.wait().unwrap()
}

#[test]
fn no_record_is_left_in_the_clear_when_a_drill_or_a_capture_is_ended() {
    // Enough work that none of it is done before it is ended.
    let site = Site::hospital(8 * PATIENTS);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let below = site.path().join("sandboxes");
    let hospital = site.hospital_dir();
    let drills = || {
        let ledger = fs::read_to_string(Path::new(&site.state()).join("ledger.jsonl")).unwrap();
        ledger.lines().filter(|line| line.contains("drill")).count()
    };
    let mut told = 0;
    for args in [["drill"].as_slice(), &["backup", hospital.to_str().unwrap()]] {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            // On a busy machine one may be through before it is met.
            let ended = (0..8).find_map(|_| {
                let status = ended_by(with_sandbox(&site, args, &below, &mut Command::new(BINARY)), signal);
                assert_eq!(sandboxes(&below), Vec::<PathBuf>::new(), "{args:?}");
                if status.success() {
                    told = drills();
                }
                status.signal()
            });
            assert_eq!(ended, Some(signal.as_raw()), "{args:?}");
        }
    }
    assert_eq!(drills(), told, "a drill that was ended found nothing");
    assert_eq!(site.vaulted(["vault", "check", "--read-data"]).code, 0);
    assert_eq!(site.run(["drill"]).code, 0);
}

#[test]
fn what_a_killed_drill_left_is_removed_by_the_next() {
    let site = Site::hospital(PATIENTS);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let below = site.path().join("sandboxes");
    ended_by(with_sandbox(&site, &["drill"], &below, &mut Command::new(BINARY)), Signal::KILL);
    assert!(!sandboxes(&below).is_empty());
    let drill = run(site
        .command(["drill", "--vault"])
        .arg(site.vault())
        .args(["--state", &site.state()])
        .arg("--sandbox")
        .arg(&below));
    assert_eq!(drill.code, 0, "{}", drill.stderr);
    assert_eq!(sandboxes(&below), Vec::<PathBuf>::new());
}

#[test]
fn a_drill_that_shall_outlive_its_terminal_does() {
    let site = Site::hospital(PATIENTS);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    let below = site.path().join("sandboxes");
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh", BINARY]);
    let child = with_sandbox(&site, &["drill"], &below, &mut shell);
    assert_eq!(ended_by(child, Signal::HUP).code(), Some(0));
}

#[test]
fn the_recovery_sheet_can_be_typed_and_names_what_its_snapshot_holds() {
    let site = Site::hospital(PATIENTS / 10);
    assert_eq!(site.backup(&site.hospital_dir()).code, 0);
    assert_eq!(site.run(["drill"]).code, 0);
    let other = site.path().join("notes of today");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a"), "x").unwrap();
    assert_eq!(site.backup(&other).code, 0);
    let vault = site.path().join("it's the vault");
    fs::rename(site.vault(), &vault).unwrap();
    let sheet = |more: &[&str]| {
        let run =
            run(site.command(["recovery-sheet", "--state", &site.state(), "--vault"]).arg(&vault).args(more));
        assert_eq!(run.code, 0, "{}", run.stderr);
        run
    };
    let fields = sheet(&["--json"]).last().clone();
    assert_eq!(fields["paths"], serde_json::json!([site.hospital_dir()]), "of the proven snapshot");
    assert_eq!(fields["vault"], vault.to_str().unwrap());
    let script = format!("set -- {}; printf '%s\\n' \"$@\"", fields["restore"].as_str().unwrap());
    let words = run(Command::new("sh").args(["-c", &script])).stdout;
    assert!(words.lines().any(|word| Path::new(word) == vault), "{words}");
    for lang in ["en", "ja"] {
        let text = sheet(&["--lang", lang]).stdout;
        assert!(!text.contains("notes of today"));
        for command in ["charts", "restic"].iter().flat_map(|kind| fields[*kind].as_array().unwrap()) {
            let command =
                command.as_str().unwrap().replace("PATIENT", if lang == "ja" { "患者ID" } else { "PATIENT" });
            assert!(text.contains(&command), "{command}\n{text}");
            assert!(!command.starts_with("restic") || command.contains("--no-lock"));
        }
    }
    if testkit::tool("the_recovery_sheet_can_be_typed", "restic").is_some() {
        for command in
            fields["restic"].as_array().unwrap().iter().filter(|it| !it.as_str().unwrap().contains("restore"))
        {
            let mut shell = Command::new("sh");
            let ran = run(shell
                .args(["-c", command.as_str().unwrap()])
                .env("RESTIC_PASSWORD", super::support::PASSPHRASE)
                .env("RESTIC_CACHE_DIR", site.path().join("cache")));
            assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named_with_a_way_out() {
    let site = Site::hospital(PATIENTS / 10);
    let file = site.path().join("file");
    fs::write(&file, "x").unwrap();
    let state = file.join("state");
    let (vault, hospital) = (site.vault(), site.hospital_dir());
    let (state, hospital) = (state.to_str().unwrap(), hospital.to_str().unwrap());
    for args in [
        ["backup", hospital, "--vault", vault.to_str().unwrap(), "--state", state].as_slice(),
        &["guard", hospital, "--mode", "unprivileged", "--state", state],
    ] {
        let Run { code, stderr, .. } = site.bare(args);
        assert_eq!(code, 2);
        assert!(stderr.contains(state) && stderr.contains("next: use --state DIR"), "{stderr}");
    }
}

/// Ends a process and its group with the test.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_guard_that_ends_says_who_stays_frozen_and_how_to_release_them() {
    let test = "a_guard_that_ends_says_who_stays_frozen_and_how_to_release_them";
    if testkit::tool(test, "python3").is_none() {
        return;
    }
    let site = Site::new();
    let (tree, state) = (site.path().join("tree"), site.path().join("state of the guard"));
    // Who has no rights can only look who holds a file open, and on a busy machine it takes many files to meet one.
    for number in 0..1_500 {
        let folder = tree.join(format!("{:03}", number / 10));
        fs::create_dir_all(&folder).unwrap();
        let record = format!("MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||OML^O33|{number}|P|2.5\r");
        fs::write(folder.join(format!("{number:010}_20181016_OML-11_{number}_01_1")), record.repeat(20))
            .unwrap();
    }
    let mut guard = Group(
        Command::new(BINARY)
            .args(["guard", "--mode", "unprivileged"])
            .arg(&tree)
            .arg("--state")
            .arg(&state)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let stdout = guard.0.stdout.take().unwrap();
    let (send, said) = channel();
    thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let line_with = |words: &str| loop {
        let line: String = said.recv_timeout(Duration::from_secs(90)).expect(words);
        if line.contains(words) {
            return line;
        }
    };
    line_with("guarding");
    fs::write(site.path().join("made-by-the-guard-test"), tree.to_str().unwrap()).unwrap();
    let script = site.path().join("attack.py");
    fs::write(&script, include_str!("guard/attack.py")).unwrap();
    // Whoever looks comes first, also on a busy machine.
    let mut command = Command::new("nice");
    command.args(["-n", "19", "python3"]).arg(script).arg("in-place").arg(&tree).arg("0.05");
    let attacker = Group(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let release = format!("chartward guard --release {} --state '{}'", attacker.0.id(), state.display());
    line_with(&release);
    line_with("stopped ");
    kill_process(Pid::from_raw(i32::try_from(guard.0.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    line_with("stays frozen");
    line_with(&release);
    guard.0.wait().unwrap();
    let is_stopped =
        || fs::read_to_string(format!("/proc/{}/stat", attacker.0.id())).unwrap().contains(") T ");
    assert!(is_stopped(), "nobody is released by the guard's end");
    let typed = release.replacen("chartward", BINARY, 1);
    let released = run(Command::new("sh").args(["-c", &typed]));
    assert_eq!(released.code, 0, "{}", released.stderr);
    thread::sleep(Duration::from_millis(100));
    let stat = fs::read_to_string(format!("/proc/{}/stat", attacker.0.id())).unwrap();
    assert!(!stat.contains(") T "), "{stat}");
}
