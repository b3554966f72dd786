//! From a judgement and the policy to what the mail server is told.

use std::sync::Arc;

use jiff::Timestamp;
use observe::mail::banner::{self, Words};
use observe::mail::milter::{Decision, Edit, Mail, Trouble};
use observe::mail::quarantine::{Entry, Store, Tagged};
use schema::MailVerdict;

use super::policy::{Action, OnFailure, verdict_name};
use super::report::Seen;
use super::standing::Standing;
use super::{Judged, Report, Settings, Tell};

/// Fields of this name are ours: those that strangers wrote are removed.
const OURS: &str = "x-chartward-";
pub(super) const RELEASED: &str = "X-Chartward-Released";
const VERDICT: &str = "X-Chartward-Verdict";
const REASONS: &str = "X-Chartward-Reasons";
/// A mail with more of them does not come from us.
const PASSES_MAX: usize = 8;
const REASONS_LENGTH_MAX: usize = 900;

/// What stands between the mail server and the mailboxes.
pub(super) struct Gate {
    pub(super) settings: Settings,
    pub(super) store: Arc<Store>,
    pub(super) tell: Tell,
    pub(super) standing: Arc<Standing>,
}

impl Gate {
    /// What becomes of a mail; told once it is so.
    pub(super) fn decide(&self, mail: &Mail, judged: Result<anyhow::Result<Judged>, Trouble>) -> Decision {
        let now = Timestamp::now();
        if let Some(id) = self.released(mail) {
            (self.tell)(Report::Passed { id });
            let mut edits = strangers(mail);
            edits.push(insert(VERDICT, "released"));
            return Decision::Pass(edits);
        }
        let judged = judged.and_then(|judged| {
            judged.map_err(|error| {
                (self.tell)(Report::trouble(&error));
                Trouble::Broke
            })
        });
        let (judged, trouble) = match judged {
            Ok(judged) => (judged, None),
            Err(trouble) => (not_examined(trouble), Some(trouble)),
        };
        let (action, decision, id) = match trouble {
            Some(trouble) => self.failed(mail, trouble, &judged),
            None => self.follow(mail, &judged, now),
        };
        self.standing.count(judged.judgement.verdict, action);
        (self.tell)(Report::Seen(Box::new(Seen::new(&self.store, mail, judged, action, id, now))));
        decision
    }

    /// The mail whose release this is.
    fn released(&self, mail: &Mail) -> Option<String> {
        let fields = mail.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(RELEASED));
        fields
            .take(PASSES_MAX)
            .find_map(|field| self.store.passes(&String::from_utf8_lossy(&field.value), &mail.message))
    }

    fn follow(&self, mail: &Mail, judged: &Judged, now: Timestamp) -> (Action, Decision, Option<String>) {
        let verdict = judged.judgement.verdict;
        match self.settings.policy.of(verdict) {
            Action::Watch => (Action::Watch, Decision::Pass(strangers(mail)), None),
            Action::Tag => {
                let to = mail.envelope.to.clone();
                if let Err(error) = self.store.note_tagged(&Tagged { at: now, verdict, to }) {
                    // A count that fails is no reason to keep a mail.
                    (self.tell)(Report::trouble(&error.into()));
                }
                (Action::Tag, Decision::Pass(self.tagged(mail, judged)), None)
            }
            Action::Reject => {
                (Action::Reject, refusal(verdict, &self.settings.contact, mail.envelope.smtputf8), None)
            }
            Action::Quarantine => match self.keep(mail, judged, now) {
                Ok(id) => (Action::Quarantine, Decision::Discard, Some(id)),
                Err(error) => {
                    // Whatever is set for failures: this mail is known to be bad, and its sender still has it.
                    (self.tell)(Report::trouble(&error.into()));
                    let line = "it cannot be taken now; try again later".to_owned();
                    (Action::Quarantine, Decision::TryLater { line }, None)
                }
            },
        }
    }

    /// Writes it down for good, before anybody is told that it was taken.
    fn keep(&self, mail: &Mail, judged: &Judged, now: Timestamp) -> Result<String, observe::Error> {
        let id = Store::new_id(now)?;
        let entry = Entry {
            id: id.clone(),
            at: now,
            verdict: judged.judgement.verdict,
            score: judged.judgement.score,
            reasons: judged.judgement.reasons.clone(),
            envelope: mail.envelope.clone(),
            subject: judged.subject.clone(),
        };
        let gone = self.store.keep(&entry, &mail.message)?;
        if !gone.is_empty() {
            (self.tell)(Report::Expired(gone));
        }
        Ok(id)
    }

    fn tagged(&self, mail: &Mail, judged: &Judged) -> Vec<Edit> {
        let mut edits = strangers(mail);
        let reasons = judged.judgement.reasons.iter().map(|reason| reason.id.as_str());
        let mut reasons = reasons.collect::<Vec<_>>().join(", ");
        reasons.truncate(reasons.floor_char_boundary(REASONS_LENGTH_MAX));
        if !reasons.is_empty() {
            edits.push(insert(REASONS, &reasons));
        }
        edits.push(insert(VERDICT, verdict_name(judged.judgement.verdict)));
        edits.extend(prefixed(mail, &self.settings.subject_prefix));
        if self.settings.banner
            && let Some(body) = banner::body_with(&mail.message, &warning(judged.judgement.verdict))
        {
            edits.push(Edit::Body(body));
        }
        edits
    }

    fn failed(&self, mail: &Mail, trouble: Trouble, judged: &Judged) -> (Action, Decision, Option<String>) {
        let later = |line: &str| (Action::Watch, Decision::TryLater { line: line.to_owned() }, None);
        match (trouble, self.settings.on_failure) {
            // A moment later there is room again: that is no failure.
            (Trouble::Busy, _) => later("too many mails at once; try again later"),
            (_, OnFailure::Accept) if self.settings.policy.is_armed() => {
                let mut edits = strangers(mail);
                edits.push(insert(VERDICT, verdict_name(judged.judgement.verdict)));
                edits.push(insert(REASONS, reason_of(trouble)));
                (Action::Tag, Decision::Pass(edits), None)
            }
            (_, OnFailure::Accept) => (Action::Watch, Decision::Pass(strangers(mail)), None),
            // Later it is just as long.
            (Trouble::TooLong, OnFailure::Tempfail) => {
                let lines =
                    vec!["This message is too long to be examined for viruses and phishing.".to_owned()];
                (Action::Reject, Decision::Reject { code: 552, status: "5.3.4", lines }, None)
            }
            (_, OnFailure::Tempfail) => later("it could not be examined; try again later"),
        }
    }
}

