//! The runner on real processes, and a schedule's own commands on a sample hospital.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use prove::State;
use prove::state::{JobKind, JobOutcome};
use zeroize::Zeroizing;

use super::*;
use crate::config::Config;
use crate::sample::{self, Hospital};

const PASSPHRASE: &str = "correct horse battery staple 電子カルテ";

/// A shell instead of the binary: what matters is how it behaves.
fn shell(script: &str, timeout: Duration, stop: &Arc<AtomicBool>) -> Finished {
    let runner = Runner { program: "/bin/sh".into(), env: Vec::new(), stop: Arc::clone(stop) };
    let task = Task {
        args: vec!["-c".into(), script.into()],
        passphrase: Some(Zeroizing::new(PASSPHRASE.as_bytes().to_vec())),
        timeout,
    };
    runner.run(&task, &mut |_| {})
}

#[test]
fn what_a_run_came_to_is_told() {
    let stop = Arc::new(AtomicBool::new(false));
    for (name, script, outcome, cause) in [
        ("done", "echo '{\"n\":1}'", JobOutcome::Done, ""),
        ("found", "exit 1", JobOutcome::Found, "something was found"),
        ("could not run", "echo broken >&2; exit 2", JobOutcome::Failed, "exit status: 2"),
        ("killed", "kill -9 $$", JobOutcome::Failed, "signal: 9"),
        ("too long", "sleep 60 & echo '{\"n\":1}'; wait", JobOutcome::Failed, "took longer"),
        (
            "the passphrase comes through the pipe",
            "grep -q '電子カルテ' $CHARTWARD_PASSWORD_FILE",
            JobOutcome::Done,
            "",
        ),
        ("a job steps back", "[ $(nice) = 10 ] || sleep 0.3; [ $(nice) = 10 ]", JobOutcome::Done, ""),
        (
            "much is said",
            "i=0; while [ $i -lt 3000 ]; do echo \"line $i\" >&2; echo '{\"n\":2}'; i=$((i+1)); done",
            JobOutcome::Done,
            "",
        ),
        ("a line that never ends", "head -c 3000000 /dev/zero; echo; echo '{\"n\":3}'", JobOutcome::Done, ""),
        ("a grandchild that holds the pipes", "sleep 30 & echo '{\"n\":4}'", JobOutcome::Done, ""),
    ] {
        let begun = Instant::now();
        let finished = shell(script, Duration::from_secs(4), &stop);
        assert_eq!(finished.outcome, outcome, "{name}: {finished:?}");
        assert!(finished.cause.contains(cause), "{name}: {}", finished.cause);
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}");
        assert!(finished.stderr.len() <= 40, "{name}");
        assert_eq!(finished.summary.is_some(), script.contains("{\"n\""), "{name}: {finished:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&finished.detail()).is_ok());
    }
}

#[test]
fn what_runs_is_ended_with_the_hub() {
    let stop = Arc::new(AtomicBool::new(false));
    let place = tempfile::tempdir().unwrap();
    let swept = place.path().join("swept");
    let stopper = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(400));
        stopper.store(true, Ordering::Relaxed);
    });
    let script = format!("trap 'touch {}; exit 143' TERM; while :; do sleep 0.05; done", swept.display());
    let finished = shell(&script, Duration::from_secs(60), &stop);
    thread.join().unwrap();
    assert_eq!(finished.outcome, JobOutcome::Interrupted);
    assert!(swept.exists() && finished.seconds < 10.0, "it was asked to end, not killed: {finished:?}");
}

/// The binary that was built with these tests: `cargo test -p chartward` makes both.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(|deps| deps.parent()).unwrap().join("chartward");
    assert!(binary.exists(), "run `cargo build -p chartward` first: there is no {}", binary.display());
    binary
}

