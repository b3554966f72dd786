//! Accounts, secrets and tokens at the machine itself.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{BINARY, Run, Site, run};

fn with_input(site: &Site, args: &[&str], input: &[u8]) -> i32 {
    let mut child = site
        .command(args)
        .args(["--state", &site.state()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait().unwrap().code().unwrap()
}

fn json(site: &Site, args: &[&str]) -> Run {
    run(site.command(args).args(["--json", "--state", &site.state()]))
}

#[test]
fn accounts_are_made_reset_and_disabled() {
    let site = Site::new();
    let made = json(&site, &["user", "add", "tanaka", "--role", "admin"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let code = made.last()["code"].as_str().unwrap().to_owned();
    assert_eq!(code.len(), 24);
    assert_eq!(json(&site, &["user", "add", "tanaka"]).code, 2, "the name is taken");
    let again = json(&site, &["user", "reset", "tanaka"]);
    assert_ne!(again.last()["code"].as_str().unwrap(), code);
    assert_eq!(json(&site, &["user", "role", "tanaka", "viewer"]).code, 2, "the last administrator");
    assert_eq!(json(&site, &["user", "add", "suzuki"]).code, 0);
    assert_eq!(json(&site, &["user", "disable", "suzuki"]).code, 0);
    assert_eq!(json(&site, &["user", "disable", "nobody"]).code, 2);
    let listed = json(&site, &["user", "list"]);
    assert_eq!(listed.lines.len(), 2);
    assert_eq!(listed.lines[0]["name"], "suzuki");
    assert!(!listed.lines[0]["disabled_at"].is_null());
    assert_eq!((&listed.lines[1]["role"], &listed.lines[1]["invited"]), (&"admin".into(), &true.into()));
    let ledger = fs::read_to_string(site.path().join("state/ledger.jsonl")).unwrap();
    for what in ["add_user", "reset_user", "disable_user"] {
        assert!(ledger.contains(what), "{what} is in the ledger");
    }
    assert!(!ledger.contains(&code));
}

#[test]
fn secrets_go_in_and_never_come_out() {
    let site = Site::new();
    assert_eq!(with_input(&site, &["secret", "set", "smtp.password"], b"hunter2-hunter2\n"), 0);
    assert_eq!(with_input(&site, &["secret", "set", "Not A Name"], b"value"), 2);
    assert_eq!(with_input(&site, &["secret", "set", "empty"], b"\n"), 2);
    let listed = json(&site, &["secret", "list"]);
    assert_eq!(listed.lines.iter().map(|line| &line["name"]).collect::<Vec<_>>(), ["smtp.password"]);
    for file in crate::support::files(&site.path().join("state")).into_values() {
        assert!(!file.windows(15).any(|window| window == b"hunter2-hunter2"));
    }
    assert_eq!(json(&site, &["secret", "remove", "smtp.password"]).code, 0);
    assert_eq!(json(&site, &["secret", "remove", "smtp.password"]).code, 2);
}

#[test]
fn tokens_are_shown_once_and_revoked() {
    let site = Site::new();
    let made = json(&site, &["token", "add", "prometheus", "--days", "30"]);
    let token = made.last()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("cw_") && token.len() == 67);
    assert_eq!(json(&site, &["token", "add", "forever", "--days", "400"]).code, 2);
    let listed = json(&site, &["token", "list"]);
    assert!(!listed.stdout.contains(&token));
    assert_eq!((&listed.last()["name"], &listed.last()["role"]), (&"prometheus".into(), &"viewer".into()));
    assert_eq!(json(&site, &["token", "revoke", "1"]).code, 0);
    assert!(!json(&site, &["token", "list"]).last()["revoked_at"].is_null());
    assert_eq!(json(&site, &["token", "revoke", "1"]).code, 2);
}

#[test]
fn a_killed_write_leaves_the_old_secrets_or_the_new_ones() {
    let site = Site::new();
    assert_eq!(with_input(&site, &["secret", "set", "first"], b"kept"), 0);
    let mut killed = 0;
    for round in 0..30_u64 {
        let mut child = Command::new(BINARY)
            .args(["secret", "set", &format!("round-{round}"), "--state", &site.state()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&vec![b'x'; 60_000]).unwrap();
        std::thread::sleep(Duration::from_millis(round * 3));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let listed = json(&site, &["secret", "list"]);
        assert_eq!(listed.code, 0, "round {round}: {}", listed.stderr);
        assert!(listed.stdout.contains("first"), "round {round}");
    }
    assert!(killed > 0, "no write was killed");
    assert_eq!(with_input(&site, &["secret", "set", "last"], b"after all that"), 0);
}
