//! What the sensor reads from the network: fixed-size values, without text except for names.
//!
//! Packets never become values one by one. A flow opens, is answered or not, is recognised by its contents, shows what its protocol
//! shows, and ends with its sums; each of these is one [`NetEvent`].

mod sight;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use sight::{
    KerberosSight, NameSource, NtlmSight, NtlmStep, RdpSight, RpcInterface, RpcSight, Service, Sight,
    SmbDialect, SmbSight, SmbVerb, SynFamily, SystemVersion,
};

/// Microseconds since 1970 in UTC, as the capture says.
pub type Micros = i64;

/// What carries a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// Any other, by its IP protocol number.
    Other(u8),
}

/// One end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address; an IPv4-mapped IPv6 address is written as IPv4.
    pub address: IpAddr,
    /// The port; 0 where the transport has none.
    pub port: u16,
}

/// Who opened a flow, and towards whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// Who opened it.
    pub client: Endpoint,
    /// Who was spoken to.
    pub server: Endpoint,
    /// What carries it.
    pub transport: Transport,
    /// The innermost VLAN tag.
    pub vlan: Option<u16>,
}

/// An end of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who opened it.
    Client,
    /// Who was spoken to.
    Server,
}

/// Something that was seen of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetEvent {
    /// When the packet that showed it was captured. Captures are not in order: it can lie before that of the event before.
    pub at: Micros,
    /// Number of that packet in the capture, from 1; live: since the start.
    pub packet: u64,
    /// Number of the flow, from 1, never used twice in one run.
    pub flow: u64,
    /// Between whom.
    pub contact: Contact,
    /// What was seen.
    pub sight: Sight,
}

/// The sums of a flow; arrays are client to server, then server to client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The first packet's time.
    pub first: Micros,
    /// The last packet's time.
    pub last: Micros,
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes of IP packets, headers included, as they were on the wire.
    pub bytes: [u64; 2],
    /// Bytes above TCP, UDP or ICMP; of all else, above IP.
    pub payload: [u64; 2],
}

/// How a flow came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowEnd {
    /// Both sides said so (FIN).
    Finished,
    /// One side broke it off (RST).
    Reset,
    /// Nothing was heard any more for as long as its transport allows.
    Idle,
    /// The table was full, and this flow had been silent for the longest.
    Evicted,
    /// It went on when the capture ended, or when a long one's sums were told meanwhile.
    Going,
}

/// What the observation covered: without it nothing can be called absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetCoverage {
    /// Packets that were read.
    pub packets: u64,
    /// Bytes that they had on the wire.
    pub bytes: u64,
    /// Packets that the kernel dropped before they were read.
    pub dropped: u64,
    /// Packets that could not be decoded: truncated, corrupt, or of an unknown kind.
    pub undecoded: u64,
    /// Frames of a kind that is not read: neither IP nor what every network has besides it.
    #[serde(default)]
    pub unread: u64,
    /// Fragments that never became a whole, and overlapping ones.
    pub fragments_lost: u64,
    /// Flows.
    pub flows: u64,
    /// Flows that were ended because the table was full.
    pub evicted: u64,
    /// TCP flows of which both directions were seen.
    pub two_way: u64,
    /// TCP flows with data of which one direction alone was seen: many of them mean a one-way mirror.
    pub one_way: u64,
    /// The time went backwards by more than a second this often.
    pub clock_back: u64,
    /// First and last packet's times.
    pub first: Micros,
    /// See `first`.
    pub last: Micros,
}
