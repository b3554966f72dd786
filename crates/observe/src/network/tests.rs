mod captures;

use std::net::{IpAddr, SocketAddr};

use decode::packet::Link;
use proptest::prelude::*;
use schema::{FlowEnd, Micros, NetCoverage, NetEvent, Service, Sight, SynFamily, Traffic};
use testkit::frames::{self, Tcp, flag, options};

use super::{Pipeline, Settings};

const SECOND: Micros = 1_000_000;
const SYN: u8 = flag::SYN;
const SYN_ACK: u8 = flag::SYN | flag::ACK;
const ACK: u8 = flag::ACK;
const FIN: u8 = flag::FIN | flag::ACK;
const RST: u8 = flag::RST | flag::ACK;

/// A capture that is being made.
struct Scene {
    pipeline: Pipeline,
    at: Micros,
    number: u64,
    events: Vec<NetEvent>,
}

impl Scene {
    fn new(settings: Settings) -> Scene {
        Scene { pipeline: Pipeline::new(settings), at: 1_500_000_000 * SECOND, number: 0, events: Vec::new() }
    }

    /// Small enough to be filled.
    fn small(flows_max: usize) -> Scene {
        Scene::new(Settings { flows_max, unanswered_max: 64, streams_max: 8, ..Settings::default() })
    }

    fn ip(&mut self, packet: &[u8]) {
        self.number += 1;
        self.at += 1_000;
        let length = packet.len() as u32;
        self.pipeline.packet(self.at, self.number, Link::Ip, packet, length, &mut self.events);
    }

    fn tcp(&mut self, source: &str, destination: &str, flags: u8) {
        self.data(source, destination, flags, 1000, b"");
    }

    fn data(&mut self, source: &str, destination: &str, flags: u8, sequence: u32, payload: &[u8]) {
        let tcp = Tcp { sequence, payload, ..Tcp::bare(end(source), end(destination), flags) };
        self.ip(&tcp.ip());
    }

    fn udp(&mut self, source: &str, destination: &str, payload: &[u8]) {
        self.ip(&frames::udp(end(source), end(destination), payload));
    }

    /// Somebody else's conversation, which shows that answers are seen here.
    fn answered(mut self) -> Scene {
        self.tcp("192.0.2.250:50000", "192.0.2.251:80", SYN);
        self.tcp("192.0.2.251:80", "192.0.2.250:50000", SYN_ACK);
        self.events.clear();
        self
    }

    fn wait(&mut self, seconds: i64) {
        self.at += seconds * SECOND;
    }

    /// What was told of a flow with that client, in words.
    fn told(&mut self, client: &str) -> Vec<String> {
        self.pipeline.finish(&mut self.events);
        let client = end(client);
        let is_of = |event: &&NetEvent| {
            (event.contact.client.address, event.contact.client.port) == (client.ip(), client.port())
        };
        self.events.iter().filter(is_of).map(words).collect()
    }

    fn coverage(&self) -> NetCoverage {
        self.pipeline.coverage()
    }
}

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn words(event: &NetEvent) -> String {
    match &event.sight {
        Sight::Opened { syn, sure } => {
            format!(
                "opened{}{}",
                if *sure { "" } else { "?" },
                syn.map_or(String::new(), |syn| format!(" {syn:?}"))
            )
        }
        Sight::Answered => "answered".into(),
        Sight::Refused => "refused".into(),
        Sight::Unanswered => "unanswered".into(),
        Sight::Backscatter => "backscatter".into(),
        Sight::Speaks { service } => format!("speaks {service:?}"),
        Sight::Named { name, .. } => format!("named {name}"),
        Sight::Traffic { traffic: Traffic { packets: [there, back], payload, .. }, end } => {
            format!("{end:?} {there}+{back} {}+{}", payload[0], payload[1])
        }
        other => format!("{other:?}"),
    }
}

const A: &str = "192.0.2.1:40000";
const B: &str = "198.51.100.7:445";

