use std::process::Command;

use encoding_rs::ISO_2022_JP;

use super::super::release::{Wish, release};
use super::super::*;
use super::gateway::{Gateway, TO, has_postfix, mail};

fn text(mail: &[u8]) -> String {
    String::from_utf8_lossy(mail).into_owned()
}

#[test]
fn each_verdict_gets_what_the_policy_says() {
    if !has_postfix("each_verdict_gets_what_the_policy_says") {
        return;
    }
    let policy = ["suspicious=tag", "phishing=quarantine", "malicious=reject"];
    let gateway = Gateway::start_with(&policy, |settings| {
        settings.subject_prefix = "[注意]".into();
        settings.banner = true;
    });
    gateway.send(&mail("hello")).unwrap();
    gateway.send(&mail("suspicious")).unwrap();
    gateway.send(&mail("phish")).unwrap();
    gateway.send(&mail("broken")).unwrap();
    let refused = gateway.send(&mail("virus")).unwrap_err();
    assert!(refused.contains("550") && refused.contains("5.7.1"), "{refused}");

    let clean = text(&gateway.delivered("hello")[0]);
    assert!(!clean.to_lowercase().contains("x-chartward"), "what strangers wrote is gone: {clean}");
    assert!(clean.contains("\nSubject: hello\n") && !clean.contains("Warning"), "{clean}");
    let tagged = text(&gateway.delivered("suspicious")[0]);
    for expected in [
        "X-Chartward-Verdict: suspicious\n",
        "X-Chartward-Reasons: test.subject\n",
        "Subject: =?UTF-8?B?W+azqOaEj10=?= suspicious\n",
        "Warning: this mail may pose as somebody else.",
    ] {
        assert!(tagged.contains(expected), "{expected} in {tagged}");
    }
    assert!(!tagged.contains("X-Chartward-Verdict: clean"), "{tagged}");
    assert_eq!(gateway.delivered("broken").len(), 1, "watched only");
    assert_eq!(gateway.delivered("phish").len(), 0);
    assert_eq!(gateway.delivered("virus").len(), 0);
    let kept = gateway.store().list(10).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].entry.subject.as_str(), kept[0].entry.envelope.to.as_slice()),
        ("phish", &[TO.to_owned()][..])
    );
    let (mut tagged, last) = (Vec::new(), Timestamp::now());
    let first = last - jiff::SignedDuration::from_hours(1);
    gateway.store().each_tagged(first, last, |it| tagged.push((it.verdict, it.to.clone()))).unwrap();
    assert_eq!(tagged, [(MailVerdict::Suspicious, vec![TO.to_owned()])], "to be counted by department");
    findings_name_what_they_may(&gateway);
}

/// Of a mail no line holds a subject, an address or a text.
fn findings_name_what_they_may(gateway: &Gateway) {
    let ready = gateway.lines(|line| line["type"] == "ready");
    assert_eq!((ready.len(), &ready[0]["armed"]), (1, &true.into()));
    let findings = gateway.lines(|line| line["class_uid"] == 2004);
    let told: Vec<_> = findings
        .iter()
        .map(|line| (line["detector"].as_str().unwrap(), line["mail"]["action"].as_str().unwrap()))
        .collect();
    let expected = [
        ("phishing.mail", "tag"),
        ("phishing.mail", "quarantine"),
        ("phishing.mail", "watch"),
        ("malware.mail", "reject"),
    ];
    assert_eq!(told, expected);
    assert_eq!(gateway.lines(|line| line["class_uid"] == 4009).len(), 5, "one for each mail");
    for line in gateway.lines(|_| true) {
        let text = line.to_string();
        assert!(
            !text.contains("oncall") && !text.contains("The body") && !text.contains("a@sender"),
            "{text}"
        );
        let read = decode::ocsf::parse(text.as_bytes(), "mail", decode::ocsf::Trust::Own, Timestamp::now());
        assert!(read.is_ok(), "the hub takes it: {text}");
    }
    let sender = &findings[1]["mail"];
    assert_eq!(
        (&sender["sender_domain"], sender["recipients"][0].as_str().unwrap().len()),
        (&"sender.example".into(), 16)
    );
}

#[test]
fn a_released_mail_is_delivered_once() {
    if !has_postfix("a_released_mail_is_delivered_once") {
        return;
    }
    let gateway = Gateway::start(&["quarantine"]);
    gateway.send(&mail("phish-1")).unwrap();
    let store = gateway.store();
    let id = store.list(10).unwrap()[0].entry.id.clone();
    let wish = Wish { id: &id, to: &[], by: "admin", again: false };
    assert_eq!(release(&store, &gateway.way(), &wish).unwrap(), [TO]);
    let delivered = gateway.delivered("phish-1");
    assert_eq!(delivered.len(), 1);
    let delivered = text(&delivered[0]);
    assert!(delivered.contains("X-Chartward-Verdict: released\n"), "{delivered}");
    assert!(
        !delivered.contains("X-Chartward-Released") && !delivered.contains("Verdict: clean"),
        "{delivered}"
    );
    assert_eq!(gateway.lines(|line| line["type"] == "released").len(), 1);

    // It is still there, and goes out again only when that is meant.
    let kept = store.kept(&id).unwrap();
    assert_eq!(
        (kept.done[0].by.as_str(), kept.done[0].released_to.as_slice()),
        ("admin", &[TO.to_owned()][..])
    );
    let again = release(&store, &gateway.way(), &wish).unwrap_err();
    assert!(again.to_string().contains("released already"), "{again}");
    assert_eq!(gateway.delivered("phish-1").len(), 1);
    release(&store, &gateway.way(), &Wish { again: true, ..wish }).unwrap();
    assert_eq!(gateway.delivered("phish-1").len(), 2);

    // Whoever copies the field of a release gets nothing by it.
    let (_, message) = store.read(&id).unwrap();
    let pass = store.pass(&id, &message).unwrap();
    let forged = [format!("X-Chartward-Released: {pass}\r\n").as_bytes(), &mail("phish-2")].concat();
    gateway.send(&forged).unwrap();
    assert_eq!(gateway.delivered("phish-2").len(), 0);
}

