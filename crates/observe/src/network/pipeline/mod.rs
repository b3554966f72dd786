//! From packets to events.

mod ahead;
mod datagram;
mod ending;
mod icmp;
mod tcp;

use std::hash::BuildHasher;
use std::net::IpAddr;

use decode::packet::{Link, Segment, read, whole};
use foldhash::fast::RandomState;
use schema::{Micros, NetCoverage, NetEvent, Sight, Transport};

use super::flow::{Flow, Marks, Vlan};
use super::fragments::Fragments;
use super::key::{End, Key, Which};
use super::table::Table;
use super::young::{Beginning, Ring, Stage, Young};

const SECOND: Micros = 1_000_000;
/// Captures are out of order by less than this; what is further back is a clock that was set.
const CLOCK_SET: Micros = 60 * SECOND;
/// How long the answer to a SYN may take: its sender tries again after 1, 2, 4 and 8 s.
const SYN_PATIENCE: Micros = 10 * SECOND;
/// How long the answer to a datagram may take.
const DATAGRAM_PATIENCE: Micros = 20 * SECOND;

/// The bounds within which flows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Flows that were answered, at once; about 160 bytes each, used as they come.
    pub flows_max: usize,
    /// Flows that nobody answered, at once, over TCP and over all else; about 145 bytes each. The next power of two counts.
    pub unanswered_max: usize,
    /// Flows whose protocol is being read, at once; mostly below 4 KiB each.
    pub streams_max: usize,
    /// Whether the contents of flows are read at all. An observation network has nothing to read.
    pub reads_contents: bool,
    /// Seconds of silence after which a TCP flow counts as ended.
    pub tcp_idle_seconds: u32,
    /// The same of all other flows.
    pub other_idle_seconds: u32,
    /// Every so many seconds the sums of a long flow are told.
    pub told_every_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            flows_max: 2_000_000,
            unanswered_max: 1 << 17,
            streams_max: 16_384,
            reads_contents: true,
            tcp_idle_seconds: 1800,
            other_idle_seconds: 120,
            told_every_seconds: 300,
        }
    }
}

impl Settings {
    /// For an observation network: nobody there answers, and only who knocks is of interest.
    pub fn telescope() -> Settings {
        Settings { flows_max: 1 << 17, reads_contents: false, ..Settings::default() }
    }
}

/// Packets become flows, and flows become events.
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    hash: RandomState,
    flows: Table,
    /// TCP's flows that were not answered.
    half_open: Ring,
    /// All others'.
    unanswered: Ring,
    fragments: Fragments,
    streams: ending::Streams,
    coverage: NetCoverage,
    /// Number of the flow that was begun last.
    flow: u64,
    /// The capture's time: it stands still where packets are late, and goes back when the clock was set.
    now: Micros,
    /// The packet's before.
    previous: Micros,
    swept: Micros,
    /// Before this nothing is due.
    due_at: Micros,
    /// Flows that were seen in one direction and in both, halved every few minutes.
    ways: ending::Ways,
    /// Some flow was seen in both directions.
    sees_answers: bool,
    sights: Vec<Sight>,
}

/// What is common to all packets.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Micros,
    number: u64,
    vlan: Vlan,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    ip_bytes: u32,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: Key,
    hash: u64,
    /// The end that sent it.
    from: Which,
    /// Where its flow was when somebody looked.
    hint: Option<u32>,
}

impl Pipeline {
    /// Without flows.
    pub fn new(settings: Settings) -> Pipeline {
        let hash = RandomState::default();
        Pipeline {
            flows: Table::new(settings.flows_max, hash.clone()),
            half_open: Ring::new(settings.unanswered_max, SYN_PATIENCE),
            unanswered: Ring::new(settings.unanswered_max, DATAGRAM_PATIENCE),
            hash,
            settings,
            fragments: Fragments::default(),
            streams: ending::Streams::default(),
            coverage: NetCoverage::default(),
            flow: 0,
            now: 0,
            previous: 0,
            swept: 0,
            due_at: 0,
            ways: ending::Ways::default(),
            sees_answers: false,
            sights: Vec::new(),
        }
    }

