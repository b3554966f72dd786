//! Several packets at once. Where in memory a packet's flow lies is chance, and waiting for it takes longer than all else that is done with the
//! packet; so the flows of several packets are looked up first, one right behind the other, and the waits overlap.

use decode::packet::capture::Record;
use decode::packet::{Fault, Packet, Segment, read};
use schema::{NetEvent, Transport};

use super::super::flow::Vlan;
use super::super::pages::{ask, ask_at};
use super::{Pipeline, Place, Seen};

/// Packets that are looked up together: what is known of them stays in the nearest cache.
const AHEAD: usize = 32;

/// A packet that was read, and where its flow is, if it has ports.
struct Looked<'a> {
    packet: Result<Packet<'a>, Fault>,
    place: Option<Place>,
}

impl Pipeline {
    /// Takes packets one after the other, of which the first has that number, as [`Pipeline::packet`] does, and says the same; only
    /// sooner.
    pub fn packets(&mut self, first: u64, records: &[Record<'_>], out: &mut Vec<NetEvent>) {
        let mut number = first;
        let mut ahead = Vec::with_capacity(AHEAD.min(records.len()));
        for records in records.chunks(AHEAD) {
            ahead.extend(records.iter().map(|record| {
                let packet = read(record.link, record.bytes, record.orig_len);
                let place = packet.as_ref().ok().and_then(|packet| self.place_of(packet));
                Looked { packet, place }
            }));
            self.fetch(&mut ahead);
            for (record, looked) in records.iter().zip(&ahead) {
                self.counted(record.at, record.bytes, record.orig_len, out);
                self.taken(record.at, number, &looked.packet, looked.place.as_ref(), out);
                number += 1;
            }
            ahead.clear();
        }
    }

    /// Asks for what the packets will touch, in as many steps as one place in memory names the next.
    fn fetch(&mut self, ahead: &mut [Looked<'_>]) {
        for place in ahead.iter().filter_map(|looked| looked.place.as_ref()) {
            self.flows.ask(place.hash);
        }
        for place in ahead.iter_mut().filter_map(|looked| looked.place.as_mut()) {
            place.hint = self.flows.guess(place.hash);
            match place.hint {
                Some(slot) => ask(self.flows.at(slot)),
                None => self.ring(place.key.transport()).ask(place.hash),
            }
        }
        for place in ahead.iter().filter_map(|looked| looked.place.as_ref()) {
            match place.hint {
                Some(slot) => self.flows.at(slot).stream.as_deref().into_iter().for_each(ask),
                None => self.ring(place.key.transport()).ask_flow(place.hash),
            }
        }
        for slot in ahead.iter().filter_map(|looked| looked.place.as_ref()?.hint) {
            if let Some(stream) = &self.flows.at(slot).stream {
                ask_at(stream.speech.begins());
            }
        }
    }

    fn place_of(&self, packet: &Packet<'_>) -> Option<Place> {
        let (ports, transport) = match &packet.transport {
            Segment::Tcp(tcp) => ((tcp.source_port, tcp.destination_port), Transport::Tcp),
            Segment::Udp(udp) => ((udp.source_port, udp.destination_port), Transport::Udp),
            _ => return None,
        };
        Some(self.place((packet.source, packet.destination), ports, transport))
    }

    /// What is common to all packets, before anything is done with one.
    #[inline]
    pub(super) fn counted(
        &mut self,
        at: schema::Micros,
        bytes: &[u8],
        orig_len: u32,
        out: &mut Vec<NetEvent>,
    ) {
        self.clock(at, out);
        self.coverage.packets += 1;
        self.coverage.bytes += u64::from(orig_len).max(bytes.len() as u64);
    }

    /// Takes a packet that was read; `place` where it was looked up before.
    #[inline]
    pub(super) fn taken(
        &mut self,
        at: schema::Micros,
        number: u64,
        packet: &Result<Packet<'_>, Fault>,
        place: Option<&Place>,
        out: &mut Vec<NetEvent>,
    ) {
        match packet {
            Ok(packet) => {
                let seen = Seen {
                    at,
                    number,
                    vlan: Vlan::of(packet.vlan),
                    source: packet.source,
                    destination: packet.destination,
                    ttl: packet.ttl,
                    ip_bytes: packet.ip_bytes,
                };
                match (&packet.transport, place) {
                    (Segment::Tcp(tcp), Some(place)) => self.tcp(&seen, place, tcp, out),
                    (Segment::Udp(udp), Some(place)) => self.udp(&seen, place, udp, out),
                    (transport, _) => self.carried(seen, transport, out),
                }
            }
            Err(Fault::NotIp) => {}
            Err(Fault::Unread) => self.coverage.unread += 1,
            Err(_) => self.coverage.undecoded += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use decode::packet::Link;
    use testkit::frames::{self, flag};

    use super::*;
    use crate::network::Settings;

    /// Frames between a few ends with any flags, so that flows begin, end and use their ports again within a few packets.
    fn any_frames(count: usize) -> Vec<Vec<u8>> {
        let mut state = 88_172_645_463_325_252_u64;
        let mut below = |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % limit
        };
        let flags = [
            flag::SYN,
            flag::SYN | flag::ACK,
            flag::ACK,
            flag::ACK | flag::PSH,
            flag::FIN | flag::ACK,
            flag::RST,
        ];
        let end =
            |place: u64| SocketAddr::from(([10, 0, 0, place as u8], [40_000, 445, 53][place as usize % 3]));
        let mut frames = Vec::new();
        for _ in 0..count {
            let (source, target) = (end(below(6)), end(below(6)));
            let ip = match below(5) {
                0 => frames::udp(
                    source,
                    target,
                    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02jp\x00\x00\x01\x00\x01",
                ),
                _ => {
                    let bare = frames::Tcp::bare(source, target, flags[below(6) as usize]);
                    let payload: &[u8] = if below(3) == 0 { b"SSH-2.0-any\r\n" } else { b"" };
                    frames::Tcp { sequence: below(4) as u32 * 13, payload, ..bare }.ip_with(64)
                }
            };
            let cut = if below(20) == 0 { below(ip.len() as u64) as usize } else { ip.len() };
            frames.push(frames::ethernet(&[], &ip[..cut]));
        }
        frames
    }

    #[test]
    fn packets_that_come_together_say_what_they_say_one_by_one() {
        let frames = any_frames(20_000);
        let records: Vec<Record<'_>> = frames
            .iter()
            .enumerate()
            .map(|(place, bytes)| Record {
                at: 1_539_565_200_000_000 + place as i64 * 40_000,
                link: Link::Ethernet,
                bytes,
                orig_len: bytes.len() as u32,
            })
            .collect();
        for flows_max in [3, 1_000] {
            let settings = Settings { flows_max, unanswered_max: 8, streams_max: 2, ..Settings::default() };
            let (mut single, mut expected) = (Pipeline::new(settings), Vec::new());
            for (place, record) in records.iter().enumerate() {
                single.packet(
                    record.at,
                    place as u64 + 1,
                    record.link,
                    record.bytes,
                    record.orig_len,
                    &mut expected,
                );
            }
            single.finish(&mut expected);
            assert!(expected.len() > 1_000, "{}", expected.len());
            for together in [1, 7, 16, 64, 20_000] {
                let (mut pipeline, mut events, mut first) = (Pipeline::new(settings), Vec::new(), 1);
                for some in records.chunks(together) {
                    pipeline.packets(first, some, &mut events);
                    first += some.len() as u64;
                }
                pipeline.finish(&mut events);
                assert!(events == expected, "{together} together with {flows_max} flows");
                assert_eq!(pipeline.coverage(), single.coverage());
            }
        }
    }
}
