//! What the gateway says: nothing here holds a mail's text, a subject or a recipient's name.

use anyhow::Error;
use jiff::Timestamp;
use observe::mail::milter::Mail;
use observe::mail::quarantine::{Expired, Store};
use schema::{
    Attack, Entity, Finding, FindingClass, Lang, MailReason, MailVerdict, Severity, Subject, SubjectRole,
    Tactic,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::policy::{Action, OnFailure, verdict_name};
use super::{Judged, Settings};
use crate::wiring::said::Said;

/// More would not fit into a line that the hub takes.
const NAMED_MAX: usize = 24;

/// Something that the gateway has to say.
#[derive(Debug)]
pub(crate) enum Report {
    /// It stands between the mail server and the mailboxes from now on.
    Ready(Box<Ready>),
    /// A mail came.
    Seen(Box<Seen>),
    /// A mail that a person released passed.
    Passed {
        /// Its id in the quarantine.
        id: String,
    },
    /// Mails that were held back were forgotten.
    Expired(Vec<Expired>),
    /// Something does not work.
    Trouble {
        /// What and why.
        message: String,
    },
}

/// What it does and what it does not see.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    mode: &'static str,
    armed: bool,
    paths: Vec<String>,
    #[serde(flatten)]
    holds: Said,
    #[serde(flatten)]
    blind_spots: Said,
}

/// A mail as a finding names it.
#[derive(Debug)]
pub(crate) struct Seen {
    id: String,
    at: Timestamp,
    verdict: MailVerdict,
    score: f64,
    reasons: Vec<MailReason>,
    action: Action,
    /// Its id in the quarantine.
    kept: Option<String>,
    sender_domain: String,
    recipients: Vec<String>,
    attachments: Vec<String>,
    client: Option<std::net::IpAddr>,
    queue_id: String,
    bytes: usize,
}

impl Report {
    pub(super) fn trouble(error: &Error) -> Self {
        Report::Trouble { message: format!("{error:#}") }
    }
}

impl Seen {
    pub(super) fn new(
        store: &Store,
        mail: &Mail,
        judged: Judged,
        action: Action,
        kept: Option<String>,
        at: Timestamp,
    ) -> Self {
        let envelope = &mail.envelope;
        let domain = envelope.from.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_name = |char: &char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_');
        let id = kept.clone().or_else(|| Store::new_id(at).ok()).unwrap_or_default();
        Self {
            id,
            at,
            verdict: judged.judgement.verdict,
            score: judged.judgement.score,
            reasons: judged.judgement.reasons.into_iter().take(NAMED_MAX).collect(),
            action,
            kept,
            sender_domain: domain.to_lowercase().chars().filter(is_name).take(253).collect(),
            recipients: envelope.to.iter().take(NAMED_MAX).map(|to| store.recipient(to)).collect(),
            attachments: judged.attachments.into_iter().take(NAMED_MAX).collect(),
            client: envelope.client,
            queue_id: envelope.queue_id.chars().filter(char::is_ascii_alphanumeric).take(64).collect(),
            bytes: mail.message.len(),
        }
    }

    fn is_worth_a_finding(&self) -> bool {
        self.verdict != MailVerdict::Clean
    }

    /// What its lines have besides OCSF's own fields.
    fn mail(&self) -> Value {
        json!({
            "verdict": verdict_name(self.verdict),
            "score": self.score,
            "reasons": self.reasons.iter().map(|reason| &reason.id).collect::<Vec<_>>(),
            "action": self.action.name(),
            "quarantine_id": self.kept,
            "sender_domain": self.sender_domain,
            "recipients": self.recipients,
            "attachments": self.attachments,
            "queue_id": self.queue_id,
        })
    }

