use std::collections::BTreeMap;

use decode::packet::{Link, read};
use jiff::tz::TimeZone;
use schema::telescope::{ProbeKind, Quarter, QuarterReport};
use schema::{SynFamily, SystemVersion, Transport};

use super::*;

/// Records of a capture of ours: a header of 24 bytes, then 16 for each packet.
fn probes(file: &[u8]) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut rest = &file[24..];
    while !rest.is_empty() {
        let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let at = i64::from(number(0)) * 1_000_000 + i64::from(number(4));
        let (bytes, after) = rest[16..].split_at(number(8) as usize);
        probes.push(Probe::of(at, &read(Link::Ip, bytes, number(12)).unwrap()));
        rest = after;
    }
    probes
}

fn days(probes: &[Probe], sensor: &str) -> BTreeMap<i64, Day> {
    let mut counter = Counter::new(Filter::default());
    let mut days: BTreeMap<i64, Day> = BTreeMap::new();
    let mut keep = |day: Day| match days.get_mut(&day.number) {
        Some(it) => it.merge(day),
        None => drop(days.insert(day.number, day)),
    };
    for batch in probes.chunks(512) {
        counter.step(batch);
        counter.finished(sensor).into_iter().for_each(&mut keep);
    }
    counter.drain_all(sensor).into_iter().for_each(&mut keep);
    days
}

fn report(sensors: &[BTreeMap<i64, Day>], quarter: Quarter) -> QuarterReport {
    let zone = TimeZone::fixed(jiff::tz::offset(9));
    let mut survey = Survey::new(quarter, &zone, jiff::Timestamp::MAX).unwrap();
    sensors.iter().flat_map(BTreeMap::values).for_each(|day| survey.count(day));
    let days = survey.days();
    let mut pass = survey.choose();
    for number in days {
        let mut merged = Day::new(number, "");
        sensors.iter().filter_map(|days| days.get(&number)).cloned().for_each(|day| merged.merge(day));
        pass.follow(&merged);
    }
    pass.report()
}

const QUARTER: Quarter = Quarter { year: 2018, quarter: 3 };

#[test]
fn the_third_quarter_of_2018_is_told_from_its_packets_alone() {
    for seed in [1, 2, 3] {
        let report = report(&[days(&probes(&testkit::telescope::capture(seed, 1.0)), "one")], QUARTER);
        let top: Vec<(u16, Option<u32>)> =
            report.ports.iter().take(5).map(|row| (row.target.port, row.previous_rank)).collect();
        assert_eq!(top, [(23, Some(1)), (445, Some(2)), (80, Some(3)), (8080, Some(6)), (22, Some(4))]);
        let [surge] = &report.surges[..] else { panic!("seed {seed}: {:#?}", report.surges) };
        assert_eq!(surge.target.port, 445);
        let off = surge.onset.as_second() - testkit::telescope::ONSET;
        assert!(off.abs() <= 86_400, "seed {seed}: {}", surge.onset);
        assert!(surge.until.is_none_or(|until| until > surge.onset));
        let nt5 = |systems: &[schema::telescope::SystemShare]| systems[0];
        for it in [nt5(&report.ports[1].systems), surge.systems.unwrap()] {
            assert_eq!(it.family, SynFamily::Nt5);
            assert!((0.77..0.83).contains(&it.share.share), "{it:?}");
            assert!(
                it.share.low < 0.8 && it.share.high > 0.8 && it.share.high - it.share.low < 0.08,
                "{it:?}"
            );
        }
        assert!(report.backscatter_sources <= 5 && report.backscatter[0].target.port == 80);
        assert!(report.sensors[0].hours_observed >= 2200 && report.sensors[0].gap_count == 0);
        let trend = report.ports[1].trend.unwrap();
        assert!(trend.day >= jiff::civil::date(2018, 8, 12) && trend.figure > 5.0, "{trend:?}");
    }
}

#[test]
fn two_sensors_merge_to_what_one_would_have_counted() {
    let probes = probes(&testkit::telescope::capture(4, 0.3));
    let (even, odd): (Vec<_>, Vec<_>) = probes.iter().enumerate().partition(|(place, _)| place % 2 == 0);
    let of = |some: Vec<(usize, &Probe)>| some.into_iter().map(|(_, probe)| *probe).collect::<Vec<_>>();
    let both = [days(&of(even), "a"), days(&of(odd), "b")];
    let whole = report(&[days(&probes, "one")], QUARTER);
    let merged = report(&both, QUARTER);
    assert_eq!(merged.scan_sources, whole.scan_sources);
    for (one, other) in merged.ports.iter().zip(&whole.ports) {
        assert_eq!((one.target, one.packets, one.sources), (other.target, other.packets, other.sources));
        assert_eq!((&one.systems, &one.hourly_sources), (&other.systems, &other.hourly_sources));
    }
}

#[test]
fn a_day_is_read_from_its_records_as_it_was() {
    let probes = probes(&testkit::telescope::capture(5, 0.2));
    let mut day = days(&probes[..800], "one").into_values().next().unwrap();
    let version = SystemVersion { major: 5, minor: 2, build: 3790 };
    day.confirmed.push(Confirmed { source: probes[0].source, port: 445, version, at: probes[0].at });
    let mut back = Day::new(day.number, "one");
    for record in day.records() {
        let line = serde_json::to_string(&record).unwrap();
        assert!(back.take(serde_json::from_str(&line).unwrap()), "{line}");
    }
    assert_eq!(back, day);
    assert!(!back.take(Record::Hour { hour: 24, observed_seconds: 1, folded: 0, lost: 0 }));
}

