//! How flows end that nobody ends: by time, for want of room, with the capture.

use std::collections::VecDeque;

use schema::{FlowEnd, Micros, NetEvent, Sight, Transport};

use super::super::flow::Marks;
use super::super::stream::Stream;
use super::super::young::{Stage, Young};
use super::{Pipeline, SECOND};

/// A flow that was told is kept so long, so that what still comes of it begins no new one.
const LINGERS: Micros = 15 * SECOND;
/// The acknowledgment of the last FIN is awaited so long.
const LAST_ACK: Micros = 5 * SECOND;
/// A walk around the whole table takes so many steps, one a second.
const STEPS: usize = 16;
/// At the capture's end a question that is this old counts as not answered.
const OLD_QUESTION: Micros = SECOND / 2;
/// Streams that are compared to find one to close.
const COMPARED: usize = 8;
/// Room for so many streams is kept when they are closed.
const ROOMS_MAX: usize = 1024;
/// How often what is known of the mirror's directions loses half its weight.
const HALVED_EVERY: Micros = 300 * SECOND;

/// Which flows are being read, in the order of their beginning.
#[derive(Debug, Default)]
pub(super) struct Streams {
    order: VecDeque<(u32, u64)>,
    open: usize,
    /// Room of those that were closed, for the next ones.
    #[expect(clippy::vec_box, reason = "it is the room that is kept")]
    closed: Vec<Box<Stream>>,
}

impl Streams {
    pub(super) fn opened(&mut self, slot: u32, flow: u64, stream: Stream) -> Box<Stream> {
        self.order.push_back((slot, flow));
        self.open += 1;
        match self.closed.pop() {
            Some(mut room) => {
                *room = stream;
                room
            }
            None => Box::new(stream),
        }
    }

    /// What it read must be over by now.
    pub(super) fn closed(&mut self, stream: Option<Box<Stream>>) {
        self.open = self.open.saturating_sub(1);
        if let Some(mut stream) = stream
            && self.closed.len() < ROOMS_MAX
        {
            // Nothing of what it held is kept.
            *stream = Stream::default();
            self.closed.push(stream);
        }
    }
}

/// How many flows were seen in one direction and in both lately: what was true a day ago says nothing of a mirror that was set otherwise.
#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) one: u64,
    pub(super) two: u64,
    halved: Micros,
}

impl Ways {
    pub(super) fn are_one(&self) -> bool {
        self.one > 4 && self.one > self.two
    }

    fn pass(&mut self, now: Micros) {
        if now.saturating_sub(self.halved).saturating_abs() > HALVED_EVERY {
            // The first time there is nothing to halve yet.
            let first = self.halved == 0;
            self.halved = now;
            if !first {
                (self.one, self.two) = (self.one / 2, self.two / 2);
            }
        }
    }
}

impl Pipeline {
    /// Ends what has been silent for too long.
    pub(super) fn expire(&mut self, out: &mut Vec<NetEvent>) {
        let now = self.now;
        while let Some(young) = self.half_open.due(now, false) {
            self.unheard(young, out);
        }
        while let Some(young) = self.unanswered.due(now, false) {
            self.unheard(young, out);
        }
        let passed = now.saturating_sub(self.swept).saturating_abs() / SECOND;
        if passed > 0 {
            self.swept = now;
            self.ways.pass(now);
            let steps = usize::try_from(passed).unwrap_or(STEPS).min(STEPS);
            self.sweep(self.flows.slots().div_ceil(STEPS) * steps, out);
        }
        // What is begun from now on is due later than the next sweep.
        let sweep_at = self.swept.saturating_add(SECOND);
        self.due_at = sweep_at.min(self.half_open.due_at()).min(self.unanswered.due_at());
    }

    fn sweep(&mut self, count: usize, out: &mut Vec<NetEvent>) {
        for slot in self.flows.walk(count) {
            let flow = self.flows.at(slot);
            if !flow.marks.has(Marks::LIVE) {
                continue;
            }
            let silent = self.now.saturating_sub(flow.traffic.last).saturating_abs();
            let idle = match flow.key.transport() {
                Transport::Tcp => self.settings.tcp_idle_seconds,
                _ => self.settings.other_idle_seconds,
            };
            let (is_over, is_closed) = (flow.marks.has(Marks::OVER), flow.marks.is_closed());
            if is_over && silent > LINGERS {
                self.flows.remove(slot);
            } else if is_closed && silent > LAST_ACK {
                self.end_flow(slot, FlowEnd::Finished, out);
            } else if silent > Micros::from(idle) * SECOND {
                self.end_flow(slot, FlowEnd::Idle, out);
                self.flows.remove(slot);
            }
        }
    }

