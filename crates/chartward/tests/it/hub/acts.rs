//! From a finding to a block in the kernel and back.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::stage::{Stage, block, finding, until};

const ATTACKER: &str = "198.51.100.7";

fn stage(test: &str, playbook: &str) -> Option<Stage> {
    let stage = Stage::with_wall(test)?;
    let never = "[never_touch]\naddresses = [\"198.51.100.99\"]\n\n";
    stage.configure(&[&stage.watch("net", "sensor", ""), never, playbook].concat());
    Some(stage)
}

#[test]
fn a_finding_becomes_a_block_in_the_kernel_and_undo_takes_it_out() {
    let Some(stage) = stage("a_finding_becomes_a_block", &block("none", "lasts = \"1h\"")) else { return };
    let hub = stage.up();
    // Before anything is armed, it is only noted, and the packet filter is not even looked at.
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, ATTACKER)]);
    let measure = until("a countermeasure", || stage.measure("block_address"));
    assert_eq!(measure["state"], "observe_only", "{measure:#}");
    assert_eq!(stage.nft(&["list", "tables"]), "");

    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say(
        "net",
        &[finding("b", "bruteforce.ssh", 4, ATTACKER), finding("n", "bruteforce.ssh", 4, "198.51.100.99")],
    );
    let applied =
        until("a block in force", || stage.measures().into_iter().find(|it| it["state"] == "applied"));
    assert_eq!(applied["approved_by"], "playbook guessing");
    let banned = stage.banned();
    assert_eq!(banned.len(), 1, "{banned:?}");
    assert!(banned[0].0 == ATTACKER && (3500..=3600).contains(&banned[0].1.unwrap()), "{banned:?}");
    let never = until("never-touch", || stage.measures().into_iter().find(|it| it["state"] == "never_touch"));
    assert_eq!(never["act"]["address"], "198.51.100.99");

    let incidents = stage.incidents();
    assert!(incidents.iter().any(|incident| incident["status"] == "contained"), "{incidents:#?}");
    let id = applied["id"].to_string();
    assert_eq!(stage.done(&["act", "undo", &id])["answer"]["countermeasure"]["state"], "undone");
    assert_eq!(stage.banned(), []);
    let incident = applied["incident"].to_string();
    let moments = stage.moments(&incident).join("\n");
    for part in [
        "The hub opened",
        &format!("Block {ATTACKER}: done"),
        "tester (command line) takes back",
        "taken back.",
    ] {
        assert!(moments.contains(part), "{part}: {moments}");
    }
    // What a person took back stays so for this incident.
    stage.say("net", &[finding("c", "bruteforce.ssh", 4, ATTACKER)]);
    until("the third finding", || {
        stage
            .incidents()
            .iter()
            .any(|it| it["id"] == applied["incident"] && it["findings"] == 3)
            .then_some(())
    });
    assert_eq!((stage.banned(), stage.ask(&["act", "undo", &id]).code), (vec![], 1));
    assert_eq!(hub.stop().0, 0);
    let ledger = stage.ledger();
    let states: Vec<_> =
        ledger.iter().filter_map(|it| it["fact"]["countermeasure"]["state"].as_str()).collect();
    for state in ["observe_only", "approved", "applied", "never_touch", "undone"] {
        assert!(states.contains(&state), "{state}: {states:?} {}", ledger.last().unwrap());
    }
}

