//! Frames and capture files made by hand, for tests and benchmarks of the network sensor: never by the library that reads them.

use std::net::{IpAddr, SocketAddr};

/// TCP's flags.
pub mod flag {
    /// Nothing more to say.
    pub const FIN: u8 = 1;
    /// Numbers begin here.
    pub const SYN: u8 = 2;
    /// Broken off.
    pub const RST: u8 = 4;
    /// Hand on at once.
    pub const PSH: u8 = 8;
    /// The acknowledgment counts.
    pub const ACK: u8 = 16;
}

/// Options of a SYN as families of systems send them.
pub mod options {
    /// Windows XP and Server 2003.
    pub const NT5: &[u8] = &[2, 4, 5, 0xb4, 1, 1, 4, 2];
    /// Windows 10, with a scale of 8.
    pub const NT6: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
    /// Linux.
    pub const LINUX: &[u8] = &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
    /// macOS.
    pub const MACOS: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 4, 2, 0, 0];
}

/// A TCP segment.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    /// Who sends it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// See [`flag`].
    pub flags: u8,
    /// Number of its first byte.
    pub sequence: u32,
    /// Number that is awaited.
    pub acknowledgment: u32,
    /// Not scaled.
    pub window: u16,
    /// A multiple of four bytes.
    pub options: &'a [u8],
    /// Its data.
    pub payload: &'a [u8],
}

impl Tcp<'_> {
    /// One without data.
    pub fn bare(source: SocketAddr, destination: SocketAddr, flags: u8) -> Tcp<'static> {
        let (sequence, acknowledgment, window) = (1000, 0, 64240);
        Tcp { source, destination, flags, sequence, acknowledgment, window, options: &[], payload: &[] }
    }

    /// The IP packet, with a TTL of 64.
    pub fn ip(&self) -> Vec<u8> {
        self.ip_with(64)
    }

    /// The IP packet.
    pub fn ip_with(&self, ttl: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.options.len() + self.payload.len());
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgment.to_be_bytes());
        bytes.extend([(((20 + self.options.len()) / 4) << 4) as u8, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.options);
        bytes.extend(self.payload);
        ip(self.source.ip(), self.destination.ip(), 6, ttl, &bytes)
    }

    /// The frame on Ethernet.
    pub fn frame(&self) -> Vec<u8> {
        ethernet(&[], &self.ip())
    }
}

/// A UDP datagram in an IP packet.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    bytes.extend(((8 + payload.len()) as u16).to_be_bytes());
    bytes.extend([0; 2]);
    bytes.extend(payload);
    ip(source.ip(), destination.ip(), 17, 64, &bytes)
}

/// An ICMP or ICMPv6 message in an IP packet, as the addresses say.
pub fn icmp(source: IpAddr, destination: IpAddr, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0, 0, 0, 0, 0];
    bytes.extend(rest);
    let protocol = if source.is_ipv4() { 1 } else { 58 };
    ip(source, destination, protocol, 64, &bytes)
}

/// An IP packet, of the version of its addresses.
///
/// # Panics
/// With addresses of two versions.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = ((20 + payload.len()) as u16).to_be_bytes();
            let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, ttl, protocol, 0, 0];
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            let sum = check_sum(&bytes).to_be_bytes();
            bytes[10..12].copy_from_slice(&sum);
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = (payload.len() as u16).to_be_bytes();
            let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], protocol, ttl];
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes
        }
        _ => panic!("addresses of two versions"),
    };
    bytes.extend(payload);
    bytes
}

fn check_sum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Parts of an IPv4 packet, each with at most so many bytes of data (a multiple of eight).
pub fn fragments(packet: &[u8], id: u16, bytes_max: usize) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(20);
    let count = data.len().div_ceil(bytes_max);
    let part = |(at, data): (usize, &[u8])| {
        let mut part = header.to_vec();
        part[2..4].copy_from_slice(&((20 + data.len()) as u16).to_be_bytes());
        part[4..6].copy_from_slice(&id.to_be_bytes());
        let more = if at + 1 < count { 0x2000 } else { 0 };
        part[6..8].copy_from_slice(&((at * bytes_max / 8) as u16 | more).to_be_bytes());
        part.extend(data);
        part
    };
    data.chunks(bytes_max).enumerate().map(part).collect()
}

/// A frame on Ethernet with these VLAN tags, the outermost first.
pub fn ethernet(tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (at, tag) in tags.iter().enumerate() {
        bytes.extend(if at + 1 < tags.len() { [0x88, 0xa8] } else { [0x81, 0] });
        bytes.extend(tag.to_be_bytes());
    }
    bytes.extend(if packet.first().is_some_and(|byte| byte >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] });
    bytes.extend(packet);
    bytes
}

/// The beginning of a capture file (pcap, little endian, microseconds, Ethernet).
pub fn pcap_header() -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(262_144_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes
}

/// A record of that file; the time is in microseconds.
pub fn pcap_record(at: i64, frame: &[u8], into: &mut Vec<u8>) {
    into.extend(((at / 1_000_000) as u32).to_le_bytes());
    into.extend(((at % 1_000_000) as u32).to_le_bytes());
    into.extend((frame.len() as u32).to_le_bytes());
    into.extend((frame.len() as u32).to_le_bytes());
    into.extend(frame);
}
