//! What `chartward scan mail` says of a mail, and of all of them.

use decode::attachment::Look;
use decode::mail::Message;
use judge::mail::detector;
use schema::MailJudgement;
use serde::Serialize;

/// A mail with its verdict, as one line.
#[derive(Serialize)]
pub(super) struct Line {
    pub(super) path: String,
    #[serde(flatten)]
    pub(super) judgement: MailJudgement,
    /// The detector whose finding it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<&'static str>,
    /// What it carries, where something was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Carried>,
}

/// A file that a mail carries.
#[derive(Serialize)]
struct Carried {
    name: String,
    kind: String,
    sha256: String,
}

/// What all of it came to.
#[derive(Default, Serialize)]
pub(super) struct Summary {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) seconds: f64,
    pub(super) messages: u64,
    pub(super) clean: u64,
    pub(super) unreadable: u64,
    pub(super) suspicious: u64,
    pub(super) phishing: u64,
    pub(super) malicious: u64,
    /// Files and folders that could not be read, mails that clamd did not scan.
    pub(super) failed: u64,
}

impl Line {
    pub(super) fn new(path: String, judgement: MailJudgement, message: &Message, looks: &[Look]) -> Self {
        let detector = detector(judgement.verdict).map(|entry| entry.id);
        let files = if detector.is_some() { carried(message, looks) } else { Vec::new() };
        Self { path, judgement, detector, files }
    }
}

fn carried(message: &Message, looks: &[Look]) -> Vec<Carried> {
    let carried = |(part, look): (&decode::mail::Part, &Look)| Carried {
        name: part.name.clone(),
        kind: look.kind.clone(),
        sha256: look.sha256.clone(),
    };
    message.parts.iter().zip(looks).map(carried).collect()
}
