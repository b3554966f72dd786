//! Retention goes by when the host received a snapshot, never by what the snapshot says of itself.

use std::fs;

use serde_json::Value;

use super::stage::{Stage, noise};
use crate::support::{BINARY, PASSPHRASE, Run, run};

/// `vault forget` at the host itself.
fn forget(stage: &Stage, more: &[&str]) -> Run {
    let mut command = std::process::Command::new(BINARY);
    command.args(["vault", "forget", "--json", "--group-by", "nothing", "--vault"]);
    command.arg(stage.path("host/repositories/clinic")).arg("--state").arg(stage.path("keeper")).args(more);
    run(command.env("CHARTWARD_PASSWORD", PASSPHRASE).env("LC_ALL", "C.UTF-8"))
}

fn by_year<'r>(run: &'r Run, year: &str) -> &'r Value {
    let dated = |line: &&Value| line["time"].as_str().is_some_and(|time| time.starts_with(year));
    run.lines.iter().find(dated).unwrap_or_else(|| panic!("{year}: {}{}", run.stdout, run.stderr))
}

#[test]
fn snapshots_of_other_times_evict_nothing() {
    let test = "snapshots_of_other_times_evict_nothing";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let stage = Stage::plain(&["clinic"], &[]);
    let source = stage.source("source", 1);
    let folder = source.to_str().unwrap();
    stage.init("clinic");
    for at in ["1999-01-01 00:00:00", "2099-01-01 00:00:00", "2099-06-01 00:00:00"] {
        fs::write(source.join("later"), noise(at.len() as u64, 10_000)).unwrap();
        stage.restic_ok("clinic", "clinic", &["backup", "--time", at, folder]);
    }
    let true_one = stage.backup("clinic", &source).last()["snapshot"].as_str().unwrap().to_owned();

    // By its own date the one of 1999 would be gone first, and those of 2099 would be the newest for ever.
    let within = forget(&stage, &["--keep-within", "2d"]);
    assert_eq!(
        (within.code, &within.last()["forgotten"]),
        (1, &0.into()),
        "{}{}",
        within.stdout,
        within.stderr
    );
    assert!(!by_year(&within, "1999")["counted_at"].as_str().unwrap().starts_with("1999"));
    let plan = forget(&stage, &["--keep-last", "1"]);
    assert_eq!((plan.code, &plan.last()["future_dated"]), (1, &2.into()), "{}", plan.stdout);
    assert!(by_year(&plan, "2099").to_string().contains("future_dated"));
    assert_eq!(by_year(&plan, "1999")["fate"], "forgotten");
    let kept = plan.lines.iter().find(|line| line["id"] == true_one.as_str()).unwrap();
    assert_eq!(kept["fate"], "kept", "{kept}");

    let done = forget(&stage, &["--keep-last", "1", "--apply"]);
    assert_eq!((done.code, &done.last()["forgotten"]), (1, &1.into()), "{}{}", done.stdout, done.stderr);
    let listed = stage.restic_ok("clinic", "clinic", &["snapshots"]);
    assert!(
        listed.contains("2099") && !listed.contains("1999") && listed.contains(&true_one[..8]),
        "{listed}"
    );
    assert!(stage.audited().iter().any(|what| what == "forgotten"));

    // Named for another folder, or with receipts that somebody changed, it forgets nothing.
    let elsewhere = stage.path("source");
    let wrong = forget(&stage, &["--keep-last", "1", "--apply", "--vault-host", elsewhere.to_str().unwrap()]);
    assert!(wrong.code == 2 && wrong.stderr.contains("is not below"), "{}", wrong.stderr);
    let right = stage.path("host");
    let right = forget(&stage, &["--keep-last", "1", "--vault-host", right.to_str().unwrap()]);
    assert_eq!(right.code, 1, "{}", right.stderr);
    let path = stage.path("host/receipts/clinic.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"at\":\"20", "\"at\":\"19", 1)).unwrap();
    let broken = forget(&stage, &["--keep-last", "1", "--apply"]);
    assert!(broken.code == 2 && broken.stderr.contains("somebody changed them"), "{}", broken.stderr);
}
