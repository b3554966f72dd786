//! A hub that is killed while one of its jobs runs.

use std::fs::{self, File};
use std::io::Write;

use prove::state::JobOutcome;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::stage::{Stage, until};
use super::vault::{done, protected, restic, runs};

/// A file that takes a backup a while to read.
pub(super) fn slow(stage: &Stage) {
    let mut file = File::create(stage.path("hospital").join("slow.bin")).unwrap();
    let part: Vec<u8> = (0..1u32 << 18).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
    (0..300).for_each(|_| file.write_all(&part).unwrap());
}

/// Stops the backup as soon as it is under way, so that it runs for as long as the test wants.
pub(super) fn hold_backup(stage: &Stage) -> Vec<i32> {
    let locks = stage.path("vault").join("locks");
    until("a backup is under way", || {
        let is_under_way = fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some());
        let held = if is_under_way { jobs_of(stage) } else { vec![] };
        held.iter().for_each(|id| signal(*id, Signal::STOP));
        (!held.is_empty()).then_some(held)
    })
}

pub(super) fn signal(id: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(id).unwrap(), signal);
}

/// Processes that read or write the stage's vault.
pub(super) fn jobs_of(stage: &Stage) -> Vec<i32> {
    let vault = stage.path("vault").display().to_string();
    let of = |entry: fs::DirEntry| {
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&words).contains(&vault).then_some(id)
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(of).collect()
}

#[test]
fn a_backup_that_ran_when_the_hub_was_killed_is_noted_made_up_for_and_leaves_no_lock() {
    let test = "a_backup_that_ran_when_the_hub_was_killed";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let stage = Stage::new();
    protected(&stage, "");
    slow(&stage);
    let locks = || fs::read_dir(stage.path("vault").join("locks")).map_or(0, Iterator::count);
    let hub = stage.up();
    let held = hold_backup(&stage);
    hub.kill();
    held.iter().for_each(|id| signal(*id, Signal::CONT));
    until("the job ends with its hub", || jobs_of(&stage).is_empty().then_some(()));
    let left = runs(&stage, "backup:emr");
    assert_eq!(left[0].outcome, JobOutcome::Running, "nobody could note its end: {left:#?}");

    fs::remove_file(stage.path("hospital").join("slow.bin")).unwrap();
    let hub = stage.up();
    done(&stage, "backup:emr", 1);
    done(&stage, "drill:emr", 1);
    let runs = runs(&stage, "backup:emr");
    let outcomes: Vec<JobOutcome> = runs.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, [JobOutcome::Done, JobOutcome::Interrupted], "{runs:#?}");
    assert_eq!(runs[0].due_at, runs[1].due_at, "it is made up for, for the same time");
    assert!(runs[1].finished_at.is_some());
    assert_eq!(hub.stop().0, 0);

    // Nothing that the killed job left keeps anybody out, and nothing is damaged.
    assert_eq!(locks(), 0);
    let checked = restic(&stage, &["check", "--read-data"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let pruned = restic(&stage, &["prune"]);
    assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
    let ledger = stage.ledger();
    let ended = |it: &&Value| it["fact"]["kind"] == "job_finished" && it["fact"]["name"] == "backup:emr";
    let told: Vec<&Value> = ledger.iter().filter(ended).map(|it| &it["fact"]["outcome"]).collect();
    assert_eq!(told, ["interrupted", "done"]);
}
