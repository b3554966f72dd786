//! A gateway of a test, in this process or in one that can be killed.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use observe::mail::quarantine::{Keeping, Store};
use observe::mail::reinject::{Given, Way};
use schema::{AuthResult, Authentication, MailReason};
use serde_json::Value;
use testkit::servers::{Postfix, free_port, until};

use super::super::policy::Policy;
use super::super::*;

pub(crate) const TO: &str = "oncall@hospital.invalid";
const ANOTHER_PROCESS: &str = "CHARTWARD_TEST_GATEWAY";

pub(crate) fn has_postfix(test: &str) -> bool {
    testkit::tool(test, "postfix").is_some()
}

/// A mail with that subject.
pub(crate) fn mail(subject: &str) -> Vec<u8> {
    format!(
        "From: Sender <a@sender.example>\r\nTo: {TO}\r\nSubject: {subject}\r\nX-Chartward-Verdict: clean\r\n\
         Message-ID: <{subject}@sender.example>\r\n\r\nThe body of {subject}.\r\n"
    )
    .into_bytes()
}

/// Goes by the subject's first word.
fn by_subject(message: &[u8], _: &Envelope, authentication: &Authentication) -> anyhow::Result<Judged> {
    let text = String::from_utf8_lossy(message);
    let subject = text.split("Subject: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let forged = authentication.spf.as_ref().is_some_and(|(result, _)| *result == AuthResult::Fail);
    let verdict = match subject.split(['-', ' ']).next().unwrap_or_default() {
        _ if forged => MailVerdict::Phishing,
        "suspicious" => MailVerdict::Suspicious,
        "phish" => MailVerdict::Phishing,
        "virus" => MailVerdict::Malicious,
        "broken" => MailVerdict::Unreadable,
        "panic" => panic!("a judge that breaks off, on purpose"),
        _ => MailVerdict::Clean,
    };
    let reason = MailReason {
        id: "test.subject".into(),
        weight: 3.0,
        text: "Its subject says so.".into(),
        text_ja: "件名から判断しました。".into(),
        evidence: vec!["hxxp://a[.]invalid".into()],
    };
    let reasons = if verdict == MailVerdict::Clean { Vec::new() } else { vec![reason] };
    Ok(Judged {
        judgement: MailJudgement { verdict, score: 3.0, reasons },
        attachments: vec!["00".repeat(32)],
        subject: subject.to_owned(),
    })
}

fn judge() -> Judge {
    Judge { weigh: Box::new(by_subject), reload: Box::new(|_| Ok(0)) }
}

pub(crate) fn settings(listen: &str, folder: &Path, policy: &[&str]) -> Settings {
    let policy = policy.iter().fold(Policy::default(), |policy, word| policy.with(word.parse().unwrap()));
    Settings {
        listen: listen.parse().unwrap(),
        policy,
        on_failure: OnFailure::Tempfail,
        dns: None,
        relays: Vec::new(),
        quarantine: folder.join("quarantine"),
        keeping: Keeping::default(),
        banner: false,
        subject_prefix: String::new(),
        contact: "03-0000-0000".into(),
        bounds: Bounds::default(),
        control: None,
    }
}

fn reachable(port: u16) {
    until("the gateway", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
}

/// Postfix with a gateway before it.
pub(crate) struct Gateway {
    pub(crate) postfix: Postfix,
    pub(crate) smtp: u16,
    pub(crate) milter: u16,
    pub(crate) dir: tempfile::TempDir,
    lines: Arc<Mutex<Vec<Value>>>,
    stop: Arc<AtomicBool>,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Gateway {
    /// Postfix alone, which asks at a port where nobody listens yet.
    pub(crate) fn down(default_action: &str) -> Self {
        let (smtp, milter) = (free_port(), free_port());
        let main_cf = format!(
            "smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = {default_action}\nmilter_connect_timeout = 5s\n\
             smtpd_authorized_xclient_hosts = 127.0.0.0/8\nsmtpd_client_connection_count_limit = 0\nsmtpd_recipient_restrictions = permit_auth_destination, reject\n"
        );
        let postfix = Postfix::start_with(smtp, &main_cf);
        let dir = tempfile::tempdir().unwrap();
        let (lines, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        Self { postfix, smtp, milter, dir, lines, stop, running: None }
    }

    pub(crate) fn start(policy: &[&str]) -> Self {
        Self::start_with(policy, |_| {})
    }

    pub(crate) fn start_with(policy: &[&str], change: impl FnOnce(&mut Settings)) -> Self {
        let mut gateway = Self::down("tempfail");
        let mut settings = settings(&gateway.listen(), gateway.dir.path(), policy);
        change(&mut settings);
        let (lines, stop) = (Arc::clone(&gateway.lines), Arc::clone(&gateway.stop));
        let tell: Tell = Arc::new(move |report| lines.lock().unwrap().extend(as_json(&report)));
        gateway.running = Some(thread::spawn(move || serve(settings, judge(), &stop, tell)));
        reachable(gateway.milter);
        gateway
    }

    pub(crate) fn listen(&self) -> String {
        format!("inet:{}@127.0.0.1", self.milter)
    }

    pub(crate) fn way(&self) -> Way {
        Way::Smtp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.smtp)))
    }

    /// Sends as another mail server does; an error holds Postfix's answer.
    pub(crate) fn send(&self, message: &[u8]) -> Result<(), String> {
        let to = [TO.to_owned()];
        let given = Given { from: "a@sender.example", to: &to, message };
        self.way().give(&given, Duration::from_secs(60)).map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.dir.path().join("quarantine"), Keeping::default()).unwrap()
    }

    /// Lines of that class or type.
    pub(crate) fn lines(&self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lines.lock().unwrap().iter().filter(|line| holds(line)).cloned().collect()
    }

    /// The mails in the mailbox with that subject, once nothing is on its way.
    pub(crate) fn delivered(&self, word: &str) -> Vec<Vec<u8>> {
        self.postfix.settled();
        let body = format!("The body of {word}.");
        let holds = |mail: &Vec<u8>| mail.windows(body.len()).any(|window| window == body.as_bytes());
        self.postfix.mails().into_iter().filter(holds).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// A gateway in a process of its own, killed when dropped.
pub(crate) struct Killable(Child);

impl Killable {
    pub(crate) fn start(gateway: &Gateway) -> Self {
        let own = std::env::current_exe().unwrap();
        let child = Command::new(own)
            .args(["--exact", "wiring::mail::tests::gateway::a_gateway_in_a_process_of_its_own"])
            .env(ANOTHER_PROCESS, format!("{}\n{}", gateway.listen(), gateway.dir.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self(child);
        reachable(gateway.milter);
        started
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test by itself: what [`Killable`] runs.
#[test]
fn a_gateway_in_a_process_of_its_own() {
    let Ok(said) = std::env::var(ANOTHER_PROCESS) else { return };
    let (listen, folder) = said.split_once('\n').unwrap();
    let settings = settings(listen, Path::new(folder), &["phishing=quarantine"]);
    serve(settings, judge(), &AtomicBool::new(false), Arc::new(|_| {})).unwrap();
}