#[test]
fn a_connection_opens_is_answered_and_ends_with_its_sums() {
    let mut scene = Scene::small(10);
    scene.data(A, B, SYN, 99, b"");
    scene.data(B, A, SYN_ACK, 499, b"");
    scene.data(A, B, ACK, 100, b"");
    scene.data(A, B, ACK, 100, b"hello");
    scene.data(B, A, FIN, 500, b"good bye");
    scene.data(A, B, FIN, 105, b"");
    scene.data(B, A, ACK, 509, b"");
    assert_eq!(scene.events.len(), 3, "the end waits for nothing more");
    assert_eq!(scene.told(A), ["opened Bare", "answered", "Finished 4+3 5+8"]);
    let coverage = scene.coverage();
    assert_eq!((coverage.packets, coverage.flows, coverage.two_way, coverage.one_way), (7, 1, 1, 0));
    let Sight::Traffic { traffic, .. } = scene.events[2].sight else { panic!() };
    assert_eq!((traffic.bytes, traffic.last - traffic.first), ([165, 128], 6_000));
    assert_eq!((scene.events[2].packet, scene.events[0].packet), (7, 1));
}

#[test]
fn what_comes_after_the_end_begins_no_flow_and_a_new_syn_does() {
    let mut scene = Scene::small(10);
    scene.tcp(A, B, SYN);
    scene.tcp(B, A, SYN_ACK);
    scene.tcp(B, A, RST);
    scene.tcp(A, B, ACK);
    scene.tcp(B, A, RST);
    scene.data(A, B, SYN, 5000, b"");
    assert_eq!(scene.told(A), ["opened Bare", "answered", "Reset 1+2 0+0", "opened Bare", "Going 1+0 0+0"]);
}

#[test]
fn refusals_and_silence_are_told_apart() {
    let check = |flow: &dyn Fn(&mut Scene), expected: &[&str]| {
        let mut scene = Scene::small(10).answered();
        flow(&mut scene);
        scene.wait(60);
        scene.udp("192.0.2.9:1", "192.0.2.8:514", b"later");
        assert_eq!(scene.told(A), expected);
    };
    let two = |scene: &mut Scene, flags: [u8; 2]| {
        scene.tcp(A, B, flags[0]);
        scene.tcp(B, A, flags[1]);
    };
    check(&|scene| two(scene, [SYN, RST]), &["opened Bare", "refused", "Reset 1+1 0+0"]);
    // A mirror shows it twice.
    check(
        &|scene| {
            two(scene, [SYN, RST]);
            scene.tcp(B, A, RST);
        },
        &["opened Bare", "refused", "Reset 1+1 0+0"],
    );
    check(&|scene| scene.tcp(A, B, SYN), &["opened Bare", "unanswered", "Idle 1+0 0+0"]);
    check(
        &|scene| {
            scene.tcp(A, B, SYN);
            scene.wait(3);
            scene.tcp(A, B, SYN);
            scene.wait(8);
            two(scene, [SYN, SYN_ACK]);
        },
        &["opened Bare", "answered", "Going 3+1 0+0"],
    );
    check(&|scene| scene.udp(A, "192.0.2.4:161", b"x"), &["opened?", "unanswered", "Idle 1+0 1+0"]);
    check(&|scene| scene.udp(A, "239.255.255.250:1900", b"x"), &["opened?", "Idle 1+0 1+0"]);
    let unreachable = |scene: &mut Scene| {
        let asked = frames::udp(end(A), end("192.0.2.4:161"), b"x");
        scene.ip(&asked);
        let (router, here) = (end("192.0.2.3:1").ip(), end(A).ip());
        scene.ip(&frames::icmp(router, here, 3, 1, &asked));
    };
    check(&unreachable, &["opened?", "refused", "Reset 1+0 1+0"]);
}

#[test]
fn silence_means_nothing_where_answers_are_never_seen() {
    let mut scene = Scene::small(64);
    scene.tcp(A, B, SYN);
    scene.wait(60);
    assert_eq!(scene.told(A), ["opened Bare", "Going 1+0 0+0"]);

    // A mirror of one direction: data alone.
    let mut scene = Scene::small(64).answered();
    for client in 1..20 {
        let client = format!("192.0.2.{client}:40000");
        scene.data(&client, B, SYN, 99, b"");
        for step in 0..5 {
            scene.data(&client, B, ACK, 100 + step, b"x");
        }
    }
    assert!(scene.pipeline.is_one_way());
    let (coverage, lone) = (scene.coverage(), "192.0.2.99:1");
    assert_eq!((coverage.one_way, coverage.two_way), (19, 1));
    scene.tcp(lone, B, SYN);
    scene.tcp(B, "192.0.2.98:9", RST);
    scene.wait(30);
    scene.tcp("192.0.2.97:1", B, SYN);
    assert_eq!(scene.told(lone), ["opened Bare", "Idle 1+0 0+0"]);
    assert_eq!(scene.told("192.0.2.98:9"), ["opened", "Idle 0+1 0+0"]);
}

