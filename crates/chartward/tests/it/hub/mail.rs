//! The mail gateway as a child of the hub: with few rights, and still between Postfix and the mailboxes.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use testkit::servers::{Postfix, free_port};

use super::stage::{Stage, until};

fn send(smtp: u16, subject: &str) {
    let sent = Command::new("swaks")
        .args(["--server", &Ipv4Addr::LOCALHOST.to_string(), "--port", &smtp.to_string(), "--silent", "3"])
        .args(["--from", "a@sender.example", "--to", "oncall@hospital.invalid"])
        .args(["--header", &format!("Subject: {subject}"), "--header", "X-Chartward-Verdict: forged"])
        .args(["--body", &format!("The body of {subject}.")])
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

#[test]
fn the_hub_runs_the_gateway_with_few_rights_and_postfix_reaches_it() {
    let test = "the_hub_runs_the_gateway_with_few_rights_and_postfix_reaches_it";
    if ["postfix", "swaks"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let stage = Stage::new();
    let milter = free_port();
    stage.configure(&format!(
        "[mail]\nlisten = \"inet:{milter}@127.0.0.1\"\nphishing = \"quarantine\"\nsubject_prefix = \"--\"\n\n\
         [[watch]]\nname = \"gateway\"\nmail = true\n"
    ));
    let hub = stage.up();
    until("the gateway to be ready", || {
        let watchers = stage.api(&hub, "/api/v1/watchers");
        (watchers["watchers"][0]["state"] == "ready").then_some(())
    });
    let smtp = free_port();
    let postfix = Postfix::start_with(
        smtp,
        &format!("smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\n"),
    );
    send(smtp, "hello");
    let delivered = postfix.mail("The body of hello.");
    assert!(!delivered.contains("X-Chartward"), "the gateway saw it: {delivered}");
    let quarantine = stage.state.join("mail/quarantine");
    assert!(quarantine.join("secret").exists());
    let health = ask(&stage.state.join("mail/control.sock"), r#"{"do":"health"}"#);
    assert!(health.contains("\"clean\":1"), "{health}");
}

/// With everything of [mail] that lies outside the gateway's own folder: brands, a policy, clamd's socket.
#[test]
fn a_gateway_with_few_rights_reaches_its_files_and_clamd() {
    let test = "a_gateway_with_few_rights_reaches_its_files_and_clamd";
    if ["postfix", "swaks"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let text = testkit::clamd::eicar();
    let Some(daemon) = testkit::clamd::Daemon::start(test, &[("Test.Own", text.as_bytes())]) else { return };
    let stage = Stage::new();
    let brands = "[[brand]]\nid = \"kita\"\nname = \"Kita Clinic\"\nname_ja = \"北診療所\"\nsector = \"own\"\n\
                  domains = [\"kita-clinic.example\"]\naliases = [\"北診療所\"]\n";
    let brands = stage.file("brands.toml", brands);
    let weighing = stage.file("policy.toml", "[[reason]]\nid = \"html.only\"\nsilent = true\n");
    let milter = free_port();
    stage.configure(&format!(
        "[mail]\nlisten = \"inet:{milter}@127.0.0.1\"\ndns = \"off\"\nphishing = \"quarantine\"\nmalicious = \"quarantine\"\n\
         on_failure = \"tempfail\"\nbrands = {brands:?}\nweighing = {weighing:?}\nclamd = {:?}\ntrust_authserv_ids = [\"mx.hospital.invalid\"]\n\n\
         [[watch]]\nname = \"gateway\"\nmail = true\n",
        daemon.socket()
    ));
    let hub = stage.up();
    until("the gateway to be ready", || {
        let watchers = stage.api(&hub, "/api/v1/watchers");
        (watchers["watchers"][0]["state"] == "ready").then_some(())
    });
    let smtp = free_port();
    let postfix = Postfix::start_with(
        smtp,
        &format!("smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\n"),
    );
    let control = stage.state.join("mail/control.sock");
    send(smtp, "hello");
    postfix.mail("The body of hello.");
    let attached = format!("@{}", stage.file("a.txt", &text).display());
    // Known to clamd alone, and to the brands' file alone.
    sends(
        smtp,
        &[
            "--header",
            "Subject: report",
            "--attach-type",
            "text/plain",
            "--attach-name",
            "a.txt",
            "--attach",
            &attached,
        ],
    );
    sends(
        smtp,
        &[
            "--h-From",
            "\"北診療所\" <a@sender.example>",
            "--header",
            "Subject: =?UTF-8?B?44Ki44Kr44Km44Oz44OI44Gu56K66KqN?=",
            "--body",
            "Please verify your account: https://sample-host.example/",
        ],
    );
    let health = ask(&control, r#"{"do":"health"}"#);
    assert!(health.contains("\"malicious\":1") && health.contains("\"phishing\":1"), "{health}");

    // Another file takes the policy's place: the gateway could not open it, and is told what stands in it.
    let changed = stage.ask(&[
        "mail",
        "policy",
        "allow",
        "sender.example",
        "--config",
        stage.path("chartward.toml").to_str().unwrap(),
    ]);
    assert_eq!(
        (changed.code, changed.lines[0]["gateway"].as_str()),
        (0, Some("reloaded")),
        "{}",
        changed.stderr
    );
    let policy = std::fs::read_to_string(&weighing).unwrap();
    assert!(policy.contains("html.only") && policy.contains("sender.example"), "{policy}");
    let ledger = std::fs::read_to_string(stage.state.join("ledger.jsonl")).unwrap();
    assert!(ledger.contains("\"mail_policy_changed\""), "{ledger}");
}

/// A program of the gateway's class, with the gateway's rights: what it can reach, and what not.
#[test]
fn a_watcher_of_mail_writes_to_its_own_folder_only() {
    let test = "a_watcher_of_mail_writes_to_its_own_folder_only";
    if !testkit::root(test) || testkit::tool(test, "python3").is_none() {
        return;
    }
    let stage = Stage::new();
    let open = stage.path("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    stage.file("secret.txt", "of no business to it");
    let probe = stage.file("probe.py", include_str!("mail_probe.py"));
    let (secret, port) = (stage.path("secret.txt"), free_port());
    stage.configure(&format!(
        "[[watch]]\nname = \"probe\"\nclass = \"mail\"\nexec = [\"/usr/bin/python3\", {probe:?}, {secret:?}, {open:?}, \"{port}\"]\nread = [{probe:?}]\n"
    ));
    let _hub = stage.up();
    let found = until("what it found", || {
        let places = ["mail", "watch/probe"].map(|place| stage.state.join(place).join("found.json"));
        places
            .iter()
            .find_map(|place| std::fs::read_to_string(place).ok())
            .filter(|text| text.ends_with('\n'))
    });
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let expected = serde_json::json!({
        "own": true, "secret": false, "elsewhere": false, "shadow": false, "listen": false, "root": false, "run": false,
    });
    assert_eq!(found, expected);
    assert!(std::fs::read_dir(&open).unwrap().next().is_none());
}

fn sends(smtp: u16, words: &[&str]) {
    let sent = Command::new("swaks")
        .args(["--server", &Ipv4Addr::LOCALHOST.to_string(), "--port", &smtp.to_string(), "--silent", "3"])
        .args(["--from", "a@sender.example", "--to", "oncall@hospital.invalid"])
        .args(words)
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
}

fn ask(socket: &Path, request: &str) -> String {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}
