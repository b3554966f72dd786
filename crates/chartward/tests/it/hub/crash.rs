//! The hub killed at any moment, and the hub asked to end.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::stage::{Stage, block, finding, until};

/// What is the same however often the hub was killed.
fn told(incidents: &[Value]) -> Vec<(Value, Value, Value, Value)> {
    let part =
        |it: &Value| (it["id"].clone(), it["findings"].clone(), it["title"].clone(), it["detectors"].clone());
    incidents.iter().map(part).collect()
}

fn address(n: usize) -> String {
    format!("203.0.113.{}", n % 20 + 1)
}

fn children_of(stage: &Stage) -> Vec<String> {
    let marker = stage.path("feed.py").display().to_string();
    let of = |entry: std::fs::DirEntry| {
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words.contains(&marker).then_some(words)
    };
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(of).collect()
}

#[test]
fn a_hub_killed_at_any_moment_ends_with_the_same_incidents_as_one_that_never_was() {
    let test = "a_hub_killed_at_any_moment";
    let (Some(stage), Some(calm)) = (Stage::with_wall(test), Stage::with_wall(test)) else { return };
    let lines: Vec<Value> =
        (0..300).map(|n| finding(&n.to_string(), "bruteforce.ssh", 4, &address(n))).collect();
    for stage in [&stage, &calm] {
        let playbook = block("person", "deadline = \"1h\"\nlasts = \"1h\"");
        stage.configure(&[stage.watch("net", "sensor", ", \"again\""), playbook].concat());
    }
    let mut acknowledged: BTreeSet<(u64, &str)> = BTreeSet::new();
    let mut listed: BTreeSet<u64> = BTreeSet::new();
    for round in 0..15_usize {
        let hub = stage.up();
        if round == 0 {
            stage.done(&["act", "arm", "block_address", "sensor"]);
        }
        for known in &listed {
            assert!(
                stage.incidents().iter().any(|it| it["id"] == *known),
                "{known} is gone in round {round}"
            );
        }
        for part in lines[round * 20..(round + 1) * 20].chunks(4) {
            stage.say("net", part);
            thread::sleep(Duration::from_millis((round as u64 * 37) % 90));
        }
        listed.extend(stage.incidents().iter().filter_map(|it| it["id"].as_u64()));
        let waits = stage.measures().into_iter().find(|it| it["state"] == "proposed");
        if let Some(id) = waits.and_then(|it| it["id"].as_u64()) {
            let word = if round % 3 == 2 { "reject" } else { "apply" };
            if stage.ask(&["act", word, &id.to_string()]).code == 0 {
                acknowledged.insert((id, word));
            }
        }
        thread::sleep(Duration::from_millis((round as u64 * 53) % 200));
        hub.kill();
        until("no child survives", || children_of(&stage).is_empty().then_some(()));
    }
    let hub = stage.up();
    let calm_hub = calm.up();
    calm.done(&["act", "arm", "block_address", "sensor"]);
    calm.say("net", &lines);
    let all = |stage: &Stage| stage.incidents().iter().filter_map(|it| it["findings"].as_u64()).sum::<u64>();
    for stage in [&stage, &calm] {
        until("all findings", || (all(stage) >= 300).then_some(()));
    }
    assert_eq!(told(&stage.incidents()), told(&calm.incidents()));
    let measures = stage.measures();
    assert!(acknowledged.len() >= 10, "{acknowledged:?}");
    for (id, word) in &acknowledged {
        let state = &measures.iter().find(|it| it["id"] == *id).unwrap()["state"];
        assert_eq!(state, if *word == "apply" { "applied" } else { "rejected" }, "{id}");
    }
    let targets: Vec<_> = measures.iter().map(|it| it["act"]["address"].to_string()).collect();
    assert_eq!(targets.iter().collect::<BTreeSet<_>>().len(), targets.len(), "planned twice: {targets:?}");
    let applied = measures.iter().filter(|it| it["state"] == "applied").count();
    assert_eq!(stage.banned().len(), applied);
    let opened = stage.moments("1").iter().filter(|it| it.starts_with("The hub opened")).count();
    assert_eq!(opened, 1);
    assert_eq!((hub.stop().0, calm_hub.stop().0), (0, 0));
    stage.ledger();
}

#[test]
fn what_a_person_said_about_an_incident_holds_after_a_crash_before_the_checkpoint() {
    let stage = Stage::new();
    stage.configure(&stage.watch("net", "sensor", ", \"again\""));
    let hub = stage.up();
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, "203.0.113.9")]);
    until("an incident", || stage.incidents().first().cloned());
    stage.done(&["incident", "mark", "1", "false-alarm"]);
    hub.kill();
    let _hub = stage.up();
    thread::sleep(Duration::from_millis(600));
    let incidents = stage.incidents();
    assert_eq!(
        (incidents.len(), &incidents[0]["status"]),
        (1, &Value::from("false_alarm")),
        "{incidents:#?}"
    );
}

#[test]
fn asked_to_end_the_hub_hears_its_watchers_out() {
    let stage = Stage::new();
    stage.configure(&stage.watch("net", "sensor", ""));
    let hub = stage.up();
    stage.say("net", &[finding("first", "bruteforce.ssh", 4, "203.0.113.9")]);
    until("the watcher speaks", || stage.incidents().first().cloned());
    let lines: Vec<Value> =
        (0..2000).map(|n| finding(&n.to_string(), "bruteforce.ssh", 4, "203.0.113.9")).collect();
    stage.say("net", &lines);
    thread::sleep(Duration::from_millis(150));
    let (code, took) = hub.stop();
    assert!(code == 0 && took < Duration::from_secs(15), "{code} {took:?} {}", stage.log());
    assert_eq!(children_of(&stage), Vec::<String>::new());
    assert_eq!(stage.incidents()[0]["findings"], 2001);
    assert_eq!(stage.ledger().last().unwrap()["fact"]["kind"], "hub_stopped");
}

#[test]
fn a_hub_without_watchers_waits_for_people() {
    let stage = Stage::new();
    stage.configure("");
    let hub = stage.up();
    thread::sleep(Duration::from_millis(700));
    stage.done(&["act", "plan", "lock_vault"]);
    assert_eq!(hub.stop().0, 0);
}
