//! Where in a table something is, by the hash of its key: one array of eight bytes an entry, the next free place for what collides.
//!
//! A look-up reads one cache line, seldom two, and the hash alone says which: so those of many packets can be fetched at once. Half of
//! the hash stands in the entry, so that growing and removing touch nothing else.

use super::pages::{ask, with_room};

/// No slot is here. The slot's number is kept plus one.
const FREE: u64 = 0;
const LEAST: usize = 16;

/// Slots by hash; more than half of its places are free.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<u64>,
    len: usize,
}

/// What of a hash is kept: both halves, since the lower bits alone say where it stands.
#[inline]
fn kept(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

#[inline]
fn kept_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

#[inline]
fn slot_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

impl Index {
    pub(super) fn new() -> Index {
        Index { entries: vec![FREE; LEAST], len: 0 }
    }

    /// For so many without growing.
    pub(super) fn with_capacity(capacity: usize) -> Index {
        Index { entries: free((capacity * 2).next_power_of_two().max(LEAST)), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn home(&self, kept: u32) -> usize {
        kept as usize & (self.entries.len() - 1)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.entries.len() - 1)
    }

    /// Asks for where a look-up of this hash begins.
    #[inline]
    pub(super) fn ask(&self, hash: u64) {
        ask(&self.entries[self.home(kept(hash))]);
    }

    /// The slot that is stored with this hash and is the one that is meant.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.place(hash, is_it).map(|place| slot_of(self.entries[place]))
    }

    #[inline]
    fn place(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        let kept = kept(hash);
        let mut place = self.home(kept);
        loop {
            match self.entries[place] {
                FREE => return None,
                entry if kept_of(entry) == kept && is_it(slot_of(entry)) => return Some(place),
                _ => place = self.after(place),
            }
        }
    }

    /// Takes in a slot that is not there.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        if (self.len + 1) * 2 > self.entries.len() {
            self.grow();
        }
        self.len += 1;
        self.put(u64::from(kept(hash)) << 32 | (u64::from(slot) + 1));
    }

    fn put(&mut self, entry: u64) {
        let mut place = self.home(kept_of(entry));
        while self.entries[place] != FREE {
            place = self.after(place);
        }
        self.entries[place] = entry;
    }

    #[cold]
    fn grow(&mut self) {
        let larger = free(self.entries.len() * 2);
        for entry in std::mem::replace(&mut self.entries, larger) {
            if entry != FREE {
                self.put(entry);
            }
        }
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let Some(mut hole) = self.place(hash, |other| other == slot) else { return };
        self.len -= 1;
        // What stands behind the hole moves into it, unless its look-up begins behind the hole.
        let mut place = hole;
        loop {
            place = self.after(place);
            let entry = self.entries[place];
            if entry == FREE {
                break;
            }
            let mask = self.entries.len() - 1;
            let home = self.home(kept_of(entry));
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = place;
            }
        }
        self.entries[hole] = FREE;
    }
}

fn free(count: usize) -> Vec<u64> {
    let mut entries = with_room(count);
    entries.resize(count, FREE);
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn it_holds_what_a_map_holds() {
        // Hashes that collide often, and that stand at the end of the array and go on at its beginning.
        for spread in [3, 16, 64, 1 << 40] {
            let (mut index, mut map) = (Index::new(), HashMap::new());
            let mut dice = 7_u64;
            for slot in 0..20_000_u32 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let hash = (dice >> 20) % spread + 13;
                index.insert(hash, slot);
                map.insert(slot, hash);
                let old = (dice >> 33) as u32 % (slot + 1);
                if slot > 40 || slot % 3 == 0 {
                    for gone in [old, slot.saturating_sub(30)] {
                        if let Some(hash) = map.remove(&gone) {
                            index.remove(hash, gone);
                        }
                    }
                }
                assert_eq!(index.len(), map.len());
                for (slot, hash) in map.iter().take(3) {
                    assert_eq!(index.find(*hash, |other| other == *slot), Some(*slot));
                }
                assert_eq!(index.find(hash, |other| other == slot + 1), None);
            }
            for (slot, hash) in map {
                index.remove(hash, slot);
                assert_eq!(index.find(hash, |other| other == slot), None);
            }
            assert_eq!(index.len(), 0);
            assert!(index.entries.iter().all(|entry| *entry == FREE));
        }
    }
}
