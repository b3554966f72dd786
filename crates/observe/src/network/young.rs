//! Flows that nobody answered yet: small, in the order of their coming, in a ring of their own.
//!
//! Ten million forged sources turn this ring over and touch nothing else.

use schema::{Contact, Micros, NetEvent, Side, Sight, Traffic};

use super::flow::Vlan;
use super::index::Index;
use super::key::{Key, Which, side};
use super::pages::{ask, with_room};

/// How far ahead of those that leave the index is asked for.
const SOON: u64 = 8;

/// A flow of which one side alone was seen.
#[derive(Debug, Clone)]
pub(super) struct Young {
    pub(super) key: Key,
    /// Of its key.
    hash: u64,
    /// Its number.
    pub(super) number: u64,
    /// Number of its last packet.
    pub(super) packet: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
    /// When it came to where it stands in the ring.
    queued: Micros,
    pub(super) packets: u32,
    pub(super) bytes: u32,
    pub(super) payload: u32,
    /// Where TCP's data begins.
    pub(super) start: u32,
    pub(super) vlan: Vlan,
    /// Whom it was opened by.
    pub(super) client: Which,
    /// Whose packets were seen.
    pub(super) sender: Which,
    pub(super) stage: Stage,
}

/// What a young flow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client asked something that wants an answer.
    Asked,
    /// The client said something that is often left unanswered.
    Said,
    /// The server answered what nobody was seen to ask.
    Unasked,
    /// It was told how it ended; what still comes of it is not looked at.
    Over,
    /// It went elsewhere.
    Gone,
}

/// A packet's sums, and what a young flow begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    pub(super) key: Key,
    pub(super) number: u64,
    pub(super) packet: u64,
    pub(super) at: Micros,
    pub(super) bytes: u32,
    pub(super) payload: u32,
    pub(super) start: u32,
    pub(super) vlan: Vlan,
    pub(super) client: Which,
    pub(super) sender: Which,
    pub(super) stage: Stage,
}

impl Young {
    fn of(beginning: Beginning, hash: u64, now: Micros) -> Young {
        Young {
            key: beginning.key,
            hash,
            number: beginning.number,
            packet: beginning.packet,
            first: beginning.at,
            last: beginning.at,
            queued: now,
            packets: 1,
            bytes: beginning.bytes,
            payload: beginning.payload,
            start: beginning.start,
            vlan: beginning.vlan,
            client: beginning.client,
            sender: beginning.sender,
            stage: beginning.stage,
        }
    }

    pub(super) fn contact(&self) -> Contact {
        self.key.contact(self.client, self.vlan.tag())
    }

    /// Something that its last packet showed.
    pub(super) fn event(&self, sight: Sight) -> NetEvent {
        NetEvent { at: self.last, packet: self.packet, flow: self.number, contact: self.contact(), sight }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let ways = |sum: u32| match side(self.sender, self.client) {
            Side::Client => [u64::from(sum), 0],
            Side::Server => [0, u64::from(sum)],
        };
        Traffic {
            first: self.first,
            last: self.last,
            packets: ways(self.packets),
            bytes: ways(self.bytes),
            payload: ways(self.payload),
        }
    }

    /// Another packet of the same side.
    pub(super) fn add(&mut self, at: Micros, packet: u64, bytes: u32, payload: u32) {
        self.packet = packet;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.payload = self.payload.saturating_add(payload);
    }
}

/// Young flows, the oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Vec<Young>,
    /// Slots by the hash of their key.
    index: Index,
    capacity: u64,
    /// How long an answer may take.
    patience: Micros,
    /// The oldest one's place, counted since the beginning.
    head: u64,
    /// Where the next one goes.
    tail: u64,
}

impl Ring {
    pub(super) fn new(capacity: usize, patience: Micros) -> Ring {
        // A place's slot is found by cutting off its upper bits.
        let capacity = capacity.clamp(2, 1 << 30).next_power_of_two();
        Ring {
            slots: with_room(capacity),
            index: Index::with_capacity(capacity),
            capacity: capacity as u64,
            patience,
            head: 0,
            tail: 0,
        }
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index.find(hash, |slot| self.slots[slot as usize].key == *key)
    }

    /// Asks for what a look-up of this hash needs first.
    #[inline]
    pub(super) fn ask(&self, hash: u64) {
        self.index.ask(hash);
    }

    /// Asks for the flow of this hash, if there is one.
    #[inline]
    pub(super) fn ask_flow(&self, hash: u64) {
        if let Some(slot) = self.index.find(hash, |_| true) {
            ask(&self.slots[slot as usize]);
        }
    }

    /// The one in a slot that was found since the ring changed last.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Young {
        &mut self.slots[slot as usize]
    }

    /// Takes one in; the oldest one leaves when there is no room.
    #[inline]
    pub(super) fn push(&mut self, hash: u64, beginning: Beginning, now: Micros) -> Option<Young> {
        let old = if self.tail - self.head == self.capacity { self.pop() } else { None };
        self.put(Young::of(beginning, hash, now));
        old
    }

    fn put(&mut self, young: Young) {
        let hash = young.hash;
        let slot = (self.tail & (self.capacity - 1)) as usize;
        self.tail += 1;
        if slot == self.slots.len() {
            self.slots.push(young);
        } else {
            self.slots[slot] = young;
        }
        self.index.insert(hash, slot as u32);
    }

    /// The oldest one, unless its place is empty already.
    fn pop(&mut self) -> Option<Young> {
        let slot = (self.head & (self.capacity - 1)) as usize;
        // They stand in a row here, and anywhere in the index.
        if let Some(soon) = self.slots.get(((self.head + SOON) & (self.capacity - 1)) as usize) {
            self.index.ask(soon.hash);
        }
        self.head += 1;
        let young = self.slots[slot].clone();
        if young.stage == Stage::Gone {
            return None;
        }
        self.index.remove(young.hash, slot as u32);
        Some(young)
    }

    /// Takes out the one in a slot that was found since the ring changed last.
    pub(super) fn take(&mut self, slot: u32) -> Young {
        let young = self.slots[slot as usize].clone();
        self.index.remove(young.hash, slot);
        self.slots[slot as usize].stage = Stage::Gone;
        young
    }

    /// One whose time is over, or, where `all`, any one.
    #[inline]
    pub(super) fn due(&mut self, now: Micros, all: bool) -> Option<Young> {
        while self.head < self.tail {
            let slot = (self.head & (self.capacity - 1)) as usize;
            let (queued, last) = (self.slots[slot].queued, self.slots[slot].last);
            // Apart in either direction: the clock may have been set back.
            if !all && now.saturating_sub(queued).saturating_abs() <= self.patience {
                return None;
            }
            let Some(mut young) = self.pop() else { continue };
            let heard_since = last > queued && now.saturating_sub(last).saturating_abs() <= self.patience;
            if !all && heard_since && young.stage != Stage::Over {
                young.queued = now;
                self.put(young);
                continue;
            }
            return Some(young);
        }
        None
    }

    /// When the oldest one's time is over, at the earliest.
    pub(super) fn due_at(&self) -> Micros {
        if self.head == self.tail {
            return Micros::MAX;
        }
        let slot = (self.head & (self.capacity - 1)) as usize;
        self.slots[slot].queued.saturating_add(self.patience).saturating_add(1)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}
