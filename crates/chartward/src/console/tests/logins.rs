use jiff::{SignedDuration, Timestamp};
use judge::logins::{Detectors, Rules};
use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};

use super::fixture::Fixture;
use super::{has_curl, session};
use crate::wiring::logins::grants::Grants;
use crate::wiring::logins::shown::Shown;
use crate::wiring::logs;

#[test]
fn the_page_of_logons_shows_doors_graph_timeline_learning_and_what_is_open() {
    if !has_curl() {
        return;
    }
    let fixture = Fixture::new();
    let viewer = session(&fixture);
    let empty = fixture.curl(&["-b", &viewer], "/logins");
    assert!(empty.contains("No log of logons is being watched"), "{empty}");

    let mut detectors = Detectors::new(&Rules::default());
    for (account, from) in [("suzuki", "10.1.1.7"), ("<b>tanaka", "203.0.113.9")] {
        let event = AuthEvent {
            at: Timestamp::now().as_microsecond(),
            host: "gate01",
            protocol: AuthProtocol::Rdp,
            outcome: AuthOutcome::Success,
            reason: AuthReason::None,
            account: Some(account),
            domain: None,
            source: from.parse().ok(),
            workstation: None,
            logon_type: Some(10),
            session: None,
        };
        detectors.step(&event, 0, &mut Vec::new());
    }
    let (state, now) = (fixture.dir.path(), Timestamp::now());
    let folder = logs::folder(state);
    std::fs::create_dir_all(&folder).unwrap();
    Shown::of(&detectors, now).save(&folder).unwrap();
    let grant =
        Grants::open(state, "vendor-a", 2.0, "ticket 4711", "local", now - SignedDuration::from_secs(1))
            .unwrap();
    let page = fixture.curl(&["-b", &viewer], "/logins");
    for holds in [
        "2 logons were judged",
        "Remote Desktop answers 1 addresses outside",
        "<svg xmlns",
        "&lt;b&gt;tanaka",
        "It learns, and tells of no first-seen ones, until",
        "ticket 4711",
    ] {
        assert!(page.contains(holds), "{holds} in {page}");
    }
    assert!(!page.contains("/logins/revoke") && !page.contains("<b>tanaka"), "{page}");
    let of = fixture.curl(&["-b", &viewer], "/logins?of=10.1.1.7&lang=ja");
    assert!(of.contains("業者への許可"), "{of}");
    let path = format!("/logins/revoke/{}", grant.id);
    let answer = fixture.curl(&["-b", &viewer, "-d", "csrf=no"], &path);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(Grants::load(state).unwrap().grants[0].is_open(now));
}
