//! Many flows become few lines: one for each pair, port and minute.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use schema::{Contact, FlowEnd, Micros, NetEvent, Sight, Traffic, Transport};
use serde::{Deserialize, Serialize};

/// Pairs of one minute that are told apart; of more the servers, then the clients, are no longer named.
const KEYS_MAX: usize = 65_536;
/// Those that are only named in part.
const FOLDED_MAX: usize = 4_096;
/// Flows that go on after their sums were told.
const GOING_MAX: usize = 262_144;
const NAMES_MAX: usize = 8;

/// Flows of one pair and port within one minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    pub(crate) pair: Pair,
    /// The first packet's time.
    #[serde(rename = "f")]
    pub(crate) first: Micros,
    /// The last packet's time.
    #[serde(rename = "l")]
    pub(crate) last: Micros,
    /// Flows whose sums these are.
    #[serde(rename = "n")]
    pub(crate) flows: u64,
    /// Flows that were refused, or never answered.
    #[serde(rename = "u", default, skip_serializing_if = "is_zero")]
    pub(crate) unanswered: u64,
    /// Client to server, then server to client.
    #[serde(rename = "p")]
    pub(crate) packets: [u64; 2],
    #[serde(rename = "b")]
    pub(crate) bytes: [u64; 2],
    /// Above TCP, UDP or ICMP; of all else, above IP.
    #[serde(rename = "y")]
    pub(crate) payload: [u64; 2],
    /// Names that the client asked for or called the server by.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<Box<str>>,
    /// Whether there were more.
    #[serde(rename = "e", default, skip_serializing_if = "is_false")]
    pub(crate) more_names: bool,
}

/// Who with whom. An unspecified address stands for many that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Pair {
    #[serde(rename = "c")]
    pub(crate) client: IpAddr,
    #[serde(rename = "s")]
    pub(crate) server: IpAddr,
    #[serde(rename = "o")]
    pub(crate) port: u16,
    #[serde(rename = "t")]
    pub(crate) transport: Transport,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub(crate) vlan: Option<u16>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Pair {
    fn of(contact: &Contact) -> Self {
        Self {
            client: contact.client.address,
            server: contact.server.address,
            port: contact.server.port,
            transport: contact.transport,
            vlan: contact.vlan,
        }
    }

    /// Without who was spoken to, then without who spoke.
    fn folded(self, further: bool) -> Self {
        let nobody = |address: IpAddr| match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let client = if further { nobody(self.client) } else { self.client };
        let port = if further { 0 } else { self.port };
        Self { client, server: nobody(self.server), port, vlan: None, ..self }
    }

    /// Whether it stands for several.
    pub(crate) fn is_folded(&self) -> bool {
        self.server.is_unspecified()
    }
}

/// The minute that goes on.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    pairs: HashMap<Pair, Summary, RandomState>,
    going: HashMap<u64, Traffic, RandomState>,
}

impl Flows {
    pub(crate) fn take(&mut self, events: &[NetEvent]) {
        for event in events {
            match &event.sight {
                Sight::Traffic { traffic, end } => self.traffic(event, *traffic, *end),
                Sight::Refused | Sight::Unanswered => self.at(event).unanswered += 1,
                Sight::Named { name, .. } => self.named(event, name),
                _ => {}
            }
        }
    }

    /// What the minute held, the largest first.
    pub(crate) fn flush(&mut self) -> Vec<Summary> {
        let mut all: Vec<Summary> = self.pairs.drain().map(|(_, summary)| summary).collect();
        all.sort_by_key(|it| (std::cmp::Reverse(it.bytes[0].saturating_add(it.bytes[1])), it.pair));
        all
    }

    fn at(&mut self, event: &NetEvent) -> &mut Summary {
        let mut pair = Pair::of(&event.contact);
        // Below the bound the one look-up of `entry` is enough.
        if self.pairs.len() >= KEYS_MAX && !self.pairs.contains_key(&pair) {
            let folded = pair.folded(false);
            let has_room = self.pairs.len() < KEYS_MAX + FOLDED_MAX || self.pairs.contains_key(&folded);
            pair = if has_room { folded } else { pair.folded(true) };
        }
        let summary = self.pairs.entry(pair).or_insert_with(|| Summary {
            pair,
            first: event.at,
            last: event.at,
            flows: 0,
            unanswered: 0,
            packets: [0; 2],
            bytes: [0; 2],
            payload: [0; 2],
            names: Vec::new(),
            more_names: false,
        });
        summary.first = summary.first.min(event.at);
        summary.last = summary.last.max(event.at);
        summary
    }

