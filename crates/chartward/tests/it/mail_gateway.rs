//! The whole way of a phishing mail: from another mail server through Postfix and the gateway, with the real judge, to a mailbox or not.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use testkit::dns::{Names, Record};
use testkit::servers::{Postfix, free_port};

use crate::mail_made::{Charset, HOSTS, LIST_SENDER, SUBJECTS, TO, WAYS, from_list, lure};
use crate::support::{BINARY, Run, run};

/// `chartward mail serve` behind a Postfix; both end with the test.
pub(crate) struct Gateway {
    pub(crate) postfix: Postfix,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) smtp: u16,
    milter: u16,
    serving: Option<Child>,
    lines: Arc<Mutex<Vec<Value>>>,
}

/// What a sender learnt of a mail.
pub(crate) struct Sent {
    pub(crate) taken: bool,
    pub(crate) said: String,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let (smtp, milter) = (free_port(), free_port());
        let postfix = Postfix::start_with(
            smtp,
            &format!(
                "smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\nmilter_content_timeout = 60s\n\
                 smtpd_authorized_xclient_hosts = 127.0.0.0/8\nsmtpd_recipient_restrictions = permit_auth_destination, reject\n"
            ),
        );
        let folder = tempfile::tempdir().unwrap();
        Self { postfix, folder, smtp, milter, serving: None, lines: Arc::default() }
    }

    /// Starts it, or starts it anew with other words; asked once it says that it is ready.
    pub(crate) fn serve(&mut self, words: &[&str]) {
        self.end();
        let mut child = Command::new(BINARY)
            .args(["mail", "serve", "--listen", &format!("inet:{}@127.0.0.1", self.milter), "--quarantine"])
            .arg(self.quarantine())
            .arg("--control")
            .arg(self.control())
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.serving = Some(child);
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["type"], "ready");
        let heard = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().extend(serde_json::from_str::<Value>(&line));
            }
        });
    }

    fn end(&mut self) {
        if let Some(mut child) = self.serving.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.folder.path().join("mail/quarantine")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.folder.path().join("mail/control.sock")
    }

    /// Sends it as a machine of that address does.
    pub(crate) fn send(&self, from: &str, client: &str, mail: &[u8]) -> Sent {
        let file = self.folder.path().join("sent.eml");
        std::fs::write(&file, mail).unwrap();
        let sent = Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &self.smtp.to_string(), "--from", from, "--to", TO])
            .args([
                "--helo",
                "mx.sender.example",
                "--xclient-addr",
                client,
                "--xclient-name",
                "mx.sender.example",
            ])
            .arg("--data")
            .arg(format!("@{}", file.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&sent.stdout).into_owned();
        Sent { taken: sent.status.success(), said }
    }

    pub(crate) fn ask(&self, words: &[&str]) -> Run {
        let mut command = Command::new(BINARY);
        run(command
            .args(["mail", "quarantine"])
            .args(words)
            .args(["--json", "--quarantine"])
            .arg(self.quarantine()))
    }

    pub(crate) fn held(&self) -> Vec<Value> {
        self.ask(&["list"]).lines
    }

    /// All that lies in the mailbox, once nothing is on its way.
    pub(crate) fn delivered(&self) -> Vec<String> {
        self.postfix.settled();
        self.postfix.mails().iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect()
    }

    pub(crate) fn lines(&self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lines.lock().unwrap().iter().filter(|line| holds(line)).cloned().collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn has_tools(test: &str) -> bool {
    ["postfix", "swaks"].iter().all(|tool| testkit::tool(test, tool).is_some())
}

/// Who may send for whom.
fn names() -> Names {
    let spf =
        |name: &str, address: &str| (name.to_owned(), Record::Txt(format!("v=spf1 ip4:{address} -all")));
    Names::start(vec![spf("ml.univ.example", "192.0.2.10"), spf("mail-77.example", "198.51.100.7")])
}

const LIST: &str = "192.0.2.10";
/// The imitators' own machine: SPF holds for their own domain, as it does for most of them.
const STRANGER: &str = "198.51.100.7";
const FROM: &str = "no-reply@mail-77.example";

/// Both subjects in every charset and form, each to another host.
fn lures() -> Vec<Vec<u8>> {
    let all = SUBJECTS.iter().flat_map(|subject| WAYS.map(|way| (*subject, way)));
    all.zip(HOSTS.iter().cycle()).map(|((subject, way), host)| lure(subject, host, FROM, way)).collect()
}

#[test]
fn phishing_is_held_back_and_released_and_a_list_goes_through() {
    let test = "phishing_is_held_back_and_released_and_a_list_goes_through";
    if !has_tools(test) {
        return;
    }
    let names = names();
    let dns = names.at.to_string();
    let mut gateway = Gateway::new();
    gateway.serve(&["--dns", &dns, "--policy", "quarantine"]);
    let lures = lures();
    for mail in &lures {
        let sent = gateway.send(FROM, STRANGER, mail);
        assert!(sent.taken, "its sender learns nothing: {}", sent.said);
    }
    for charset in [Charset::Iso2022Jp, Charset::Utf8] {
        assert!(gateway.send(LIST_SENDER, LIST, &from_list(charset)).taken);
    }
    let delivered = gateway.delivered();
    assert_eq!(delivered.len(), 2, "only the list's: {delivered:?}");
    assert!(delivered.iter().all(|mail| mail.contains("List-Id: <med-sec") && !mail.contains("X-Chartward")));
    let held = gateway.held();
    assert_eq!(held.len(), lures.len());
    for mail in &held {
        assert_eq!(mail["verdict"], "phishing", "{mail:#}");
        let reasons = mail["reasons"].to_string();
        assert!(reasons.contains("brand.impersonation") && reasons.contains("かたっています"), "{mail:#}");
        let subject = mail["subject"].as_str().unwrap();
        assert!(SUBJECTS.iter().any(|(_, known)| *known == subject), "decoded: {subject}");
    }
    let activity = gateway.lines(|line| line["class_uid"] == 4009);
    assert_eq!(activity.iter().filter(|line| line["mail"]["verdict"] == "clean").count(), 2);
    release_all(&gateway, &held, &lures);
}

/// Each as it came, byte for byte below its header, and once.
fn release_all(gateway: &Gateway, held: &[Value], lures: &[Vec<u8>]) {
    let via = format!("127.0.0.1:{}", gateway.smtp);
    for mail in held {
        let released = gateway.ask(&["release", mail["id"].as_str().unwrap(), "--via", &via]);
        assert_eq!(released.code, 0, "{}", released.stderr);
    }
    let delivered = gateway.delivered();
    assert_eq!(delivered.len(), 2 + lures.len());
    assert_eq!(
        delivered.iter().filter(|mail| mail.contains("X-Chartward-Verdict: released")).count(),
        lures.len()
    );
    for lure in lures {
        let text = String::from_utf8_lossy(lure).replace("\r\n", "\n");
        let (_, body) = text.split_once("\n\n").unwrap();
        assert!(delivered.iter().any(|mail| mail.trim_end().ends_with(body.trim_end())), "{body}");
    }
}

#[test]
fn phishing_is_marked_or_refused_as_the_policy_says() {
    if !has_tools("phishing_is_marked_or_refused_as_the_policy_says") {
        return;
    }
    let lures = lures();
    let mut gateway = Gateway::new();
    gateway.serve(&["--dns", "off", "--policy", "phishing=tag", "--banner", "--subject-prefix", "[注意]"]);
    for mail in &lures {
        assert!(gateway.send(FROM, STRANGER, mail).taken);
    }
    let delivered = gateway.delivered();
    assert_eq!(delivered.len(), lures.len());
    for mail in &delivered {
        for mark in
            ["X-Chartward-Verdict: phishing\n", "X-Chartward-Reasons: ", "Subject: =?UTF-8?B?W+azqOaEj10=?="]
        {
            assert!(mail.contains(mark), "{mark}: {mail}");
        }
        let is_jis = mail.contains("charset=ISO-2022-JP");
        let (read, _, broken) = if is_jis {
            encoding_rs::ISO_2022_JP.decode(mail.as_bytes())
        } else {
            encoding_rs::UTF_8.decode(mail.as_bytes())
        };
        // In HTML the warning is written in entities, whatever the charset.
        let warned = read.contains("なりすまし") || read.contains("&#x306A;&#x308A;&#x3059;&#x307E;&#x3057;");
        assert!(!broken && warned && read.contains("通常とは異なる操作"), "{read}");
    }

    gateway.serve(&["--dns", "off", "--policy", "phishing=reject", "--contact", "+81-3-0000-0000"]);
    for mail in &lures {
        let sent = gateway.send(FROM, STRANGER, mail);
        assert!(
            !sent.taken && sent.said.contains("550 5.7.1") && sent.said.contains("+81-3"),
            "{}",
            sent.said
        );
    }
    assert!(gateway.send(LIST_SENDER, LIST, &from_list(Charset::Iso2022Jp)).taken);
    assert_eq!(gateway.delivered().len(), lures.len() + 1);
    assert!(gateway.held().is_empty());

    gateway.serve(&["--dns", "off", "--policy", "watch"]);
    assert!(gateway.send(FROM, STRANGER, &lures[0]).taken);
    let watched = gateway.delivered();
    assert_eq!(watched.len(), lures.len() + 2, "it is only told");
    assert!(
        gateway.lines(|line| line["class_uid"] == 2004).iter().any(|line| line["mail"]["action"] == "watch")
    );
    assert!(Path::new(&gateway.quarantine()).join("secret").exists());
}
