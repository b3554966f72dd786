//! How many events a second the sensor's detectors take: `cargo run --release -p judge --example network_rate`.
//!
//! Two mixes: connections from forged sources that nobody answers, and the flows of a work day, each with its sums. With capture files as
//! arguments: packets a second from the file to the findings, as `scan pcap` does it. `--digest FILE…` says in a number what was seen
//! and found: two versions with the same numbers say the same.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "it measures"
)]

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use foldhash::fast::FixedState;
use judge::network::{Detectors, Rules};
use observe::network::file::CaptureFile;
use observe::network::{Pipeline, Settings};
use schema::{
    Contact, Endpoint, Finding, FlowEnd, NetEvent, Service, Sight, SmbSight, SmbVerb, SynFamily, Traffic,
    Transport,
};

const FLOWS: u64 = 2_000_000;
const START: i64 = 1_539_565_200_000_000;

fn event(n: u64, client: [u8; 4], server: [u8; 4], port: u16, sight: Sight) -> NetEvent {
    let end = |address: [u8; 4], port| Endpoint { address: IpAddr::from(address), port };
    let client = end(client, 40_000 + (n % 20_000) as u16);
    let contact = Contact { client, server: end(server, port), transport: Transport::Tcp, vlan: None };
    NetEvent { at: START + n as i64 * 50, packet: n, flow: n, contact, sight }
}

fn forged(n: u64) -> Vec<NetEvent> {
    let client = (0x2000_0000 + n as u32).to_be_bytes();
    let server = [203, 0, 113, 9];
    let opened = Sight::Opened { syn: Some(SynFamily::Bare), sure: true };
    vec![event(n, client, server, 80, opened), event(n, client, server, 80, Sight::Unanswered)]
}

fn work(n: u64) -> Vec<NetEvent> {
    let [_, _, high, low] = ((n % 3_000) as u32).to_be_bytes();
    let client = [10, 0, high, low];
    let (server, port, service) = match n % 4 {
        0 => ([10, 1, 0, 1], 445, Service::Smb),
        1 => ([10, 1, 0, 2], 80, Service::Http),
        2 => ([198, 51, 100, (n % 250) as u8], 443, Service::Tls),
        _ => ([10, 1, 0, 3], 104, Service::Dicom),
    };
    let traffic = Traffic {
        first: START + n as i64 * 50,
        last: START + n as i64 * 50 + 900_000,
        packets: [12, 14],
        bytes: [2_000, 9_000],
        payload: [1_500, 8_400],
    };
    let mut events: Vec<NetEvent> =
        [Sight::Opened { syn: Some(SynFamily::Nt6), sure: true }, Sight::Answered, Sight::Speaks { service }]
            .into_iter()
            .map(|sight| event(n, client, server, port, sight))
            .collect();
    if service == Service::Smb {
        for verb in [SmbVerb::Open, SmbVerb::Read, SmbVerb::Read, SmbVerb::Close] {
            events.push(event(n, client, server, port, Sight::Smb(SmbSight::Request { verb, bytes: 120 })));
        }
    }
    events.push(event(n, client, server, port, Sight::Traffic { traffic, end: FlowEnd::Finished }));
    events
}

fn main() {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let is_digest = files.first().is_some_and(|first| first == "--digest");
    if is_digest {
        files.remove(0);
    }
    for file in &files {
        whole(file, is_digest);
    }
    if files.is_empty() {
        detectors();
    }
}

/// From the capture's bytes to findings.
struct Whole {
    pipeline: Pipeline,
    detectors: Detectors,
    events: Vec<NetEvent>,
    found: Vec<Finding>,
    seen: u64,
    digest: Option<foldhash::fast::FoldHasher<'static>>,
}

impl Whole {
    fn judge(&mut self) {
        let now = self.events.first().map_or(0, |event| event.at);
        let found = self.found.len();
        self.detectors.step(&self.events, now, &mut self.found);
        if let Some(digest) = &mut self.digest {
            for event in &self.events {
                digest.write(&serde_json::to_vec(event).expect("an event is JSON"));
            }
            for finding in &self.found[found..] {
                digest.write(&serde_json::to_vec(finding).expect("a finding is JSON"));
            }
        }
        self.seen += self.events.len() as u64;
        self.events.clear();
    }
}

fn whole(file: &str, is_digest: bool) {
    const BATCH: usize = 256;
    let mut whole = Whole {
        pipeline: Pipeline::new(Settings::default()),
        detectors: Detectors::new(&Rules::default()),
        events: Vec::with_capacity(2 * BATCH),
        found: Vec::new(),
        seen: 0,
        digest: is_digest.then(|| FixedState::with_seed(1).build_hasher()),
    };
    let (begun, mut number) = (Instant::now(), 0);
    let mut capture = CaptureFile::open(Path::new(file)).expect("a capture");
    let read = capture.batches(64, |records| {
        whole.pipeline.packets(number + 1, records, &mut whole.events);
        number += records.len() as u64;
        if whole.events.len() >= BATCH {
            whole.judge();
        }
        ControlFlow::Continue(())
    });
    while whole.pipeline.finish_some(BATCH, &mut whole.events) {
        whole.judge();
    }
    whole.judge();
    whole.detectors.flush(whole.pipeline.coverage().last, &mut whole.found);
    let seconds = begun.elapsed().as_secs_f64();
    let (rate, seen, found) = (number as f64 / seconds / 1e6, whole.seen, whole.found.len());
    match whole.digest {
        Some(digest) => println!(
            "{file}: {number} packets, {seen} events, {found} findings, digest {:016x}, {:?}, {:?}, {read:?}",
            digest.finish(),
            whole.pipeline.coverage(),
            whole.detectors.effort()
        ),
        None => println!(
            "{file}: {number} packets, {seconds:.2} s, {rate:.3} Mpps, {seen} events, {found} findings"
        ),
    }
}

fn detectors() {
    for (name, make) in [("forged", forged as fn(u64) -> Vec<NetEvent>), ("work", work)] {
        let mut detectors = Detectors::new(&Rules::default());
        let (mut events, mut seconds, mut said) = (0, 0.0, Vec::new());
        for chunk in 0..FLOWS / 10_000 {
            let batch: Vec<NetEvent> = (0..10_000).flat_map(|n| make(chunk * 10_000 + n)).collect();
            let begun = Instant::now();
            detectors.step(&batch, 0, &mut said);
            seconds += begun.elapsed().as_secs_f64();
            events += batch.len();
        }
        let rate = events as f64 / seconds / 1e6;
        println!("{name}: {rate:.1} million events a second, {} findings", said.len());
    }
}
