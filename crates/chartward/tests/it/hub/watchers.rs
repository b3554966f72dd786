//! Watchers that flood, stammer and lie, beside one that does not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Stage, Up, block, finding, until, within};

/// Two floods at once would be a test of the machine.
static ONE_FLOOD: Mutex<()> = Mutex::new(());
/// The floods take most of the machine, other tests the rest.
const CROWDED: Duration = Duration::from_secs(180);

const FLOOD: &str = r#"
import json, itertools, sys, time
print('{"type":"ready"}', flush=True)
for n in itertools.count():
    ip = "10.%d.%d.%d" % (n // 65536 % 256, n // 256 % 256, n % 256)
    print(json.dumps({"class_uid": 2004, "activity_id": 1, "severity_id": [5, 99, 4][n % 3],
        "time": [0, 7258118400000, int(time.time() * 1000)][n % 3], "detector": "bruteforce.ssh",
        "finding_info": {"uid": str(n), "title": "x" * 200}, "src_endpoint": {"ip": ip}}))
"#;
const GARBAGE: &str = r#"
import os, time
print('{"type":"ready"}', flush=True)
while True:
    os.write(1, b"\xff\xfe not json\n{\"neither\": 1}\n")
    time.sleep(0.005)
"#;
const ENDLESS: &str = r#"
import os
os.write(1, b'{"type":"ready"}\n')
while True:
    os.write(1, b"a" * 65536)
"#;

#[test]
fn watchers_that_flood_stammer_and_lie_harm_neither_the_hub_nor_the_others() {
    let Some(stage) = Stage::with_wall("watchers_that_flood") else { return };
    let _one = ONE_FLOOD.lock().unwrap_or_else(PoisonError::into_inner);
    let exec = |name: &str, text: &str| {
        let script = stage.file(&format!("{name}.py"), text);
        format!(
            "[[watch]]\nname = {name:?}\nexec = [\"/usr/bin/python3\", {script:?}]\nread = [{script:?}]\nlines_per_second_max = 2000\n\n"
        )
    };
    let bad = [exec("flood", FLOOD), exec("garbage", GARBAGE), exec("endless", ENDLESS)].concat();
    let external = "[[playbook]]\nname = \"external\"\nwatchers = [\"external\"]\nacts = [\"block_address\"]\napproval = \"none\"\n\n";
    stage
        .configure(&[bad, stage.watch("net", "sensor", ""), block("none", ""), external.to_owned()].concat());
    let hub = stage.up();
    for class in ["sensor", "external"] {
        stage.done(&["act", "arm", "block_address", class]);
    }
    std::thread::sleep(Duration::from_secs(4));
    stage.say("net", &[finding("good", "bruteforce.ssh", 5, "203.0.113.77")]);
    within(CROWDED, "the block of the good watcher's finding", || {
        stage.banned().iter().any(|(address, _)| address == "203.0.113.77").then_some(())
    });
    let planned = stage.measures().into_iter().filter(|it| it["caused_by"] == "external").count();
    assert!((1..=512).contains(&planned), "{planned}");
    let incidents = stage.incidents();
    assert!(incidents.len() <= 1000, "{}", incidents.len());
    let lied = incidents.iter().flat_map(|it| it["samples"].as_array().cloned().unwrap_or_default());
    for sample in lied.filter(|sample| sample["uid"] != "good") {
        assert!(sample["detector"].as_str().unwrap().starts_with("external."), "{sample}");
        let year: i16 = sample["time"].as_str().unwrap()[..4].parse().unwrap();
        assert_eq!(year, jiff::Zoned::now().year(), "{sample}");
    }
    assert!(hub.memory_mib_max() < 256, "{} MiB", hub.memory_mib_max());
    let (code, took) = hub.stop();
    assert!(code == 0 && took < Duration::from_secs(15), "{code} {took:?}");
}

const CRASH: &str = r#"
import sys, time
print('{"type":"ready"}', flush=True)
time.sleep(0.2)
sys.exit("the sensor lost its card")
"#;

#[test]
fn each_bad_watcher_is_named_with_what_it_does_wrong_and_the_good_one_is_not() {
    let _one = ONE_FLOOD.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::new();
    if testkit::tool("each_bad_watcher_is_named", "python3").is_none() {
        return;
    }
    let exec = |name: &str, text: &str| {
        let script = stage.file(&format!("{name}.py"), text);
        format!(
            "[[watch]]\nname = {name:?}\nexec = [\"/usr/bin/python3\", {script:?}]\nread = [{script:?}]\nlines_per_second_max = 2000\n\n"
        )
    };
    let bad =
        [exec("flood", FLOOD), exec("garbage", GARBAGE), exec("endless", ENDLESS), exec("crash", CRASH)]
            .concat();
    stage.configure(&[bad, stage.watch("good", "sensor", "")].concat());
    let hub = stage.up();
    let expected = [
        ("watcher.floods", "flood", "thrown away"),
        ("watcher.garbage", "garbage", "not json"),
        ("watcher.garbage", "endless", "more than 65536 bytes"),
        ("watcher.down", "crash", "the sensor lost its card"),
    ];
    for (id, name, words) in expected {
        let said = |alarm: &Value| {
            let title = alarm["title"].as_str().unwrap();
            title.contains(&format!("The watcher {name} ")) && title.contains(words)
        };
        let alarm = until(name, || stage.alarms(id).into_iter().find(said));
        for part in ["title", "title_ja", "next_step", "next_step_ja"] {
            assert!(alarm[part].as_str().unwrap().len() > 20, "{alarm}");
        }
    }
    // A line that never ends goes on being told of: nothing can be heard beside it.
    let garbage = || health(&hub, &stage, "endless")["garbage"].as_u64().unwrap();
    let before = garbage();
    until("the endless line is told of again", || (garbage() > before).then_some(()));
    let all = stage.ask(&["status", "--vault", &stage.path("none").display().to_string()]).stdout;
    assert!(!all.contains("watcher good"), "{all}");
    assert_eq!(health(&hub, &stage, "good")["state"], json!("ready"));
    for (name, words) in [
        ("flood", "lines were thrown away"),
        ("garbage", "it printed a line that is no finding"),
        ("endless", "it printed a line of more than 65536 bytes"),
        ("crash", "the sensor lost its card"),
    ] {
        until(name, || health(&hub, &stage, name)["trouble"].as_str().unwrap().contains(words).then_some(()));
    }
    let status = stage.api(&hub, "/api/v1/status");
    let named = |id: &str| status["alarms"].as_array().unwrap().iter().any(|alarm| alarm["id"] == id);
    assert!(named("backup.no_vault") && named("watcher.floods"), "{status:#}");
    assert!(health(&hub, &stage, "crash")["restarts"].as_u64().unwrap() >= 1);
    assert_eq!(hub.stop().0, 0);
}

/// A watcher as the API tells of it.
fn health(hub: &Up, stage: &Stage, name: &str) -> Value {
    let told = stage.api(hub, "/api/v1/watchers");
    let all = told["watchers"].as_array().unwrap().iter();
    all.into_iter().find(|it| it["name"] == name).unwrap().clone()
}
