use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use jiff::Timestamp;
use rusqlite::params;

use super::super::*;

fn now() -> Timestamp {
    "2026-03-02T17:14:00Z".parse().unwrap()
}

fn open(dir: &Path) -> State {
    State::open(dir, now()).unwrap()
}

fn put(state: &State, n: u64) {
    state
        .write(|tx| {
            let run = tx.start_job("nightly", JobKind::Backup, now(), now())?;
            tx.finish_job(run, JobOutcome::Done, now(), &"x".repeat(500))?;
            tx.put_setting(&format!("key-{n}"), &n)?;
            tx.put_promise(&Promise {
                at: now().saturating_add(Duration::from_secs(n)).unwrap(),
                rpo_seconds: Some(0.1 * n as f64),
                rto_first_chart_seconds: None,
                rto_full_seconds: Some(f64::MAX),
                alarms: n,
            })
        })
        .unwrap();
}

/// What a log that has grown long brings about.
fn rotate(state: &State) {
    locked(&state.shared.syncing).rotate(&state.shared.dir, state.shared.writing.as_ref().unwrap());
}

/// Everything that is in the database, as text.
fn dump(state: &State) -> String {
    let settings = state.settings(u32::MAX).unwrap();
    let promises = state.promises(Timestamp::UNIX_EPOCH, u32::MAX).unwrap();
    format!("{settings:?} {promises:?} {:?}", state.job_runs(None, u32::MAX).unwrap())
}

/// A state with `n` changes, and all that it holds.
fn filled(dir: &Path, n: u64) -> String {
    let state = open(dir);
    (0..n).for_each(|n| put(&state, n));
    assert_eq!(state.opened(), &Opened::default());
    dump(&state)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(dir: &Path, ending: &str) -> PathBuf {
    let name = names(dir).into_iter().rfind(|name| name.ends_with(ending));
    dir.join(name.unwrap_or_else(|| panic!("no {ending} in {:?}", names(dir))))
}

/// Damages a folder of 100 changes, opens it, and finds everything there.
fn check(damage: impl FnOnce(&Path)) -> Recovered {
    let dir = tempfile::tempdir().unwrap();
    let expected = filled(dir.path(), 100);
    damage(dir.path());
    let state = open(dir.path());
    assert_eq!(dump(&state), expected);
    let recovered = state.opened().recovered.clone().expect("something was done");
    assert_eq!(recovered.missing, 0);
    for name in &recovered.set_aside {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    put(&state, 100);
    drop(state);
    let again = open(dir.path());
    assert_eq!(again.opened().recovered, None, "what was repaired stays so");
    assert_eq!(again.setting::<u64>("key-100").unwrap(), Some(100));
    recovered
}

fn overwrite(path: &Path, from: u64, bytes: usize) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xa5; bytes], from).unwrap();
}

#[test]
fn an_overwritten_cut_or_deleted_database_is_made_anew_from_the_log() {
    let middle = check(|dir| {
        let length = fs::metadata(dir.join(FILE_NAME)).unwrap().len();
        overwrite(&dir.join(FILE_NAME), length / 2, 20_000);
    });
    assert!(matches!(middle.because, Trouble::Damaged(_)), "{middle:?}");
    assert_eq!(middle.set_aside, ["state.db.damaged-1"]);
    let begin = check(|dir| overwrite(&dir.join(FILE_NAME), 0, 100));
    assert!(matches!(begin.because, Trouble::Damaged(_)), "{begin:?}");
    let cut = check(|dir| {
        let file = fs::OpenOptions::new().write(true).open(dir.join(FILE_NAME)).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    });
    assert!(matches!(cut.because, Trouble::Damaged(_)), "{cut:?}");
    let gone = check(|dir| fs::remove_file(dir.join(FILE_NAME)).unwrap());
    assert_eq!((gone.because, gone.replayed), (Trouble::Missing, 100 + migrate::MIGRATIONS.len() as u64));
}

#[test]
fn an_empty_file_in_the_databases_place_is_filled_from_the_log() {
    let emptied = check(|dir| fs::write(dir.join(FILE_NAME), "").unwrap());
    assert_eq!(
        (emptied.because, emptied.replayed),
        (Trouble::Killed, 100 + migrate::MIGRATIONS.len() as u64)
    );
}

#[test]
fn a_damaged_or_deleted_log_costs_nothing_while_the_database_is_whole() {
    let gone = check(|dir| fs::remove_file(file(dir, ".log")).unwrap());
    assert_eq!(gone.because, Trouble::LogDamaged);
    let middle = check(|dir| overwrite(&file(dir, ".log"), 30_000, 10));
    assert_eq!(middle.because, Trouble::LogDamaged);
    assert!(middle.set_aside[0].contains(".log.damaged-"), "{middle:?}");
    let last = check(|dir| {
        let log = file(dir, ".log");
        let length = fs::metadata(&log).unwrap().len();
        overwrite(&log, length - 40, 10);
    });
    assert_eq!(last.because, Trouble::TornLog);
}

