//! Flows that were answered: a fixed number of them, the longest silent one leaving for a new one.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::flow::{Flow, Marks};
use super::index::Index;
use super::key::Key;
use super::pages::with_room;

/// Slots that are compared to find one to leave: the longest silent of so many neighbours is old enough, and a list in the order of use
/// would touch two strangers' cache lines with every packet.
const COMPARED: usize = 24;

/// Slots of flows, and where they are by their key.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Flow>,
    free: Vec<u32>,
    /// Grows with what is there: in a small one every look-up stays in the processor's cache.
    index: Index,
    hash: RandomState,
    capacity: usize,
    evict_at: usize,
    sweep_at: usize,
}

impl Table {
    pub(super) fn new(capacity: usize, hash: RandomState) -> Table {
        let capacity = capacity.clamp(1, 1 << 30);
        Table {
            // Address space alone until it is used; growing would hold two of them for a moment.
            slots: with_room(capacity),
            free: Vec::new(),
            index: Index::new(),
            hash,
            capacity,
            evict_at: 0,
            sweep_at: 0,
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

    /// The slot that is probably that of a key with this hash; [`Table::holds`] knows whether it is.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |_| true)
    }

    /// Whether that slot is the one of this key.
    #[inline]
    pub(super) fn holds(&self, slot: u32, key: &Key) -> bool {
        self.slots.get(slot as usize).is_some_and(|flow| flow.marks.has(Marks::LIVE) && flow.key == *key)
    }

    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Flow {
        &mut self.slots[slot as usize]
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() >= self.capacity
    }

    /// Takes one in, whose key is in no other slot; there must be room.
    pub(super) fn insert(&mut self, hash: u64, mut flow: Flow) -> u32 {
        flow.marks.set(Marks::LIVE);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = flow;
                slot
            }
            None => {
                self.slots.push(flow);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(hash, slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let flow = &mut self.slots[slot as usize];
        if !flow.marks.has(Marks::LIVE) {
            return;
        }
        flow.marks.clear(Marks::LIVE);
        flow.stream = None;
        let hash = self.hash.hash_one(flow.key);
        self.index.remove(hash, slot);
        self.free.push(slot);
    }

    /// The one that was silent for the longest among the next few; `None` when there is none.
    pub(super) fn silent(&mut self) -> Option<u32> {
        let count = self.slots.len();
        let candidates = (0..COMPARED.min(count)).map(|step| (self.evict_at + step) % count);
        let found = candidates
            .filter(|slot| self.slots[*slot].marks.has(Marks::LIVE))
            .min_by_key(|slot| self.slots[*slot].traffic.last);
        self.evict_at = (self.evict_at + COMPARED) % count.max(1);
        found.map(|slot| slot as u32)
    }

    /// The slots that come next in a walk around the table, so many; those that hold nothing are among them.
    pub(super) fn walk(&mut self, count: usize) -> impl Iterator<Item = u32> + use<> {
        let (from, whole) = (self.sweep_at, self.slots.len());
        let count = count.min(whole);
        self.sweep_at = (from + count) % whole.max(1);
        (0..count).map(move |step| ((from + step) % whole) as u32)
    }

    /// Any one that is there, in the order of slots; the walk's place is where it goes on.
    pub(super) fn any(&mut self) -> Option<u32> {
        let found =
            self.walk(self.slots.len()).find(|slot| self.slots[*slot as usize].marks.has(Marks::LIVE));
        if let Some(slot) = found {
            self.sweep_at = slot as usize;
        }
        found
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}
