//! What honest clients do.

use std::fs;

use serde_json::Value;

use super::stage::{Stage, noise};
use crate::support::{Site, files, restored};

#[test]
fn both_engines_work_on_one_repository() {
    let test = "both_engines_work_on_one_repository";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let stage = Stage::new(&["clinic"], &[]);
    let source = stage.source("source", 1);
    let first = files(&source);
    stage.restic_ok("clinic", "clinic", &["init"]);
    stage.restic_ok("clinic", "clinic", &["backup", source.to_str().unwrap()]);
    fs::write(source.join("later"), noise(9, 100_000)).unwrap();
    let second = files(&source);
    let ours = stage.backup("clinic", &source);
    assert_eq!(ours.code, 0, "{}", ours.stderr);
    let added = ours.last()["bytes_added"].as_u64().unwrap_or(0);
    assert!(added < 3 << 20, "what restic stored was stored again: {}", ours.last());

    let listed = stage.ours("clinic", ["snapshots"]);
    let ids: Vec<&str> = listed.lines.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len(), 2, "{}", listed.stdout);
    stage.assert_restores("clinic", "clinic", ids[0], &source, &first);
    let target = stage.path("second");
    assert_eq!(stage.ours_restore("clinic", "clinic", ids[1], &target).code, 0);
    let back = files(&restored(&target, &source));
    assert!(second.iter().all(|(path, content)| back.get(path) == Some(content)));
    stage.restic_ok("clinic", "clinic", &["check", "--read-data"]);
    let address = stage.address("clinic");
    let checked = stage.ours("clinic", ["vault", "check", &address, "--read-data"]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    // Version 1 of the protocol lists names alone.
    assert!(stage.at_host(["client", "list"]).last()["used"].as_u64().unwrap() > 6 << 20);
}

#[test]
fn a_drill_proves_a_hospital_over_the_wire() {
    let site = Site::new();
    let hospital = site.hospital_dir();
    let until = jiff::Zoned::now().datetime().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let path = hospital.to_str().unwrap();
    let made = site.bare(["sample", "hospital", path, "--json", "--until", &until, "--patients", "5"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let stage = Stage::new(&["clinic"], &[]);
    stage.init("clinic");
    let state = stage.path("state");
    let state = state.to_str().unwrap();
    assert_eq!(stage.backup("clinic", &hospital).code, 0);
    let drilled = stage.ours("clinic", ["drill", "--state", state]);
    assert_eq!(drilled.code, 0, "{}{}", drilled.stdout, drilled.stderr);
    let status = stage.ours("clinic", ["status", "--state", state]);
    assert!(status.last()["rpo_seconds"].is_number(), "{}", status.stdout);
    let charts = stage.ours("clinic", ["charts", "list"]);
    assert_eq!(charts.code, 0, "{}", charts.stderr);
    let sheet = stage.ours("clinic", ["recovery-sheet"]);
    assert!(sheet.stdout.contains(&format!("--vault {}", stage.address("clinic"))), "{}", sheet.stdout);
}

#[test]
fn a_server_is_trusted_for_its_certificate_and_a_client_for_its_key() {
    let stage = Stage::new(&["clinic", "ward"], &[]);
    stage.init("clinic");
    let fingerprint = stage.fingerprint.clone().unwrap();
    let wrong =
        fingerprint.replace(&fingerprint[..2], if fingerprint.starts_with("00") { "11" } else { "00" });
    let with = |pairs: &[(&str, &str)]| {
        let mut command = stage.command("clinic", ["snapshots", "--json"]);
        command.env_remove("CHARTWARD_REST_CA");
        for (name, value) in pairs {
            command.env(name, value);
        }
        crate::support::run(&mut command)
    };
    let pinned = with(&[("CHARTWARD_REST_FINGERPRINT", &fingerprint)]);
    assert_eq!(pinned.code, 0, "{}", pinned.stderr);
    for (pairs, said) in [
        (vec![("CHARTWARD_REST_FINGERPRINT", wrong.as_str())], "another fingerprint"),
        (vec![], "certificate"),
        (
            vec![("CHARTWARD_REST_FINGERPRINT", &fingerprint), ("CHARTWARD_REST_KEY", stage.key("ward"))],
            "does not accept the name or the key",
        ),
        (
            vec![("CHARTWARD_REST_FINGERPRINT", &fingerprint), ("CHARTWARD_VAULT", &stage.address("ward"))],
            "does not accept the name or the key",
        ),
    ] {
        let refused = with(&pairs);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{pairs:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains(stage.key("clinic")), "the key is shown");
    }
    // A key that is revoked or renewed while the server runs.
    assert_eq!(stage.at_host(["client", "revoke", "clinic"]).code, 0);
    let refused = with(&[("CHARTWARD_REST_FINGERPRINT", &fingerprint)]);
    assert!(refused.stderr.contains("does not accept"), "{}", refused.stderr);
    let renewed = stage.at_host(["client", "renew", "clinic"]);
    let key = renewed.last()["key"].as_str().unwrap();
    let back = with(&[("CHARTWARD_REST_FINGERPRINT", &fingerprint), ("CHARTWARD_REST_KEY", key)]);
    assert_eq!(back.code, 0, "{}", back.stderr);
}

#[test]
fn an_administrator_forgets_with_a_stock_restic_and_the_host_can_take_it_back() {
    let test = "an_administrator_forgets_with_a_stock_restic_and_the_host_can_take_it_back";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let stage = Stage::new(&["clinic", "boss --admin --of clinic"], &[]);
    let source = stage.source("source", 1);
    let as_was = files(&source);
    stage.init("clinic");
    let id = stage.backup("clinic", &source).last()["snapshot"].as_str().unwrap().to_owned();
    let before = stage.stored("clinic");
    stage.restic_ok("boss", "clinic", &["forget", &id, "--prune"]);
    assert_eq!(
        stage.ours("clinic", ["snapshots"]).lines.iter().filter(|line| line["id"].is_string()).count(),
        0
    );
    let removals = stage.at_host(["removals", "list"]);
    let removal = removals.last();
    assert!(removal["by"] == "boss" && removal["snapshots"] == 1, "{removal}");
    assert_eq!(stage.at_host(["removals", "run"]).last()["files"], 0, "nothing is due");
    let number = removal["removal"].to_string();
    let cancelled = stage.at_host(["removals", "cancel", "clinic", &number]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    let after = stage.stored("clinic");
    assert!(before.iter().all(|(path, content)| after.get(path) == Some(content)));
    stage.assert_restores("clinic", "clinic", &id, &source, &as_was);
    let audited = stage.audited();
    for what in ["client-added", "removal", "removal-cancelled"] {
        assert!(audited.iter().any(|line| line == what), "{what}: {audited:?}");
    }
    let receipts = stage.at_host(["receipts", "clinic"]);
    let events: Vec<&Value> = receipts.lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["received", "set-aside", "put-back"]);
}
