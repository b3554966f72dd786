use std::net::IpAddr;

use jiff::Timestamp;
use schema::telescope::{LetterEvidence, Network, Target};
use schema::{Lang, SystemVersion, Transport};

use super::*;
use crate::Error;

fn stored(sensor: &str, kind: Kind) -> Stored {
    Stored { day: 17_755, sensor: sensor.to_owned(), kind }
}

#[test]
fn what_is_written_is_read_and_what_was_changed_is_refused() {
    let lines = b"{\"r\":\"hour\"}\n".repeat(300);
    let file = write(17_755, "front", &lines).unwrap();
    assert!(file.len() < 400);
    let (head, back) = read(&file).unwrap();
    assert_eq!((head.day, head.sensor.as_str(), head.lines, back == lines), (17_755, "front", 300, true));
    for place in 0..file.len() {
        let mut bad = file.clone();
        bad[place] ^= 1;
        // The name of the sensor is not part of the checksum: the store compares it with the file's name.
        assert!(read(&bad).is_err() || read(&bad).unwrap().1 == lines, "{place}");
        assert!(read(&file[..place]).is_err(), "{place}");
    }
    let newer = [
        br#"{"chartward_observation":2,"day":1,"sensor":"a","lines":0,"bytes":0,"sha256":""}"#.as_slice(),
        b"\n",
    ]
    .concat();
    assert_eq!(read(&newer), Err(Fault::Version(2)));
    let bomb = [
        br#"{"chartward_observation":1,"day":1,"sensor":"a","lines":0,"bytes":99999999999,"sha256":""}"#
            .as_slice(),
        b"\n",
    ]
    .concat();
    assert_eq!(read(&bomb), Err(Fault::TooLarge(99_999_999_999)));
}

#[test]
fn files_are_replaced_as_a_whole_and_addresses_are_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open(state.path()).unwrap();
    for (sensor, kind) in [("a", Kind::Counts), ("a", Kind::Addresses), ("b", Kind::Counts)] {
        let add = |old: Option<Vec<u8>>| Ok::<_, Error>([old.unwrap_or_default(), b"x\n".to_vec()].concat());
        store.update(&stored(sensor, kind), add).unwrap();
        store.update(&stored(sensor, kind), add).unwrap();
        assert_eq!(store.read(&stored(sensor, kind)).unwrap().unwrap(), b"x\nx\n");
    }
    let failed = store.update(&stored("a", Kind::Counts), |_| Err(Error::NoLetter(String::new())));
    assert!(failed.is_err() && store.read(&stored("a", Kind::Counts)).unwrap().unwrap() == b"x\nx\n");
    assert_eq!(store.list(17_000..=18_000).unwrap().len(), 3);
    assert_eq!(store.list(17_756..=18_000).unwrap(), []);
    assert_eq!(store.forget_addresses(17_755).unwrap(), 0);
    assert_eq!(store.forget_addresses(17_756).unwrap(), 1);
    assert_eq!(store.read(&stored("a", Kind::Addresses)).unwrap(), None);
    // A copy under another sensor's name would count twice.
    let folder = state.path().join("telescope/days/2018");
    std::fs::copy(folder.join("20180812.a.counts"), folder.join("20180812.c.counts")).unwrap();
    assert!(matches!(store.read(&stored("c", Kind::Counts)), Err(Error::Observation { .. })));
    for (name, is_name) in [("front", true), ("a-b_9", true), ("", false), ("../x", false), ("a.b", false)] {
        assert_eq!(Store::is_name(name), is_name, "{name}");
    }
}

fn letter() -> Letter {
    let source: IpAddr = "192.0.2.7".parse().unwrap();
    let version = SystemVersion { major: 5, minor: 2, build: 3790 };
    Letter {
        id: String::new(),
        network: Network {
            prefix: "192.0.2.0/24".into(),
            name: "Example Net".into(),
            email: "abuse@example.test".into(),
        },
        from: "2018-08-11T15:00:00Z".parse().unwrap(),
        to: "2018-08-13T15:00:00Z".parse().unwrap(),
        zone: "Asia/Tokyo".into(),
        sender: "Example Hospital".into(),
        evidence: vec![LetterEvidence {
            source,
            first: 1_534_000_000_000_000,
            last: 1_534_100_000_000_000,
            targets: vec![(Target { port: 445, transport: Transport::Tcp }, 12)],
            said: vec![version],
        }],
        more: 0,
        steps: Vec::new(),
    }
}

#[test]
fn a_letter_is_approved_before_it_is_sent_and_tracked_to_a_reply() {
    let state = tempfile::tempdir().unwrap();
    let letters = Letters::open(state.path()).unwrap();
    let now: Timestamp = "2018-08-20T00:00:00Z".parse().unwrap();
    let services = Services::parse("");
    let first = letters.draft(letter(), &services, now, "local").unwrap();
    let second = letters.draft(letter(), &services, now, "local").unwrap();
    assert_eq!((first.id.as_str(), second.id.as_str()), ("L-0001", "L-0002"));
    let step = |state, note: &str| Step { at: now, state, by: "sato".into(), note: note.into() };
    let mark = |state, note| letters.mark("L-0001", step(state, note));
    for wrong in [LetterState::Sent, LetterState::Replied, LetterState::Draft] {
        assert!(matches!(mark(wrong, ""), Err(Error::LetterStep { .. })), "{wrong:?}");
    }
    mark(LetterState::Approved, "").unwrap();
    assert!(mark(LetterState::Replied, "").is_err());
    mark(LetterState::Sent, "by post").unwrap();
    let replied = mark(LetterState::Replied, "antivirus found malware").unwrap();
    assert_eq!(letters.list().unwrap(), [replied.clone(), second]);
    let crate::Fact::LetterChanged { state, note, .. } = replied.fact() else { panic!() };
    assert_eq!((state.as_str(), note.as_str()), ("replied", "antivirus found malware"));
    for wrong in ["L-0003", "../L-0001", "L-", ""] {
        assert!(matches!(letters.read(wrong), Err(Error::NoLetter(_))), "{wrong}");
    }
}

#[test]
fn letters_carry_their_evidence_in_both_languages() {
    let services = Services::parse("");
    for (lang, expected) in [
        (
            Lang::En,
            ["192.0.2.7", "2018-08-12 00:06:40 +09:00", "445/tcp microsoft-ds: 12 packets", "5.2.3790"],
        ),
        (
            Lang::Ja,
            ["192.0.2.7", "2018-08-13 03:53:20 +09:00", "445/tcp microsoft-ds：12個", "自己申告であり未確認"],
        ),
    ] {
        let text = letter().text(&services, lang);
        expected.iter().for_each(|it| assert!(text.contains(it), "{it}: {text}"));
    }
}

#[test]
fn ports_are_called_as_iana_and_the_machine_call_them() {
    let services = Services::parse(
        "# comment\nmicrosoft-ds 445/tcp\nfoo\t7777/tcp bar # x\nbad 99999/tcp\nodd 5/sctp\n\n",
    );
    let name = |port, transport| services.name(Target { port, transport }).to_owned();
    for (port, transport, expected) in [
        (23, Transport::Tcp, "telnet"),
        (445, Transport::Tcp, "microsoft-ds"),
        (8080, Transport::Tcp, "http-alt"),
        (7777, Transport::Tcp, "foo"),
        (7777, Transport::Udp, ""),
        (8, Transport::Icmp, ""),
    ] {
        assert_eq!(name(port, transport), expected, "{port}");
    }
}
