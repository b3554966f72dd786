use decode::packet::{Tcp, syn_family};
use schema::{FlowEnd, Micros, NetEvent, Side, Sight};

use super::super::flow::{Marks, way};
use super::super::key::{Which, side};
use super::super::stream::{Data, Stream};
use super::super::young::Stage;
use super::{New, Pipeline, Place, SECOND, Seen};

/// Packets of one direction after which the other one should have been seen.
const ONE_WAY_PACKETS: u64 = 4;
/// Packets of a flow come out of their order by less than this.
const REORDERED: Micros = SECOND / 5;

impl Pipeline {
    pub(super) fn tcp(&mut self, seen: &Seen, place: &Place, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        if let Some(slot) = self.slot_of(place) {
            if !self.begins_anew(slot, place.from, tcp) {
                self.tcp_more(slot, place.from, seen, tcp, out);
                return;
            }
            self.end_flow(slot, FlowEnd::Idle, out);
            self.flows.remove(slot);
        } else if let Some(slot) = self.half_open.find(place.hash, &place.key) {
            self.tcp_young(slot, seen, place, tcp, out);
            return;
        }
        self.tcp_new(seen, place, tcp, out);
    }

    /// A SYN with another number than the flow began with: the ports are used again.
    fn begins_anew(&mut self, slot: u32, from: Which, tcp: &Tcp<'_>) -> bool {
        if !tcp.flags.opens() {
            return false;
        }
        let flow = self.flows.at(slot);
        let (mark, start) = match side(from, flow.client()) {
            Side::Client => (Marks::CLIENT_START, flow.start[0]),
            Side::Server => (Marks::SERVER_START, flow.start[1]),
        };
        flow.marks.has(Marks::OVER) || !flow.marks.has(mark) || start != tcp.sequence.wrapping_add(1)
    }

    fn tcp_new(&mut self, seen: &Seen, place: &Place, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        let (sender, receiver) = (place.from, place.from.other());
        let payload = tcp.payload_bytes;
        let start = if tcp.flags.syn() { tcp.sequence.wrapping_add(1) } else { 0 };
        let new = |client, stage| New { client, stage, payload, start };
        let guessed = Sight::Opened { syn: None, sure: false };
        let (new, opened) = if tcp.flags.opens() {
            let syn = Some(syn_family(seen.ttl, tcp));
            (new(sender, Stage::Asked), Some(Sight::Opened { syn, sure: true }))
        } else if tcp.flags.answers() || tcp.flags.rst() {
            (new(receiver, Stage::Unasked), None)
        } else if !tcp.flags.ack() {
            // Neither opens nor goes on: a scanner's. A closed port answers with RST.
            (new(sender, Stage::Asked), Some(guessed))
        } else {
            // It was open before the capture began.
            let is_server = serves(tcp.source_port, tcp.destination_port);
            (new(if is_server { receiver } else { sender }, Stage::Said), Some(guessed))
        };
        self.begin(seen, place, new, opened, out);
    }

    /// A further packet of a flow that nobody answered yet.
    fn tcp_young(&mut self, slot: u32, seen: &Seen, place: &Place, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        let young = self.half_open.at(slot);
        let is_same_side = place.from == young.sender;
        let begins = tcp.flags.opens();
        let start = tcp.sequence.wrapping_add(1);
        match young.stage {
            Stage::Over if begins && start != young.start => {
                self.half_open.take(slot);
                self.tcp_new(seen, place, tcp, out);
            }
            Stage::Over => {}
            // Again, perhaps with a new number.
            Stage::Asked if is_same_side && begins => {
                young.start = start;
                young.add(seen.at, seen.number, seen.ip_bytes, tcp.payload_bytes);
            }
            Stage::Asked if !is_same_side && tcp.flags.rst() => self.refused(slot, seen, place, true, out),
            // Who gives up his own question still got no answer.
            Stage::Asked
                if is_same_side && tcp.payload_bytes == 0 && (tcp.flags.rst() || tcp.flags.fin()) =>
            {
                young.add(seen.at, seen.number, seen.ip_bytes, 0);
            }
            Stage::Unasked if is_same_side && (tcp.flags.answers() || tcp.flags.rst()) => {
                young.add(seen.at, seen.number, seen.ip_bytes, tcp.payload_bytes);
            }
            // What was to be the client knows nothing of it either.
            Stage::Unasked if !is_same_side && tcp.flags.rst() => {
                let backscatter = young.event(Sight::Backscatter);
                young.stage = Stage::Over;
                out.push(backscatter);
            }
            _ => {
                let slot = self.promote(slot, place, out);
                self.tcp_more(slot, place.from, seen, tcp, out);
            }
        }
    }