#[test]
fn what_nobody_asked_for_is_somebody_elses_attack() {
    for (packet, kind) in [
        (Tcp::bare(end(B), end(A), SYN_ACK).ip(), "SYN-ACK"),
        (Tcp::bare(end(B), end(A), RST).ip(), "RST"),
        (frames::udp(end("198.51.100.7:53"), end(A), &[0; 40]), "DNS"),
    ] {
        let mut scene = Scene::small(10);
        scene.ip(&packet);
        scene.ip(&packet);
        scene.wait(30);
        scene.tcp("192.0.2.77:1", B, SYN);
        assert_eq!(scene.told(A), ["backscatter"], "{kind}");
        assert_eq!(scene.events[0].packet, 2);
    }
    let (router, here) = (end("192.0.2.3:1").ip(), end(A).ip());
    let mut scene = Scene::small(10);
    scene.ip(&frames::icmp(router, here, 11, 0, &Tcp::bare(end(A), end(B), SYN).ip()));
    assert_eq!(scene.told(A), ["backscatter"]);
    // About somebody else's packet: a lie.
    let mut scene = Scene::small(10);
    scene.ip(&frames::icmp(router, end(B).ip(), 11, 0, &Tcp::bare(end(A), end(B), SYN).ip()));
    assert!(scene.told(A).is_empty());
    // A victim's host answers an answer that it did not ask for.
    let mut scene = Scene::small(10);
    scene.tcp(B, A, SYN_ACK);
    scene.tcp(A, B, RST);
    assert_eq!(scene.told(A), ["backscatter"]);
}

#[test]
fn connections_that_were_open_before_get_a_direction_by_their_ports() {
    let mut scene = Scene::small(10);
    scene.data(B, A, ACK, 7, b"from the server");
    scene.data(A, B, ACK, 9, b"from the client");
    assert_eq!(scene.told(A), ["opened?", "answered", "Going 1+1 15+15"]);
    // Its handshake's second half.
    let mut scene = Scene::small(10);
    scene.tcp(B, A, SYN_ACK);
    scene.tcp(A, B, ACK);
    assert_eq!(scene.told(A), ["opened", "answered", "Going 1+1 0+0"]);
}

#[test]
fn forged_sources_push_out_nothing_that_was_answered() {
    let mut scene = Scene::small(64);
    for client in 1..=50 {
        let client = format!("192.0.2.{client}:40000");
        scene.tcp(&client, B, SYN);
        scene.tcp(B, &client, SYN_ACK);
    }
    for source in 0..100_000_u32 {
        let source = SocketAddr::new(IpAddr::V4((0x0b00_0000 + source).into()), 6000);
        scene.at -= 990;
        scene.ip(&Tcp::bare(source, end(B), SYN).ip());
        scene.ip(&frames::udp(source, end("198.51.100.7:9999"), b"x"));
        assert!(scene.pipeline.flows() <= 50 + 2 * 64);
        scene.events.clear();
    }
    assert!(scene.coverage().evicted > 199_000);
    for client in 1..=50 {
        let client = format!("192.0.2.{client}:40000");
        scene.data(&client, B, ACK, 1001, b"still here");
    }
    assert_eq!(scene.told("192.0.2.50:40000"), ["Going 2+1 10+0"]);
    assert_eq!(scene.coverage().two_way, 50);
}

#[test]
fn a_full_table_loses_what_was_silent_for_the_longest() {
    let mut scene = Scene::small(16);
    for client in 1..=17 {
        let client = format!("192.0.2.{client}:40000");
        scene.tcp(&client, B, SYN);
        scene.tcp(B, &client, SYN_ACK);
    }
    assert_eq!(scene.coverage().evicted, 1);
    assert_eq!(scene.told("192.0.2.1:40000"), ["opened Bare", "answered", "Evicted 1+1 0+0"]);
    assert_eq!(scene.told("192.0.2.2:40000"), ["opened Bare", "answered", "Going 1+1 0+0"]);
}

