//! Traffic that a test makes up: each scene is what one machine or person does, as the pipeline would hand it over.

mod bruteforce;
mod files;
mod links;
mod scan;
mod spread;

use std::net::IpAddr;

use schema::{Contact, Endpoint, FlowEnd, Micros, NetEvent, Sight, SynFamily, Traffic, Transport};

use super::Rules;

/// 2018-10-15 01:00 UTC, a Monday, ten in the morning in Japan.
pub(super) const START: Micros = 1_539_565_200_000_000;
pub(super) const SECOND: Micros = 1_000_000;

/// A scene for a detector's fixtures.
pub(super) struct Scene {
    pub(super) detector: &'static str,
    /// The file's name.
    pub(super) name: &'static str,
    pub(super) is_attack: bool,
    pub(super) rules: Rules,
    pub(super) events: Vec<NetEvent>,
}

pub(super) fn attack(detector: &'static str, name: &'static str, stage: Stage) -> Scene {
    Scene { detector, name, is_attack: true, rules: stage.rules, events: stage.events }
}

pub(super) fn benign(detector: &'static str, name: &'static str, stage: Stage) -> Scene {
    Scene { is_attack: false, ..attack(detector, name, stage) }
}

/// All scenes.
pub(super) fn all() -> Vec<Scene> {
    [scan::scenes(), bruteforce::scenes(), spread::scenes(), files::scenes(), links::scenes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Where a scene is played.
pub(super) struct Stage {
    pub(super) rules: Rules,
    pub(super) events: Vec<NetEvent>,
    pub(super) at: Micros,
    packet: u64,
    flow: u64,
}

impl Default for Stage {
    fn default() -> Self {
        Self { rules: Rules::default(), events: Vec::new(), at: START, packet: 0, flow: 0 }
    }
}

/// A flow that somebody opened on a stage.
#[derive(Clone, Copy)]
pub(super) struct Flow {
    pub(super) number: u64,
    pub(super) contact: Contact,
    first: Micros,
}

impl Stage {
    pub(super) fn with(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.at += (seconds * 1e6) as Micros;
    }

    pub(super) fn open(&mut self, client: &str, server: &str, port: u16) -> Flow {
        self.open_by(Transport::Tcp, client, server, port)
    }

    pub(super) fn open_by(&mut self, transport: Transport, client: &str, server: &str, port: u16) -> Flow {
        self.flow += 1;
        let end = |address: &str, port| Endpoint { address: address.parse::<IpAddr>().unwrap(), port };
        let contact = Contact {
            client: end(client, 49_152 + (self.flow % 16_000) as u16),
            server: end(server, port),
            transport,
            vlan: None,
        };
        let flow = Flow { number: self.flow, contact, first: self.at };
        let syn = (transport == Transport::Tcp).then_some(SynFamily::Nt6);
        self.see(flow, Sight::Opened { syn, sure: true });
        flow
    }

    pub(super) fn see(&mut self, flow: Flow, sight: Sight) {
        self.packet += 1;
        let (at, packet) = (self.at, self.packet);
        self.events.push(NetEvent { at, packet, flow: flow.number, contact: flow.contact, sight });
    }

    /// An answered contact.
    pub(super) fn meet(&mut self, client: &str, server: &str, port: u16) -> Flow {
        let flow = self.open(client, server, port);
        self.see(flow, Sight::Answered);
        flow
    }

    pub(super) fn refused(&mut self, client: &str, server: &str, port: u16) {
        let flow = self.open(client, server, port);
        self.see(flow, Sight::Refused);
    }

    pub(super) fn unanswered(&mut self, client: &str, server: &str, port: u16) {
        let flow = self.open(client, server, port);
        self.see(flow, Sight::Unanswered);
    }

    /// Ends a flow with its packets and its payload each way, `seconds` after it began.
    pub(super) fn end(&mut self, flow: Flow, packets: [u64; 2], payload: [u64; 2], seconds: f64) {
        let last = flow.first + (seconds * 1e6) as Micros;
        let bytes = [payload[0] + packets[0] * 40, payload[1] + packets[1] * 40];
        let traffic = Traffic { first: flow.first, last, packets, bytes, payload };
        let now = std::mem::replace(&mut self.at, last);
        self.see(flow, Sight::Traffic { traffic, end: FlowEnd::Finished });
        self.at = now.max(last);
    }
}
