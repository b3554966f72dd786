//! Somebody else changes the packet filter while the hub runs.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::servers::web;

use super::stage::{Stage, block, finding, until};

const ATTACKER: &str = "198.51.100.7";
const HOST: &str = "203.0.113.50";

fn look_every_second(stage: &Stage, more: &str) {
    let config = stage.configure(more);
    let text = std::fs::read_to_string(&config).unwrap();
    stage.file("chartward.toml", &text.replace("[wall]\n", "[wall]\nlook_every = \"1s\"\n"));
}

fn duty(stage: &Stage, port: u16) -> String {
    let key = stage.private_file("key", "a secret of the hospital");
    format!(
        "[[notify]]\nname = \"duty\"\nwebhook = {{ url = \"http://127.0.0.1:{port}/hook\", signing_key = {{ file = {key:?} }} }}\n\n"
    )
}

fn changes(stage: &Stage) -> Vec<Value> {
    let facts = stage.ledger().into_iter().map(|line| line["fact"].clone());
    facts.filter(|fact| fact["kind"] == "wall_changed").collect()
}

fn notices(stage: &Stage) -> Vec<Value> {
    let mut all = stage.measures();
    all.retain(|it| it["approved_by"] == "the hub");
    all
}

#[test]
fn what_somebody_takes_out_of_the_packet_filter_is_put_back_and_told_once() {
    let Some(stage) = Stage::with_wall("what_somebody_takes_out") else { return };
    let (_web, port) = web();
    let more =
        [stage.watch("net", "sensor", ""), duty(&stage, port), block("none", "lasts = \"1h\"")].concat();
    look_every_second(&stage, &more);
    let hub = stage.up();
    stage.done(&["act", "arm", "block_address", "sensor"]);
    stage.say("net", &[finding("a", "bruteforce.ssh", 4, ATTACKER)]);
    until("a block", || stage.measure("block_address").filter(|it| it["state"] == "applied"));
    let isolation = stage.done(&["act", "apply", "isolate_host", HOST]);
    let stands = || {
        let is = |set: &str, address: &str, least: u64| {
            stage.set(set).iter().any(|(known, left)| known == address && left.unwrap() > least)
        };
        let rules = stage.nft(&["list", "table", "inet", "chartward"]);
        let is_whole = rules.contains("ip saddr @ban4 drop") && !rules.contains("comment \"way in\"");
        is_whole && is("ban4", ATTACKER, 3000) && is("isolate4", HOST, 80_000)
    };
    until("both are in force", || stands().then_some(()));
    let tampers: [(&[&str], u64, bool); 6] = [
        (&["flush", "ruleset"], 2, true),
        (&["delete", "table", "inet", "chartward"], 2, true),
        (&["delete", "element", "inet", "chartward", "ban4", "{", ATTACKER, "}"], 1, false),
        (&["delete", "element", "inet", "chartward", "isolate4", "{", HOST, "}"], 1, false),
        (&["flush", "chain", "inet", "chartward", "from"], 2, true),
        (&["insert", "rule", "inet", "chartward", "forward", "accept", "comment", "\"way in\""], 0, true),
    ];
    for (nth, (tamper, gone, rules)) in tampers.iter().enumerate() {
        stage.nft(tamper);
        assert!(!stands(), "{tamper:?} did nothing");
        until("it is put back", || stands().then_some(()));
        let told = until("the ledger tells", || changes(&stage).get(nth).cloned());
        let expected = (json!(rules), json!(true));
        assert_eq!((told["rules"].clone(), told["put_back"].clone()), expected, "{tamper:?}: {told}");
        assert_eq!(told["gone"], json!(gone), "{tamper:?}: {told}");
        assert_eq!(told["countermeasures"].as_array().unwrap().len() as u64, *gone, "{told}");
    }
    // Nothing more is told while nothing happens, and people once an hour.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(changes(&stage).len(), tampers.len());
    let told =
        until("the notice is delivered", || notices(&stage).into_iter().find(|it| it["state"] == "applied"));
    assert_eq!(notices(&stage).len(), 1);
    let because = told["because"].as_str().unwrap();
    for part in [ATTACKER, HOST, "no longer in force", "All of it was put back."] {
        assert!(because.contains(part), "{part}: {because}");
    }
    assert!(told["because_ja"].as_str().unwrap().contains("すべて元に戻しました"), "{told}");
    let proof = told["detail"].as_str().unwrap();
    assert!(proof.starts_with("HTTP 202 taken None 4"), "{proof}");
    let moments = stage.moments("1").join("\n");
    assert_eq!(moments.matches("All of it was put back.").count(), 1, "{moments}");

    // What a person takes out stays out.
    let id = isolation["answer"]["countermeasure"]["id"].to_string();
    stage.done(&["act", "undo", &id]);
    stage.done(&["act", "undo", &stage.measure("block_address").unwrap()["id"].to_string()]);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!((stage.set("ban4"), stage.set("isolate4")), (vec![], vec![]));
    assert_eq!(hub.stop().0, 0);
    assert_eq!(changes(&stage).len(), tampers.len());
}

