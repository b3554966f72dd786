//! After an incident: what left the network, and who inside talked to the hosts in question, with the coverage of the observation.
//!
//! "Nothing seen" is said only together with what was looked at: an interface that was down, a sensor that did not run, packets that
//! the kernel dropped and a mirror that shows one direction are all told.

pub(crate) mod incident;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use schema::Micros;
use serde::Serialize;

use super::flows::Summary;
use super::report::percent;
use super::store::{Cover, Record, Told, Unread};
pub(crate) use text::text;

/// Pairs that are told apart; a month of a large hospital has fewer.
const PAIRS_MAX: usize = 500_000;
const PORTS_MAX: usize = 16;
const NAMES_MAX: usize = 16;
/// Names that hosts asked for.
const ASKED_MAX: usize = 500;
const FINDINGS_MAX: usize = 500;
/// Time between two reports of the sensor that is no gap.
const SLACK: Micros = 2_000_000;
/// Of so many packets one may be unreadable where the observation is called complete.
const UNKNOWN_ONE_OF: u64 = 1_000;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The infected hosts; empty: all that are inside.
    pub(crate) hosts: Vec<IpAddr>,
    /// What is inside; empty: as the sensor had it then.
    pub(crate) internal: Vec<IpNet>,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Evidence {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) hosts: Vec<IpAddr>,
    pub(crate) internal: Vec<IpNet>,
    pub(crate) observation: Observation,
    /// What left the network, the most bytes first.
    pub(crate) outside: Vec<Link>,
    /// Who inside talked to the hosts; empty when none were named.
    pub(crate) inside: Vec<Link>,
    /// Names that the hosts asked for, whoever answered.
    pub(crate) names_asked: Vec<Asked>,
    pub(crate) findings: Vec<Told>,
}

/// What the answer rests on.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Observation {
    /// Whether all of the time was watched, nothing was dropped, both directions were seen, and all but a few packets could be read.
    pub(crate) complete: bool,
    pub(crate) interfaces: Vec<String>,
    pub(crate) seconds: u64,
    pub(crate) covered_seconds: u64,
    pub(crate) covered_percent: f64,
    /// Times in which nobody watched.
    pub(crate) gaps: Vec<Gap>,
    /// Interfaces that gave nothing for a while, and for how many seconds.
    pub(crate) down: BTreeMap<String, u64>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) dropped_percent: f64,
    pub(crate) undecoded: u64,
    /// Frames of a kind that is not read; they may carry anything.
    pub(crate) unread: u64,
    pub(crate) fragments_lost: u64,
    pub(crate) one_way_percent: f64,
    /// Flows whose peers are not known one by one, there being too many in that minute.
    pub(crate) unnamed_flows: u64,
    /// Pairs that found no room in this answer.
    pub(crate) pairs_left_out: u64,
    /// Files of the store with a torn end, and lines that could not be read.
    pub(crate) torn_files: u64,
    pub(crate) unreadable_lines: u64,
}

/// A time in which nobody watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// All that passed between two addresses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Link {
    /// Inside.
    pub(crate) host: IpAddr,
    /// Outside, or the other one inside.
    pub(crate) peer: IpAddr,
    /// Flows that `host` opened, and that `peer` opened.
    pub(crate) opened_by_host: u64,
    pub(crate) opened_by_peer: u64,
    /// Attempts that nobody answered, or that were refused.
    pub(crate) unanswered: u64,
    /// From `host` to `peer`, as they were on the wire.
    pub(crate) bytes_sent: u64,
    /// Of these, above TCP, UDP or ICMP; of all else, above IP.
    pub(crate) payload_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// That were spoken to, whoever did.
    pub(crate) ports: BTreeSet<u16>,
    pub(crate) names: BTreeSet<String>,
}

/// A name that a host asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Asked {
    pub(crate) host: IpAddr,
    pub(crate) name: String,
}

impl Evidence {
    /// Whether something left the network.
    pub(crate) fn left(&self) -> bool {
        self.outside.iter().any(|link| link.payload_sent > 0)
    }
}

/// Takes the store's records one by one.
pub(crate) struct Gathering {
    question: Question,
    internal: Vec<IpNet>,
    interfaces: BTreeSet<String>,
    covers: Vec<Cover>,
    links: BTreeMap<(IpAddr, IpAddr, bool), Link>,
    asked: BTreeSet<Asked>,
    findings: BTreeMap<String, Told>,
    unnamed: u64,
    left_out: u64,
}

