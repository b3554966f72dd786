//! From a quarantine to what is told of it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use observe::mail::milter::Envelope;
use observe::mail::quarantine::{Done, Entry, Keeping};
use schema::{Lang, MailReason};

use super::*;

const NOW: &str = "2026-11-19T03:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn training() -> Training {
    let named = [("内科", "naika*"), ("検査科", "@lab.hospital.example")];
    let named: BTreeMap<_, _> =
        named.into_iter().map(|(name, of)| (name.to_owned(), vec![of.to_owned()])).collect();
    Training {
        departments: Departments::new(&named),
        contact: "+81-3-0000-0000".into(),
        hospital: "架空病院".into(),
        zone: TimeZone::get("Asia/Tokyo").unwrap(),
    }
}

struct Kitchen {
    _dir: tempfile::TempDir,
    store: Store,
    count: u32,
}

/// A mail for the quarantine.
struct Given<'a> {
    at: &'a str,
    verdict: MailVerdict,
    subject: &'a str,
    to: &'a [&'a str],
    /// Evidence of the reason that says whose name it uses.
    brand: &'a [&'a str],
    body: &'a str,
}

const AMAZON: Given<'_> = Given {
    at: NOW,
    verdict: MailVerdict::Phishing,
    subject: "お使いのアカウントがロックされました",
    to: &["naika1@hospital.example"],
    brand: &["Amazon", "a@sender[.]invalid"],
    body: "https://login.amazon-jp.invalid/a/naika1?token=S3CRET https://www.amazon.co.jp/help",
};

impl Kitchen {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::make(dir.path(), Keeping::default()).unwrap();
        Self { _dir: dir, store, count: 0 }
    }

    fn put(&mut self, given: &Given<'_>) -> String {
        let at: Timestamp = given.at.parse().unwrap();
        self.count += 1;
        let id = format!("{}-{:08x}", at.strftime("%Y%m%d-%H%M%S"), self.count);
        let reason = |id: &str, weight, text: &str, text_ja: &str, evidence: &[&str]| MailReason {
            id: id.into(),
            weight,
            text: text.into(),
            text_ja: text_ja.into(),
            evidence: evidence.iter().map(|it| (*it).to_owned()).collect(),
        };
        let entry = Entry {
            id: id.clone(),
            at,
            verdict: given.verdict,
            score: 4.0,
            reasons: vec![
                reason(
                    "brand.impersonation",
                    4.0,
                    "It poses as somebody else.",
                    "名をかたっています。",
                    given.brand,
                ),
                reason(
                    "link.odd",
                    2.0,
                    "Its links are odd.",
                    "リンクが不自然です。",
                    &["hxxp://x[.]invalid/naika1"],
                ),
                reason("auth.aligned", -1.0, "It is who it says.", "送信元は確かです。", &[]),
            ],
            envelope: Envelope {
                from: "bounce@sender.invalid".into(),
                to: given.to.iter().map(|it| (*it).to_owned()).collect(),
                ..Envelope::default()
            },
            subject: given.subject.into(),
        };
        let message = format!(
            "From: \"Amazon.co.jp\" <no-reply@amazon-jp.invalid>\r\nTo: Yamada Taro <{}>\r\nSubject: x\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nYamada Taro,\r\n{}\r\n",
            given.to.first().unwrap_or(&"nobody@hospital.example"),
            given.body
        );
        self.store.keep(&entry, message.as_bytes()).unwrap();
        id
    }

    fn week(&self) -> Week {
        week(Some(&self.store), &Span::week("2026-W47").unwrap(), &training(), now()).unwrap()
    }
}

