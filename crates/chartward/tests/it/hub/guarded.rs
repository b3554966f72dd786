//! A guard that the hub starts from the configuration: its policy holds, and what it does is in the ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::stage::{Stage, until};

const NOBODY: &str = "65534";

/// Facts of one kind.
fn facts(stage: &Stage, kind: &str) -> Vec<Value> {
    let ledger = stage.ledger().into_iter().map(|line| line["fact"].clone());
    ledger.filter(|fact| fact["kind"] == kind).collect()
}

#[test]
fn what_the_configuration_allows_passes_and_what_the_guard_does_is_in_the_ledger() {
    let test = "what_the_configuration_allows_passes_and_what_the_guard_does_is_in_the_ledger";
    let tools = ["openssl", "setpriv", "python3"];
    if !testkit::root(test) || tools.iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let openssl = fs::canonicalize(testkit::tool(test, "openssl").unwrap()).unwrap();
    let stage = Stage::new();
    let tree = stage.path("records");
    let (out, kept) = (tree.join("out"), tree.join("kept"));
    for folder in [&out, &kept] {
        fs::create_dir_all(folder).unwrap();
        for number in 0..20 {
            let record = format!("MSH|^~\\&|HIS|SEND|{number}\rPID|0001||{number:010}\r").repeat(20);
            fs::write(folder.join(number.to_string()), record).unwrap();
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::write(stage.path("made-by-the-guard-test"), tree.to_str().unwrap()).unwrap();
    let before: Vec<Vec<u8>> =
        (0..20).map(|number| fs::read(kept.join(number.to_string())).unwrap()).collect();
    stage.configure(&format!(
        "[[watch]]\nname = \"emr\"\nguard = {{ dirs = [{tree:?}], allow = [{{ tool = {openssl:?}, user = {NOBODY:?}, in = {out:?}, reason = \"the nightly export\" }}] }}\n\n"
    ));
    let hub = stage.up();
    until("the guard protects", || stage.state.join("control/emr.sock").exists().then_some(()));
    until("the approval holds", || {
        facts(&stage, "guard_policy").into_iter().find(|fact| fact["event"] == "in_force")
    });

    // The export that the configuration allows.
    let line = "umask 022; for f in \"$1\"/*; do \"$0\" enc -aes-256-ctr -pbkdf2 -iter 1 -k x -in \"$f\" -out \"$f.enc\" && rm \"$f\" || exit 1; done";
    let mut export = Command::new("setpriv");
    export
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-c", line])
        .arg(&openssl)
        .arg(&out);
    assert!(export.status().unwrap().success(), "the export was stopped");
    let passed = until("it is said who passed", || {
        facts(&stage, "guard_policy").into_iter().find(|fact| fact["event"] == "allowed")
    });
    assert_eq!((&passed["watcher"], &passed["because"]), (&"emr".into(), &"the nightly export".into()));
    assert!(passed["files"].as_u64().unwrap() > 0 && passed["tool"] == openssl.to_str().unwrap(), "{passed}");
    assert!(facts(&stage, "guard_stopped").is_empty());
    assert!(stage.incidents().is_empty(), "{:?}", stage.incidents());

    // The same program by the same user somewhere else.
    let mut attack = Command::new("setpriv");
    attack
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-c", line])
        .arg(&openssl)
        .arg(&kept);
    let mut attack = std::os::unix::process::CommandExt::process_group(&mut attack, 0).spawn().unwrap();
    let stopped = until("the stop is in the ledger", || facts(&stage, "guard_stopped").into_iter().next());
    let group = rustix::process::Pid::from_raw(i32::try_from(attack.id()).unwrap()).unwrap();
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = attack.wait();
    assert_eq!((&stopped["watcher"], &stopped["files_irrecoverable"]), (&"emr".into(), &0.into()));
    let evidence = stage.state.join("guard/emr/evidence").join(stopped["stop"].as_str().unwrap());
    let list = fs::read(evidence.join("manifest.json")).unwrap();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(list));
    assert_eq!(stopped["evidence_sha256"], sha256, "the ledger vouches for the evidence");
    until("the incident", || stage.incidents().into_iter().find(|it| it["status"] == "contained"));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(hub.stop().0, 0);
    for (number, record) in before.iter().enumerate() {
        assert_eq!(&fs::read(kept.join(number.to_string())).unwrap(), record, "{number}");
    }
}
