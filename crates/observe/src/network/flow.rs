//! What is kept of a flow that was answered, or of which more than one packet was seen.

use schema::{Contact, FlowEnd, Micros, NetEvent, Side, Sight, Traffic};

use super::key::{Key, Which};
use super::stream::Stream;

/// As many as memory has room for: 144 bytes each, of which every packet touches most.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: Key,
    /// Its number.
    pub(super) number: u64,
    /// Number of its last packet.
    pub(super) packet: u64,
    pub(super) traffic: Traffic,
    /// Where TCP's data begins, client then server, as far as the SYNs were seen.
    pub(super) start: [u32; 2],
    /// What reads it, while that wants more.
    pub(super) stream: Option<Box<Stream>>,
    /// Seconds between its first packet and the last time that its sums were told.
    pub(super) told_after: u32,
    pub(super) vlan: Vlan,
    pub(super) marks: Marks,
}

/// A VLAN tag in two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vlan(u16);

impl Vlan {
    pub(super) fn of(tag: Option<u16>) -> Vlan {
        Vlan(tag.unwrap_or(u16::MAX))
    }

    pub(super) fn tag(self) -> Option<u16> {
        (self.0 != u16::MAX).then_some(self.0)
    }
}

/// What happened to a flow, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// The client is the key's high end.
    pub(super) const CLIENT_HIGH: u16 = 1;
    /// The server spoke.
    pub(super) const ANSWERED: u16 = 1 << 1;
    /// `start` of the client counts.
    pub(super) const CLIENT_START: u16 = 1 << 2;
    /// `start` of the server counts.
    pub(super) const SERVER_START: u16 = 1 << 3;
    /// The client said FIN.
    pub(super) const CLIENT_FIN: u16 = 1 << 4;
    /// The server said FIN.
    pub(super) const SERVER_FIN: u16 = 1 << 5;
    /// Its end was told; what still comes is not looked at.
    pub(super) const OVER: u16 = 1 << 6;
    /// Nobody reads it any more.
    pub(super) const UNHEARD: u16 = 1 << 7;
    /// It was counted as seen in one direction alone.
    pub(super) const ONE_WAY: u16 = 1 << 8;
    /// The slot holds a flow.
    pub(super) const LIVE: u16 = 1 << 9;
    /// It was counted as seen in both directions.
    pub(super) const TWO_WAY: u16 = 1 << 10;

    /// It is over since one side broke it off.
    pub(super) const RESET: u16 = 1 << 11;
    /// The client went on all the same.
    pub(super) const ON_CLIENT: u16 = 1 << 12;
    /// So did the server.
    pub(super) const ON_SERVER: u16 = 1 << 13;
    /// One of them sent data.
    pub(super) const ON_DATA: u16 = 1 << 14;

    /// Both sides went on after one of them broke off.
    pub(super) fn goes_on(self) -> bool {
        let all = Marks::ON_CLIENT | Marks::ON_SERVER | Marks::ON_DATA;
        self.0 & all == all
    }

    pub(super) fn has(self, mark: u16) -> bool {
        self.0 & mark != 0
    }

    /// Both sides have nothing more to say.
    pub(super) fn is_closed(self) -> bool {
        self.has(Marks::CLIENT_FIN) && self.has(Marks::SERVER_FIN)
    }

    pub(super) fn set(&mut self, mark: u16) {
        self.0 |= mark;
    }

    pub(super) fn clear(&mut self, mark: u16) {
        self.0 &= !mark;
    }
}

impl Flow {
    pub(super) fn client(&self) -> Which {
        if self.marks.has(Marks::CLIENT_HIGH) { Which::High } else { Which::Low }
    }

    pub(super) fn contact(&self) -> Contact {
        self.key.contact(self.client(), self.vlan.tag())
    }

    /// Another flow between the same two, whose beginning was not seen and which was answered.
    pub(super) fn begin_again(&mut self, number: u64, at: Micros, packet: u64) {
        (self.number, self.packet) = (number, packet);
        self.traffic = Traffic { first: at, last: at, ..Traffic::default() };
        self.told_after = 0;
        let kept = Marks::CLIENT_HIGH | Marks::LIVE | Marks::ONE_WAY | Marks::TWO_WAY;
        self.marks = Marks(self.marks.0 & kept | Marks::ANSWERED);
    }

    /// Something that its last packet showed.
    pub(super) fn event(&self, sight: Sight) -> NetEvent {
        NetEvent {
            at: self.traffic.last,
            packet: self.packet,
            flow: self.number,
            contact: self.contact(),
            sight,
        }
    }

    /// Tells the sums at its end, once, and forgets what was being read.
    pub(super) fn end(&mut self, end: FlowEnd, out: &mut Vec<NetEvent>) {
        if self.marks.has(Marks::OVER) {
            return;
        }
        self.marks.set(Marks::OVER);
        self.stream = None;
        out.push(self.event(Sight::Traffic { traffic: self.traffic, end }));
    }

    /// Adds a packet's sums.
    #[inline]
    pub(super) fn add(&mut self, side: Side, at: Micros, packet: u64, ip_bytes: u32, payload: u32) {
        let way = way(side);
        self.packet = packet;
        // Captures are not in order: the sums span what was seen.
        self.traffic.first = self.traffic.first.min(at);
        self.traffic.last = self.traffic.last.max(at);
        self.traffic.packets[way] += 1;
        self.traffic.bytes[way] += u64::from(ip_bytes);
        self.traffic.payload[way] += u64::from(payload);
    }
}

/// The place of a side in an array.
#[inline]
pub(super) fn way(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}
