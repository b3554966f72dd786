//! Tables that never grow past their bound, whatever comes.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::net::IpAddr;

use foldhash::fast::{FixedState, FoldHasher};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use schema::Endpoint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SEED: u64 = 0x6368_6172_7477_6172;

/// What tables are asked by. `Hash` is not used: what the standard library writes for an address, its kind and its length first, costs more than
/// the look-up.
pub(super) trait Key: Copy + Eq + Ord {
    /// Adds what tells it from others.
    fn eat(&self, hasher: &mut FoldHasher<'_>);
}

/// A map of at most so many entries. It has two generations: when the young one is half the bound, it becomes the old one, and what
/// was in the old one and was not asked for since goes. So whoever is active stays, at the cost of one move each generation, and no
/// list of uses is kept. What is never depended upon is the order of its entries.
#[derive(Debug, Clone)]
pub(super) struct Table<K, V> {
    young: Generation<K, V>,
    old: Generation<K, V>,
    half: usize,
    evicted: u64,
}

type Generation<K, V> = HashTable<(K, V)>;

#[inline]
fn hash_of<K: Key>(key: &K) -> u64 {
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    key.eat(&mut hasher);
    hasher.finish()
}

fn taken<K: Key, V>(from: &mut Generation<K, V>, hash: u64, key: &K) -> Option<V> {
    if from.is_empty() {
        return None;
    }
    let found = from.find_entry(hash, |entry| entry.0 == *key).ok()?;
    Some(found.remove().0.1)
}

impl<K: Key, V> Table<K, V> {
    /// An empty one for so many entries.
    pub(super) fn new(bound: usize) -> Self {
        Self { young: HashTable::new(), old: HashTable::new(), half: (bound / 2).max(1), evicted: 0 }
    }

    /// How many entries were forgotten for want of room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Most tables are empty in most networks, and then nothing is hashed.
    #[inline]
    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    #[inline]
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        if self.is_empty() {
            return None;
        }
        let hash = hash_of(key);
        let is_it = |entry: &(K, V)| entry.0 == *key;
        self.young.find(hash, is_it).or_else(|| self.old.find(hash, is_it)).map(|entry| &entry.1)
    }

    /// Looks up what will be asked for soon, and changes nothing: the processor has it at hand then. Look-ups of which none needs what
    /// another found wait for memory together. `read` says what else of the entry is needed.
    #[inline]
    pub(super) fn warm(&self, key: &K, read: impl FnOnce(&V) -> u64) {
        black_box(self.get(key).map(read));
    }

    /// The entry of this key, which then counts as used.
    #[inline]
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if self.is_empty() {
            return None;
        }
        let hash = hash_of(key);
        if self.young.find(hash, |entry| entry.0 == *key).is_none() {
            let value = taken(&mut self.old, hash, key)?;
            self.make_room();
            self.young.insert_unique(hash, (*key, value), |entry| hash_of(&entry.0));
        }
        self.young.find_mut(hash, |entry| entry.0 == *key).map(|entry| &mut entry.1)
    }

    /// The entry of this key, made when there is none.
    #[inline]
    pub(super) fn slot(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.place(key).0
    }

    /// The same, and whether it was made.
    pub(super) fn place(&mut self, key: K) -> (&mut V, bool)
    where
        V: Default,
    {
        self.place_with(key, V::default)
    }

    /// The same, where `make` makes it.
    pub(super) fn place_with(&mut self, key: K, make: impl FnOnce() -> V) -> (&mut V, bool) {
        let hash = hash_of(&key);
        if self.young.len() >= self.half && self.young.find(hash, |entry| entry.0 == key).is_none() {
            let kept = taken(&mut self.old, hash, &key);
            self.make_room();
            if let Some(value) = kept {
                self.young.insert_unique(hash, (key, value), |entry| hash_of(&entry.0));
            }
        }
        match self.young.entry(hash, |entry| entry.0 == key, |entry| hash_of(&entry.0)) {
            Entry::Occupied(entry) => (&mut entry.into_mut().1, false),
            Entry::Vacant(entry) => {
                let kept = taken(&mut self.old, hash, &key);
                let is_new = kept.is_none();
                (&mut entry.insert((key, kept.unwrap_or_else(make))).into_mut().1, is_new)
            }
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(place) = self.get_mut(&key) {
            *place = value;
            return;
        }
        self.make_room();
        self.young.insert_unique(hash_of(&key), (key, value), |entry| hash_of(&entry.0));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        if self.is_empty() {
            return None;
        }
        let hash = hash_of(key);
        taken(&mut self.young, hash, key).or_else(|| taken(&mut self.old, hash, key))
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// All entries, in the order of their keys.
    pub(super) fn sorted(&self) -> Vec<(&K, &V)> {
        let mut all: Vec<_> = self.young.iter().chain(&self.old).map(|(key, value)| (key, value)).collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        all
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.half {
            self.evicted += self.old.len() as u64;
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
        }
    }
}

impl Key for u16 {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        hasher.write_u16(*self);
    }
}