    /// OCSF Email Activity (4009): one for each mail, for the lake.
    fn activity(&self) -> Value {
        const RECEIVE: u32 = 2;
        const INBOUND: u32 = 1;
        let mut line = json!({
            "class_uid": 4009,
            "category_uid": 4,
            "activity_id": RECEIVE,
            "type_uid": 400_900 + RECEIVE,
            "time": self.at.as_millisecond(),
            "severity_id": Severity::Informational,
            "direction_id": INBOUND,
            "message": format!("mail: {}, {}", verdict_name(self.verdict), self.action.name()),
            "email": {"uid": self.id, "size": self.bytes},
            "mail": self.mail(),
            "metadata": {"product": {"name": "chartward", "vendor_name": "chartward"}, "version": "1.6.0"},
        });
        if let (Some(fields), Some(client)) = (line.as_object_mut(), self.client) {
            fields.insert("src_endpoint".into(), json!({"ip": client.to_string()}));
        }
        line
    }

    fn finding(&self) -> Finding {
        let what = What::of(self.verdict);
        let mut reasons: Vec<String> = self.reasons.iter().map(|reason| reason.text.clone()).collect();
        let mut reasons_ja: Vec<String> = self.reasons.iter().map(|reason| reason.text_ja.clone()).collect();
        let (done, done_ja) = done(self.action);
        reasons.push(done.to_owned());
        reasons_ja.push(done_ja.to_owned());
        let sender = Entity::Host { name: self.sender_domain.clone() };
        let subjects = if self.sender_domain.is_empty() {
            Vec::new()
        } else {
            vec![Subject { role: SubjectRole::Actor, entity: sender }]
        };
        Finding {
            time: self.at,
            class: FindingClass::Detection,
            detector: what.detector.into(),
            title: what.title.into(),
            title_ja: what.title_ja.into(),
            severity_id: what.severity,
            attacks: vec![Attack {
                technique: what.technique.0.into(),
                name: what.technique.1.into(),
                tactic: Tactic::InitialAccess,
            }],
            actor: format!(
                "mail from {}",
                if self.sender_domain.is_empty() { "an unknown sender" } else { &self.sender_domain }
            ),
            reasons,
            reasons_ja,
            uid: format!("{}-{}", what.detector, self.id),
            subjects,
        }
    }
}

/// How a verdict is told.
struct What {
    detector: &'static str,
    title: &'static str,
    title_ja: &'static str,
    severity: Severity,
    technique: (&'static str, &'static str),
}

impl What {
    fn of(verdict: MailVerdict) -> Self {
        let (detector, title, title_ja, severity, technique) = match verdict {
            MailVerdict::Malicious => (
                "malware.mail",
                "A mail carries something that runs or infects",
                "実行・感染のおそれがあるファイルが付いたメール",
                Severity::High,
                ("T1566.001", "Spearphishing Attachment"),
            ),
            MailVerdict::Phishing => (
                "phishing.mail",
                "A mail poses as somebody else",
                "なりすまし（フィッシング）のメール",
                Severity::Medium,
                ("T1566.002", "Spearphishing Link"),
            ),
            MailVerdict::Suspicious => (
                "phishing.mail",
                "A mail should be looked at twice",
                "注意して確認すべきメール",
                Severity::Low,
                ("T1566", "Phishing"),
            ),
            MailVerdict::Unreadable | MailVerdict::Clean => (
                "phishing.mail",
                "A mail could not be examined",
                "検査できなかったメール",
                Severity::Informational,
                ("T1566", "Phishing"),
            ),
        };
        Self { detector, title, title_ja, severity, technique }
    }
}

fn done(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Watch => ("It was delivered unchanged.", "そのまま配送しました。"),
        Action::Tag => ("It was delivered with a mark.", "印を付けて配送しました。"),
        Action::Quarantine => ("It was held back.", "隔離して、配送していません。"),
        Action::Reject => ("It was refused.", "受け取りを拒否しました。"),
    }
}