#[test]
fn long_flows_are_told_meanwhile_and_silent_ones_end() {
    let mut scene = Scene::small(16);
    scene.tcp(A, B, SYN);
    scene.tcp(B, A, SYN_ACK);
    for step in 0..4 {
        scene.wait(200);
        scene.data(A, B, ACK, 1001 + step, b"x");
    }
    scene.wait(2000);
    for _ in 0..40 {
        scene.wait(1);
        scene.udp("192.0.2.9:9", "192.0.2.8:514", b"later");
    }
    let expected = ["opened Bare", "answered", "Going 3+1 2+0", "Going 5+1 4+0", "Idle 5+1 4+0"];
    assert_eq!(scene.told(A), expected);
}

#[test]
fn a_clock_that_goes_back_is_counted_and_stops_nothing() {
    let mut scene = Scene::small(16).answered();
    scene.tcp(A, B, SYN);
    scene.wait(-86_400 * 365);
    scene.tcp("192.0.2.5:1", B, SYN);
    scene.wait(60);
    scene.tcp("192.0.2.6:1", B, SYN);
    scene.wait(60);
    scene.tcp("192.0.2.7:1", B, SYN);
    assert_eq!(scene.coverage().clock_back, 1);
    assert_eq!(scene.told(A), ["opened Bare", "unanswered", "Idle 1+0 0+0"]);
    assert_eq!(scene.told("192.0.2.5:1"), ["opened Bare", "unanswered", "Idle 1+0 0+0"]);
    let mut scene = Scene::small(16);
    for at in [Micros::MAX, Micros::MIN, 0, Micros::MAX, Micros::MIN] {
        let packet = Tcp::bare(end(A), end(B), ACK).frame();
        scene.pipeline.packet(at, 1, Link::Ethernet, &packet, 54, &mut scene.events);
    }
    scene.told(A);
}

#[test]
fn fragments_are_joined_and_overlapping_ones_dropped() {
    let whole = frames::udp(end(A), end("192.0.2.8:514"), &[7; 4000]);
    let parts = frames::fragments(&whole, 9, 1480);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut scene = Scene::small(16);
        for part in order {
            scene.ip(&parts[part]);
        }
        assert_eq!(scene.told(A), ["opened?", "Going 1+0 4000+0"]);
        assert_eq!(scene.coverage().fragments_lost, 0);
    }
    // Shown twice by the mirror.
    let mut scene = Scene::small(16);
    for part in [0, 0, 1, 1, 2] {
        scene.ip(&parts[part]);
    }
    assert_eq!(scene.told(A), ["opened?", "Going 1+0 4000+0"]);
    // A part that says otherwise what another one said.
    let mut scene = Scene::small(16);
    let mut other = parts[1].clone();
    other[7] -= 1;
    for part in [&parts[0], &other, &parts[1], &parts[2]] {
        scene.ip(part);
    }
    assert!(scene.told(A).is_empty());
    assert_eq!(scene.coverage().fragments_lost, 4);
    // One that never comes.
    let mut scene = Scene::small(16);
    scene.ip(&parts[0]);
    scene.ip(&parts[2]);
    assert!(scene.told(A).is_empty());
    assert_eq!(scene.coverage().fragments_lost, 2);
}