    fn named(&mut self, event: &NetEvent, name: &str) {
        let summary = self.at(event);
        if summary.names.iter().any(|known| **known == *name) {
            return;
        }
        if summary.names.len() < NAMES_MAX {
            summary.names.push(name.into());
        } else {
            summary.more_names = true;
        }
    }

    /// The sums are since the flow's beginning: of one that was told before, what came since.
    fn traffic(&mut self, event: &NetEvent, traffic: Traffic, end: FlowEnd) {
        let told = if end == FlowEnd::Going {
            if self.going.len() >= GOING_MAX && !self.going.contains_key(&event.flow) {
                // Told as a whole at its end.
                return;
            }
            self.going.insert(event.flow, traffic)
        } else {
            self.going.remove(&event.flow)
        };
        let before = told.unwrap_or_default();
        let since = |now: [u64; 2], before: [u64; 2]| {
            [now[0].saturating_sub(before[0]), now[1].saturating_sub(before[1])]
        };
        let first = if told.is_some() { before.last } else { traffic.first };
        let summary = self.at(event);
        summary.flows += u64::from(told.is_none());
        summary.first = summary.first.min(first);
        summary.last = summary.last.max(traffic.last);
        add(&mut summary.packets, since(traffic.packets, before.packets));
        add(&mut summary.bytes, since(traffic.bytes, before.bytes));
        add(&mut summary.payload, since(traffic.payload, before.payload));
    }
}

fn add(to: &mut [u64; 2], more: [u64; 2]) {
    for (to, more) in to.iter_mut().zip(more) {
        *to = to.saturating_add(more);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use schema::{Endpoint, NameSource};

    use super::*;

    pub(crate) fn event(flow: u64, server: &str, at: Micros, sight: Sight) -> NetEvent {
        let end = |address: &str, port| Endpoint { address: address.parse().unwrap(), port };
        let contact = Contact {
            client: end("10.0.0.5", 40_000 + (flow % 20_000) as u16),
            server: end(server, 443),
            transport: Transport::Tcp,
            vlan: None,
        };
        NetEvent { at, packet: flow, flow, contact, sight }
    }

    fn sums(bytes: [u64; 2], first: Micros, last: Micros, end: FlowEnd) -> Sight {
        Sight::Traffic { traffic: Traffic { first, last, packets: [1, 2], bytes, payload: [0; 2] }, end }
    }

    #[test]
    fn flows_of_one_pair_become_one_line_and_a_long_one_is_counted_once() {
        let mut flows = Flows::default();
        let name = Sight::Named { name: "files.example".into(), source: NameSource::Sni };
        flows.take(&[
            event(1, "203.0.113.9", 5, name.clone()),
            event(1, "203.0.113.9", 10, sums([100, 10], 1, 10, FlowEnd::Going)),
            event(2, "203.0.113.9", 12, sums([50, 5], 2, 12, FlowEnd::Finished)),
            event(3, "203.0.113.10", 13, Sight::Unanswered),
        ]);
        let first = flows.flush();
        assert_eq!(first.len(), 2);
        assert_eq!((first[0].flows, first[0].bytes, first[0].first, first[0].last), (2, [150, 15], 1, 12));
        assert_eq!(*first[0].names[0], *"files.example");
        assert_eq!((first[1].flows, first[1].unanswered), (0, 1));
        flows.take(&[event(1, "203.0.113.9", 90, sums([700, 70], 1, 90, FlowEnd::Finished))]);
        let second = flows.flush();
        assert_eq!((second[0].flows, second[0].bytes, second[0].first), (0, [600, 60], 10));
        assert!(flows.going.is_empty());
        let line = serde_json::to_string(&second[0]).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&line).unwrap(), second[0], "{line}");
    }

    #[test]
    fn a_sweep_of_millions_keeps_its_sums_and_bounded_room() {
        let mut flows = Flows::default();
        for number in 0..200_000_u32 {
            let server = Ipv4Addr::from(0x0b00_0000 + number).to_string();
            flows.take(&[event(u64::from(number), &server, 1, sums([60, 0], 1, 1, FlowEnd::Idle))]);
        }
        assert!(flows.pairs.len() <= KEYS_MAX + FOLDED_MAX + 4);
        let all = flows.flush();
        assert_eq!(all.iter().map(|it| it.bytes[0]).sum::<u64>(), 200_000 * 60);
        assert!(all[0].pair.is_folded() && all[0].flows > 100_000);
    }
}