#[test]
fn a_person_approves_rejects_or_lets_the_deadline_pass() {
    let playbook = block("person", "deadline = \"10s\"\nlasts = \"1h\"");
    let Some(stage) = stage("a_person_approves", &playbook) else { return };
    let hub = stage.up();
    stage.done(&["act", "arm", "block_address", "sensor"]);
    let addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let lines = addresses.map(|address| finding(address, "bruteforce.ssh", 5, address));
    stage.say("net", &lines);
    let of = |address: &str| stage.measures().into_iter().rfind(|it| it["act"]["address"] == address);
    let proposed = until("three proposals", || {
        let all = addresses.map(|address| of(address).filter(|it| it["state"] == "proposed"));
        all.iter().all(Option::is_some).then(|| all.map(|it| it.unwrap()["id"].to_string()))
    });
    assert_eq!(stage.banned(), []);
    stage.done(&["act", "apply", &proposed[0]]);
    stage.done(&["act", "reject", &proposed[1]]);
    assert_eq!(stage.banned().len(), 1);
    until("the deadline", || of(addresses[2]).filter(|it| it["state"] == "expired"));
    let late = stage.ask(&["act", "apply", &proposed[2]]);
    assert!(late.code == 1 && late.stderr.contains("act list"), "{} {}", late.code, late.stderr);
    assert_eq!(stage.banned().len(), 1);
    assert_eq!(of(addresses[1]).unwrap()["state"], "rejected");
    drop(hub);
    stage.ledger();
}

#[test]
fn a_plan_changes_nothing_and_a_person_does_not_get_past_the_never_touch_list() {
    let Some(stage) = stage("a_plan_changes_nothing", "") else { return };
    let _hub = stage.up();
    let planned = stage.done(&["act", "plan", "block_address", ATTACKER]);
    assert_eq!(planned["answer"]["countermeasure"]["state"], "proposed");
    assert_eq!(stage.nft(&["list", "tables"]), "");
    let refused = stage.ask(&["act", "apply", "block_address", "198.51.100.99"]);
    assert!(refused.code == 1 && refused.stderr.contains("never-touch"), "{}", refused.stderr);
    let own = stage.ask(&["act", "apply", "block_address", "127.0.0.1"]);
    assert_eq!(own.code, 1, "{}", own.stderr);
    stage.done(&["act", "apply", &planned["answer"]["countermeasure"]["id"].to_string()]);
    assert_eq!(stage.banned()[0].0, ATTACKER);
    let again = stage.ask(&["act", "apply", "block_address", ATTACKER]);
    assert!(again.code == 1 && again.stderr.contains("act undo"), "{}", again.stderr);
}

#[test]
fn a_block_comes_back_with_the_time_it_has_left_and_one_that_cannot_be_taken_back_makes_no_storm() {
    let Some(stage) = stage("a_block_comes_back", &block("none", "lasts = \"1m\"")) else { return };
    let broken = stage.path("broken");
    let script = format!(
        "#!/bin/sh\n[ -e {broken:?} ] && {{ echo called >> {broken:?}; exit 1; }}\nexec ip netns exec {} nft \"$@\"\n",
        stage.nft_namespace()
    );
    let nft = stage.file("nft.sh", &script);
    let config = std::fs::read_to_string(stage.path("chartward.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("command = ")).unwrap();
    stage.file("chartward.toml", &config.replace(line, &format!("command = {}", json!(["/bin/sh", nft]))));
    let hub = stage.up();
    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, ATTACKER)]);
    until("a block", || stage.measure("block_address").filter(|it| it["state"] == "applied"));
    hub.kill();
    stage.nft(&["flush", "ruleset"]);
    stage.age("block_address", 55);
    let _hub = stage.up();
    let left = until("the block is back", || stage.banned().first().cloned());
    assert!(left.0 == ATTACKER && left.1.unwrap() <= 5, "{left:?}");
    stage.file("broken", "");
    thread::sleep(Duration::from_secs(8));
    let calls = std::fs::read_to_string(&broken).unwrap().lines().count();
    std::fs::remove_file(&broken).unwrap();
    assert!((1..=10).contains(&calls), "{calls}");
    let told = stage.moments("1").iter().filter(|it| it.contains("could not be taken back")).count();
    assert_eq!(told, 1);
    until("the end of the block", || stage.measure("block_address").filter(|it| it["state"] == "expired"));
    assert_eq!(stage.banned(), []);
}