#[test]
fn a_block_does_not_fail_because_somebody_flushed_the_rules_and_neither_does_its_undo() {
    let Some(stage) = Stage::with_wall("a_block_does_not_fail") else { return };
    // Here the hub looks once a minute.
    stage.configure("");
    let _hub = stage.up();
    stage.done(&["act", "apply", "block_address", ATTACKER]);
    stage.nft(&["flush", "ruleset"]);
    let second = stage.done(&["act", "apply", "block_address", "198.51.100.8"]);
    assert_eq!(second["answer"]["countermeasure"]["state"], "applied", "{second:#}");
    let banned: Vec<String> = stage.banned().into_iter().map(|(address, _)| address).collect();
    assert_eq!(banned, [ATTACKER, "198.51.100.8"]);
    stage.nft(&["delete", "table", "inet", "chartward"]);
    let undone = stage.done(&["act", "undo", &second["answer"]["countermeasure"]["id"].to_string()]);
    assert_eq!(undone["answer"]["countermeasure"]["state"], "undone", "{undone:#}");
    let banned: Vec<String> = stage.banned().into_iter().map(|(address, _)| address).collect();
    assert_eq!(banned, [ATTACKER]);
}

#[test]
fn a_policy_that_was_applied_is_put_back_too_and_one_on_trial_is_left_alone() {
    let Some(stage) = Stage::with_wall("a_policy_that_was_applied") else { return };
    let policy = "[[wall.zone]]\nname = \"ward\"\nnetworks = [\"10.0.0.0/8\"]\n";
    look_every_second(&stage, policy);
    let _hub = stage.up();
    let config = stage.path("chartward.toml");
    let config = config.to_str().unwrap();
    let has_policy = || stage.nft(&["list", "tables"]).contains("chartward_policy");
    stage.done(&["wall", "apply", "--confirm-within", "0s", "--config", config]);
    assert!(has_policy());
    stage.nft(&["flush", "ruleset"]);
    until("it is put back", || has_policy().then_some(()));
    let told = until("the ledger tells", || changes(&stage).first().cloned());
    assert_eq!((told["rules"].clone(), told["put_back"].clone()), (json!(true), json!(true)), "{told}");
    stage.done(&["wall", "apply", "--confirm-within", "1h", "--config", config]);
    stage.nft(&["flush", "ruleset"]);
    thread::sleep(Duration::from_millis(2500));
    assert!(!has_policy(), "whoever tries something out is at it");
    assert_eq!(changes(&stage).len(), 1);
    stage.done(&["wall", "undo", "--config", config]);
    assert!(has_policy());

    // What a host begins itself is blocked and let go like the other acts.
    let blocked = stage.done(&["act", "apply", "block_egress", HOST]);
    assert_eq!(blocked["answer"]["countermeasure"]["state"], "applied", "{blocked:#}");
    stage.nft(&["flush", "ruleset"]);
    until("the block is back", || (!stage.set("egress4").is_empty()).then_some(()));
    until("and so is the policy", || has_policy().then_some(()));
    stage.done(&["act", "undo", &blocked["answer"]["countermeasure"]["id"].to_string()]);
    assert!(stage.set("egress4").is_empty());
}

#[test]
fn a_packet_filter_that_cannot_be_mended_is_an_alarm_until_it_is() {
    let Some(stage) = Stage::with_wall("a_packet_filter_that_cannot_be_mended") else { return };
    let (_web, port) = web();
    look_every_second(&stage, &duty(&stage, port));
    let broken = stage.path("broken");
    let script = format!(
        "#!/bin/sh\n[ -e {broken:?} ] && {{ echo out of order >&2; exit 1; }}\nexec ip netns exec {} nft \"$@\"\n",
        stage.nft_namespace()
    );
    let nft = stage.file("nft.sh", &script);
    let config = std::fs::read_to_string(stage.path("chartward.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("command = ")).unwrap();
    stage.file("chartward.toml", &config.replace(line, &format!("command = {}", json!(["/bin/sh", nft]))));
    let _hub = stage.up();
    stage.done(&["act", "apply", "block_address", ATTACKER]);
    stage.file("broken", "");
    stage.nft(&["flush", "ruleset"]);
    let alarms = || stage.alarms("hub.wall");
    let alarm = until("an alarm", || alarms().into_iter().next());
    assert!(alarm["title"].as_str().unwrap().contains("out of order"), "{alarm}");
    // Looked at each second, told once.
    thread::sleep(Duration::from_secs(3));
    let told: Vec<String> = notices(&stage).iter().map(|it| it["because"].to_string()).collect();
    assert!(told.len() == 1 && told[0].contains("Cut off by hand"), "{told:?}");
    assert_eq!(changes(&stage).len(), 1);
    assert_eq!(changes(&stage)[0]["put_back"], false);

    std::fs::remove_file(&broken).unwrap();
    until("the block is back", || {
        stage.banned().iter().any(|(address, _)| address == ATTACKER).then_some(())
    });
    until("no alarm", || alarms().is_empty().then_some(()));
    until("that is told, too", || (notices(&stage).len() == 2).then_some(()));
    assert_eq!(changes(&stage).last().unwrap()["put_back"], true);
}