#[test]
fn mails_that_say_the_same_to_different_people_are_one_lure() {
    let mut kitchen = Kitchen::new();
    for (subject, to) in [
        ("【Amazon】山田様、アカウントがロックされました #A1234", "naika1@hospital.example"),
        ("Re: 【Amazon】佐藤様、アカウントがロックされました #B9876", "naika2@hospital.example"),
        ("【Ａｍａｚｏｎ】naika3 様、アカウントがロックされました", "naika3@hospital.example"),
    ] {
        kitchen.put(&Given { subject, to: &[to], ..AMAZON });
    }
    kitchen.put(&Given { subject: "荷物をお預かりしています", brand: &[], ..AMAZON });
    // The same words in somebody else's name are something else.
    kitchen.put(&Given { subject: "荷物をお預かりしています", brand: &["Rakuten"], ..AMAZON });
    let week = kitchen.week();
    let told: Vec<_> = week
        .lures
        .iter()
        .map(|it| (it.subject.as_str(), it.seen, it.posing_as.as_ref().map(|of| of.en.as_str())))
        .collect();
    assert_eq!(told[0], ("【Amazon】○○様、アカウントがロックされました", 3, Some("Amazon")), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_lure_shows_places_and_reasons_and_nobody() {
    let mut kitchen = Kitchen::new();
    kitchen.put(&Given {
        subject: "Yamada Taro: https://evil.invalid/u/naika1 naika1@hospital.example",
        ..AMAZON
    });
    let week = kitchen.week();
    let lure = &week.lures[0];
    assert_eq!(lure.links, ["hxxps://login[.]amazon-jp[.]invalid/…"], "the true page is no lure");
    assert_eq!(lure.from, "Amazon[.]co[.]jp <no-reply@amazon-jp[.]invalid>");
    assert_eq!(lure.subject, "○○: hxxps://evil[.]invalid/… ○○");
    let why: Vec<_> = lure.why.iter().map(|it| it.ja.as_str()).collect();
    assert_eq!(why, ["名をかたっています。", "リンクが不自然です。"], "what speaks for it is no reason");
    for lang in Lang::ALL {
        let page = notice::page(&week, &training(), lang);
        let all = page.clone() + &serde_json::to_string(&week).unwrap();
        for hidden in ["http://", "https://", "naika1", "Yamada", "S3CRET", "<script", "hospital.example"] {
            assert!(!all.contains(hidden), "{hidden}: {all}");
        }
        assert!(page.contains("+81-3-0000-0000") && page.contains("架空病院"), "{page}");
    }
}

#[test]
fn recipients_count_for_their_department_and_false_alarms_apart() {
    let mut kitchen = Kitchen::new();
    let all =
        &["naika1@hospital.example", "naika2@hospital.example", "x@lab.hospital.example", "y@other.example"];
    kitchen.put(&Given { to: all, ..AMAZON });
    kitchen.put(&Given { verdict: MailVerdict::Malicious, to: &["x@lab.hospital.example"], ..AMAZON });
    kitchen.put(&Given { verdict: MailVerdict::Unreadable, subject: "unreadable", ..AMAZON });
    let released = kitchen.put(&Given { subject: "ours", ..AMAZON });
    let done = Done { at: now(), by: "local".into(), released_to: vec![] };
    kitchen.store.note(&released, &done).unwrap();
    // Delivered with a mark, and the week before as well.
    for at in [NOW, "2026-11-12T03:00:00Z"] {
        let to = ["naika1@hospital.example", "x@lab.hospital.example"].map(str::to_owned).to_vec();
        let tagged = Tagged { at: at.parse().unwrap(), verdict: MailVerdict::Suspicious, to };
        kitchen.store.note_tagged(&tagged).unwrap();
    }
    let week = kitchen.week();
    let counts = |malicious, phishing, unreadable, released, tagged| Counts {
        malicious,
        phishing,
        suspicious: 0,
        unreadable,
        released,
        tagged,
    };
    assert_eq!(week.mails, counts(1, 1, 1, 1, 1));
    let told: Vec<_> = week.departments.iter().map(|it| (it.name.as_deref(), it.counts)).collect();
    let expected = [
        (Some("内科"), counts(0, 2, 1, 1, 1)),
        (Some("検査科"), counts(1, 1, 0, 0, 1)),
        (None, counts(0, 1, 0, 0, 0)),
    ];
    assert_eq!(told, expected);
    let lures: Vec<_> = week.lures.iter().map(|it| (it.seen, it.verdict)).collect();
    assert_eq!(lures, [(2, MailVerdict::Malicious)], "neither what was released nor what could not be read");
}

#[test]
fn only_the_weeks_mails_count() {
    let mut kitchen = Kitchen::new();
    // Monday 00:00 to Sunday 24:00 in Tokyo.
    for at in
        ["2026-11-15T14:59:59Z", "2026-11-15T15:00:00Z", "2026-11-22T14:59:59.9Z", "2026-11-22T15:00:00Z"]
    {
        kitchen.put(&Given { at, ..AMAZON });
    }
    let week = kitchen.week();
    assert_eq!((week.mails.held(), week.lures[0].seen, week.unfinished), (2, 2, true));
    assert_eq!((week.from.as_str(), week.to.as_str()), ("2026-11-16", "2026-11-22"));
    let later = now() + SignedDuration::from_hours(24 * 9);
    assert!(
        !super::week(None, &Span::week("2026-W47").unwrap(), &training(), later).unwrap().unfinished,
        "without a quarantine too"
    );
}

#[test]
fn the_page_holds_five_lures_and_a_few_departments() {
    let mut kitchen = Kitchen::new();
    for kind in ["か", "き", "く", "け", "こ", "さ", "し"] {
        kitchen.put(&Given { subject: kind, ..AMAZON });
    }
    let mut week = kitchen.week();
    assert_eq!((week.lures.len(), week.other_lures), (LURES_MAX, 2));
    let department = |at: u32| Department {
        name: Some(format!("部署{at}")),
        counts: Counts { phishing: 100 - at, ..Counts::default() },
    };
    week.departments = (0..30).map(department).collect();
    let page = notice::page(&week, &training(), Lang::Ja);
    assert!(page.contains("今週届いた不審メール") && page.contains("このほかに2種類"), "{page}");
    assert!(page.contains("部署5") && !page.contains("部署6") && page.contains("その他"), "{page}");
    assert_eq!(page.matches("<svg").count(), 7);
}
