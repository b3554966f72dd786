//! Openings for contractors that end while the hub runs, while it does not, and while it is being killed.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{Stage, until};

const CONTRACTOR: &str = "[[logins.contractor]]\nname = \"vendor-a\"\naccounts = [\"vendor-a\"]\n";

/// Opens a time that is over in a moment.
fn open(stage: &Stage) {
    let config = stage.path("chartward.toml").display().to_string();
    let words =
        ["access", "grant", "vendor-a", "--hours", "0.0003", "--reason", "ticket", "--config", &config];
    stage.done(&words);
}

/// What the ledger says of ends, in its order.
fn ends(stage: &Stage) -> Vec<String> {
    let lines = stage.ledger();
    let ends = lines.iter().map(|line| &line["fact"]).filter(|fact| fact["what"] == "contractor.end");
    ends.map(|fact| fact["object"].as_str().unwrap().to_owned()).collect()
}

fn count(stage: &Stage, expected: usize) {
    until("every end is told", || (ends(stage).len() >= expected).then_some(()));
    // Time for another look.
    thread::sleep(Duration::from_millis(2_500));
    let told = ends(stage);
    assert_eq!(told.len(), expected, "{told:#?}");
    for number in 1..=expected {
        let mine: Vec<&String> =
            told.iter().filter(|end| end.starts_with(&format!("#{number} vendor-a until "))).collect();
        assert!(mine.len() == 1 && mine[0].ends_with(", opened by local:tester"), "{number}: {told:#?}");
    }
}

#[test]
fn an_opening_that_ends_is_told_once_whether_the_hub_runs_rests_or_is_killed_meanwhile() {
    let stage = Stage::new();
    stage.configure(CONTRACTOR);
    let hub = stage.up();
    open(&stage);
    count(&stage, 1);
    hub.kill();

    open(&stage);
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!(ends(&stage).len(), 1, "no hub runs");
    let hub = stage.up();
    count(&stage, 2);
    hub.stop();

    // Killed as soon as it begins to tell, at several distances from that.
    let file = stage.state.join("logins/grants.json");
    for round in 0..6_u64 {
        let hub = stage.up();
        open(&stage);
        let before = fs::read(&file).unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while fs::read(&file).unwrap() == before {
            assert!(Instant::now() < patience, "it never begins: {}", stage.log());
        }
        thread::sleep(Duration::from_micros(round * 400));
        hub.kill();
    }
    let hub = stage.up();
    count(&stage, 8);
    hub.stop();
    let _hub = stage.up();
    count(&stage, 8);
}