    /// Takes the packet with that number. `orig_len` is its length on the wire.
    pub fn packet(
        &mut self,
        at: Micros,
        number: u64,
        link: Link,
        bytes: &[u8],
        orig_len: u32,
        out: &mut Vec<NetEvent>,
    ) {
        self.counted(at, bytes, orig_len, out);
        self.taken(at, number, &read(link, bytes, orig_len), None, out);
    }

    /// Lets time pass without a packet: on a quiet interface flows end as well.
    pub fn pass(&mut self, at: Micros, out: &mut Vec<NetEvent>) {
        if self.coverage.packets > 0 && at > self.now {
            self.now = at;
            self.expire(out);
        }
    }

    /// Ends all flows, as the capture did.
    pub fn finish(&mut self, out: &mut Vec<NetEvent>) {
        while self.finish_some(usize::MAX, out) {}
    }

    /// Ends flows until there are so many events; whether there are more of them. Two million flows' ends at once are as large as
    /// the flows.
    pub fn finish_some(&mut self, events: usize, out: &mut Vec<NetEvent>) -> bool {
        self.fragments.finish();
        self.end_some(events, out)
    }

    /// What was covered so far.
    pub fn coverage(&self) -> NetCoverage {
        NetCoverage { fragments_lost: self.fragments.lost, ..self.coverage }
    }

    /// Counts packets that were lost before they came here.
    pub fn dropped(&mut self, packets: u64) {
        self.coverage.dropped = self.coverage.dropped.saturating_add(packets);
    }

    /// Whether the capture shows one direction of most flows of the last minutes: then silence means nothing.
    pub fn is_one_way(&self) -> bool {
        self.ways.are_one()
    }

    /// Flows that are kept now.
    pub fn flows(&self) -> usize {
        self.flows.len() + self.half_open.len() + self.unanswered.len()
    }

    fn clock(&mut self, at: Micros, out: &mut Vec<NetEvent>) {
        let coverage = &mut self.coverage;
        if coverage.packets == 0 {
            (coverage.first, coverage.last) = (at, at);
            (self.now, self.previous, self.swept) = (at, at, at);
        }
        coverage.first = coverage.first.min(at);
        coverage.last = coverage.last.max(at);
        if self.previous.saturating_sub(at) > SECOND {
            coverage.clock_back += 1;
        }
        self.previous = at;
        let is_set = self.now.saturating_sub(at) > CLOCK_SET;
        if at > self.now || is_set {
            self.now = at;
        }
        if self.now >= self.due_at || is_set {
            self.expire(out);
        }
    }

    fn carried(&mut self, seen: Seen, transport: &Segment<'_>, out: &mut Vec<NetEvent>) {
        match transport {
            Segment::Tcp(tcp) => {
                let ports = (tcp.source_port, tcp.destination_port);
                let place = self.place((seen.source, seen.destination), ports, Transport::Tcp);
                self.tcp(&seen, &place, tcp, out);
            }
            Segment::Udp(udp) => {
                let ports = (udp.source_port, udp.destination_port);
                let place = self.place((seen.source, seen.destination), ports, Transport::Udp);
                self.udp(&seen, &place, udp, out);
            }
            Segment::Icmp(icmp) => self.icmp(&seen, icmp, out),
            Segment::Other { protocol, bytes } => self.other(&seen, Transport::Other(*protocol), *bytes, out),
            Segment::Fragment(fragment) => {
                let ends = (seen.source, seen.destination);
                let Some(joined) = self.fragments.take(ends, fragment, seen.ip_bytes, self.now) else {
                    return;
                };
                let seen = Seen { ip_bytes: joined.ip_bytes, ..seen };
                match whole(joined.protocol, &joined.bytes, seen.source) {
                    Ok(transport) => self.carried(seen, &transport, out),
                    Err(_) => self.coverage.undecoded += 1,
                }
            }
        }
    }

