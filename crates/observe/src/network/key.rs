//! What tells flows apart: two addresses, two ports, a transport. VLAN tags do not: mirrors tag the two directions differently, or one
//! alone.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schema::{Contact, Endpoint, Side, Transport};

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

/// The ends of a flow in an order that does not depend on who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    low: [u64; 2],
    high: [u64; 2],
    low_port: u16,
    high_port: u16,
    transport: u16,
}

/// Which of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Low,
    High,
}

impl Which {
    pub(super) fn other(self) -> Which {
        match self {
            Which::Low => Which::High,
            Which::High => Which::Low,
        }
    }
}

impl Key {
    /// The key of a packet, and which end sent it.
    #[inline]
    pub(super) fn of(source: End, destination: End, transport: Transport) -> (Key, Which) {
        let (from, to) = (packed(source.address), packed(destination.address));
        let transport = match transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            // Both versions of ICMP, whose addresses tell them apart.
            Transport::Icmp => 1,
            Transport::Other(protocol) => 0x100 | u16::from(protocol),
        };
        if (from, source.port) <= (to, destination.port) {
            let (low_port, high_port) = (source.port, destination.port);
            (Key { low: from, high: to, low_port, high_port, transport }, Which::Low)
        } else {
            let (low_port, high_port) = (destination.port, source.port);
            (Key { low: to, high: from, low_port, high_port, transport }, Which::High)
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self.transport {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            1 => Transport::Icmp,
            other => Transport::Other((other & 0xff) as u8),
        }
    }

    /// With that end as the client.
    #[inline]
    pub(super) fn contact(&self, client: Which, vlan: Option<u16>) -> Contact {
        let low = Endpoint { address: unpacked(self.low), port: self.low_port };
        let high = Endpoint { address: unpacked(self.high), port: self.high_port };
        let (client, server) = match client {
            Which::Low => (low, high),
            Which::High => (high, low),
        };
        Contact { client, server, transport: self.transport(), vlan }
    }
}

/// As what the sender of a packet takes part in a flow with that client.
#[inline]
pub(super) fn side(sender: Which, client: Which) -> Side {
    if sender == client { Side::Client } else { Side::Server }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports =
            u64::from(self.low_port) << 32 | u64::from(self.high_port) << 16 | u64::from(self.transport);
        // Addresses of IPv4 differ in the second half alone.
        state.write_u64(self.low[1]);
        state.write_u64(self.high[1]);
        state.write_u64(ports);
        if self.low[0] | self.high[0] != 0 {
            state.write_u64(self.low[0]);
            state.write_u64(self.high[0]);
        }
    }
}

const MAPPED: u64 = 0xffff << 32;

#[inline]
fn packed(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, MAPPED | u64::from(address.to_bits())],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

fn unpacked(words: [u64; 2]) -> IpAddr {
    if words[0] == 0 && words[1] & !0xffff_ffff == MAPPED {
        return IpAddr::V4(Ipv4Addr::from_bits(words[1] as u32));
    }
    IpAddr::V6(Ipv6Addr::from_bits(u128::from(words[0]) << 64 | u128::from(words[1])))
}