    fn tcp_more(&mut self, slot: u32, from: Which, seen: &Seen, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        if self.flows.at(slot).marks.has(Marks::OVER) && !self.goes_on(slot, from, seen, tcp, out) {
            return;
        }
        let flow = self.flows.at(slot);
        let side = side(from, flow.client());
        flow.add(side, seen.at, seen.number, seen.ip_bytes, tcp.payload_bytes);
        if side == Side::Server && !flow.marks.has(Marks::ANSWERED) {
            flow.marks.set(Marks::ANSWERED);
            out.push(NetEvent { at: seen.at, ..flow.event(Sight::Answered) });
        }
        if side == Side::Server && tcp.flags.answers() {
            flow.start[1] = tcp.sequence.wrapping_add(1);
            flow.marks.set(Marks::SERVER_START);
        }
        self.directions(slot, side);
        self.listen(slot, side, seen, tcp, out);
        self.closing(slot, side, tcp, out);
        self.tell_meanwhile(slot, seen, out);
    }

    /// Whether a flow that was broken off goes on all the same, both sides sending and acknowledging: then the RST was forged, or never
    /// arrived. It counts as another flow, begun before it was seen; its sums were told.
    #[cold]
    fn goes_on(
        &mut self,
        slot: u32,
        from: Which,
        seen: &Seen,
        tcp: &Tcp<'_>,
        out: &mut Vec<NetEvent>,
    ) -> bool {
        let flow = self.flows.at(slot);
        let is_late = seen.at.saturating_sub(flow.traffic.last) > REORDERED;
        if !flow.marks.has(Marks::RESET) || !is_late {
            return false;
        }
        if tcp.flags.rst() || tcp.flags.syn() || !tcp.flags.ack() {
            // It is insisted on.
            flow.marks.clear(Marks::ON_CLIENT | Marks::ON_SERVER | Marks::ON_DATA);
            return false;
        }
        flow.marks.set(match side(from, flow.client()) {
            Side::Client => Marks::ON_CLIENT,
            Side::Server => Marks::ON_SERVER,
        });
        if tcp.payload_bytes > 0 {
            flow.marks.set(Marks::ON_DATA);
        }
        if !flow.marks.goes_on() {
            return false;
        }
        let number = self.next_flow();
        let flow = self.flows.at(slot);
        flow.begin_again(number, seen.at, seen.number);
        self.coverage.flows += 1;
        out.extend([flow.event(Sight::Opened { syn: None, sure: false }), flow.event(Sight::Answered)]);
        true
    }

    /// Counts flows by whether both directions are seen.
    fn directions(&mut self, slot: u32, side: Side) {
        let flow = self.flows.at(slot);
        let (here, there) = (way(side), 1 - way(side));
        let sent = flow.traffic.packets;
        if sent[there] > 0 {
            if flow.marks.has(Marks::ONE_WAY) {
                flow.marks.clear(Marks::ONE_WAY);
                self.coverage.one_way = self.coverage.one_way.saturating_sub(1);
                self.ways.one = self.ways.one.saturating_sub(1);
            }
            if !flow.marks.has(Marks::TWO_WAY) {
                flow.marks.set(Marks::TWO_WAY);
                self.coverage.two_way += 1;
                self.ways.two += 1;
                self.sees_answers = true;
            }
        } else if sent[here] == ONE_WAY_PACKETS && flow.traffic.payload[here] > 0 {
            flow.marks.set(Marks::ONE_WAY);
            self.coverage.one_way += 1;
            self.ways.one += 1;
        }
    }

