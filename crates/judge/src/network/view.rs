//! One event with what several detectors ask about it.

use std::net::IpAddr;

use schema::{Micros, NetEvent, Sight, Transport};
use serde::{Deserialize, Serialize};

use super::ready::Ready;
use super::rules::Rules;

/// Microseconds in a second.
pub(super) const SECOND: Micros = 1_000_000;
/// Microseconds in a minute.
pub(super) const MINUTE: Micros = 60 * SECOND;
/// Microseconds in an hour.
pub(super) const HOUR: Micros = 60 * MINUTE;
/// Microseconds in a day.
pub(super) const DAY: Micros = 24 * HOUR;

/// No clock says more, and what says less can be subtracted from each other.
const TIME_MAX: u64 = 1 << 61;

/// An event as the detectors look at it.
pub(crate) struct View<'a> {
    pub(super) rules: &'a Rules,
    pub(super) ready: &'a Ready,
    pub(super) event: &'a NetEvent,
    pub(super) client_inside: bool,
    pub(super) server_inside: bool,
    /// Payload of its flow since it was told last, client to server and back.
    pub(super) fresh: Option<[u64; 2]>,
}

impl<'a> View<'a> {
    /// `None` for what goes to many at once, since nobody answers to that and nobody has to, and for what has no possible time.
    pub(super) fn of(event: &'a NetEvent, rules: &'a Rules, ready: &'a Ready) -> Option<Self> {
        let contact = &event.contact;
        let is_time = |at: Micros| at.unsigned_abs() <= TIME_MAX;
        let times_fit = match &event.sight {
            Sight::Traffic { traffic, .. } => is_time(traffic.first) && is_time(traffic.last),
            _ => true,
        };
        if !is_time(event.at) || !times_fit {
            return None;
        }
        if is_to_many(contact.server.address) || is_to_many(contact.client.address) {
            return None;
        }
        Some(Self {
            rules,
            ready,
            event,
            client_inside: ready.is_internal(contact.client.address),
            server_inside: ready.is_internal(contact.server.address),
            fresh: None,
        })
    }

    pub(super) fn at(&self) -> Micros {
        self.event.at
    }

    pub(super) fn client(&self) -> IpAddr {
        self.event.contact.client.address
    }

    pub(super) fn server(&self) -> IpAddr {
        self.event.contact.server.address
    }

    pub(super) fn port(&self) -> u16 {
        self.event.contact.server.port
    }

    pub(super) fn is_tcp(&self) -> bool {
        self.event.contact.transport == Transport::Tcp
    }

    pub(super) fn sight(&self) -> &'a Sight {
        &self.event.sight
    }

    /// Both ends are the hospital's.
    pub(super) fn is_east_west(&self) -> bool {
        self.client_inside && self.server_inside
    }
}

/// Multicast and broadcast, or no address at all.
fn is_to_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    }
}

/// Where in the capture something began and ended, and how often it was seen: what a reader looks up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trail {
    pub(super) count: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
    pub(super) first_packet: u64,
    pub(super) last_packet: u64,
}

impl Trail {
    /// Of this event alone.
    pub(super) fn of(event: &NetEvent) -> Self {
        let mut trail = Self::default();
        trail.add(event);
        trail
    }

    pub(super) fn add(&mut self, event: &NetEvent) {
        self.add_at(event.at, event.packet);
    }

    pub(super) fn add_at(&mut self, at: Micros, packet: u64) {
        if self.count == 0 || at < self.first {
            self.first = at;
        }
        if self.count == 0 || packet < self.first_packet {
            self.first_packet = packet;
        }
        self.last = if self.count == 0 { at } else { self.last.max(at) };
        self.last_packet = self.last_packet.max(packet);
        self.count += 1;
    }
}

/// Things that happened lately, at most `bound` of them, each with a number that tells it from others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    marks: std::collections::VecDeque<Mark>,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) at: Micros,
    pub(super) packet: u64,
    pub(super) what: u64,
}

impl Recent {
    /// Takes one in and forgets what is farther from it than `within`, in either direction: a clock that jumps begins anew.
    pub(super) fn add(&mut self, event: &NetEvent, what: u64, within: Micros, bound: usize) {
        let at = event.at;
        self.marks.retain(|mark| at.saturating_sub(mark.at).saturating_abs() <= within);
        if self.marks.len() >= bound {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { at, packet: event.packet, what });
    }

    /// How many there were within so long before the latest.
    pub(super) fn within(&self, span: Micros) -> usize {
        let Some(latest) = self.marks.iter().map(|mark| mark.at).max() else { return 0 };
        self.marks.iter().filter(|mark| latest.saturating_sub(mark.at) <= span).count()
    }

    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(super) fn has(&self, what: u64) -> bool {
        self.marks.iter().any(|mark| mark.what == what)
    }

    /// How many different ones.
    pub(super) fn kinds(&self) -> usize {
        self.kinds_within(Micros::MAX)
    }

    /// How many different ones within so long before the latest.
    pub(super) fn kinds_within(&self, span: Micros) -> usize {
        let Some(latest) = self.marks.iter().map(|mark| mark.at).max() else { return 0 };
        let near = self.marks.iter().filter(|mark| latest.saturating_sub(mark.at) <= span);
        near.map(|mark| mark.what).collect::<std::collections::BTreeSet<_>>().len()
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }

    pub(super) fn trail(&self) -> Trail {
        let mut trail = Trail::default();
        for mark in &self.marks {
            trail.add_at(mark.at, mark.packet);
        }
        trail
    }
}

/// FNV-1a over parts, each ended by its length.
pub(super) fn fnv(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    };
    for part in parts {
        part.iter().copied().for_each(&mut eat);
        (part.len() as u64).to_le_bytes().into_iter().for_each(&mut eat);
    }
    hash
}

/// A number that tells addresses apart.
pub(super) fn number_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => fnv(&[&v6.octets()]),
    }
}