#[test]
fn many_beginnings_of_packets_take_bounded_room() {
    let mut scene = Scene::small(16);
    let part = &frames::fragments(&frames::udp(end(A), end(B), &[7; 3000]), 1, 1480)[0];
    for id in 0..30_000_u16 {
        let mut part = part.clone();
        part[4..6].copy_from_slice(&id.to_be_bytes());
        scene.at -= 999;
        scene.ip(&part);
    }
    scene.told(A);
    assert_eq!(scene.coverage().fragments_lost, 30_000);
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n";

#[test]
fn contents_are_read_in_order_whatever_the_order_of_packets() {
    let check = |cuts: &[(usize, usize)]| {
        let mut scene = Scene::small(16);
        scene.data(A, "198.51.100.7:8000", SYN, 99, b"");
        scene.data("198.51.100.7:8000", A, SYN_ACK, 499, b"");
        for (from, to) in cuts {
            scene.data(A, "198.51.100.7:8000", ACK, 100 + *from as u32, &GET[*from..*to]);
        }
        let told = scene.told(A);
        assert!(told.contains(&"named www.example".to_owned()), "{cuts:?} {told:?}");
        assert!(told.contains(&format!("speaks {:?}", Service::Http)), "{cuts:?} {told:?}");
    };
    let end = GET.len();
    check(&[(0, end)]);
    check(&[(0, 3), (3, 20), (20, end)]);
    check(&[(20, end), (0, 20)]);
    check(&[(20, 25), (25, end), (0, 5), (5, 20)]);
    check(&[(0, 20), (0, 20), (10, 25), (5, end)]);
}

#[test]
fn an_observation_network_reads_no_contents() {
    let mut scene = Scene::new(Settings::telescope());
    scene.data(A, B, SYN, 99, b"");
    scene.data(B, A, SYN_ACK, 499, b"");
    scene.data(A, B, ACK, 100, GET);
    assert_eq!(scene.told(A), ["opened Bare", "answered", "Going 2+1 37+0"]);
}

#[test]
fn syns_tell_their_family() {
    let mut scene = Scene::small(16);
    let syn = Tcp { options: options::NT5, window: 65535, ..Tcp::bare(end(A), end(B), SYN) };
    scene.ip(&syn.ip_with(117));
    assert_eq!(scene.told(A)[0], format!("opened {:?}", SynFamily::Nt5));
}

#[test]
fn ports_are_used_again() {
    let mut scene = Scene::small(16);
    for sequence in [99, 7_000] {
        scene.data(A, B, SYN, sequence, b"");
        scene.data(B, A, SYN_ACK, sequence + 400, b"");
    }
    let told = scene.told(A);
    assert_eq!(told, ["opened Bare", "answered", "Idle 1+1 0+0", "opened Bare", "answered", "Going 1+1 0+0"]);
    let numbers: Vec<u64> = scene.events.iter().map(|event| event.flow).collect();
    assert_eq!(numbers, [1, 1, 1, 2, 2, 2]);
}

proptest! {
    #[test]
    fn any_conversation_has_one_opening_and_one_end_and_its_packets_add_up(
        packets in proptest::collection::vec((0..6_u8, any::<bool>(), 0..64_u8, 0..3_u32, 0..20_usize, 0..20_i64), 1..80)
    ) {
        let mut scene = Scene::small(4);
        for (port, back, flags, sequence, length, wait) in &packets {
            scene.wait(*wait);
            let ends = [format!("192.0.2.1:{}", 4000 + u16::from(*port)), "192.0.2.2:80".to_owned()];
            let (source, destination) = if *back { (&ends[1], &ends[0]) } else { (&ends[0], &ends[1]) };
            scene.data(source, destination, *flags, *sequence, &GET[..*length]);
        }
        scene.pipeline.finish(&mut scene.events);
        let mut flows: std::collections::BTreeMap<u64, Vec<&Sight>> = std::collections::BTreeMap::new();
        for event in &scene.events {
            flows.entry(event.flow).or_default().push(&event.sight);
        }
        let mut sum = 0;
        for sights in flows.values() {
            if matches!(sights[..], [Sight::Backscatter]) {
                continue;
            }
            let is_opening = matches!(sights[0], Sight::Opened { .. });
            prop_assert!(is_opening, "{sights:?}");
            prop_assert_eq!(sights.iter().filter(|sight| matches!(sight, Sight::Opened { .. })).count(), 1);
            let Some(Sight::Traffic { traffic, .. }) = sights.last() else { panic!("{sights:?}") };
            sum += traffic.packets[0] + traffic.packets[1];
            prop_assert!(traffic.first <= traffic.last);
        }
        prop_assert!(sum <= packets.len() as u64);
        prop_assert_eq!(scene.coverage().packets, packets.len() as u64);
        prop_assert_eq!(scene.pipeline.flows(), 0);
    }

    #[test]
    fn any_frames_are_taken(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..30)) {
        let mut scene = Scene::small(4);
        for mut frame in frames {
            if frame.len() > 14 {
                frame[0] = 0x45;
                frame[2..4].fill(0);
                frame[6] &= 0x20;
                frame[9] = [6, 17, 1, 58][usize::from(frame[9] % 4)];
            }
            scene.ip(&frame);
        }
        scene.told(A);
    }
}

