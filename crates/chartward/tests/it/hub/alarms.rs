//! What the console and the API say is wrong, while it is wrong and no longer.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use prove::state::JobOutcome;
use rustix::process::Signal;
use serde_json::Value;

use super::interrupted::{hold_backup, jobs_of, signal, slow};
use super::stage::{Stage, Up, finding, until};
use super::storage::Disk;
use super::vault::{curl, done, protected, runs};

/// Asks the hub's interface what is wrong.
pub(super) struct Asks {
    header: String,
}

impl Asks {
    /// `None` after saying what is missing.
    pub(super) fn new(test: &str, stage: &Stage) -> Option<Asks> {
        testkit::tool(test, "curl")?;
        let made = stage.done(&["token", "add", "test", "--days", "366"]);
        Some(Asks { header: format!("Authorization: Bearer {}", made["token"].as_str().unwrap()) })
    }

    pub(super) fn status(&self, hub: &Up) -> Value {
        let url = format!("{}/api/v1/status", hub.ready["console"].as_str().unwrap().trim_end_matches('/'));
        serde_json::from_str(&curl(&["-H", &self.header, &url])).unwrap_or_default()
    }

    pub(super) fn alarm(&self, hub: &Up, id: &str) -> Option<Value> {
        let status = self.status(hub);
        status["alarms"].as_array()?.iter().find(|alarm| alarm["id"] == id).cloned()
    }

    /// Waits for an alarm, which has to say in both languages what to do next.
    pub(super) fn raised(&self, hub: &Up, id: &str) -> Value {
        let alarm = until(id, || self.alarm(hub, id));
        for part in ["title", "title_ja", "next_step", "next_step_ja"] {
            assert!(!alarm[part].as_str().unwrap().is_empty(), "{part}: {alarm}");
        }
        alarm
    }

    pub(super) fn gone(&self, hub: &Up, id: &str) {
        until(&format!("{id} ends"), || {
            let status = self.status(hub);
            let alarms = status["alarms"].as_array()?;
            alarms.iter().all(|alarm| alarm["id"] != id).then_some(())
        });
    }
}

/// As if the hub had been off for so many hours; no hub may run.
fn off_for(stage: &Stage, hours: i64) {
    let state = prove::State::open(&stage.state, jiff::Timestamp::now()).unwrap();
    let ago = hours * 3_600_000;
    let sql =
        "UPDATE jobs SET due_at = due_at - ?1, started_at = started_at - ?1, finished_at = finished_at - ?1";
    state.write(|tx| tx.execute(sql, &[&ago])).unwrap();
}

#[test]
fn a_job_that_failed_and_one_that_was_missed_are_said_until_one_succeeds() {
    let test = "a_job_that_failed_and_one_that_was_missed";
    let stage = Stage::new();
    protected(&stage, "");
    let hub = stage.up();
    let Some(asks) = Asks::new(test, &stage) else { return };
    done(&stage, "drill:emr", 1);
    until("nothing is wrong", || {
        asks.status(&hub)["alarms"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    assert_eq!(hub.stop().0, 0);

    // Missed: said while the run that makes up for it goes on, and over with it.
    off_for(&stage, 3);
    slow(&stage);
    let hub = stage.up();
    let held = hold_backup(&stage);
    let missed = asks.raised(&hub, "job.missed");
    assert!(missed["title"].as_str().unwrap().contains("emr"), "{missed}");
    held.iter().for_each(|id| signal(*id, Signal::CONT));
    until("the run that makes up for it", || {
        (runs(&stage, "backup:emr")[0].outcome != JobOutcome::Running
            && runs(&stage, "drill:emr")[0].outcome != JobOutcome::Running)
            .then_some(())
    });
    let after = runs(&stage, "backup:emr");
    assert_eq!(after.iter().filter(|run| run.outcome == JobOutcome::Missed).count(), 1, "{after:#?}");
    asks.gone(&hub, "job.missed");
    assert_eq!(hub.stop().0, 0);

    // Failed: the records are gone.
    off_for(&stage, 3);
    fs::rename(stage.path("hospital"), stage.path("elsewhere")).unwrap();
    let hub = stage.up();
    let failed = asks.raised(&hub, "job.failed");
    assert!(failed["title"].as_str().unwrap().contains("backup:emr"), "{failed}");
    assert_eq!(failed["severity_id"], 4, "{failed}");
    fs::rename(stage.path("elsewhere"), stage.path("hospital")).unwrap();
    stage.done(&["act", "apply", "snapshot_now", "emr"]);
    asks.gone(&hub, "job.failed");
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    assert!(ledger.iter().any(|it| it["fact"]["kind"] == "job_missed"));
}

#[test]
fn a_full_disk_is_said_with_what_cannot_be_done_for_it_and_over_with_it() {
    let test = "a_full_disk_is_said";
    if !testkit::root(test) {
        return;
    }
    let mut stage = Stage::new();
    let disk = Disk::mount(stage.path("disk"));
    stage.state = disk.0.join("state");
    protected(&stage, &stage.watch("net", "sensor", ""));
    let hub = stage.up();
    let Some(asks) = Asks::new(test, &stage) else { return };
    done(&stage, "drill:emr", 1);
    assert_eq!(asks.alarm(&hub, "hub.storage"), None);
    let fill = format!("cat /dev/zero > {:?}/filler 2>/dev/null", disk.0);
    let _ = Command::new("sh").arg("-c").arg(fill).status();
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, "203.0.113.1")]);
    let storage = asks.raised(&hub, "hub.storage");
    assert_eq!(storage["severity_id"], 5, "{storage}");
    // A backup that somebody wants now cannot be noted, so it cannot be begun; that is said, too.
    stage.ask(&["act", "apply", "snapshot_now", "emr"]);
    asks.raised(&hub, "job.not_started");
    assert_eq!(jobs_of(&stage), Vec::<i32>::new());
    fs::remove_file(disk.0.join("filler")).unwrap();
    asks.gone(&hub, "hub.storage");
    done(&stage, "backup:emr", 2);
    asks.gone(&hub, "job.not_started");
    until("the incident is written", || stage.incidents().first().cloned());
    thread::sleep(Duration::from_millis(300));
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}

#[test]
fn a_hub_without_a_vault_says_so_instead_of_measuring_for_ever() {
    let stage = Stage::new();
    stage.configure("");
    let hub = stage.up();
    let Some(asks) = Asks::new("a_hub_without_a_vault", &stage) else { return };
    asks.raised(&hub, "backup.no_vault");
    assert_eq!(asks.status(&hub)["rpo_seconds"], Value::Null);
    assert_eq!(hub.stop().0, 0);
}