impl Gathering {
    pub(crate) fn new(question: Question, otherwise: &[IpNet]) -> Self {
        let internal = if question.internal.is_empty() { otherwise } else { &question.internal }.to_vec();
        Self {
            question,
            internal,
            interfaces: BTreeSet::new(),
            covers: Vec::new(),
            links: BTreeMap::new(),
            asked: BTreeSet::new(),
            findings: BTreeMap::new(),
            unnamed: 0,
            left_out: 0,
        }
    }

    pub(crate) fn take(&mut self, record: Record) {
        let (from, to) = self.window();
        let within = |first: Micros, last: Micros| last >= from && first <= to;
        match record {
            Record::Start { interfaces, internal, .. } => {
                self.interfaces.extend(interfaces);
                if self.question.internal.is_empty() {
                    self.internal = internal;
                }
            }
            Record::Cover(cover) if within(cover.from, cover.to) => self.covers.push(cover),
            Record::Flow(flow) if within(flow.first, flow.last) => self.flow(&flow),
            Record::Finding(told) if within(told.at, told.at) && self.findings.len() < FINDINGS_MAX => {
                self.findings.insert(told.uid.clone(), told);
            }
            Record::Cover(_) | Record::Flow(_) | Record::Finding(_) | Record::End { .. } => {}
        }
    }

    fn window(&self) -> (Micros, Micros) {
        (self.question.from.as_microsecond(), self.question.to.as_microsecond())
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        // What everybody on a segment hears has not left it.
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        let is_local = address.is_multicast() || address.is_unspecified() || is_broadcast;
        is_local || self.internal.iter().any(|net| net.contains(&address))
    }

    fn is_asked_about(&self, address: IpAddr) -> bool {
        self.question.hosts.is_empty() || self.question.hosts.contains(&address)
    }

    fn flow(&mut self, flow: &Summary) {
        let (client, server) = (flow.pair.client, flow.pair.server);
        if flow.pair.is_folded() {
            self.unnamed += flow.flows + flow.unanswered;
            return;
        }
        let (client_in, server_in) = (self.is_inside(client), self.is_inside(server));
        if self.is_asked_about(client) && client_in {
            let names = flow.names.iter().map(|name| Asked { host: client, name: (**name).to_owned() });
            let room = ASKED_MAX.saturating_sub(self.asked.len());
            self.asked.extend(names.take(room));
        }
        match (client_in, server_in) {
            (true, false) if self.is_asked_about(client) => self.link(flow, true, true),
            (false, true) if self.is_asked_about(server) => self.link(flow, false, true),
            (true, true) if !self.question.hosts.is_empty() && !server.is_multicast() => {
                if self.is_asked_about(client) {
                    self.link(flow, true, false);
                } else if self.is_asked_about(server) {
                    self.link(flow, false, false);
                }
            }
            _ => {}
        }
    }

    /// `client_is_host`: the host in question opened it.
    fn link(&mut self, flow: &Summary, client_is_host: bool, outside: bool) {
        let (host, peer) = if client_is_host {
            (flow.pair.client, flow.pair.server)
        } else {
            (flow.pair.server, flow.pair.client)
        };
        let key = (host, peer, outside);
        if self.links.len() >= PAIRS_MAX && !self.links.contains_key(&key) {
            self.left_out += 1;
            return;
        }
        let at = |micros: Micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let (first, last) = (at(flow.first), at(flow.last));
        let link = self.links.entry(key).or_insert_with(|| Link {
            host,
            peer,
            opened_by_host: 0,
            opened_by_peer: 0,
            unanswered: 0,
            bytes_sent: 0,
            payload_sent: 0,
            bytes_received: 0,
            first,
            last,
            ports: BTreeSet::new(),
            names: BTreeSet::new(),
        });
        let (sent, received) = if client_is_host { (0, 1) } else { (1, 0) };
        let opened = if client_is_host { &mut link.opened_by_host } else { &mut link.opened_by_peer };
        *opened += flow.flows;
        link.unanswered += flow.unanswered;
        link.bytes_sent += flow.bytes.get(sent).unwrap_or(&0);
        link.payload_sent += flow.payload.get(sent).unwrap_or(&0);
        link.bytes_received += flow.bytes.get(received).unwrap_or(&0);
        (link.first, link.last) = (link.first.min(first), link.last.max(last));
        if link.ports.len() < PORTS_MAX {
            link.ports.insert(flow.pair.port);
        }
        let room = NAMES_MAX.saturating_sub(link.names.len());
        link.names.extend(flow.names.iter().take(room).map(|name| (**name).to_owned()));
    }