fn insert(name: &str, value: &str) -> Edit {
    let value = value.chars().filter(|char| !char.is_control()).collect();
    Edit::Insert { name: name.to_owned(), value }
}

/// Takes away fields of our name that somebody else wrote. The last ones first, so that the numbers of the others stay.
fn strangers(mail: &Mail) -> Vec<Edit> {
    let mut edits = Vec::new();
    let ours = mail
        .fields
        .iter()
        .filter(|field| field.name.get(..OURS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(OURS)));
    let mut counted: Vec<(String, u32)> = Vec::new();
    for field in ours {
        let name = field.name.to_ascii_lowercase();
        let index = match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                counted.push((name, 1));
                1
            }
        };
        edits.push(Edit::Change { name: field.name.clone(), index, value: Vec::new() });
    }
    edits.reverse();
    edits
}

/// The prefix before the subject as it was written, encoded words and all.
fn prefixed(mail: &Mail, prefix: &str) -> Option<Edit> {
    if prefix.is_empty() {
        return None;
    }
    let prefix = encoded_word(prefix);
    let subject = mail.fields.iter().find(|field| field.name.eq_ignore_ascii_case("subject"));
    let Some(subject) = subject else { return Some(insert("Subject", &prefix)) };
    let old = subject.value.trim_ascii_start();
    if old.starts_with(prefix.as_bytes()) {
        return None;
    }
    let value = [b" ".as_slice(), prefix.as_bytes(), b" ", old].concat();
    Some(Edit::Change { name: subject.name.clone(), index: 1, value })
}

/// RFC 2047, in Base64, where it is not ASCII.
fn encoded_word(text: &str) -> String {
    use base64::Engine;
    if text.is_ascii() {
        return text.to_owned();
    }
    // One word holds at most 75 characters: 45 bytes and what stands around them.
    let mut words: Vec<String> = vec![String::new()];
    for char in text.chars() {
        if words.last().is_none_or(|word| word.len() + char.len_utf8() > 45) {
            words.push(String::new());
        }
        words.iter_mut().last().into_iter().for_each(|word| word.push(char));
    }
    let encode =
        |word: &String| format!("=?UTF-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word));
    words.iter().map(encode).collect::<Vec<_>>().join(" ")
}

fn not_examined(trouble: Trouble) -> Judged {
    let (text, text_ja) = match trouble {
        Trouble::TooLong => ("It is too long to be examined.", "長すぎるため、検査できませんでした。"),
        Trouble::Busy => {
            ("Too many mails came at once.", "一度に多くのメールが届いたため、検査できませんでした。")
        }
        Trouble::Late => ("Examining it took too long.", "時間内に検査が終わりませんでした。"),
        Trouble::Broke => ("Examining it broke off.", "検査が途中で止まりました。"),
    };
    let reason = schema::MailReason {
        id: reason_of(trouble).to_owned(),
        weight: 0.0,
        text: text.to_owned(),
        text_ja: text_ja.to_owned(),
        evidence: Vec::new(),
    };
    let judgement =
        schema::MailJudgement { verdict: MailVerdict::Unreadable, score: 0.0, reasons: vec![reason] };
    Judged { judgement, attachments: Vec::new(), subject: String::new() }
}

fn reason_of(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::TooLong => "gateway.too_long",
        Trouble::Busy => "gateway.busy",
        Trouble::Late => "gateway.late",
        Trouble::Broke => "gateway.broke",
    }
}

