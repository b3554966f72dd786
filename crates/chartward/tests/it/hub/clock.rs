//! A machine whose clock is set while the hub runs, and while it does not.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prove::state::{JobOutcome, JobRun};
use serde_json::Value;

use super::alarms::Asks;
use super::stage::{Stage, Up, block, finding, until};
use super::vault::{done, protected, runs};
use crate::support::BINARY;

const ATTACKER: &str = "198.51.100.7";
const DAY: i64 = 86_400;

/// A clock that only the hub and its jobs see.
struct FakeClock {
    library: PathBuf,
    file: PathBuf,
    days: i64,
}

impl FakeClock {
    fn new(test: &str, stage: &Stage) -> Option<FakeClock> {
        testkit::tool(test, "faketime")?;
        let folders = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
        let mut found = folders.map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
        let library = found.find(|it| it.exists()).expect("the package faketime brings its library");
        let mut clock = FakeClock { library, file: stage.path("clock"), days: 0 };
        clock.set(0);
        Some(clock)
    }

    fn set(&mut self, days: i64) {
        self.days = days;
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{days:+}d\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// What the hub takes for the time.
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.days * DAY)
    }

    fn up(&self, stage: &Stage) -> Up {
        let mut command = Command::new(BINARY);
        command.args(["up", "--json", "--config"]).arg(stage.path("chartward.toml"));
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let up = Up::start(command, &stage.path("hub.log"));
        assert_eq!(up.ready["type"], "ready", "{}", stage.log());
        up
    }
}

/// How long a countermeasure still lasts for the hub.
fn left(measure: &Value, now: Timestamp) -> i64 {
    let applied: Timestamp = measure["applied_at"].as_str().unwrap().parse().unwrap();
    let lasts = measure["lasts_seconds"].as_i64().unwrap();
    lasts - now.duration_since(applied).as_secs()
}

/// The block still has nearly its hour, in the kernel as for the hub, and the proposal still waits.
fn nothing_fell_or_stays_for_ever(stage: &Stage, clock: &FakeClock) {
    let banned = stage.banned();
    assert!(banned.iter().any(|(address, _)| address == ATTACKER), "{banned:?}");
    assert!(banned.iter().all(|(_, left)| (3_300..=3_600).contains(&left.unwrap())), "{banned:?}");
    for block in stage.measures().iter().filter(|it| it["act"]["act"] == "block_address") {
        assert_eq!(block["state"], "applied", "{block:#}");
        assert!((3_300..=3_601).contains(&left(block, clock.now())), "{} {block:#}", clock.now());
    }
    let proposal = stage.measure("lock_vault").unwrap();
    assert_eq!(proposal["state"], "proposed", "{proposal:#}");
    let deadline: Timestamp = proposal["deadline"].as_str().unwrap().parse().unwrap();
    let left = deadline.duration_since(clock.now()).as_secs();
    assert!((600..=901).contains(&left), "{left} {proposal:#}");
}

fn count(runs: &[JobRun], outcome: JobOutcome) -> usize {
    runs.iter().filter(|run| run.outcome == outcome).count()
}