impl Key for u32 {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        hasher.write_u32(*self);
    }
}

impl Key for u64 {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        hasher.write_u64(*self);
    }
}

impl Key for i64 {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        hasher.write_i64(*self);
    }
}

impl Key for IpAddr {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        match self {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
        }
    }
}

impl Key for Endpoint {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        self.address.eat(hasher);
        hasher.write_u16(self.port);
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        self.0.eat(hasher);
        self.1.eat(hasher);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    #[inline]
    fn eat(&self, hasher: &mut FoldHasher<'_>) {
        self.0.eat(hasher);
        self.1.eat(hasher);
        self.2.eat(hasher);
    }
}

/// What is kept of a table: its bound, its count and both generations in the order of their keys.
#[derive(Serialize, Deserialize)]
struct Kept<K, V> {
    half: usize,
    evicted: u64,
    young: Vec<(K, V)>,
    old: Vec<(K, V)>,
}

impl<K: Serialize + Ord, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Kept {
            half: self.half,
            evicted: self.evicted,
            young: in_order(&self.young),
            old: in_order(&self.old),
        }
        .serialize(serializer)
    }
}

fn in_order<K: Ord, V>(generation: &Generation<K, V>) -> Vec<(&K, &V)> {
    let mut all: Vec<_> = generation.iter().map(|(key, value)| (key, value)).collect();
    all.sort_unstable_by(|a, b| a.0.cmp(b.0));
    all
}

impl<'de, K, V> Deserialize<'de> for Table<K, V>
where
    K: Deserialize<'de> + Key,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::<K, V>::deserialize(deserializer)?;
        let mut table = Self::new(kept.half.saturating_mul(2));
        table.evicted = kept.evicted;
        for (generation, entries) in [(&mut table.old, kept.old), (&mut table.young, kept.young)] {
            for (key, value) in entries {
                let hash = hash_of(&key);
                // A key that stands there twice counts once, as it is written last.
                taken(generation, hash, &key);
                generation.insert_unique(hash, (key, value), |entry| hash_of(&entry.0));
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_grows_past_its_bound_and_keeps_who_is_active() {
        let mut table = Table::<u32, u32>::new(100);
        for key in 0..10_000 {
            *table.slot(key) += 1;
            *table.slot(7) += 1;
            assert!(table.len() <= 101);
        }
        assert!(table.get(&7).is_some_and(|uses| *uses > 9_990), "{:?}", table.get(&7));
        assert!(table.evicted() > 9_000);
    }

    #[test]
    fn it_comes_back_as_it_was_kept() {
        let mut table = Table::<u32, u32>::new(8);
        for key in 0..7 {
            table.insert(key, key * 2);
        }
        let json = serde_json::to_string(&table).unwrap();
        let again: Table<u32, u32> = serde_json::from_str(&json).unwrap();
        assert_eq!(table.sorted(), again.sorted());
        assert_eq!(json, serde_json::to_string(&again).unwrap());
    }
}