pub(super) fn ready(settings: &Settings) -> Ready {
    let mut holds = Said::new("holds", []);
    for (verdict, action) in settings.policy.all().into_iter().filter(|(_, it)| *it >= Action::Quarantine) {
        let ja = match verdict {
            "unreadable" => "判定できないメール",
            "suspicious" => "疑わしいメール",
            "phishing" => "フィッシングのメール",
            _ => "不正なメール",
        };
        let done = if action == Action::Reject { "受け取りを拒否" } else { "隔離" };
        holds.add(format!("{verdict} mail: {}", action.name()), format!("{ja}：{done}"));
    }
    let mut blind_spots = Said::new(
        "blind_spots",
        [
            [
                "mail that does not come through this mail server: webmail, private mailboxes, mail between colleagues on another server",
                "このメールサーバーを通らないメール（ウェブメール、個人のメール、別のサーバー上の職員間のメール）",
            ],
            [
                "what a link shows once it is clicked: nothing is fetched",
                "リンクを開いた先の内容（アクセスして確かめることはしません）",
            ],
            [
                "encrypted mail and archives whose password is not in the mail",
                "暗号化されたメールと、パスワードがメールに書かれていない書庫",
            ],
        ],
    );
    if settings.dns.is_none() {
        blind_spots.add(
            "whether a sender is who it says: no name server is asked",
            "送信者が名乗るとおりかどうか（ネームサーバーに問い合わせていません）",
        );
    }
    if settings.on_failure == OnFailure::Accept {
        blind_spots.add(
            "mail that cannot be examined goes on (on_failure = accept)",
            "検査できなかったメール（on_failure = accept のため、そのまま配送します）",
        );
    }
    Ready {
        mode: "milter",
        armed: settings.policy.is_armed(),
        paths: vec![settings.listen.to_string()],
        holds,
        blind_spots,
    }
}

/// The lines for the hub.
pub(crate) fn as_json(report: &Report) -> Vec<Value> {
    match report {
        Report::Ready(ready) => {
            let mut line = serde_json::to_value(ready).unwrap_or_default();
            line["type"] = "ready".into();
            vec![line]
        }
        Report::Seen(seen) => {
            let finding = seen.is_worth_a_finding().then(|| {
                let mut line = decode::ocsf::write(&seen.finding());
                line["mail"] = seen.mail();
                line
            });
            finding.into_iter().chain([seen.activity()]).collect()
        }
        Report::Passed { id } => {
            vec![json!({"type": "released", "id": id, "message": format!("the released mail {id} passed")})]
        }
        Report::Expired(gone) => {
            let by_age = gone.iter().filter(|it| it.by_age).count();
            let message = format!(
                "{by_age} mails of the quarantine were forgotten because of their age, {} for want of room",
                gone.len() - by_age
            );
            let ids: Vec<&str> = gone.iter().take(NAMED_MAX).map(|it| it.id.as_str()).collect();
            vec![
                json!({"type": "expired", "count": gone.len(), "by_age": by_age, "ids": ids, "message": message}),
            ]
        }
        Report::Trouble { message } => vec![json!({"type": "trouble", "message": message})],
    }
}

/// For people; `None` where there is nothing to say to them.
pub(crate) fn words(report: &Report, lang: Lang) -> Option<String> {
    match report {
        Report::Ready(ready) => Some(format!("waiting for mail at {}", ready.paths.join(", "))),
        Report::Seen(seen) if !seen.is_worth_a_finding() => None,
        Report::Seen(seen) => {
            let what = What::of(seen.verdict);
            let (done, done_ja) = done(seen.action);
            Some(format!(
                "{} ({}): {} {}",
                lang.pick(what.title, what.title_ja),
                seen.sender_domain,
                lang.pick(done, done_ja),
                seen.kept.as_deref().unwrap_or_default()
            ))
        }
        Report::Trouble { message } => Some(message.clone()),
        Report::Passed { .. } | Report::Expired(_) => {
            as_json(report).first().and_then(|line| line["message"].as_str().map(str::to_owned))
        }
    }
}
