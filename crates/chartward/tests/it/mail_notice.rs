//! `chartward mail notice`, from outside.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use observe::mail::milter::Envelope;
use observe::mail::quarantine::{Entry, Keeping, Store};
use schema::{MailReason, MailVerdict};
use serde_json::json;

use crate::support::{BINARY, Run, run};

fn notice(dir: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(BINARY);
    run(command.args(["mail", "notice"]).args(words).arg("--quarantine").arg(dir.join("q")).current_dir(dir))
}

/// A quarantine with two mails of one sort, as the gateway keeps them, and a configuration with a department.
fn held(dir: &Path) {
    let config = "timezone = \"Asia/Tokyo\"\nhospital = \"架空病院\"\n[mail]\ncontact = \"+81-3-0000-0000\"\n\
                  [mail.departments]\n\"内科\" = [\"naika*\"]\n";
    std::fs::write(dir.join("chartward.toml"), config).unwrap();
    let store = Store::make(&dir.join("q"), Keeping::default()).unwrap();
    let at: Timestamp = "2026-11-18T03:00:00Z".parse().unwrap();
    for (id, to) in [
        ("20261118-030000-00000001", "naika1@hospital.example"),
        ("20261118-030000-00000002", "x@hospital.example"),
    ] {
        let reason = MailReason {
            id: "brand.display-name".into(),
            weight: 3.0,
            text: "The sender's name is borrowed.".into(),
            text_ja: "差出人の名前は借り物です。".into(),
            evidence: vec!["Amazon".into(), to.into()],
        };
        let entry = Entry {
            id: id.into(),
            at,
            verdict: MailVerdict::Phishing,
            score: 4.0,
            reasons: vec![reason],
            envelope: Envelope {
                from: "a@sender.invalid".into(),
                to: vec![to.into()],
                ..Envelope::default()
            },
            subject: format!("{to} 様 お支払いを確認できません"),
        };
        let message = format!(
            "From: Amazon <a@sender.invalid>\r\nTo: {to}\r\nSubject: x\r\n\r\nDear {to}, https://pay.sender.invalid/{to}?t=S3CRET\r\n"
        );
        store.keep(&entry, message.as_bytes()).unwrap();
    }
}

#[test]
fn a_week_is_told_as_json_and_as_a_page_that_names_nobody() {
    let dir = tempfile::tempdir().unwrap();
    held(dir.path());
    let told = notice(dir.path(), &["--week", "2026-W47", "--json"]);
    assert_eq!((told.code, told.lines.len()), (0, 1), "{}", told.stderr);
    let line = &told.lines[0];
    assert_eq!((&line["type"], &line["week"]), (&json!("mail_notice"), &json!("2026-W47")));
    assert_eq!((&line["from"], &line["to"]), (&json!("2026-11-16"), &json!("2026-11-22")));
    assert_eq!(line["mails"]["phishing"], 2, "{line}");
    assert_eq!(
        (&line["departments"][0]["name"], &line["departments"][0]["phishing"]),
        (&json!("内科"), &json!(1))
    );
    assert_eq!(
        (&line["departments"][1]["name"], &line["departments"][1]["phishing"]),
        (&json!(null), &json!(1))
    );
    let lure = &line["lures"][0];
    assert_eq!(
        (&lure["seen"], &lure["links"]),
        (&json!(2), &json!(["hxxps://pay[.]sender[.]invalid/…"])),
        "{lure}"
    );
    assert_eq!(lure["posing_as"]["en"], "Amazon");

    let page = notice(dir.path(), &["--week", "2026-W47", "--lang", "ja"]).stdout;
    let out = dir.path().join("notice.html");
    let english = notice(dir.path(), &["--week", "2026-W47", "--lang", "en", "--out", out.to_str().unwrap()]);
    assert_eq!(english.code, 0, "{}", english.stderr);
    let written = std::fs::read_to_string(out).unwrap();
    for (page, holds) in [
        (&page, ["今週届いた不審メール", "架空病院", "開かない"]),
        (&written, ["Suspicious mails of this week", "+81-3-0000-0000", "Do not open it"]),
    ] {
        for hold in holds {
            assert!(page.contains(hold), "{hold}: {page}");
        }
        for hidden in ["http://", "https://", "naika1", "hospital.example", "S3CRET", "<script", "url("] {
            assert!(!page.contains(hidden), "{hidden}: {page}");
        }
    }
    assert!(told.stdout.is_ascii() || !told.stdout.contains("hospital.example"), "{}", told.stdout);
}

#[test]
fn other_weeks_and_no_quarantine_are_empty_and_no_week_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let empty = notice(dir.path(), &["--days", "30", "--json"]);
    assert_eq!((empty.code, &empty.lines[0]["lures"]), (0, &json!([])), "{}", empty.stderr);
    held(dir.path());
    let before = notice(dir.path(), &["--week", "2026-W46", "--json"]);
    assert_eq!((&before.lines[0]["lures"], &before.lines[0]["mails"]["phishing"]), (&json!([]), &json!(0)));
    for words in [&["--week", "2026-W60"][..], &["--days", "0"], &["--days", "3", "--week", "2026-W47"]] {
        assert_eq!(notice(dir.path(), words).code, 2, "{words:?}");
    }
}