#[test]
fn a_torn_last_line_is_set_aside_and_named() {
    let torn = check(|dir| {
        let mut log = fs::OpenOptions::new().append(true).open(file(dir, ".log")).unwrap();
        std::io::Write::write_all(&mut log, br#"0123456789abcdef {"seq":102,"at"#).unwrap();
    });
    assert_eq!(torn.because, Trouble::TornLog);
    assert!(torn.set_aside[0].ends_with(".log.torn-1"), "{torn:?}");
}

/// Copies made by rotations, and the log after them.
#[test]
fn a_rotated_log_recovers_from_the_newest_base_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    for n in 0..40 {
        put(&state, n);
        if n % 10 == 9 {
            rotate(&state);
        }
    }
    put(&state, 40);
    let expected = dump(&state);
    drop(state);
    let count = |ending: &str| names(dir.path()).iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!((count(".base"), count(".log")), (2, 2));
    for (damage_base, replayed) in [(false, 1), (true, 11)] {
        fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
        if damage_base {
            overwrite(&file(dir.path(), ".base"), 0, 5000);
        }
        let state = open(dir.path());
        assert_eq!(dump(&state), expected);
        let recovered = state.opened().recovered.clone().unwrap();
        assert_eq!((recovered.replayed, recovered.missing), (replayed, 0), "{recovered:?}");
    }
    let litter: Vec<String> = names(dir.path()).into_iter().filter(|name| name.contains("-wal")).collect();
    assert_eq!(litter, [] as [&str; 0]);
}

/// The log begins anew under a writer that never rests, and every copy goes with the logs after it.
#[test]
fn while_somebody_writes_without_rest_the_log_begins_anew_and_the_write_ahead_file_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    let wal = dir.path().join(format!("{FILE_NAME}-wal"));
    let (long, turns) = ("x".repeat(100_000), 2_400);
    let mut wal_bytes_max = 0;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..turns {
                state.write_soon(|tx| tx.put_setting(&format!("key-{}", n % 40), &(n, &long))).unwrap();
            }
        });
        while !writer.is_finished() {
            state.sync().unwrap();
            wal_bytes_max = wal_bytes_max.max(fs::metadata(&wal).unwrap().len());
            thread::sleep(Duration::from_millis(1));
        }
    });
    state.sync().unwrap();
    let expected = dump(&state);
    drop(state);
    let count = |ending: &str| names(dir.path()).iter().filter(|name| name.ends_with(ending)).count();
    // While one copy is made, a busy machine may write what would have been worth another.
    assert!((1..=2).contains(&count(".base")) && count(".log") == 2, "{:?}", names(dir.path()));
    assert!(wal_bytes_max < 150 << 20, "{wal_bytes_max}");
    for damage_base in [false, true] {
        fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
        if damage_base {
            overwrite(&file(dir.path(), ".base"), 0, 5000);
        }
        let state = open(dir.path());
        assert!(dump(&state) == expected, "the copy and the logs after it make the same database");
        assert_eq!(state.opened().recovered.as_ref().unwrap().missing, 0);
    }
}

#[test]
fn a_copy_that_cannot_be_made_leaves_the_logs_that_go_on_from_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    for n in 0..40 {
        put(&state, n);
        if n % 10 == 9 {
            // A folder in its place is something that no copy replaces.
            let seq = locked(state.shared.writing.as_ref().unwrap()).seq;
            let base = log::numbered(dir.path(), seq, "base");
            let fails = n > 10;
            if fails {
                fs::create_dir(base.with_extension("base.new")).unwrap();
            }
            rotate(&state);
            assert_eq!(base.exists(), !fails);
        }
    }
    let expected = dump(&state);
    drop(state);
    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    let state = open(dir.path());
    assert_eq!(dump(&state), expected);
    let recovered = state.opened().recovered.clone().unwrap();
    assert_eq!((recovered.replayed, recovered.missing), (30, 0), "{recovered:?}");
}

#[test]
fn a_second_hub_is_refused_and_told_who_the_first_is_while_readers_are_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(dir.path());
    put(&state, 1);
    let refused = State::open(dir.path(), now()).unwrap_err();
    assert!(matches!(refused, Error::InUse { pid, .. } if pid == std::process::id() as i32), "{refused}");
    assert!(refused.next_step().unwrap().contains("end that process"));
    let reader = State::open_read(dir.path()).unwrap();
    assert_eq!(reader.setting::<u64>("key-1").unwrap(), Some(1));
    put(&state, 2);
    assert_eq!(reader.setting::<u64>("key-2").unwrap(), Some(2));
    assert!(matches!(reader.write(|tx| tx.remove_setting("key-1")), Err(Error::ReadOnly)));
    drop(state);
    let reader = State::open_read(dir.path()).unwrap();
    assert_eq!(reader.setting::<u64>("key-2").unwrap(), Some(2), "also with no hub");
    open(dir.path());
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for at in [Timestamp::MAX, Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        let state = State::open(dir.path(), at).unwrap();
        state.write(|tx| tx.put_setting(&at.to_string(), &1)).unwrap();
    }
    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    assert_eq!(open(dir.path()).settings(9).unwrap().len(), 3);
}

