//! The beginnings of streams in order, as far as somebody reads them.

use decode::speech::Speech;
use schema::{Contact, Side, Sight};

use super::flow::way;

/// Segments that wait for one before them, in each direction.
const HELD_MAX: usize = 16;
/// Bytes of them.
const HELD_BYTES_MAX: usize = 24 << 10;

/// What reads a flow, and what it still misses.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) speech: Speech,
    lanes: [Lane; 2],
}

/// One direction of a TCP flow.
#[derive(Debug, Default)]
struct Lane {
    /// Number of the byte that is awaited, once known.
    next: Option<u32>,
    /// What came too early, in order.
    held: Vec<Held>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Held {
    sequence: u32,
    bytes: Box<[u8]>,
    wire: u32,
}

/// Data of a segment: its bytes as far as they were captured, and how many they were on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) sequence: u32,
    pub(super) bytes: &'a [u8],
    pub(super) wire: u32,
}

impl Stream {
    /// With the numbers at which the directions begin, where their SYNs were seen.
    pub(super) fn new(client: Option<u32>, server: Option<u32>) -> Stream {
        let lane = |next| Lane { next, ..Lane::default() };
        Stream { speech: Speech::new(), lanes: [lane(client), lane(server)] }
    }

    /// Whether segments are held that came too early.
    pub(super) fn waits(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.held.is_empty())
    }

    /// Reads a segment's data, now or once what is before it has come.
    pub(super) fn data(&mut self, contact: &Contact, side: Side, data: Data<'_>, out: &mut Vec<Sight>) {
        let lane = &mut self.lanes[way(side)];
        let next = *lane.next.get_or_insert(data.sequence);
        if distance(next, data.sequence) > 0 {
            lane.hold(data);
            if lane.held.len() > HELD_MAX || lane.held_bytes > HELD_BYTES_MAX {
                self.give_up(contact, side, out);
            }
            return;
        }
        take(lane, &mut self.speech, contact, side, data, out);
        self.catch_up(contact, side, out);
    }

    /// The receiver has everything before that number: what is missing here was lost by the capture alone, and nobody sends it again.
    pub(super) fn acknowledged(&mut self, contact: &Contact, side: Side, before: u32, out: &mut Vec<Sight>) {
        while let Some(first) = self.lanes[way(side)].held.first() {
            if distance(first.sequence, before) <= 0 {
                return;
            }
            self.give_up(contact, side, out);
        }
    }

    /// Nothing more will come.
    pub(super) fn flush(&mut self, contact: &Contact, out: &mut Vec<Sight>) {
        for side in [Side::Client, Side::Server] {
            while !self.lanes[way(side)].held.is_empty() && self.speech.wants() {
                self.give_up(contact, side, out);
            }
        }
    }

    /// Goes on behind what is missing.
    fn give_up(&mut self, contact: &Contact, side: Side, out: &mut Vec<Sight>) {
        let lane = &mut self.lanes[way(side)];
        if let Some(first) = lane.held.first() {
            let missing = lane.next.map(|next| first.sequence.wrapping_sub(next));
            lane.next = Some(first.sequence);
            match missing {
                Some(missing) => self.speech.gap_of(side, missing.into()),
                None => self.speech.gap(side),
            }
        }
        self.catch_up(contact, side, out);
    }

    fn catch_up(&mut self, contact: &Contact, side: Side, out: &mut Vec<Sight>) {
        let lane = &mut self.lanes[way(side)];
        while let (Some(next), Some(first)) = (lane.next, lane.held.first()) {
            if distance(next, first.sequence) > 0 {
                return;
            }
            let held = lane.held.remove(0);
            lane.held_bytes -= held.bytes.len();
            let data = Data { sequence: held.sequence, bytes: &held.bytes, wire: held.wire };
            take(lane, &mut self.speech, contact, side, data, out);
        }
    }
}

impl Lane {
    fn hold(&mut self, data: Data<'_>) {
        let base = self.next.unwrap_or(data.sequence);
        let place =
            self.held.partition_point(|held| distance(base, held.sequence) < distance(base, data.sequence));
        if self.held.get(place).is_some_and(|held| held.sequence == data.sequence) {
            return;
        }
        self.held_bytes += data.bytes.len();
        let bytes = Box::from(data.bytes);
        self.held.insert(place, Held { sequence: data.sequence, bytes, wire: data.wire });
    }
}

/// Reads what is new of data that begins at, or before, what is awaited.
fn take(
    lane: &mut Lane,
    speech: &mut Speech,
    contact: &Contact,
    side: Side,
    data: Data<'_>,
    out: &mut Vec<Sight>,
) {
    let next = lane.next.unwrap_or(data.sequence);
    let known = next.wrapping_sub(data.sequence);
    if known >= data.wire {
        return;
    }
    lane.next = Some(data.sequence.wrapping_add(data.wire));
    let new = data.bytes.get(known as usize..).unwrap_or_default();
    if !new.is_empty() {
        speech.feed(contact, side, new, out);
    }
    let cut_off = data.wire.saturating_sub(known.max(data.bytes.len() as u32));
    if cut_off > 0 {
        speech.gap_of(side, cut_off.into());
    }
}

/// How far the second number is behind the first one, around the end of the numbers.
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
