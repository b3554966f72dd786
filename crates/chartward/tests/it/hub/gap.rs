//! A guard that is killed under the hub: it is started again at once, and the time without it is a finding and an incident.

use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::stage::{Stage, until};

#[test]
fn a_killed_guard_is_back_within_seconds_and_the_gap_is_an_incident() {
    let test = "a_killed_guard_is_back_within_seconds_and_the_gap_is_an_incident";
    if !testkit::root(test) {
        return;
    }
    let stage = Stage::new();
    let tree = stage.path("records");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("record"), b"MSH|").unwrap();
    stage.configure(&format!("[[watch]]\nname = \"emr\"\nguard = {{ dirs = [{tree:?}] }}\n\n"));
    let hub = stage.up();
    // Written once the guard holds what is opened: process id, its start, when it was last well.
    let alive = stage.state.join("guard/emr/alive");
    let pid = || -> Option<i32> { fs::read_to_string(&alive).ok()?.split_whitespace().next()?.parse().ok() };
    let first = until("the guard watches", pid);
    let killed = Instant::now();
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    until("the guard watches again", || pid().filter(|pid| *pid != first));
    let back = killed.elapsed();
    println!("it watches again after {} ms", back.as_millis());
    assert!(back.as_secs() < 5, "{back:?}");
    let incident = until("the gap is an incident", || stage.incidents().into_iter().next());
    let shown = stage.done(&["incident", "show", &incident["id"].to_string()]).to_string();
    assert!(shown.contains("nobody watched from"), "{shown}");
    assert_eq!(hub.stop().0, 0);
    assert!(!alive.exists(), "a clean end leaves no sign of life");
    stage.ledger();
}
