//! The quarantine's page.

use std::process::Command;

use jiff::Timestamp;
use observe::mail::milter::Envelope;
use observe::mail::quarantine::{Done, Entry, Keeping, Store};
use schema::{Lang, MailReason, MailVerdict};

use super::fixture::Fixture;
use super::{has_curl, session};
use crate::access::{Role, Session, Who};

const PASSWORD: &str = "violin under seven bridges";

fn held(fixture: &Fixture) -> (Store, String) {
    let store = Store::make(&fixture.dir.path().join("mail/quarantine"), Keeping::default()).unwrap();
    let now = Timestamp::now();
    let id = Store::new_id(now).unwrap();
    let reason = MailReason {
        id: "a.b".into(),
        weight: 1.0,
        text: "It lies about its sender.".into(),
        text_ja: "差出人を偽っています。".into(),
        evidence: vec!["hxxp://a[.]invalid".into()],
    };
    let entry = Entry {
        id: id.clone(),
        at: now,
        verdict: MailVerdict::Phishing,
        score: 4.0,
        reasons: vec![reason],
        envelope: Envelope {
            from: "a@sender.example".into(),
            to: vec!["dr@hospital.example".into()],
            ..Envelope::default()
        },
        subject: "<script>alert(1)</script>".into(),
    };
    store.keep(&entry, b"Subject: x\r\n\r\nx\r\n").unwrap();
    (store, id)
}

/// An operator with the second factor that the role needs; `None` after saying what is missing.
fn operator(fixture: &Fixture) -> Option<(String, Session)> {
    someone(fixture, "tanaka", Role::Operator)
}

fn someone(fixture: &Fixture, name: &str, role: Role) -> Option<(String, Session)> {
    let oathtool = testkit::tool("someone", "oathtool")?;
    let (access, address, now) = (&fixture.access, [127, 0, 0, 1].into(), Timestamp::now());
    let made = access.add_user(&Who::local(), name, role, Lang::Ja, now).unwrap();
    let entered = access.accept(made.code.text(), name, PASSWORD, address, now).unwrap();
    let offer = access.begin_totp(&entered.session, now).unwrap();
    let secret = offer.secret.text().replace(' ', "");
    let code = Command::new(oathtool).args(["--totp", "--base32", &secret]).output().unwrap().stdout;
    let code = String::from_utf8(code).unwrap();
    let (_, entered) =
        access.confirm_totp(&entered.session, &offer.ticket, code.trim(), address, now).unwrap();
    Some((entered.set_cookie.text().split(';').next().unwrap().to_owned(), entered.session))
}

#[test]
fn the_notice_is_for_operators_and_needs_nothing_but_itself() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    let (store, id) = held(&fixture);
    let viewer = session(&fixture);
    let status = |answer: &str| answer.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let pages = ["/mail/training", "/mail/training/notice"];
    for page in pages {
        assert_eq!(status(&fixture.curl(&["-b", &viewer], page)), "403", "{page}");
    }
    let Some((cookie, _)) = operator(&fixture) else { return };
    for page in pages {
        let shown = fixture.curl(&["-b", &cookie], page);
        for holds in ["内科", "差出人を偽っています。", "&lt;script&gt;alert", "1件"] {
            assert!(shown.contains(holds), "{page} {holds}: {shown}");
        }
        assert!(
            !shown.contains("dr@hospital.example") && !shown.contains("<script>alert"),
            "{page}: {shown}"
        );
        assert_eq!(status(&fixture.curl(&["-b", &cookie], &format!("{page}?week=2026-W99"))), "400");
        assert_eq!(status(&fixture.curl(&["-b", &cookie], &format!("{page}?week=2020-W01"))), "200");
    }
    let notice = fixture.curl(&["-b", &cookie], pages[1]);
    assert!(
        notice.contains("content-security-policy: default-src 'none'; style-src 'unsafe-inline'"),
        "{notice}"
    );
    // A false alarm is no lure.
    let done = Done { at: Timestamp::now(), by: "tanaka".into(), released_to: vec![] };
    store.note(&id, &done).unwrap();
    let notice = fixture.curl(&["-b", &cookie], pages[1]);
    assert!(notice.contains("1件は誤判定") && !notice.contains("差出人を偽っています。"), "{notice}");
}

