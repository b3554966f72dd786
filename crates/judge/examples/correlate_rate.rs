//! How fast 100,000 findings become incidents: four attacks inside the noise of a week-day. Everything in it is made up.
//!
//! `cargo run --release -p judge --example correlate_rate [FINDINGS]`
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "it measures, and ends on the first surprise"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use judge::correlate::{Correlator, Settings, Sighting, Update};
use schema::{
    Attack, Entity, Finding, FindingClass, IncidentId, Severity, Subject, SubjectRole, Tactic, WatcherClass,
};

const BATCH: usize = 256;
const SCANNERS: u64 = 3000;

fn main() {
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let findings = campaign(wanted);
    let settings = Settings { watching: WatcherClass::ALL.into(), ..Settings::default() };
    let mut correlator = Correlator::new(settings, IncidentId(1));
    let (mut out, mut peak, mut left, mut merged) = (Vec::new(), Default::default(), 0, 0);
    let started = Instant::now();
    for batch in findings.chunks(BATCH) {
        let sightings: Vec<_> = batch
            .iter()
            .map(|(finding, watcher, class)| Sighting { finding, watcher, class: *class })
            .collect();
        correlator.step(&sightings, batch[batch.len() - 1].0.time, &mut out);
        for update in out.drain(..) {
            left += usize::from(matches!(update, Update::Left(_)));
            merged += usize::from(matches!(update, Update::Merged { .. }));
        }
        peak = correlator.size().max(peak);
    }
    let seconds = started.elapsed().as_secs_f64();
    for incident in correlator.incidents() {
        println!(
            "{} severity {} findings {:>6}  {}",
            incident.id,
            u8::from(incident.severity_id),
            incident.findings,
            incident.title
        );
    }
    let started = Instant::now();
    let checkpoint = serde_json::to_vec(&correlator).unwrap();
    println!(
        "{}",
        serde_json::json!({
            "findings": findings.len(),
            "seconds": seconds,
            "incidents": correlator.incidents().count() + left,
            "merged": merged,
            "peak_incidents": peak.incidents,
            "peak_subjects": peak.subjects,
            "peak_pooled": peak.pooled,
            "peak_uids": peak.uids,
            "checkpoint_bytes": checkpoint.len(),
            "checkpoint_seconds": started.elapsed().as_secs_f64(),
        })
    );
}

/// Findings over ten hours: nine of ten are scans and guesses from outside, alerts of little weight and weak spots.
fn campaign(wanted: usize) -> Vec<(Finding, &'static str, WatcherClass)> {
    let start = Timestamp::constant(1_750_000_000, 0);
    let step = SignedDuration::from_secs(10 * 3600) / i32::try_from(wanted.max(1)).unwrap();
    let mut random = Random(42);
    (0..wanted)
        .map(|n| {
            let at = start + step * i32::try_from(n).unwrap();
            let done = n * 100 / wanted.max(1);
            let mut said = one(&mut random, done);
            said.0.time = at;
            said.0.uid = format!("{n}");
            said
        })
        .collect()
}

fn one(random: &mut Random, done: usize) -> (Finding, &'static str, WatcherClass) {
    match (random.below(100), done) {
        (0..=59, _) => {
            let scanner = u32::try_from(random.below(SCANNERS)).unwrap();
            let from = IpAddr::from(Ipv4Addr::from(0xcb00_7100 ^ (scanner << 3)));
            let finding = finding("scan.sweep", Severity::Low, [("T1595", Tactic::Reconnaissance)]);
            (about(finding, [by_address(from), on_address([198, 51, 100, 2])]), "edge", WatcherClass::Sensor)
        }
        (60..=74, _) => {
            let guesser = u8::try_from(random.below(60)).unwrap();
            let finding = finding("bruteforce.vpn", Severity::Medium, [("T1110", Tactic::CredentialAccess)]);
            (
                about(finding, [by_address([192, 0, 2, guesser].into()), on_host("vpn01")]),
                "logs",
                WatcherClass::Logs,
            )
        }
        (75..=84, _) => {
            let client = u8::try_from(random.below(200)).unwrap();
            let finding = finding("external.suricata", Severity::Low, []);
            (
                about(finding, [by_address([10, 0, 9, client].into()), on_address([198, 51, 100, 80])]),
                "ids",
                WatcherClass::External,
            )
        }
        (85..=89, _) => {
            let host = random.below(80);
            let finding =
                Finding { class: FindingClass::Vulnerability, ..finding("eol.system", Severity::High, []) };
            (about(finding, [on_host(&format!("pc{host}"))]), "posture", WatcherClass::Sensor)
        }
        // Four attackers, each from an address of its own on machines of its own.
        (n, _) => attack(n % 4, done, random),
    }
}

fn attack(who: u64, done: usize, random: &mut Random) -> (Finding, &'static str, WatcherClass) {
    let attacker = IpAddr::from([203, 0, 113, 200 + u8::try_from(who).unwrap()]);
    let host = format!("ward{who}-srv{}", random.below(5));
    let account = Entity::Account { name: format!("vendor{who}") };
    let by_account = Subject { role: SubjectRole::Actor, entity: account };
    match done {
        0..=39 => {
            let finding = finding("bruteforce.login", Severity::High, [("T1110", Tactic::CredentialAccess)]);
            (about(finding, [by_address(attacker), on_host(&host)]), "logs", WatcherClass::Logs)
        }
        40..=44 => {
            let finding = finding("lateral.login", Severity::High, [("T1078", Tactic::InitialAccess)]);
            (about(finding, [by_address(attacker), by_account, on_host(&host)]), "logs", WatcherClass::Logs)
        }
        45..=79 => {
            let finding = finding("lateral.smb", Severity::High, [("T1021", Tactic::LateralMovement)]);
            (about(finding, [by_account, on_host(&host)]), "core", WatcherClass::Sensor)
        }
        _ => {
            let finding = finding("encryption.share", Severity::High, [("T1486", Tactic::Impact)]);
            let store = Entity::Store { name: format!("//ward{who}/charts") };
            let store = Subject { role: SubjectRole::Target, entity: store };
            (about(finding, [store, on_host(&format!("ward{who}-srv0"))]), "share", WatcherClass::Share)
        }
    }
}

fn finding<const N: usize>(detector: &str, severity_id: Severity, attacks: [(&str, Tactic); N]) -> Finding {
    let attack = |(technique, tactic): (&str, Tactic)| Attack {
        technique: technique.to_owned(),
        name: technique.to_owned(),
        tactic,
    };
    Finding {
        time: Timestamp::UNIX_EPOCH,
        class: FindingClass::Detection,
        detector: detector.to_owned(),
        title: detector.to_owned(),
        title_ja: detector.to_owned(),
        severity_id,
        attacks: attacks.into_iter().map(attack).collect(),
        actor: String::new(),
        reasons: vec![],
        reasons_ja: vec![],
        uid: String::new(),
        subjects: vec![],
    }
}

fn about<const N: usize>(finding: Finding, subjects: [Subject; N]) -> Finding {
    Finding { subjects: subjects.into(), ..finding }
}

fn by_address(address: IpAddr) -> Subject {
    Subject { role: SubjectRole::Actor, entity: Entity::Address { address } }
}

fn on_address(address: [u8; 4]) -> Subject {
    Subject { role: SubjectRole::Target, entity: Entity::Address { address: address.into() } }
}

fn on_host(name: &str) -> Subject {
    Subject { role: SubjectRole::Target, entity: Entity::Host { name: name.to_owned() } }
}

/// xorshift64*: the same campaign on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}