#[test]
fn a_server_that_speaks_first_is_the_server_still() {
    let mut scene = Scene::small(4);
    scene.data(B, A, ACK, 1, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    scene.data(A, B, ACK, 1, b"SSH-2.0-sample\r\n");
    scene.pipeline.finish(&mut scene.events);
    let event = &scene.events[0];
    assert_eq!((event.contact.client.port, event.contact.server.port), (40000, 445));
    assert!(matches!(scene.events.last().unwrap().sight, Sight::Traffic { end: FlowEnd::Going, .. }));
}

#[test]
fn data_in_transports_without_ports_is_counted() {
    let (here, there) = (end(A).ip(), end(B).ip());
    for (packet, payload) in [
        (frames::icmp(here, there, 8, 0, &[7; 1000]), 1000),
        (frames::ip(here, there, 47, 64, &[7; 1000]), 1000),
        (frames::ip(here, there, 50, 64, &[7; 1000]), 1000),
        (frames::ip(here, there, 41, 64, &[7; 1000]), 1000),
    ] {
        let mut scene = Scene::small(16);
        for _ in 0..6 {
            scene.ip(&packet);
        }
        scene.pipeline.finish(&mut scene.events);
        let told = scene.events.iter().map(words).collect::<Vec<_>>();
        assert_eq!(told.last().unwrap(), &format!("Going 6+0 {}+0", 6 * payload));
    }
}

#[test]
fn who_gives_up_his_own_question_got_no_answer() {
    for flags in [flag::RST, RST, FIN] {
        let mut scene = Scene::small(16).answered();
        scene.tcp(A, B, SYN);
        scene.tcp(A, B, flags);
        scene.wait(60);
        scene.udp("192.0.2.9:1", "192.0.2.8:514", b"later");
        assert_eq!(scene.told(A), ["opened Bare", "unanswered", "Idle 2+0 0+0"]);
    }
}

#[test]
fn a_forged_reset_blinds_for_no_longer_than_until_both_sides_went_on() {
    let mut scene = Scene::small(16);
    scene.tcp(A, B, SYN);
    scene.tcp(B, A, SYN_ACK);
    scene.tcp(B, A, RST);
    // On their way already.
    scene.data(A, B, ACK, 1001, b"x");
    scene.data(B, A, ACK, 1001, b"x");
    scene.wait(1);
    scene.data(A, B, ACK, 1002, b"hello");
    scene.data(B, A, ACK, 1002, b"");
    scene.data(A, B, ACK, 1007, b"again");
    assert_eq!(
        scene.told(A),
        ["opened Bare", "answered", "Reset 1+2 0+0", "opened?", "answered", "Going 1+1 5+0"]
    );
    // Whoever broke it off says so again.
    let mut scene = Scene::small(16);
    scene.tcp(A, B, SYN);
    scene.tcp(B, A, SYN_ACK);
    scene.tcp(B, A, RST);
    scene.wait(1);
    scene.data(A, B, ACK, 1001, b"x");
    scene.tcp(B, A, RST);
    scene.data(B, A, ACK, 1001, b"x");
    assert_eq!(scene.told(A), ["opened Bare", "answered", "Reset 1+2 0+0"]);
}

#[test]
fn what_is_known_of_the_mirror_fades() {
    let mut scene = Scene::small(64);
    let two_way = |scene: &mut Scene, port: u16| {
        scene.tcp(&format!("192.0.2.1:{port}"), B, SYN);
        scene.tcp(B, &format!("192.0.2.1:{port}"), SYN_ACK);
    };
    (1..60).for_each(|port| two_way(&mut scene, port));
    for _ in 0..8 {
        scene.wait(301);
        scene.udp("192.0.2.9:1", "192.0.2.8:514", b"later");
    }
    for port in 100..120 {
        for step in 0..5 {
            scene.data(&format!("192.0.2.1:{port}"), B, ACK, 100 + step, b"x");
        }
    }
    assert!(scene.pipeline.is_one_way());
    (200..230).for_each(|port| two_way(&mut scene, port));
    assert!(!scene.pipeline.is_one_way());
}

#[test]
fn headers_behind_the_first_one_are_read_in_fragments_too() {
    let (here, there) = (end("[2001:db8::1]:40000"), end("[2001:db8::2]:514"));
    let datagram = frames::udp(here, there, &[7; 100])[40..].to_vec();
    // Destination options of eight bytes, then UDP.
    let whole = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &datagram].concat();
    let mut scene = Scene::small(16);
    for (at, part) in [(0_u16, &whole[..64]), (64, &whole[64..])] {
        let more = u16::from(usize::from(at) + part.len() < whole.len());
        let place = (at | more).to_be_bytes();
        let fragment = [&[60, 0, place[0], place[1], 0, 0, 0, 9], part].concat();
        scene.ip(&frames::ip(here.ip(), there.ip(), 44, 64, &fragment));
    }
    assert_eq!(scene.told("[2001:db8::1]:40000"), ["opened?", "Going 1+0 100+0"]);
    assert_eq!(scene.coverage().undecoded, 0);
}
