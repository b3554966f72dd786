//! `chartward up` without a configuration, and what the commands print.

use std::fs;
use std::process::Command;

use super::stage::{Stage, Up, finding, until};
use crate::support::BINARY;

#[test]
fn without_a_configuration_a_synthetic_hospital_is_protected_and_an_encryption_in_it_contained() {
    let test = "without_a_configuration";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let mut stage = Stage::new();
    let up = |stage: &Stage| {
        let mut command = Command::new(BINARY);
        let sample = stage.path("sample");
        command.current_dir(stage.path("")).args(["up", "--json", "--patients", "8", "--sample"]).arg(sample);
        Up::start(command, &stage.path("hub.log"))
    };
    let hub = up(&stage);
    assert_eq!(hub.ready["type"], "ready", "{}", stage.log());
    assert_eq!(hub.stop().0, 0);
    // The second start finds it.
    let hub = up(&stage);
    assert_eq!(hub.ready["type"], "ready", "{}", stage.log());
    stage.state = hub.ready["state"].as_str().unwrap().into();
    let hospital = stage.path("sample").join("hospital");
    fs::write(stage.path("sample").join("made-by-the-guard-test"), hospital.to_str().unwrap()).unwrap();
    until("the guard protects", || stage.state.join("control/guard-emr.sock").exists().then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let script = stage.file("attack.py", include_str!("../guard/attack.py"));
    let mut attack = Command::new("python3").arg(script).arg("in-place").arg(&hospital).spawn().unwrap();
    let contained = until("the incident is contained", || {
        stage.incidents().into_iter().find(|it| it["status"] == "contained")
    });
    let _ = attack.kill();
    let _ = attack.wait();
    let moments = stage.moments(&contained["id"].to_string()).join("\n");
    assert!(moments.contains("put back"), "{moments}");
    assert!(stage.measures().iter().any(|it| it["state"] == "observe_only"), "nothing was armed");
    assert_eq!(hub.stop().0, 0);
    stage.ledger();
}

#[test]
fn incidents_and_acts_speak_both_languages_and_name_the_next_step() {
    let stage = Stage::new();
    stage.configure(&stage.watch("net", "sensor", ""));
    let hub = stage.up();
    assert_eq!(stage.ask(&["incident", "list"]).code, 0);
    stage.say("net", &[finding("a", "bruteforce.ssh", 5, "203.0.113.9")]);
    until("an incident", || stage.incidents().first().cloned());
    let list = stage.ask(&["incident", "list"]);
    assert_eq!((list.code, &list.lines.last().unwrap()["type"]), (1, &"summary".into()));
    let shown = stage.done(&["incident", "show", "INC-0001"]);
    assert!(!shown["incident"]["unknowns"].as_array().unwrap().is_empty(), "{shown:#}");
    let report = stage.done(&["incident", "report", "1"]);
    let unknown = shown["incident"]["unknowns"][0].clone();
    for (lang, words) in [("en", &unknown["en"]), ("ja", &unknown["ja"])] {
        let html = fs::read_to_string(report[lang].as_str().unwrap()).unwrap();
        let begin: String = words.as_str().unwrap().chars().take(12).collect();
        assert!(html.contains(&begin), "{lang}: {begin}");
    }
    let missing = stage.ask(&["incident", "show", "77"]);
    assert!(missing.code == 2 && missing.stderr.contains("INC-0077"), "{} {}", missing.code, missing.stderr);
    for (words, part) in [
        (vec!["act", "undo", "9"], "act list"),
        (vec!["act", "apply", "block_address", "nonsense"], "names are not looked up"),
        (vec!["act", "apply", "block_address"], "needs a target"),
        (vec!["act", "apply", "nothing"], "lock_vault"),
        (vec!["act", "arm", "block_address", "nobody"], "sensor"),
        (vec!["reconnect", "emr"], "act list"),
    ] {
        let run = stage.ask(&words);
        assert!(run.code > 0 && run.stderr.contains(part), "{words:?}: {}", run.stderr);
    }
    let japanese = stage.ask(&["act", "undo", "9", "--lang", "ja"]);
    assert!(japanese.stderr.contains("対処 9 はありません"), "{}", japanese.stderr);
    assert_eq!(hub.stop().0, 0);
    let nobody = stage.ask(&["act", "undo", "1"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("chartward up"), "{}", nobody.stderr);
}