#[test]
fn a_schedule_backs_up_drills_checks_and_exports_a_hospital_and_finds_what_was_interrupted() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let hospital = Hospital { patients: 20, seed: 7, until: jiff::Zoned::now().datetime() };
    sample::build(&hospital, &at("hospital"), &|_| {}).unwrap();
    fs::write(at("passphrase"), PASSPHRASE).unwrap();
    fs::set_permissions(at("passphrase"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(at("exports")).unwrap();
    let text = format!(
        "[vault]\ndir = {:?}\npassphrase = {{ file = {:?} }}\n[[protect]]\nname = \"emr\"\npaths = [{:?}]\ndrill = {{ every = \"24h\" }}\nsample = {{ size = \"50%\", every = \"24h\" }}\nmoment = \"re-read\"\n[schedule]\nexport = {{ dir = {:?} }}\n",
        at("vault"),
        at("passphrase"),
        at("hospital"),
        at("exports")
    );
    fs::write(at("chartward.toml"), text).unwrap();
    let config = Config::load(&at("chartward.toml")).unwrap();
    let runner = Runner { program: binary(), env: Vec::new(), stop: Arc::default() };
    let passphrase = || Some(Zeroizing::new(PASSPHRASE.as_bytes().to_vec()));
    let run = |args: Vec<std::ffi::OsString>| {
        let task = Task { args, passphrase: passphrase(), timeout: Duration::from_secs(120) };
        runner.run(&task, &mut |_| {})
    };
    let init: Vec<_> =
        [at("vault"), "--state".into(), at("state"), "--json".into()].into_iter().map(Into::into).collect();
    let made = run(["vault".into(), "init".into()].into_iter().chain(init).collect());
    assert_eq!(made.outcome, JobOutcome::Done, "{made:?}");

    // The state keeps milliseconds.
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let state = State::open(&at("state"), now).unwrap();
    let (schedule, interrupted) = Schedule::open(jobs(&config), &state, now).unwrap();
    let names: Vec<_> = schedule.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((interrupted, names), (0, vec!["backup:emr", "drill:emr", "sample:emr", "check", "export"]));
    let (due, _) = schedule.due(&state, now).unwrap();
    assert_eq!(due.len(), 5, "nothing ever ran");
    for due in due {
        let newest = newest_snapshot(&state, "backup:emr").unwrap();
        let (vault, dir) = (at("vault"), at("state"));
        let known = Known { vault: &vault, state: &dir, newest: newest.as_ref(), now };
        let begun = due.begin(&state, now).unwrap();
        assert!(!schedule.due(&state, now).unwrap().0.contains(&due), "it is never started twice");
        let finished = run(due.job.args(&known).unwrap());
        assert_eq!(finished.outcome, JobOutcome::Done, "{}: {finished:?}", due.job.name);
        begun.finish(&state, &finished, Timestamp::now()).unwrap();
        assert!(!finished.detail().contains("correct horse"));
    }
    assert!(newest_snapshot(&state, "backup:emr").unwrap().is_some());
    let (due, look_again) = schedule.due(&state, now).unwrap();
    assert!(due.is_empty() && look_again == Some(now + SignedDuration::from_mins(15)), "{look_again:?}");

    // The hub is killed in the middle of a backup, and starts an hour later.
    let later = now + SignedDuration::from_mins(15);
    schedule.due(&state, later).unwrap().0[0].begin(&state, later).unwrap();
    let restarted = later + SignedDuration::from_mins(60);
    let (schedule, interrupted) = Schedule::open(jobs(&config), &state, restarted).unwrap();
    assert_eq!(interrupted, 1);
    let (due, _) = schedule.due(&state, restarted).unwrap();
    assert_eq!(due[0].job.kind, JobKind::Backup);
    assert!(due[0].missed.is_some(), "an hour without a backup is told");
    due[0].begin(&state, restarted).unwrap();
    let told = state.job_runs(Some("backup:emr"), 10).unwrap();
    assert_eq!(told.iter().filter(|run| run.outcome == JobOutcome::Missed).count(), 1);
}

#[test]
fn retention_and_shares_of_a_check_become_commands() {
    let said = |more: &str| {
        let text = format!(
            "timezone = \"Asia/Tokyo\"\n[vault]\ndir = \"/v\"\npassphrase = {{ secret = \"v\" }}\n{more}"
        );
        let config: Config = toml::from_str(&text).unwrap();
        let known =
            Known { vault: "/v".as_ref(), state: "/s".as_ref(), newest: None, now: Timestamp::UNIX_EPOCH };
        let words = |job: &Job| {
            let args = job.args(&known).unwrap();
            args.iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        jobs(&config).iter().map(words).collect::<Vec<_>>()
    };
    let check = |how: &str| format!("vault check --vault /v --state /s{how} --json");
    for (more, how) in [
        ("", " --read-data-subset 3.93%"),
        ("[schedule]\ncheck = { every = \"7d\" }", " --read-data"),
        ("[schedule]\ncheck = { every = \"7d\", read_data = false }", ""),
        ("[schedule]\ncheck = { every = \"7d\", read_within = \"7d\" }", " --read-data"),
        ("[schedule]\ncheck = { at = \"03:00\", read_within = \"10d\" }", " --read-data-subset 11.00%"),
        ("[schedule]\ncheck = { every = \"1m\", read_within = \"366d\" }", " --read-data-subset 0.01%"),
    ] {
        assert_eq!(said(more), [check(how)], "{more}");
    }
    let kept = said("[retention]\n");
    assert_eq!(
        kept[1..],
        [
            "vault forget --vault /v --state /s --keep-within 72h --keep-daily 14 --keep-weekly 8 --keep-monthly 12 \
             --keep-yearly 0 --generations 5 --protected-from 3 --zone Asia/Tokyo --apply --json",
            "vault prune --vault /v --state /s --delay 259200s --max-repack-size 21474836480 --apply --json",
        ]
    );
}

#[test]
fn samples_moments_and_shares_become_commands_and_only_places_of_passwords_are_named() {
    let text = "[vault]\ndir = \"/v\"\npassphrase = { secret = \"v\" }\n\
        [[protect]]\nname = \"emr\"\nmoment = \"snapshot\"\nsources = [\"mariadb:user=me,password-secret=emr-db\", \
        \"mariadb:name=b,password-secret=emr-db\", \"opaque:path=/x\"]\ndrill = { every = \"7d\" }\n\
        sample = { size = \"5%\", at = \"02:14\" }\n\
        [[protect]]\nname = \"karte\"\nshare = { path = \"//s/k\", mirror = \"/m\", shadow_max_age = \"2h\" }\n";
    let config: Config = toml::from_str(text).unwrap();
    let newest = schema::SnapshotId("ab".repeat(32));
    let known = Known {
        vault: "/v".as_ref(),
        state: "/s".as_ref(),
        newest: Some(&newest),
        now: Timestamp::UNIX_EPOCH,
    };
    let jobs = jobs(&config);
    let words = |args: Vec<std::ffi::OsString>| {
        args.iter().map(|it| it.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let of = |name: &str| jobs.iter().find(|job| job.name == name).unwrap();
    let backup = words(of("backup:emr").args(&known).unwrap());
    assert!(backup.starts_with("backup --vault /v --state /s --moment snapshot --tag emr"), "{backup}");
    assert_eq!(of("backup:emr").secrets(), ["emr-db"]);
    assert!(of("drill:emr").secrets().is_empty());
    assert!(!words(of("backup:karte").args(&known).unwrap()).contains("--moment"));
    let sample = words(of("sample:emr").args(&known).unwrap());
    assert_eq!(sample, format!("drill --vault /v --state /s --sample=5% --json {newest}"));
    assert!(!words(of("drill:emr").args(&known).unwrap()).contains("--sample"));
    let pull = words(of("backup:karte").args_before().unwrap());
    assert!(pull.contains("--shadow-max-age 7200 --to /m //s/k"), "{pull}");
    assert!(jobs.iter().all(|job| job.name != "sample:karte"));
    let wrong = text.replace("\"5%\"", "\"all\"");
    assert!(toml::from_str::<Config>(&wrong).is_err());
}