    pub(crate) fn done(self, unread: Unread) -> Evidence {
        let observation = self.observation(unread);
        let sorted = |outside: bool| {
            let mut links: Vec<Link> =
                self.links.iter().filter(|(key, _)| key.2 == outside).map(|(_, link)| link.clone()).collect();
            links.sort_by_key(|link| (std::cmp::Reverse(link.bytes_sent), link.host, link.peer));
            links
        };
        let (outside, inside) = (sorted(true), sorted(false));
        let mut findings: Vec<Told> = self.findings.into_values().collect();
        findings.sort_by(|one, other| (one.at, &one.uid).cmp(&(other.at, &other.uid)));
        Evidence {
            from: self.question.from,
            to: self.question.to,
            hosts: self.question.hosts,
            internal: self.internal,
            observation,
            outside,
            inside,
            names_asked: self.asked.into_iter().collect(),
            findings,
        }
    }

    fn observation(&self, unread: Unread) -> Observation {
        let (from, to) = self.window();
        let gaps = gaps(&self.covers, from, to);
        let missing: Micros = gaps.iter().map(|(from, to)| to - from).sum();
        let length = (to - from).max(0);
        let seconds = |micros: Micros| u64::try_from(micros / 1_000_000).unwrap_or_default();
        let sum = |of: fn(&Cover) -> u64| self.covers.iter().map(of).sum::<u64>();
        let (packets, dropped) = (sum(|it| it.packets), sum(|it| it.dropped));
        let unknown = sum(|it| it.undecoded + it.unread + it.fragments_lost);
        let (one_way, two_way) = (sum(|it| it.one_way), sum(|it| it.two_way));
        let mut down: BTreeMap<String, u64> = BTreeMap::new();
        for cover in &self.covers {
            for name in &cover.down {
                *down.entry(name.clone()).or_default() += seconds(cover.to - cover.from).max(1);
            }
        }
        let at = |micros: Micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        let one_way_percent = percent(one_way, one_way + two_way);
        Observation {
            complete: gaps.is_empty()
                && length > 0
                && dropped == 0
                && down.is_empty()
                && one_way_percent < 50.0
                && unknown.saturating_mul(UNKNOWN_ONE_OF) <= packets
                && self.unnamed + self.left_out == 0
                && unread == Unread::default(),
            interfaces: self.interfaces.iter().cloned().collect(),
            seconds: seconds(length),
            // Less than a second is not nothing.
            covered_seconds: seconds(length - missing + 999_999),
            covered_percent: percent(seconds(length - missing), seconds(length)),
            gaps: gaps.into_iter().map(|(from, to)| Gap { from: at(from), to: at(to) }).collect(),
            down,
            packets,
            bytes: sum(|it| it.bytes),
            dropped,
            dropped_percent: percent(dropped, packets + dropped),
            undecoded: sum(|it| it.undecoded),
            unread: sum(|it| it.unread),
            fragments_lost: sum(|it| it.fragments_lost),
            one_way_percent,
            unnamed_flows: self.unnamed,
            pairs_left_out: self.left_out,
            torn_files: unread.torn,
            unreadable_lines: unread.lines,
        }
    }
}

/// The parts of the time that no cover reaches.
fn gaps(covers: &[Cover], from: Micros, to: Micros) -> Vec<(Micros, Micros)> {
    let mut spans: Vec<(Micros, Micros)> = covers.iter().map(|cover| (cover.from, cover.to)).collect();
    spans.sort_unstable();
    let mut gaps = Vec::new();
    let mut reached = from;
    for (begin, end) in spans {
        if begin > reached + SLACK {
            gaps.push((reached, begin.min(to)));
        }
        reached = reached.max(end);
    }
    if reached + SLACK < to {
        gaps.push((reached, to));
    }
    gaps
}

#[cfg(test)]
mod tests;