#[test]
fn iso_2022_jp_gets_its_banner_in_iso_2022_jp() {
    if !has_postfix("iso_2022_jp_gets_its_banner_in_iso_2022_jp") {
        return;
    }
    let gateway = Gateway::start_with(&["tag"], |settings| settings.banner = true);
    let (body, _, _) = ISO_2022_JP.encode("当直のお知らせです。\r\n");
    let header = format!(
        "From: a@sender.example\r\nTo: {TO}\r\nSubject: suspicious\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\nThe body of jis.\r\n"
    );
    gateway.send(&[header.as_bytes(), &body].concat()).unwrap();
    let mail = gateway.delivered("jis").remove(0);
    assert!(mail.is_ascii(), "seven bits");
    let (read, _, broken) = ISO_2022_JP.decode(&mail);
    assert!(
        !broken && read.contains("なりすましのおそれがあります") && read.contains("当直のお知らせです。"),
        "{read}"
    );
    assert!(read.find("なりすまし") < read.find("The body of jis."), "{read}");
}

#[test]
fn when_something_fails_it_is_as_configured() {
    if !has_postfix("when_something_fails_it_is_as_configured") {
        return;
    }
    let closed = Gateway::start(&["quarantine"]);
    let refused = closed.send(&mail("panic")).unwrap_err();
    assert!(refused.contains("451") && refused.contains("try again later"), "{refused}");
    // A quarantine that cannot be written to: the mail stays with its sender, however harmless failures are said to be.
    std::fs::remove_dir_all(closed.dir.path().join("quarantine")).unwrap();
    let refused = closed.send(&mail("phish")).unwrap_err();
    assert!(refused.contains("451"), "{refused}");
    assert_eq!(closed.lines(|line| line["type"] == "trouble").len(), 1);

    let open = Gateway::start_with(&["quarantine"], |settings| {
        settings.on_failure = OnFailure::Accept;
        settings.bounds.message_bytes = 200_000;
    });
    open.send(&mail("panic")).unwrap();
    let delivered = text(&open.delivered("panic")[0]);
    assert!(delivered.contains("X-Chartward-Verdict: unreadable\n"), "{delivered}");
    assert!(delivered.contains("X-Chartward-Reasons: gateway.broke\n"), "{delivered}");
    let long = [mail("long"), b"x".repeat(70).into_iter().chain(*b"\r\n").collect::<Vec<u8>>().repeat(5_000)]
        .concat();
    open.send(&long).unwrap();
    assert!(text(&open.delivered("long")[0]).contains("gateway.too_long"));
}

#[test]
fn without_a_gateway_postfix_does_as_it_was_told() {
    if !has_postfix("without_a_gateway_postfix_does_as_it_was_told") {
        return;
    }
    let closed = Gateway::down("tempfail");
    let refused = closed.send(&mail("hello")).unwrap_err();
    assert!(refused.contains("451 4.7.1"), "{refused}");
    let open = Gateway::down("accept");
    open.send(&mail("hello")).unwrap();
    assert_eq!(open.delivered("hello").len(), 1);
}

#[test]
fn a_sender_is_checked_by_the_address_of_its_machine() {
    let test = "a_sender_is_checked_by_the_address_of_its_machine";
    let Some(swaks) = testkit::tool(test, "swaks").filter(|_| has_postfix(test)) else { return };
    let record = testkit::dns::Record::Txt("v=spf1 ip4:192.0.2.10 -all".into());
    let names = testkit::dns::Names::start(vec![("sender.example".into(), record)]);
    let gateway = Gateway::start_with(&["quarantine"], |settings| {
        settings.dns = Some(Dns::Server(names.at));
        settings.relays = vec!["198.51.100.0/24".parse().unwrap()];
    });
    for (client, word) in [("192.0.2.10", "own"), ("203.0.113.9", "forged"), ("198.51.100.9", "relayed")] {
        let sent = Command::new(&swaks)
            .args([
                "--server",
                "127.0.0.1",
                "--port",
                &gateway.smtp.to_string(),
                "--from",
                "a@sender.example",
            ])
            .args(["--to", TO, "--helo", "mx.sender.example", "--silent", "3"])
            .args(["--xclient-addr", client, "--xclient-name", "mx.sender.example"])
            .args(["--header", &format!("Subject: {word}"), "--body", &format!("The body of {word}.")])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{word}: {}", String::from_utf8_lossy(&sent.stderr));
    }
    assert_eq!(["own", "forged", "relayed"].map(|word| gateway.delivered(word).len()), [1, 0, 1]);
}