    /// Tells the end of a flow, once. It stays where it is.
    pub(super) fn end_flow(&mut self, slot: u32, end: FlowEnd, out: &mut Vec<NetEvent>) {
        let flow = self.flows.at(slot);
        if flow.marks.has(Marks::OVER) {
            return;
        }
        if let Some(mut stream) = flow.stream.take() {
            stream.flush(&flow.contact(), &mut self.sights);
            out.extend(self.sights.drain(..).map(|sight| flow.event(sight)));
            self.streams.closed(Some(stream));
        }
        let [there, back] = flow.traffic.packets;
        let has_data = flow.traffic.payload.iter().any(|bytes| *bytes > 0);
        let is_tcp = flow.key.transport() == Transport::Tcp;
        if is_tcp && has_data && (there == 0 || back == 0) && !flow.marks.has(Marks::ONE_WAY) {
            flow.marks.set(Marks::ONE_WAY);
            self.coverage.one_way += 1;
            self.ways.one += 1;
        }
        flow.end(end, out);
    }

    /// Has the longest silent flow leave, where there is no room for another.
    pub(super) fn make_room(&mut self, out: &mut Vec<NetEvent>) {
        while self.flows.is_full() {
            let Some(slot) = self.flows.silent() else { continue };
            if !self.flows.at(slot).marks.has(Marks::OVER) {
                self.coverage.evicted += 1;
            }
            self.end_flow(slot, FlowEnd::Evicted, out);
            self.flows.remove(slot);
        }
    }

    /// Has one flow be read no more, where too many are: of the oldest ones that which was silent for the longest.
    pub(super) fn room_for_stream(&mut self, out: &mut Vec<NetEvent>) {
        let mut candidates: Vec<(Micros, u32, u64)> = Vec::new();
        let is_stale = self.streams.order.len() > 4 * self.settings.streams_max.max(1);
        if self.streams.open < self.settings.streams_max && !is_stale {
            return;
        }
        if is_stale {
            let flows = &mut self.flows;
            self.streams.order.retain(|(slot, number)| {
                let flow = flows.at(*slot);
                flow.number == *number && flow.stream.is_some()
            });
        }
        while self.streams.open >= self.settings.streams_max && candidates.len() < COMPARED {
            let Some((slot, number)) = self.streams.order.pop_front() else { break };
            let flow = self.flows.at(slot);
            if flow.number == number && flow.stream.is_some() {
                candidates.push((flow.traffic.last, slot, number));
            }
        }
        candidates.sort_unstable();
        let mut candidates = candidates.into_iter();
        if let Some((_, slot, _)) = candidates.next() {
            let flow = self.flows.at(slot);
            if let Some(mut stream) = flow.stream.take() {
                stream.flush(&flow.contact(), &mut self.sights);
                out.extend(self.sights.drain(..).map(|sight| flow.event(sight)));
                flow.marks.set(Marks::UNHEARD);
                self.streams.closed(Some(stream));
            }
        }
        self.streams.order.extend(candidates.map(|(_, slot, number)| (slot, number)));
    }

    /// A flow that nobody answered in time.
    fn unheard(&mut self, young: Young, out: &mut Vec<NetEvent>) {
        if young.stage == Stage::Asked && self.sees_answers && !self.is_one_way() {
            out.push(young.event(Sight::Unanswered));
        }
        self.young_ends(&young, FlowEnd::Idle, out);
    }

    /// A flow that was pushed out before its time was over: whether it would have been answered, nobody knows.
    pub(super) fn pushed_out(&mut self, young: Young, out: &mut Vec<NetEvent>) {
        if matches!(young.stage, Stage::Asked | Stage::Said) {
            self.coverage.evicted += 1;
        }
        self.young_ends(&young, FlowEnd::Evicted, out);
    }

    fn young_ends(&mut self, young: &Young, end: FlowEnd, out: &mut Vec<NetEvent>) {
        match young.stage {
            Stage::Over | Stage::Gone => return,
            Stage::Unasked if !self.is_one_way() => {
                out.push(young.event(Sight::Backscatter));
                return;
            }
            Stage::Unasked => {
                let sure = young.key.transport() == Transport::Tcp;
                self.coverage.flows += 1;
                out.push(young.event(Sight::Opened { syn: None, sure }));
            }
            Stage::Asked | Stage::Said => {}
        }
        out.push(young.event(Sight::Traffic { traffic: young.traffic(), end }));
    }

    /// Ends what there is, the unanswered first; whether something is left.
    pub(super) fn end_some(&mut self, events: usize, out: &mut Vec<NetEvent>) -> bool {
        let now = self.now;
        for ring in [Transport::Tcp, Transport::Udp] {
            while let Some(young) = self.ring(ring).due(now, true) {
                if now.saturating_sub(young.last) >= OLD_QUESTION {
                    self.unheard(young, out);
                } else {
                    self.young_ends(&young, FlowEnd::Going, out);
                }
                if out.len() >= events {
                    return true;
                }
            }
        }
        while let Some(slot) = self.flows.any() {
            let flow = self.flows.at(slot);
            let end = if flow.marks.is_closed() { FlowEnd::Finished } else { FlowEnd::Going };
            self.end_flow(slot, end, out);
            self.flows.remove(slot);
            if out.len() >= events {
                return true;
            }
        }
        false
    }
}
