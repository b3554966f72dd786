use std::net::IpAddr;

use decode::packet::Udp;
use decode::speech;
use schema::{Contact, NetEvent, Side, Sight, Transport};

use super::super::flow::Marks;
use super::super::key::side;
use super::super::young::Stage;
use super::tcp::serves;
use super::{New, Pipeline, Place, Seen};

/// Tries of one side alone that still are one question: name servers are asked so often.
const TRIES: u32 = 4;

impl Pipeline {
    pub(super) fn udp(&mut self, seen: &Seen, place: &Place, udp: &Udp<'_>, out: &mut Vec<NetEvent>) {
        if let Some(slot) = self.slot_of(place) {
            self.udp_more(slot, place, seen, udp, out);
            return;
        }
        let Some(slot) = self.unanswered.find(place.hash, &place.key) else {
            self.udp_new(seen, place, udp, out);
            return;
        };
        let young = self.unanswered.at(slot);
        let is_same_side = place.from == young.sender;
        let waits = matches!(young.stage, Stage::Asked | Stage::Unasked | Stage::Over);
        if is_same_side && waits && young.packets < TRIES {
            young.add(seen.at, seen.number, seen.ip_bytes, udp.payload_bytes);
            let (number, contact) = (young.number, young.contact());
            let side = side(place.from, young.client);
            if young.stage == Stage::Asked {
                self.hear_once(seen, number, &contact, side, udp, out);
            }
        } else if young.stage != Stage::Over {
            let slot = self.promote(slot, place, out);
            self.udp_more(slot, place, seen, udp, out);
        }
    }

    fn udp_new(&mut self, seen: &Seen, place: &Place, udp: &Udp<'_>, out: &mut Vec<NetEvent>) {
        let (sender, receiver) = (place.from, place.from.other());
        let (source, destination) = (udp.source_port, udp.destination_port);
        let new = |client, stage| New { client, stage, payload: udp.payload_bytes, start: 0 };
        let opened = Some(Sight::Opened { syn: None, sure: false });
        let (new, opened) = if is_many(seen.destination) {
            (new(sender, Stage::Said), opened)
        } else if is_answer(source) && destination >= 1024 {
            (new(receiver, Stage::Unasked), None)
        } else if destination >= 1024 && source < 1024 && serves(source, destination) {
            (new(receiver, Stage::Said), opened)
        } else {
            (new(sender, Stage::Asked), opened)
        };
        let is_heard = opened.is_some();
        self.begin(seen, place, new, opened, out);
        if is_heard {
            let contact = place.key.contact(new.client, seen.vlan.tag());
            self.hear_once(seen, self.flow, &contact, side(place.from, new.client), udp, out);
        }
    }

    fn udp_more(&mut self, slot: u32, place: &Place, seen: &Seen, udp: &Udp<'_>, out: &mut Vec<NetEvent>) {
        self.datagram_more(slot, place, seen, udp.payload_bytes, out);
        let flow = self.flows.at(slot);
        if flow.marks.has(Marks::OVER) || udp.payload.is_empty() {
            return;
        }
        let (number, contact) = (flow.number, flow.contact());
        let side = side(place.from, flow.client());
        self.hear_once(seen, number, &contact, side, udp, out);
    }

    /// The sums of a further packet of a flow that is no TCP.
    pub(super) fn datagram_more(
        &mut self,
        slot: u32,
        place: &Place,
        seen: &Seen,
        payload: u32,
        out: &mut Vec<NetEvent>,
    ) {
        let flow = self.flows.at(slot);
        if flow.marks.has(Marks::OVER) {
            return;
        }
        let side = side(place.from, flow.client());
        flow.add(side, seen.at, seen.number, seen.ip_bytes, payload);
        let both = flow.traffic.packets.iter().all(|packets| *packets > 0);
        if side == Side::Server && !flow.marks.has(Marks::ANSWERED) {
            flow.marks.set(Marks::ANSWERED);
            out.push(NetEvent { at: seen.at, ..flow.event(Sight::Answered) });
        }
        self.sees_answers |= both;
        self.tell_meanwhile(slot, seen, out);
    }

    /// Has one datagram read by itself.
    fn hear_once(
        &mut self,
        seen: &Seen,
        flow: u64,
        contact: &Contact,
        side: Side,
        udp: &Udp<'_>,
        out: &mut Vec<NetEvent>,
    ) {
        if !self.settings.reads_contents || udp.payload.is_empty() {
            return;
        }
        speech::datagram(contact, side, udp.payload, &mut self.sights);
        let (at, packet, contact) = (seen.at, seen.number, *contact);
        out.extend(self.sights.drain(..).map(|sight| NetEvent { at, packet, flow, contact, sight }));
    }

    /// A packet of a transport without ports.
    pub(super) fn other(&mut self, seen: &Seen, transport: Transport, payload: u32, out: &mut Vec<NetEvent>) {
        let place = self.place((seen.source, seen.destination), (0, 0), transport);
        let opened = Sight::Opened { syn: None, sure: false };
        let new = New { client: place.from, stage: Stage::Said, payload, start: 0 };
        self.portless(seen, &place, new, Some(opened), out);
    }

    /// The same, of which is known what it would begin, if the client were its sender.
    pub(super) fn portless(
        &mut self,
        seen: &Seen,
        place: &Place,
        new: New,
        opened: Option<Sight>,
        out: &mut Vec<NetEvent>,
    ) {
        if let Some(slot) = self.flows.find(place.hash, &place.key) {
            self.datagram_more(slot, place, seen, new.payload, out);
            return;
        }
        let Some(slot) = self.unanswered.find(place.hash, &place.key) else {
            let client = if new.stage == Stage::Unasked { place.from.other() } else { place.from };
            self.begin(seen, place, New { client, ..new }, opened, out);
            return;
        };
        let young = self.unanswered.at(slot);
        if young.stage == Stage::Over {
            return;
        }
        if place.from == young.sender && young.packets < TRIES {
            young.add(seen.at, seen.number, seen.ip_bytes, new.payload);
        } else {
            let slot = self.promote(slot, place, out);
            self.datagram_more(slot, place, seen, new.payload, out);
        }
    }
}

/// Addresses of many: nobody of them need answer.
fn is_many(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(address) => address.is_multicast() || address.octets()[3] == 255,
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// Ports from which datagrams come as answers, and as somebody else's flood with forged questions: QOTD, chargen, DNS, TFTP, NTP, SNMP,
/// LDAP, SSDP, memcached.
fn is_answer(port: u16) -> bool {
    matches!(port, 17 | 19 | 53 | 69 | 123 | 161 | 389 | 1900 | 11211)
}
