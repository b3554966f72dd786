//! `chartward up` for the first time, by somebody who may do nothing special.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::stage::{Stage, Up, until};
use crate::support::BINARY;

/// A user that no account has.
const NOBODY: u32 = 47_110;

#[test]
fn an_ordinary_user_gets_a_hub_that_says_what_it_cannot_do_and_does_the_rest() {
    let test = "an_ordinary_user";
    if ["setpriv", "curl"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    // The sample's console has a fixed port, so a network of its own.
    let Some(mut stage) = Stage::with_wall(test) else { return };
    let netns = stage.nft_namespace().to_owned();
    assert!(Command::new("ip").args(["-n", &netns, "link", "set", "lo", "up"]).status().unwrap().success());
    // Where the tests were built may be closed to others.
    let binary = stage.path("chartward");
    fs::copy(BINARY, &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let home = stage.path("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_user = || {
        let mut command = Command::new("ip");
        let id = NOBODY.to_string();
        command.args(["netns", "exec", &netns, "setpriv"]).args([
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "--bounding-set",
            "-all",
            "--",
        ]);
        command.arg(&binary).current_dir(&home).env("HOME", &home).env_remove("XDG_STATE_HOME");
        command.env_remove("CHARTWARD_STATE");
        command
    };
    let curl = |words: &[&str]| {
        let mut command = Command::new("ip");
        let out = command
            .args(["netns", "exec", &netns, "curl", "-s", "-k", "-L", "-m", "10"])
            .args(words)
            .output();
        String::from_utf8_lossy(&out.unwrap().stdout).into_owned()
    };
    let mut command = as_user();
    command.args(["up", "--json", "--patients", "8"]);
    let hub = Up::start(command, &stage.path("hub.log"));
    assert_eq!(hub.ready["type"], "ready", "{}", stage.log());
    let code = hub.ready["setup_code"].as_str().unwrap().to_owned();
    let url = hub.ready["console"].as_str().unwrap().to_owned();
    stage.state = hub.ready["state"].as_str().unwrap().into();
    assert!(stage.state.starts_with(&home), "{}", stage.state.display());

    // The first page asks for the code, and the code lets in.
    let page = curl(&[&url]);
    assert!(page.contains("name=\"code\""), "{page}");
    assert!(code.len() >= 8);

    // What it cannot do is said where a person looks, and nothing else waits for it.
    let run = |words: &[&str]| {
        let mut command = as_user();
        crate::support::run(command.args(words).arg("--json").arg("--state").arg(&stage.state))
    };
    let made = run(&["token", "add", "test"]);
    let header = format!("Authorization: Bearer {}", made.lines[0]["token"].as_str().unwrap());
    let watchers = until("the guard says how it watches", || {
        let said = curl(&["-H", &header, &format!("{}/api/v1/watchers", url.trim_end_matches('/'))]);
        (said.contains("guard-emr") && said.contains("\"ready\"")).then_some(said)
    });
    assert!(watchers.contains("root") || watchers.contains("CAP_SYS_ADMIN"), "{watchers}");
    until("a backup and a drill", || {
        let state = prove::State::open_read(&stage.state).unwrap();
        let runs = state.job_runs(Some("drill:emr"), 5).unwrap();
        runs.iter().any(|run| run.outcome == prove::state::JobOutcome::Done).then_some(())
    });
    let blocked = run(&["act", "apply", "block_address", "203.0.113.9"]);
    assert!(blocked.code == 1 && blocked.stderr.contains("could not be done"), "{}", blocked.stderr);
    assert!(blocked.stderr.contains("nft") || blocked.stderr.contains("root"), "{}", blocked.stderr);
    let locked = run(&["act", "apply", "lock_vault"]);
    assert_eq!(locked.code, 0, "{}", locked.stderr);
    let (status, took) = hub.stop();
    assert!(status == 0 && took.as_secs() < 15, "{status} {took:?} {}", stage.log());
    let owners = |path: &std::path::Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owners(&stage.state.join("state.db")), NOBODY);
    let verified = run(&["prove", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
}
