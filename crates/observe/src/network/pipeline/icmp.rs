use std::hash::BuildHasher;

use decode::packet::{Icmp, IcmpMeaning, Quoted};
use schema::{NetEvent, Sight, Transport};

use super::super::key::{End, Key};
use super::super::young::Stage;
use super::{New, Pipeline, Place, Seen};

impl Pipeline {
    pub(super) fn icmp(&mut self, seen: &Seen, icmp: &Icmp, out: &mut Vec<NetEvent>) {
        let (stage, opened) = match icmp.meaning {
            IcmpMeaning::EchoRequest => (Stage::Asked, Some(Sight::Opened { syn: None, sure: true })),
            IcmpMeaning::EchoReply => (Stage::Unasked, None),
            IcmpMeaning::Other => (Stage::Said, Some(Sight::Opened { syn: None, sure: false })),
            IcmpMeaning::Unreachable(quoted) => return self.about(seen, quoted, true, out),
            IcmpMeaning::Error(quoted) => return self.about(seen, quoted, false, out),
        };
        let place = self.place((seen.source, seen.destination), (0, 0), Transport::Icmp);
        // Its header has eight bytes; what it carries beyond them can be anybody's data.
        let payload = icmp.bytes.saturating_sub(8);
        self.portless(seen, &place, New { client: place.from, stage, payload, start: 0 }, opened, out);
    }

    /// An error about a packet: it refuses the flow, or tells of packets that were sent elsewhere under an address of here.
    fn about(&mut self, seen: &Seen, quoted: Option<Quoted>, refuses: bool, out: &mut Vec<NetEvent>) {
        let Some(quoted) = quoted.filter(|quoted| quoted.source == seen.destination) else { return };
        let transport = match quoted.protocol {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            1 | 58 => Transport::Icmp,
            other => Transport::Other(other),
        };
        let source = End { address: quoted.source, port: quoted.source_port };
        let destination = End { address: quoted.destination, port: quoted.destination_port };
        let (key, from) = Key::of(source, destination, transport);
        let place = Place { key, hash: self.hash.hash_one(key), from, hint: None };
        if self.flows.find(place.hash, &place.key).is_some() {
            return;
        }
        let is_one_way = self.is_one_way();
        let ring = self.ring(transport);
        match ring.find(place.hash, &place.key) {
            Some(slot) => {
                let young = ring.at(slot);
                if young.stage == Stage::Asked && young.client == from && refuses {
                    self.refused(slot, seen, &place, false, out);
                }
            }
            None if is_one_way => {}
            None => {
                let flow = self.next_flow();
                let contact = place.key.contact(from, seen.vlan.tag());
                let sight = Sight::Backscatter;
                out.push(NetEvent { at: seen.at, packet: seen.number, flow, contact, sight });
            }
        }
    }
}
