//! A lock that runs out under a snapshot that is still needed is told before it does, by the host's own receipts.

use serde_json::Value;

use super::stage::Stage;

fn alarms(stage: &Stage, more: &[&str]) -> (Vec<String>, Value) {
    let state = stage.path("state");
    let mut args = vec!["status", "--state", state.to_str().unwrap()];
    args.extend(more);
    let told = stage.ours("clinic", args);
    let ids = told.last()["alarms"].as_array().unwrap().iter();
    let locks = ids.filter_map(|alarm| alarm["id"].as_str()).filter(|id| id.starts_with("backup.lock"));
    (locks.map(str::to_owned).collect(), told.last().clone())
}

#[test]
fn a_lock_that_ends_under_a_snapshot_that_is_needed_is_an_alarm() {
    for (retain_days, lead, expected) in [
        ("30", &[][..], &[][..]),
        ("2", &[], &["backup.lock_expiring"]),
        ("2", &["--lock-lead", "1h"], &[]),
        ("0", &["--lock-lead", "0s"], &["backup.lock_ended"]),
    ] {
        let stage = Stage::plain(&["clinic", "other"], &["--retain-days", retain_days]);
        stage.init("clinic");
        let source = stage.source("source", 1);
        let backup = stage.backup("clinic", &source);
        assert_eq!(backup.code, 0, "{}", backup.stderr);
        let (found, status) = alarms(&stage, lead);
        assert_eq!(found, expected, "{retain_days} {lead:?}: {status}");
        assert!(status.get("remarks").is_none(), "a vault host says what it locks: {status}");

        let (code, body) = stage.request("clinic", "GET", "/clinic/protection", b"");
        let said: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (code, said["retain_seconds"].as_u64()),
            (200, Some(86_400 * retain_days.parse::<u64>().unwrap()))
        );
        assert_eq!(said["snapshots"].as_array().unwrap().len(), 1, "{body}");
        assert_eq!(said["snapshots"][0]["id"], backup.last()["snapshot"]);
        assert_eq!(stage.request("other", "GET", "/clinic/protection", b"").0, 403);
        for method in ["POST", "DELETE", "PUT"] {
            assert!(stage.request("clinic", method, "/clinic/protection", b"").0 >= 400, "{method}");
        }
    }
}