#[test]
fn a_clock_that_jumps_is_said_and_neither_loses_nor_repeats_anything() {
    let test = "a_clock_that_jumps_is_said";
    let Some(stage) = Stage::with_wall(test) else { return };
    let Some(mut clock) = FakeClock::new(test, &stage) else { return };
    protected(&stage, &[stage.watch("net", "sensor", ""), block("none", "lasts = \"1h\"")].concat());
    let hub = clock.up(&stage);
    let Some(asks) = Asks::new(test, &stage) else { return };
    done(&stage, "drill:emr", 1);
    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say("net", &[finding("0", "bruteforce.ssh", 4, ATTACKER)]);
    until("a block", || stage.measure("block_address").filter(|it| it["state"] == "applied"));
    stage.done(&["act", "plan", "lock_vault"]);
    assert_eq!(asks.alarm(&hub, "clock.jumped"), None);

    for (round, (days, words)) in
        [(-1, Some("back by 24 hours")), (365, Some("forward by 365 days")), (0, None)]
            .into_iter()
            .enumerate()
    {
        let before = (runs(&stage, "backup:emr"), runs(&stage, "drill:emr"));
        clock.set(days);
        match words {
            Some(words) => {
                let alarm = until("the jump is said", || {
                    asks.alarm(&hub, "clock.jumped")
                        .filter(|alarm| alarm["title"].as_str().unwrap().contains(words))
                });
                assert!(alarm["next_step"].as_str().unwrap().contains("timedatectl"), "{alarm}");
            }
            None => asks.gone(&hub, "clock.jumped"),
        }
        nothing_fell_or_stays_for_ever(&stage, &clock);
        // Each job runs once more and no oftener, and a gap is told once.
        for (name, before) in [("backup:emr", &before.0), ("drill:emr", &before.1)] {
            done(&stage, name, count(before, JobOutcome::Done) + 1);
        }
        thread::sleep(Duration::from_secs(2));
        for (name, before) in [("backup:emr", before.0), ("drill:emr", before.1)] {
            let after = runs(&stage, name);
            assert_eq!(
                count(&after, JobOutcome::Done),
                count(&before, JobOutcome::Done) + 1,
                "{days} {name}"
            );
            let missed = count(&after, JobOutcome::Missed) - count(&before, JobOutcome::Missed);
            assert_eq!(missed, usize::from(days == 365), "{days} {name}: {after:#?}");
        }
        // What was known is known, and what is new is seen and acted on.
        let incidents = stage.incidents();
        assert!(incidents.iter().any(|it| it["id"] == 1 && it["status"] == "contained"), "{incidents:#?}");
        let another = format!("198.51.100.{}", 20 + round);
        stage.say("net", &[finding(&another, "bruteforce.ssh", 4, &another)]);
        until("a block after the jump", || {
            stage.banned().iter().any(|(address, _)| *address == another).then_some(())
        });
        until("it is written down", || {
            let all = stage.measures();
            all.iter().any(|it| it["act"]["address"] == another && it["state"] == "applied").then_some(())
        });
    }
    let moments = stage.moments("1").join("\n");
    assert_eq!(moments.matches("The clock of this machine jumped").count(), 3, "{moments}");

    // The same while no hub runs, however it ended.
    hub.kill();
    clock.set(2);
    let hub = clock.up(&stage);
    asks.raised(&hub, "clock.jumped");
    nothing_fell_or_stays_for_ever(&stage, &clock);
    let block = stage.measure("block_address").unwrap();
    stage.done(&["act", "undo", &block["id"].to_string()]);
    assert_eq!(hub.stop().0, 0);
    clock.set(0);
    let hub = clock.up(&stage);
    asks.gone(&hub, "clock.jumped");
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    let jumps = ledger.iter().filter(|it| it["fact"]["kind"] == "clock_jumped");
    let days: Vec<i64> = jumps
        .map(|it| it["fact"]["by_seconds"].as_f64().unwrap() / DAY as f64)
        .map(|days| days.round() as i64)
        .collect();
    assert_eq!(days, [-1, 366, -365, 2, -2]);
    assert!(!stage.log().contains("panicked"), "{}", stage.log());
}

#[test]
fn a_block_ends_after_its_time_though_the_clock_was_set_back() {
    let test = "a_block_ends_after_its_time";
    let Some(stage) = Stage::with_wall(test) else { return };
    let Some(mut clock) = FakeClock::new(test, &stage) else { return };
    stage.configure(&[stage.watch("net", "sensor", ""), block("none", "lasts = \"1m\"")].concat());
    let hub = clock.up(&stage);
    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say("net", &[finding("0", "bruteforce.ssh", 4, ATTACKER)]);
    until("a block", || stage.measure("block_address").filter(|it| it["state"] == "applied"));
    assert_eq!(hub.stop().0, 0);
    stage.age("block_address", 48);
    let hub = clock.up(&stage);
    clock.set(-1);
    until("the jump is seen", || stage.log().contains("jumped back").then_some(()));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(stage.measure("block_address").unwrap()["state"], "applied", "it fell at once");
    until("the block is over", || stage.measure("block_address").filter(|it| it["state"] == "expired"));
    assert_eq!(stage.banned(), []);
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}
