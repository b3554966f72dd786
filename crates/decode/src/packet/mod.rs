//! Packets: capture files, link layers, IP and transport, as slices of what was captured.
//!
//! Nothing is copied and nothing is believed: every length is checked against what is there, and what was cut off by the capture is
//! told apart from what never was. Addresses of IPv4 inside IPv6 are written as IPv4.

pub mod capture;
mod family;
mod ip;
mod link;
#[cfg(test)]
mod tests;
mod transport;

use std::net::IpAddr;

pub use family::syn_family;
pub use ip::whole;
pub use link::Link;
pub use transport::segment;

/// Why a packet tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The capture, or the packet itself, ends before its headers do.
    #[error("the packet ends within its headers")]
    Truncated,
    /// A header contradicts itself.
    #[error("a header of the packet contradicts itself")]
    Corrupt,
    /// A whole frame of those that every network has besides IP: ARP, LLDP, spanning tree and the like. No fault of the capture.
    #[error("the frame carries no IP")]
    NotIp,
    /// A whole frame of a kind that is not read here: MPLS, IPX, PPPoE with something else than IP. It may carry anything.
    #[error("the frame carries a protocol that is not read here")]
    Unread,
    /// The capture says that its link layer is one that is not read here.
    #[error("packets of link type {0} are not read")]
    Link(u32),
}

/// An IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The innermost VLAN tag.
    pub vlan: Option<u16>,
    /// Who sent it, as it says.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Its bytes on the wire from the IP header on, padding of the link layer left out.
    pub ip_bytes: u32,
    /// What it carries.
    pub transport: Segment<'a>,
}

/// What an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP.
    Udp(Udp<'a>),
    /// ICMP or ICMPv6.
    Icmp(Icmp),
    /// A part of a packet.
    Fragment(Fragment<'a>),
    /// Any other.
    Other {
        /// Its IP protocol number.
        protocol: u8,
        /// Its bytes on the wire, above IP.
        bytes: u32,
    },
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Number of its first byte.
    pub sequence: u32,
    /// Number of the byte that is awaited next.
    pub acknowledgment: u32,
    /// Its flags.
    pub flags: Flags,
    /// The window as it stands there, not scaled.
    pub window: u16,
    /// Its options, as bytes.
    pub options: &'a [u8],
    /// Its data as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes of data on the wire; more than `payload` where the capture was cut.
    pub payload_bytes: u32,
}

/// TCP's flags as they stand in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    /// The sender has nothing more to say.
    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    /// Sequence numbers begin here.
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// The connection is broken off.
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// The acknowledgment counts.
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }

    /// A SYN that opens: without ACK, FIN and RST.
    pub fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::SYN
    }

    /// A SYN-ACK.
    pub fn answers(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::SYN | Self::ACK
    }
}

/// A UDP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Its data as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes of data on the wire.
    pub payload_bytes: u32,
}

/// An ICMP or ICMPv6 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// What it is.
    pub meaning: IcmpMeaning,
    /// Bytes of the message on the wire.
    pub bytes: u32,
}

/// What an ICMP message means, whichever version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpMeaning {
    /// Somebody asks whether anybody is there.
    EchoRequest,
    /// The answer to that.
    EchoReply,
    /// Destination unreachable, whatever the reason; with the packet that it is about.
    Unreachable(Option<Quoted>),
    /// Another error about a packet: time exceeded, too big, parameter problem.
    Error(Option<Quoted>),
    /// Any other.
    Other,
}

/// The packet that an ICMP error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Who had sent it.
    pub source: IpAddr,
    /// Whom it was for.
    pub destination: IpAddr,
    /// Its IP protocol number.
    pub protocol: u8,
    /// The sender's port; 0 where there is none.
    pub source_port: u16,
    /// The receiver's port; 0 where there is none.
    pub destination_port: u16,
}

/// A part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// What its parts have in common.
    pub id: u32,
    /// IP protocol number of the whole.
    pub protocol: u8,
    /// Where in the whole it belongs, in bytes.
    pub offset: u32,
    /// Whether others follow.
    pub more: bool,
    /// Its bytes, all of them: a part that was cut off by the capture is a [`Fault::Truncated`].
    pub payload: &'a [u8],
}

/// Reads a captured frame. `orig_len` is its length on the wire; less than what was captured counts as that.
///
/// # Errors
/// [`Fault`], of which [`Fault::NotIp`] and [`Fault::Unread`] are none of the packet's.
pub fn read(link: Link, bytes: &[u8], orig_len: u32) -> Result<Packet<'_>, Fault> {
    let (vlan, rest) = link.strip(bytes)?;
    let cut = (orig_len as usize).saturating_sub(bytes.len());
    ip::read(vlan, rest, rest.len().saturating_add(cut))
}
