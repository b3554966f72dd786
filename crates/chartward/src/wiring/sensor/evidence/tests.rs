use schema::{FlowEnd, Sight, Traffic};

use super::super::flows::Flows;
use super::super::flows::tests::event;
use super::*;

const MINUTE: Micros = 60_000_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn question(hosts: &[&str]) -> Question {
    Question {
        from: at("2026-05-04T10:00:00Z"),
        to: at("2026-05-04T10:10:00Z"),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        internal: Vec::new(),
    }
}

fn start() -> Record {
    let internal = vec!["10.0.0.0/8".parse().unwrap()];
    Record::Start {
        at: at("2026-05-04T09:00:00Z").as_microsecond(),
        interfaces: vec!["eth1".into()],
        internal,
    }
}

fn covers(minutes: &[i64]) -> Vec<Record> {
    let begin = at("2026-05-04T10:00:00Z").as_microsecond();
    let cover = |minute: &i64| {
        let from = begin + minute * MINUTE;
        Record::Cover(Cover { from, to: from + MINUTE, packets: 100, two_way: 5, ..Cover::default() })
    };
    minutes.iter().map(cover).collect()
}

fn gathered(question: Question, records: Vec<Record>) -> Evidence {
    let mut gathering = Gathering::new(question, &[]);
    records.into_iter().for_each(|record| gathering.take(record));
    gathering.done(Unread::default())
}

fn flow(server: &str, sent: u64) -> Record {
    let now = at("2026-05-04T10:05:00Z").as_microsecond();
    let traffic = Traffic {
        first: now - MINUTE,
        last: now,
        packets: [9, 9],
        bytes: [sent + 400, 900],
        payload: [sent, 500],
    };
    let mut flows = Flows::default();
    flows.take(&[event(1, server, now, Sight::Traffic { traffic, end: FlowEnd::Finished })]);
    Record::Flow(flows.flush().remove(0))
}

#[test]
fn nothing_seen_is_said_only_with_what_was_looked_at() {
    let all: Vec<i64> = (-1..11).collect();
    for (records, complete, en, ja) in [
        (
            [vec![start()], covers(&all)].concat(),
            true,
            "Nothing was seen to leave the network",
            "観測されませんでした",
        ),
        ([vec![start()], covers(&[0, 1, 5])].concat(), false, "30 % of the time was watched", "期間の30%"),
        (vec![], false, "nothing can be said", "何も言えません"),
    ] {
        let evidence = gathered(question(&["10.0.0.5"]), records);
        assert_eq!(evidence.observation.complete, complete);
        assert!(!evidence.left());
        for (lang, expected) in [(schema::Lang::En, en), (schema::Lang::Ja, ja)] {
            let text = text(&evidence, lang, &jiff::tz::TimeZone::UTC);
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}

#[test]
fn what_could_not_be_read_is_a_hole() {
    for (cover, complete) in [
        (Cover { undecoded: 1, ..Cover::default() }, true),
        (Cover { undecoded: 20, ..Cover::default() }, false),
        (Cover { unread: 20, ..Cover::default() }, false),
        (Cover { fragments_lost: 20, ..Cover::default() }, false),
    ] {
        let (from, to) =
            (at("2026-05-04T09:59:00Z").as_microsecond(), at("2026-05-04T10:11:00Z").as_microsecond());
        let cover = Record::Cover(Cover { from, to, packets: 10_000, two_way: 5, ..cover });
        let evidence = gathered(question(&["10.0.0.5"]), vec![start(), cover]);
        assert_eq!(evidence.observation.complete, complete, "{:?}", evidence.observation);
    }
}

#[test]
fn gaps_are_named_from_when_to_when() {
    let evidence = gathered(question(&[]), [vec![start()], covers(&[0, 1, 2, 5, 6])].concat());
    let gap = |from: &str, to: &str| Gap { from: at(from), to: at(to) };
    assert_eq!(
        evidence.observation.gaps,
        [
            gap("2026-05-04T10:03:00Z", "2026-05-04T10:05:00Z"),
            gap("2026-05-04T10:07:00Z", "2026-05-04T10:10:00Z")
        ]
    );
    assert_eq!((evidence.observation.covered_seconds, evidence.observation.packets), (300, 500));
}

#[test]
fn what_left_and_who_talked_to_the_host_is_told_by_pair() {
    let records = vec![
        start(),
        flow("203.0.113.9", 5_000_000),
        flow("203.0.113.9", 1_000),
        flow("10.0.0.77", 70),
        flow("224.0.0.251", 40),
    ];
    let evidence = gathered(question(&["10.0.0.5"]), records.clone());
    assert!(evidence.left());
    let [outside] = evidence.outside.as_slice() else { panic!("{:?}", evidence.outside) };
    assert_eq!((outside.payload_sent, outside.bytes_received, outside.opened_by_host), (5_001_000, 1_800, 2));
    assert_eq!(outside.ports.iter().collect::<Vec<_>>(), [&443]);
    let [inside] = evidence.inside.as_slice() else { panic!("{:?}", evidence.inside) };
    assert_eq!(inside.peer.to_string(), "10.0.0.77");
    let other = gathered(question(&["10.0.0.77"]), records.clone());
    assert!(other.outside.is_empty() && !other.left());
    assert_eq!(
        (other.inside[0].host.to_string(), other.inside[0].opened_by_peer),
        ("10.0.0.77".to_owned(), 1)
    );
    let nobody = gathered(question(&["10.0.0.6"]), records);
    assert!(nobody.outside.is_empty() && nobody.inside.is_empty());
}
