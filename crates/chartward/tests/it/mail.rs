//! The mail gateway's commands, from outside.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io::Write};

use serde_json::{Value, json};
use testkit::servers::{Postfix, free_port, until};

use crate::support::{BINARY, Run, run};

/// A gateway in the foreground, killed with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path, port: u16, more: &[&str]) -> (Serving, Value) {
    let child = Command::new(BINARY)
        .args([
            "mail",
            "serve",
            "--listen",
            &format!("inet:{port}@127.0.0.1"),
            "--dns",
            "off",
            "--quarantine",
        ])
        .arg(folder)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut serving = Serving(child);
    let mut lines = BufReader::new(serving.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (serving, serde_json::from_str(&first).unwrap())
}

fn quarantine(folder: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(BINARY);
    run(command.args(["mail", "quarantine"]).args(words).args(["--json", "--quarantine"]).arg(folder))
}

/// A quarantine with one mail of now, as the gateway writes it, and the mail's id.
fn held(dir: &Path) -> (PathBuf, String) {
    let now = jiff::Timestamp::now();
    let id = format!("{}-0123abcd", now.strftime("%Y%m%d-%H%M%S"));
    let folder = dir.join("quarantine");
    fs::create_dir_all(folder.join("pass")).unwrap();
    fs::write(folder.join("secret"), [7; 32]).unwrap();
    let entry = json!({
        "id": id, "at": now, "verdict": "phishing", "score": 4.5, "subject": "お使いのアカウント",
        "reasons": [{"id": "a.b", "weight": 4.5, "text": "It lies.", "text_ja": "偽りです。", "evidence": ["hxxp://a[.]invalid"]}],
        "envelope": {"from": "a@sender.example", "to": ["oncall@hospital.invalid"]},
    });
    let mut file = fs::File::create(folder.join(format!("{id}.mail"))).unwrap();
    write!(file, "{entry}\nFrom: a@sender.example\r\nSubject: held\r\n\r\nThe held body.\r\n").unwrap();
    (folder, id)
}

#[test]
fn a_gateway_says_that_it_is_ready_and_ends_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let (mut serving, ready) = serve(&dir.path().join("q"), port, &["--policy", "phishing=quarantine"]);
    assert_eq!((&ready["type"], &ready["armed"]), (&json!("ready"), &json!(true)), "{ready}");
    assert_eq!(ready["holds"], json!(["phishing mail: quarantine"]));
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    // The port is taken: said with a next step.
    let second = run(Command::new(BINARY)
        .args(["mail", "serve", "--listen", &format!("inet:{port}@127.0.0.1"), "--quarantine"])
        .arg(dir.path().join("other")));
    assert_eq!(second.code, 2, "{}", second.stderr);
    assert!(second.stderr.contains("next: use --listen"), "{}", second.stderr);
    let pid = rustix::process::Pid::from_child(&serving.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(serving.0.wait().unwrap().success());
}

#[test]
fn what_cannot_be_meant_is_said_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    for (words, said) in [
        (&["--policy", "phishing=block"][..], "block is none of watch, tag, quarantine, reject"),
        (&["--policy", "spam=tag"], "spam is none of"),
        (&["--listen", "inet:25@0.0.0.0"], "neither unix:/ABSOLUTE/PATH nor inet:PORT@127.0.0.1"),
        (&["--listen", "inet:0@127.0.0.1", "--dns", "a.example"], "neither `system` nor an address"),
        (&["--max-message", "much"], "not a number of bytes"),
    ] {
        let answer = run(Command::new(BINARY)
            .args(["mail", "serve", "--quarantine"])
            .arg(dir.path().join("q"))
            .args(words)
            .current_dir(dir.path()));
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(said), "{words:?}: {}", answer.stderr);
    }
}

#[test]
fn what_was_held_back_is_listed_shown_released_and_deleted() {
    if testkit::tool("what_was_held_back_is_listed_shown_released_and_deleted", "postfix").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (folder, id) = held(dir.path());
    let id = id.as_str();
    let milter = free_port();
    let (_serving, _) = serve(&folder, milter, &["--policy", "reject"]);
    let smtp = free_port();
    let postfix = Postfix::start_with(smtp, &format!("smtpd_milters = inet:127.0.0.1:{milter}\n"));

    let listed = quarantine(&folder, &["list"]);
    assert_eq!((listed.code, listed.lines.len()), (0, 1), "{}", listed.stderr);
    assert_eq!((&listed.lines[0]["id"], &listed.lines[0]["verdict"]), (&json!(id), &json!("phishing")));
    let shown = quarantine(&folder, &["show", id]);
    assert_eq!(shown.lines[0]["header"], "From: a@sender.example\r\nSubject: held");
    assert_eq!(quarantine(&folder, &["show", id, "--raw"]).stdout.lines().last(), Some("The held body."));

    let via = format!("127.0.0.1:{smtp}");
    let released = quarantine(&folder, &["release", id, "--via", &via]);
    assert_eq!(released.code, 0, "{}", released.stderr);
    assert_eq!(released.lines[0]["to"], json!(["oncall@hospital.invalid"]));
    let delivered = postfix.mail("The held body.");
    assert!(
        delivered.contains("X-Chartward-Verdict: released") && !delivered.contains("Released:"),
        "{delivered}"
    );
    let again = quarantine(&folder, &["release", id, "--via", &via]);
    assert!(again.code == 2 && again.stderr.contains("released already"), "{}", again.stderr);
    assert_eq!(quarantine(&folder, &["list"]).lines[0]["released"][0]["by"], "local");

    assert_eq!(quarantine(&folder, &["delete", id]).code, 0);
    let gone = quarantine(&folder, &["show", id]);
    assert!(
        gone.code == 2 && gone.stderr.contains("next: `chartward mail quarantine list`"),
        "{}",
        gone.stderr
    );
    assert_eq!(quarantine(&folder, &["list"]).lines.len(), 0);
    assert_eq!(quarantine(&dir.path().join("nowhere"), &["list"]).code, 0);
    assert_eq!(quarantine(&folder, &["show", "../secret"]).code, 2);
}

#[test]
fn a_killed_gateway_is_followed_by_one_at_the_same_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mail.sock");
    for _ in 0..2 {
        let child = Command::new(BINARY)
            .args([
                "mail",
                "serve",
                "--listen",
                &format!("unix:{}", socket.display()),
                "--dns",
                "off",
                "--quarantine",
            ])
            .arg(dir.path().join("q"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _serving = Serving(child);
        until("the socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
    }
}