    /// Has the flow's contents read, as far as somebody wants them.
    fn listen(&mut self, slot: u32, side: Side, seen: &Seen, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        let flow = self.flows.at(slot);
        if flow.marks.has(Marks::UNHEARD) || (tcp.payload_bytes == 0 && flow.stream.is_none()) {
            return;
        }
        if !self.settings.reads_contents {
            flow.marks.set(Marks::UNHEARD);
            return;
        }
        if flow.stream.is_none() {
            self.open_stream(slot, out);
        }
        let flow = self.flows.at(slot);
        let client = flow.client();
        let Some(stream) = &mut flow.stream else { return };
        if tcp.payload_bytes == 0 && !stream.waits() {
            return;
        }
        let contact = flow.key.contact(client, flow.vlan.tag());
        if tcp.flags.ack() {
            let other = if side == Side::Client { Side::Server } else { Side::Client };
            stream.acknowledged(&contact, other, tcp.acknowledgment, &mut self.sights);
        }
        if tcp.payload_bytes > 0 {
            // A SYN may carry data: its number counts as a byte.
            let sequence = tcp.sequence.wrapping_add(u32::from(tcp.flags.syn()));
            let data = Data { sequence, bytes: tcp.payload, wire: tcp.payload_bytes };
            stream.data(&contact, side, data, &mut self.sights);
        }
        if !stream.speech.wants() {
            let stream = flow.stream.take();
            flow.marks.set(Marks::UNHEARD);
            self.streams.closed(stream);
        }
        if !self.sights.is_empty() {
            let flow = self.flows.at(slot);
            out.extend(self.sights.drain(..).map(|sight| NetEvent { at: seen.at, ..flow.event(sight) }));
        }
    }

    fn open_stream(&mut self, slot: u32, out: &mut Vec<NetEvent>) {
        self.room_for_stream(out);
        let flow = self.flows.at(slot);
        let start = |mark: u16, at: usize| flow.marks.has(mark).then(|| flow.start[at]);
        let (client, server) = (start(Marks::CLIENT_START, 0), start(Marks::SERVER_START, 1));
        flow.stream = Some(self.streams.opened(slot, flow.number, Stream::new(client, server)));
    }

    fn closing(&mut self, slot: u32, side: Side, tcp: &Tcp<'_>, out: &mut Vec<NetEvent>) {
        let flow = self.flows.at(slot);
        if tcp.flags.rst() {
            flow.marks.set(Marks::RESET);
            self.end_flow(slot, FlowEnd::Reset, out);
        } else if tcp.flags.fin() {
            flow.marks.set(match side {
                Side::Client => Marks::CLIENT_FIN,
                Side::Server => Marks::SERVER_FIN,
            });
        } else if flow.marks.is_closed() {
            // The acknowledgment of the last FIN, which belongs to the flow.
            self.end_flow(slot, FlowEnd::Finished, out);
        }
    }

    /// The sums of a long flow, every few minutes.
    pub(super) fn tell_meanwhile(&mut self, slot: u32, seen: &Seen, out: &mut Vec<NetEvent>) {
        let every = self.settings.told_every_seconds;
        let flow = self.flows.at(slot);
        let lasts = seen.at.saturating_sub(flow.traffic.first) / SECOND;
        let lasts = u32::try_from(lasts).unwrap_or(0);
        if lasts >= flow.told_after.saturating_add(every) && !flow.marks.has(Marks::OVER) {
            flow.told_after = lasts;
            let traffic = flow.traffic;
            out.push(flow.event(Sight::Traffic { traffic, end: FlowEnd::Going }));
        }
    }

    /// The server, or something before it, wants nothing of the flow in that slot of its ring. `sums`: its packet belongs to the flow's.
    pub(super) fn refused(
        &mut self,
        slot: u32,
        seen: &Seen,
        place: &Place,
        sums: bool,
        out: &mut Vec<NetEvent>,
    ) {
        let young = self.ring(place.key.transport()).at(slot);
        let mut traffic = young.traffic();
        let refused = NetEvent { at: seen.at, packet: seen.number, ..young.event(Sight::Refused) };
        young.stage = Stage::Over;
        if sums {
            traffic.last = traffic.last.max(seen.at);
            traffic.packets[1] += 1;
            traffic.bytes[1] += u64::from(seen.ip_bytes);
            self.coverage.two_way += 1;
            self.ways.two += 1;
            self.sees_answers = true;
        }
        let ended = NetEvent { sight: Sight::Traffic { traffic, end: FlowEnd::Reset }, ..refused.clone() };
        out.extend([refused, ended]);
    }
}

/// Whether the first port is rather the server's, of a flow whose beginning was not seen.
pub(super) fn serves(source: u16, destination: u16) -> bool {
    /// Above 1024, and spoken in hospitals: databases, Remote Desktop, WinRM, MLLP, DICOM, web servers.
    const KNOWN: [u16; 20] = [
        1433, 1521, 2049, 2575, 2761, 2762, 3268, 3306, 3389, 4242, 5432, 5900, 5985, 5986, 6661, 8000, 8042,
        8080, 8443, 11112,
    ];
    let rank = |port: u16| match port {
        0..1024 => 0,
        port if KNOWN.contains(&port) => 1,
        _ => 2,
    };
    (rank(source), source) < (rank(destination), destination)
}