    #[inline]
    fn place(&self, ends: (IpAddr, IpAddr), ports: (u16, u16), transport: Transport) -> Place {
        let source = End { address: ends.0, port: ports.0 };
        let destination = End { address: ends.1, port: ports.1 };
        let (key, from) = Key::of(source, destination, transport);
        Place { key, hash: self.hash.hash_one(key), from, hint: None }
    }

    /// The slot of a packet's flow.
    #[inline(always)]
    fn slot_of(&self, place: &Place) -> Option<u32> {
        match place.hint {
            // Packets before it may have ended the flow, or begun it.
            Some(slot) if self.flows.holds(slot, &place.key) => Some(slot),
            _ => self.flows.find(place.hash, &place.key),
        }
    }

    fn next_flow(&mut self) -> u64 {
        self.flow += 1;
        self.flow
    }

    /// The ring in which flows of that transport wait.
    fn ring(&mut self, transport: Transport) -> &mut Ring {
        match transport {
            Transport::Tcp => &mut self.half_open,
            _ => &mut self.unanswered,
        }
    }

    /// Begins a flow among those that nobody answered; `opened` is told of it, if anything.
    fn begin(
        &mut self,
        seen: &Seen,
        place: &Place,
        new: New,
        opened: Option<Sight>,
        out: &mut Vec<NetEvent>,
    ) {
        let number = self.next_flow();
        let beginning = Beginning {
            key: place.key,
            number,
            packet: seen.number,
            at: seen.at,
            bytes: seen.ip_bytes,
            payload: new.payload,
            start: new.start,
            vlan: seen.vlan,
            client: new.client,
            sender: place.from,
            stage: new.stage,
        };
        if let Some(sight) = opened {
            self.coverage.flows += 1;
            let contact = place.key.contact(new.client, seen.vlan.tag());
            out.push(NetEvent { at: seen.at, packet: seen.number, flow: number, contact, sight });
        }
        let now = self.now;
        let old = self.ring(place.key.transport()).push(place.hash, beginning, now);
        if let Some(old) = old {
            self.pushed_out(old, out);
        }
    }

    /// Moves a flow of which more than one packet was seen among those that are kept.
    fn promote(&mut self, young: u32, place: &Place, out: &mut Vec<NetEvent>) -> u32 {
        let young = self.ring(place.key.transport()).take(young);
        self.make_room(out);
        let flow = self.grown(&young, out);
        self.flows.insert(place.hash, flow)
    }

    fn grown(&mut self, young: &Young, out: &mut Vec<NetEvent>) -> Flow {
        let mut marks = Marks::default();
        if young.client == Which::High {
            marks.set(Marks::CLIENT_HIGH);
        }
        let is_tcp = young.key.transport() == Transport::Tcp;
        let mut start = [0, 0];
        match young.stage {
            Stage::Asked if is_tcp => {
                marks.set(Marks::CLIENT_START);
                start[0] = young.start;
            }
            Stage::Unasked => {
                if is_tcp && young.start != 0 {
                    marks.set(Marks::SERVER_START);
                    start[1] = young.start;
                }
                self.coverage.flows += 1;
                out.push(young.event(Sight::Opened { syn: None, sure: is_tcp }));
            }
            _ => {}
        }
        if young.sender != young.client {
            marks.set(Marks::ANSWERED);
            out.push(young.event(Sight::Answered));
        }
        Flow {
            key: young.key,
            number: young.number,
            packet: young.packet,
            traffic: young.traffic(),
            start,
            stream: None,
            told_after: 0,
            vlan: young.vlan,
            marks,
        }
    }
}

/// What a new flow is.
#[derive(Debug, Clone, Copy)]
struct New {
    client: Which,
    stage: Stage,
    payload: u32,
    /// Where TCP's data begins; 0 where that is not known.
    start: u32,
}