/// What a sender reads. ASCII, as SMTP has it (RFC 5321 §4.2), and Japanese where the session allows more (RFC 6531).
fn refusal(verdict: MailVerdict, contact: &str, smtputf8: bool) -> Decision {
    let (why, why_ja) = match verdict {
        MailVerdict::Malicious => ("carries a dangerous file", "危険なファイルが含まれていると判断したため"),
        MailVerdict::Unreadable => ("is damaged and cannot be examined", "壊れていて検査できないため"),
        _ => ("looks like phishing", "フィッシングの疑いがあると判断したため"),
    };
    let mut lines = vec![
        format!("Your message was not delivered: it {why}."),
        "If you wrote it yourself, please call the hospital instead of sending it again.".to_owned(),
    ];
    if smtputf8 {
        lines.push(format!(
            "メールは{why_ja}、お届けしませんでした。お心当たりのある方は、再送せずお電話でご連絡ください。"
        ));
    }
    if !contact.is_empty() && (contact.is_ascii() || smtputf8) {
        lines.push(format!("Contact: {contact}"));
    }
    Decision::Reject { code: 550, status: "5.7.1", lines }
}

fn warning(verdict: MailVerdict) -> Words {
    let (en, ja) = match verdict {
        MailVerdict::Malicious => (
            "Warning: this mail carries a file that may be dangerous. Do not open it. Ask the IT staff.",
            "【注意】このメールには、危険なおそれのあるファイルが付いています。開かずに、システム担当者にご連絡ください。",
        ),
        MailVerdict::Unreadable => (
            "Warning: this mail could not be examined. Do not open its links and files unless you expected it.",
            "【注意】このメールは検査できませんでした。心当たりのない場合は、リンクや添付ファイルを開かないでください。",
        ),
        _ => (
            "Warning: this mail may pose as somebody else. Do not follow its links or type in passwords. Ask the IT staff.",
            "【注意】このメールは、なりすましのおそれがあります。リンクを開いたり、パスワードを入力したりせず、\
             システム担当者にご確認ください。",
        ),
    };
    Words { ascii: en.to_owned(), full: format!("{ja}\n{en}") }
}

#[cfg(test)]
mod tests {
    use observe::mail::milter::Field;

    use super::*;

    fn mail(fields: &[(&str, &str)]) -> Mail {
        let mut mail = Mail::default();
        mail.fields.extend(
            fields
                .iter()
                .map(|(name, value)| Field { name: (*name).to_owned(), value: value.as_bytes().to_vec() }),
        );
        mail
    }

    #[test]
    fn fields_of_strangers_go_the_last_first() {
        let mail = mail(&[
            ("X-Chartward-Verdict", " clean"),
            ("Subject", " x"),
            ("x-chartward-verdict", " clean"),
            ("X-Chartward-Released", " y"),
        ]);
        let removed = |name: &str, index| Edit::Change { name: name.into(), index, value: Vec::new() };
        let expected = [
            removed("X-Chartward-Released", 1),
            removed("x-chartward-verdict", 2),
            removed("X-Chartward-Verdict", 1),
        ];
        assert_eq!(strangers(&mail), expected);
    }

    #[test]
    fn the_prefix_stands_before_the_subject_as_it_was_written() {
        let subject = " =?ISO-2022-JP?B?GyRCJCJKZUJfGyhC?=\n =?ISO-2022-JP?B?GyRCJCIbKEI=?=";
        for (old, prefix, expected) in [
            (Some(" hello"), "[!]", Some(" [!] hello")),
            (Some(" [!] hello"), "[!]", None),
            (Some(""), "[!]", Some(" [!] ")),
            (None, "[!]", Some("[!]")),
            (Some(" x"), "", None),
            (Some(" x"), "[注意]", Some(" =?UTF-8?B?W+azqOaEj10=?= x")),
        ] {
            let mail = old.map_or_else(|| mail(&[]), |old| mail(&[("Subject", old)]));
            let found = prefixed(&mail, prefix).map(|edit| match edit {
                Edit::Change { value, .. } => String::from_utf8(value).unwrap(),
                Edit::Insert { value, .. } => value,
                Edit::Body(_) => unreachable!(),
            });
            assert_eq!(found.as_deref(), expected, "{old:?} {prefix}");
        }
        let Some(Edit::Change { value, .. }) = prefixed(&mail(&[("Subject", subject)]), "[注意]") else {
            panic!()
        };
        assert!(
            String::from_utf8(value).unwrap().ends_with(subject.trim_start()),
            "its words and folds stay"
        );
        assert!(encoded_word(&"あ".repeat(40)).split(' ').all(|word| word.len() <= 75));
    }

    #[test]
    fn a_refusal_is_ascii_unless_the_session_speaks_more() {
        for verdict in [MailVerdict::Phishing, MailVerdict::Malicious, MailVerdict::Unreadable] {
            let Decision::Reject { code: 550, lines, .. } = refusal(verdict, "電話 03", false) else {
                panic!()
            };
            assert!(lines.iter().all(|line| line.is_ascii()), "{lines:?}");
            let Decision::Reject { lines, .. } = refusal(verdict, "03-0000-0000", true) else { panic!() };
            assert!(lines.len() == 4 && lines[2].contains("お届けしませんでした"), "{lines:?}");
        }
    }
}
