use std::net::IpAddr;

use decode::packet::{IcmpMeaning, Packet, Segment, syn_family};
use schema::telescope::ProbeKind;
use schema::{Micros, SynFamily, Transport};

use super::Key;

/// A packet that reached an unused address, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// When it came.
    pub at: Micros,
    /// Who sent it, or whose address was forged.
    pub source: IpAddr,
    /// Which address of ours it reached.
    pub destination: IpAddr,
    /// What it is counted as.
    pub key: Key,
}

impl Probe {
    /// What a packet counts as.
    pub fn of(at: Micros, packet: &Packet<'_>) -> Probe {
        let key = match &packet.transport {
            Segment::Tcp(tcp) => {
                let family = if tcp.flags.opens() { syn_family(packet.ttl, tcp) } else { SynFamily::Unknown };
                Probe::tcp_key(tcp.source_port, tcp.destination_port, tcp.flags.0, family)
            }
            Segment::Udp(udp) => Probe::udp_key(udp.source_port, udp.destination_port, udp.payload),
            Segment::Icmp(icmp) => Probe::icmp_key(icmp.meaning),
            // Of which port a part of a packet is stands in its first part alone, which is seldom all that a scan sends.
            Segment::Fragment(fragment) => Probe::other_key(fragment.protocol),
            Segment::Other { protocol, .. } => Probe::other_key(*protocol),
        };
        Probe { at, source: packet.source, destination: packet.destination, key }
    }

    fn other_key(protocol: u8) -> Key {
        Key { kind: ProbeKind::Other, port: 0, transport: Transport::Other(protocol), family: None }
    }

    /// Of a TCP segment: `flags` are its low eight bits, `family` what its SYN looks like.
    pub(super) fn tcp_key(source_port: u16, destination_port: u16, flags: u8, family: SynFamily) -> Key {
        let (kind, port, family) = match flags & (SYN | ACK | RST) {
            SYN => (ProbeKind::Scan, destination_port, Some(family)),
            with if with & RST != 0 || with == SYN | ACK => (ProbeKind::Backscatter, source_port, None),
            _ => (ProbeKind::Other, destination_port, None),
        };
        Key { kind, port, transport: Transport::Tcp, family }
    }

    /// Of a datagram: what comes from a port that amplifiers answer from, to one that nobody serves, is an answer.
    pub(super) fn udp_key(source_port: u16, destination_port: u16, payload: &[u8]) -> Key {
        let is_answer = destination_port >= 1024
            && match source_port {
                // DNS says so in its header.
                53 => payload.get(2).is_some_and(|flags| flags & 0x80 != 0),
                // NTP: a server's mode, or the response bit of control (6) and private (7) messages.
                123 => match payload {
                    [first, second, ..] => match first & 7 {
                        4 => true,
                        6 => second & 0x80 != 0,
                        7 => first & 0x80 != 0,
                        _ => false,
                    },
                    _ => false,
                },
                19 | 111 | 161 | 389 | 1900 | 11211 => true,
                _ => false,
            };
        let (kind, port) = if is_answer {
            (ProbeKind::Backscatter, source_port)
        } else {
            (ProbeKind::Scan, destination_port)
        };
        Key { kind, port, transport: Transport::Udp, family: None }
    }

    /// Of ICMP, by the type of version 4 that means the same.
    fn icmp_key(meaning: IcmpMeaning) -> Key {
        let (kind, port) = match meaning {
            IcmpMeaning::EchoRequest => (ProbeKind::Scan, 8),
            IcmpMeaning::EchoReply => (ProbeKind::Backscatter, 0),
            IcmpMeaning::Unreachable(_) => (ProbeKind::Backscatter, 3),
            IcmpMeaning::Error(_) => (ProbeKind::Backscatter, 11),
            IcmpMeaning::Other => (ProbeKind::Other, u16::MAX),
        };
        Key { kind, port, transport: Transport::Icmp, family: None }
    }
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