#[test]
fn lines_with_wrong_bytes_are_taken_or_refused_and_their_sums_stay_numbers() {
    let probes = probes(&testkit::telescope::capture(6, 0.05));
    let lines: Vec<String> = days(&probes, "one")
        .values()
        .flat_map(Day::records)
        .map(|record| serde_json::to_string(&record).unwrap())
        .collect();
    let mut day = Day::new(0, "fuzz");
    let mut taken = 0;
    for seed in 0..20_000 {
        let noise = testkit::noise(seed, 8);
        let mut line = lines[seed as usize % lines.len()].clone().into_bytes();
        for pair in noise[..2 * usize::from(noise[7] % 4)].chunks(2) {
            let at = usize::from(pair[0]) * 5 % line.len();
            line[at] = b"0123456789abcdefm\"{},:e-."[usize::from(pair[1]) % 25];
        }
        if let Ok(record) = serde_json::from_slice::<Record>(&line) {
            taken += usize::from(day.take(record));
        }
    }
    assert!(taken > 1_000);
    let most = r#"{"r":"hour","hour":3,"observed_seconds":18446744073709551615}"#;
    assert!(!day.take(serde_json::from_str(most).unwrap()));
    let mut twice = day.clone();
    twice.merge(day);
    let packets: u64 = twice.hours.values().map(Hour::packets).sum();
    assert!(packets > 0 && twice.records().all(|record| serde_json::to_vec(&record).is_ok()));
}

fn probe(at: i64, source: u32, port: u16) -> Probe {
    let key = Key { kind: ProbeKind::Scan, port, transport: Transport::Tcp, family: Some(SynFamily::Bare) };
    let address = |n: u32| std::net::Ipv4Addr::from(n).into();
    Probe { at, source: address(source), destination: address(0xc633_6401), key }
}

#[test]
fn floods_of_ports_and_sources_stay_within_bounds_and_hide_no_worm() {
    let mut counter = Counter::new(Filter::default());
    for n in 0..400_000u32 {
        let flood = probe(i64::from(n), n.wrapping_mul(2_654_435_761), (n % 65_536) as u16);
        counter.step(&[flood]);
        if n % 40 == 0 {
            counter.step(&[probe(i64::from(n), 7, 445)]);
        }
    }
    let day = counter.drain_all("one").remove(0);
    let hour = &day.hours[&0];
    assert!(hour.tallies.len() <= 4096 && hour.folded > 0);
    assert_eq!(hour.packets(), 410_000);
    let worm = hour.tallies.iter().find(|(key, _)| key.port == 445).unwrap().1;
    assert!(worm.packets >= 9_000, "{}", worm.packets);
    assert!(day.sources.rows.len() <= 65_536 && day.sources.unlisted > 0);
    assert!(day.sources.rows.iter().any(|row| row.packets == 10_000 && row.target.port == 445));
}

#[test]
fn only_the_watched_addresses_count_and_silence_is_no_observation() {
    let filter = Filter { watched: vec!["198.51.100.0/28".parse().unwrap()] };
    let mut counter = Counter::new(filter);
    let hour = 3_600_000_000;
    let mut answer = probe(10, 0xc633_6402, 40_000);
    answer.destination = std::net::Ipv4Addr::new(192, 0, 2, 1).into();
    counter.step(&[probe(0, 1, 445), answer, probe(hour / 2, 1, 445), probe(5 * hour, 1, 445)]);
    // A clock that goes backwards, far and a little.
    counter.step(&[
        probe(hour, 1, 445),
        probe(hour + 5, 1, 445),
        probe(hour + 1, 1, 445),
        probe(i64::MIN, 1, 445),
        probe(i64::MAX, 1, 445),
        probe(i64::MIN, 1, 445),
    ]);
    assert_eq!(counter.elsewhere(), 1);
    let all = counter.drain_all("one");
    let day = all.iter().find(|day| day.number == 0).unwrap();
    assert_eq!(day.hours[&0].observed_seconds, 1800);
    assert_eq!(day.hours[&5].observed_seconds, 0);
    assert!(!day.hours.contains_key(&3));
}

#[test]
fn answers_are_told_from_questions() {
    let tcp = |from, to, flags| Probe::tcp_key(from, to, flags, SynFamily::Bare);
    let udp = |from, to, payload: &[u8]| Probe::udp_key(from, to, payload);
    for (key, kind, port) in [
        (tcp(4000, 445, 0x02), ProbeKind::Scan, 445),
        (tcp(4000, 445, 0xc2), ProbeKind::Scan, 445),
        (tcp(80, 4000, 0x12), ProbeKind::Backscatter, 80),
        (tcp(80, 4000, 0x04), ProbeKind::Backscatter, 80),
        (tcp(80, 4000, 0x14), ProbeKind::Backscatter, 80),
        (tcp(4000, 80, 0x10), ProbeKind::Other, 80),
        (tcp(4000, 80, 0x00), ProbeKind::Other, 80),
        (tcp(4000, 80, 0x29), ProbeKind::Other, 80),
        (udp(4000, 1900, b"M-SEARCH"), ProbeKind::Scan, 1900),
        (udp(1900, 4000, b"HTTP/1.1 200"), ProbeKind::Backscatter, 1900),
        (udp(53, 4000, &[0, 1, 0x81, 0x80]), ProbeKind::Backscatter, 53),
        (udp(53, 53, &[0, 1, 0x01, 0]), ProbeKind::Scan, 53),
        (udp(123, 4000, &[0xd7, 0x80]), ProbeKind::Backscatter, 123),
        (udp(123, 4000, &[0x17, 0x00]), ProbeKind::Scan, 4000),
        (udp(123, 4000, &[]), ProbeKind::Scan, 4000),
    ] {
        assert_eq!((key.kind, key.port), (kind, port), "{key:?}");
    }
}