#[test]
fn held_mail_is_for_operators_and_every_form_carries_its_token() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    let (store, id) = held(&fixture);
    let viewer = session(&fixture);
    let status = |answer: &str| answer.split_whitespace().nth(1).unwrap_or_default().to_owned();
    assert_eq!(status(&fixture.curl(&["-b", &viewer], "/mail")), "403");
    let Some((cookie, session)) = operator(&fixture) else { return };
    let list = fixture.curl(&["-b", &cookie], "/mail");
    for shown in ["1件のメールを隔離", "差出人を偽っています。", "&lt;script&gt;", "フィッシング"]
    {
        assert!(list.contains(shown), "{shown}: {list}");
    }
    assert!(!list.contains("<script>alert"), "{list}");
    let page = format!("/mail/{id}");
    let shown = fixture.curl(&["-b", &cookie], &page);
    assert!(shown.contains("hxxp://a[.]invalid") && shown.contains("dr@hospital.example"), "{shown}");
    assert_eq!(status(&fixture.curl(&["-b", &cookie], "/mail/..%2fsecret")), "404");

    let csrf = format!("csrf={}", session.csrf.text());
    let post = |data: &str, path: &str| fixture.curl(&["-b", &cookie, "-d", data], path);
    assert_eq!(status(&post("csrf=x", &format!("{page}/delete"))), "403");
    assert_eq!(status(&post(&format!("{csrf}&to=nobody"), &format!("{page}/release"))), "400");
    // Nobody takes mail at this fixture's port: it stays held back.
    assert_eq!(status(&post(&csrf, &format!("{page}/release"))), "500");
    assert_eq!(store.kept(&id).unwrap().done, []);
    assert_eq!(status(&post(&csrf, &format!("{page}/delete"))), "303");
    assert!(store.list(10).unwrap().is_empty());
    assert_eq!(status(&fixture.curl(&["-b", &cookie], &page)), "404");
    let ledger = std::fs::read_to_string(fixture.dir.path().join(prove::ledger::FILE_NAME)).unwrap();
    assert!(ledger.contains(&format!("\"object\":\"{page}/delete\",\"allowed\":true")), "{ledger}");
}

#[test]
fn the_policy_is_shown_to_operators_and_changed_and_undone_by_administrators() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    let status = |answer: &str| answer.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let viewer = session(&fixture);
    assert_eq!(status(&fixture.curl(&["-b", &viewer], "/mail/policy")), "403");
    let Some((operator, theirs)) = operator(&fixture) else { return };
    let Some((admin, ours)) = someone(&fixture, "sato", Role::Admin) else { return };
    let post = |cookie: &str, session: &Session, form: &str, data: &str| {
        let data = format!("csrf={}&{data}", session.csrf.text());
        fixture.curl(&["-b", cookie, "-d", &data], &format!("/mail/policy/{form}"))
    };
    let page = || fixture.curl(&["-b", &operator], "/mail/policy");
    let shown = page();
    assert!(
        shown.contains("当院での変更はありません") && !shown.contains("<button type=\"submit\">許可する"),
        "{shown}"
    );
    assert!(fixture.curl(&["-b", &admin], "/mail/policy").contains("許可する"));
    let silence = "reason=html.only&how=silence&because=%E5%BA%83%E5%A0%B1";
    assert_eq!(status(&post(&operator, &theirs, "reason", silence)), "403");
    assert_eq!(
        status(&fixture.curl(&["-b", &admin, "-d", &format!("csrf=x&{silence}")], "/mail/policy/reason")),
        "403"
    );
    for (form, data) in [
        ("reason", silence),
        ("reason", "reason=link.shortener&how=lower&by=0.5&because=x"),
        ("allow", "sender=news.lab.example&why=%3Cscript%3E"),
    ] {
        let answer = post(&admin, &ours, form, data);
        assert!(status(&answer) == "303" && answer.contains("/mail/policy?later"), "{form}: {answer}");
    }
    let shown = page();
    for holds in ["html.only", "広報", "停止", "link.shortener", "news.lab.example", "&lt;script&gt;", "sato"]
    {
        assert!(shown.contains(holds), "{holds}: {shown}");
    }
    for (form, data, expected) in [
        ("reason", "reason=no.such&how=raise&by=1", "400"),
        ("reason", "reason=link.ip&how=raise&by=nan", "400"),
        ("reason", "reason=link.ip&how=explode&by=1", "400"),
        ("allow", "sender=gmail.com", "409"),
        ("remove", "what=nothing", "409"),
    ] {
        assert_eq!(status(&post(&admin, &ours, form, data)), expected, "{data}");
    }
    assert_eq!(status(&post(&operator, &theirs, "undo", "")), "403");
    assert_eq!(status(&post(&admin, &ours, "undo", "")), "303");
    assert!(!page().contains("<code>news.lab.example</code></th>"));
    assert_eq!(status(&post(&admin, &ours, "remove", "what=html.only")), "303");
    let file = std::fs::read_to_string(fixture.dir.path().join("mail/policy.toml")).unwrap();
    assert!(file.contains("link.shortener") && !file.contains("html.only"), "{file}");
    let ledger = std::fs::read_to_string(fixture.dir.path().join(prove::ledger::FILE_NAME)).unwrap();
    assert_eq!(ledger.matches("\"mail_policy_changed\"").count(), 5, "{ledger}");
    assert!(ledger.contains("\"by\":\"sato\"") && ledger.contains("/mail/policy/undo"), "{ledger}");
}