#[test]
fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let state = open(&dir.path().join("state"));
    put(&state, 1);
    rotate(&state);
    for name in names(&dir.path().join("state")) {
        let mode = fs::metadata(dir.path().join("state").join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn a_later_version_migrates_a_filled_database_and_its_log_replays_across_it() {
    let second = "ALTER TABLE settings ADD COLUMN note TEXT NOT NULL DEFAULT 'none';";
    let migrations = [migrate::MIGRATIONS, &[second]].concat();
    let latest = migrations.len() as u32;
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let notes = |state: &State| -> Vec<String> {
        let sql = "SELECT note FROM settings ORDER BY key";
        state.read(|db| columns::list(db, sql, &[], |row| row.get(0))).unwrap()
    };
    let state = State::open_with(dir.path(), now(), &migrations).unwrap();
    assert_eq!(state.opened().recovered, None);
    state
        .write(|tx| tx.execute("UPDATE settings SET note = ?1 WHERE key = 'key-1'", params!["seen"]))
        .unwrap();
    assert_eq!(notes(&state), ["none", "seen", "none"]);
    drop(state);

    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    let state = State::open_with(dir.path(), now(), &migrations).unwrap();
    assert_eq!(notes(&state), ["none", "seen", "none"]);
    drop(state);
    let older = State::open(dir.path(), now()).unwrap_err();
    assert!(matches!(older, Error::NewerState { version } if version == latest), "{older}");
    assert!(State::open_read(dir.path()).is_err());
}

#[test]
fn a_database_of_version_1_with_its_log_becomes_one_of_this_version_and_replays() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open_with(dir.path(), now(), &migrate::MIGRATIONS[..1]).unwrap();
    (0..3).for_each(|n| put(&state, n));
    drop(state);
    let indexes = |state: &State| -> Vec<String> {
        let sql =
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'incidents' ORDER BY name";
        state.read(|db| columns::list(db, sql, &[], |row| row.get(0))).unwrap()
    };
    for _ in 0..2 {
        let state = open(dir.path());
        assert!(indexes(&state).iter().all(|sql| sql.contains("severity_id")), "{:?}", indexes(&state));
        assert_eq!(state.setting::<u64>("key-2").unwrap(), Some(2));
        drop(state);
        // The second time, from the log alone.
        fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    }
}

/// `tests/fixtures/state/v1` is never changed: it is what a hospital may still have.
#[test]
fn a_state_folder_of_version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state/v1/state.sql");
    let old = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    old.execute_batch(&fs::read_to_string(fixture).unwrap()).unwrap();
    drop(old);
    let state = open(dir.path());
    assert_eq!(
        state.opened().recovered.as_ref().unwrap().because,
        Trouble::LogDamaged,
        "it came without a log"
    );
    assert_eq!(state.setting::<String>("lang").unwrap().as_deref(), Some("ja"));
    let incidents = state.incidents(&IncidentFilter::default(), 9, None).unwrap();
    assert_eq!(incidents[0].title_ja, "ファイルが暗号化されています");
    assert_eq!(state.moments(incidents[0].id, 9).unwrap().len(), 1);
    assert_eq!(state.countermeasures(&CountermeasureFilter::default(), 9, None).unwrap().len(), 1);
    assert_eq!(state.newest_proof().unwrap().unwrap().patients, 3835);
    assert_eq!(state.last_runs().unwrap()[0].outcome, JobOutcome::Done);
    put(&state, 1);
    drop(state);
    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    assert_eq!(open(dir.path()).setting::<u64>("key-1").unwrap(), Some(1));
}

const CHILD: &str = "CHARTWARD_TEST_STATE_CHILD";

/// Writes until it is killed; every acknowledged change is a line on its output.
#[test]
fn child_that_changes_the_state_until_it_is_killed() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let dir = PathBuf::from(dir);
    let state = open(&dir);
    let begin = state.settings(u32::MAX).unwrap().len() as u64;
    for n in begin.. {
        put(&state, n);
        println!("acknowledged {}", n + 1);
        if n % 40 == 39 {
            rotate(&state);
        }
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for turn in 0..12 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "state::tests::recovery::child_that_changes_the_state_until_it_is_killed"])
            .arg("--nocapture")
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(250 + turn * 53));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in output.lines().map_while(Result::ok) {
            let n = line.split_once("acknowledged ").and_then(|(_, n)| n.parse::<u64>().ok());
            acknowledged = acknowledged.max(n.unwrap_or(0));
        }
        killer.join().unwrap();
        // Every third time the database is lost as well.
        if turn % 3 == 2 {
            fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
        }
        let state = open(dir.path());
        let missing = state.opened().recovered.as_ref().map_or(0, |recovered| recovered.missing);
        assert_eq!(missing, 0);
        let settings = state.settings(u32::MAX).unwrap().len() as u64;
        let runs = state.job_runs(None, u32::MAX).unwrap().len() as u64;
        assert!(runs >= acknowledged, "{runs} runs of {acknowledged} acknowledged");
        assert_eq!(settings, runs, "a transaction is there as a whole");
    }
    assert!(acknowledged > 20, "{acknowledged}");
}
