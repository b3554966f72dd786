//! Which blob lies where. Kept in memory as a whole: 52 to 56 bytes a blob, so 0.6 GB for ten million of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};

use super::codec::limit;
use super::crypto::OVERHEAD;
use super::id::{BlobKind, Id};
use super::pack::{self, Entry};

/// One place of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) uncompressed: Option<u32>,
}

impl Location {
    /// Length of the blob's content.
    pub(crate) fn content_length(&self) -> u64 {
        u64::from(self.uncompressed.unwrap_or(self.length.saturating_sub(OVERHEAD as u32)))
    }
}

/// A pack that the index knows.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) id: Id,
    /// Length of the file by its entries: blobs, header and the header's length.
    pub(crate) expected: u64,
    pub(crate) blobs: u32,
    /// As listed on the medium; `None` when it is not there.
    pub(crate) size: Option<u64>,
    /// Number of its first slot; the others follow.
    first: u32,
}

impl Pack {
    /// Whether it is there and as long as it should be.
    pub(crate) fn is_whole(&self) -> bool {
        self.size == Some(self.expected)
    }
}

/// An entry as it is kept: 48 bytes.
struct Slot {
    id: Id,
    /// The lowest bit is the kind.
    pack_and_kind: u32,
    offset: u32,
    length: u32,
    uncompressed: u32,
}

/// In place of the length of an uncompressed blob; none may be that long.
const NOT_COMPRESSED: u32 = u32::MAX;
/// More packs or blobs cannot be numbered; 4 billion blobs are about four petabytes.
const MAX_PACKS: usize = u32::MAX as usize >> 1;
const MAX_SLOTS: usize = u32::MAX as usize - 1;

impl Slot {
    fn new(pack: u32, entry: &Entry) -> Slot {
        Slot {
            id: entry.id,
            pack_and_kind: pack << 1 | entry.kind as u32,
            offset: entry.offset,
            length: entry.length,
            uncompressed: entry.uncompressed.unwrap_or(NOT_COMPRESSED),
        }
    }

    fn pack(&self) -> u32 {
        self.pack_and_kind >> 1
    }

    fn is(&self, kind: BlobKind, id: &Id) -> bool {
        self.pack_and_kind & 1 == kind as u32 && self.id == *id
    }

    fn uncompressed(&self) -> Option<u32> {
        (self.uncompressed != NOT_COMPRESSED).then_some(self.uncompressed)
    }

    fn location(&self) -> Location {
        Location {
            pack: self.pack(),
            offset: self.offset,
            length: self.length,
            uncompressed: self.uncompressed(),
        }
    }

    fn entry(&self) -> Entry {
        let kind =
            if self.pack_and_kind & 1 == BlobKind::Data as u32 { BlobKind::Data } else { BlobKind::Tree };
        Entry {
            kind,
            id: self.id,
            offset: self.offset,
            length: self.length,
            uncompressed: self.uncompressed(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<Pack>,
    numbers: HashMap<Id, u32>,
    /// Further listings of packs that index files list differently. One of them may be forged: none hides another.
    relisted: HashMap<Id, Vec<u32>>,
    /// Pack by pack, so that a pack's entries need no list of their own.
    slots: Vec<Slot>,
    table: Table,
}

/// From ids to slots: numbers of slots, plus one, at the place that the id's first bytes choose or after it. A map of ids would
/// keep each id a second time and, while it grows, all of them a third time.
struct Table {
    places: Vec<u32>,
    /// Drawn for each index, so that nobody can choose files whose blobs all want the same place.
    factor: u64,
}

impl Default for Table {
    fn default() -> Table {
        Table { places: Vec::new(), factor: RandomState::new().hash_one(0u8) | 1 }
    }
}

impl Table {
    fn start(&self, id: &Id) -> usize {
        let first = id.0.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let bits = self.places.len().trailing_zeros();
        (first.wrapping_mul(self.factor) >> (64 - bits)) as usize
    }

    fn insert(&mut self, slots: &[Slot], number: u32) {
        // At most three quarters full.
        if (slots.len() + 1) * 4 > self.places.len() * 3 {
            self.places = vec![0; (self.places.len() * 2).max(1024)];
            (0..number).for_each(|number| self.place(&slots[number as usize].id, number));
        }
        self.place(&slots[number as usize].id, number);
    }

    fn place(&mut self, id: &Id, number: u32) {
        let mask = self.places.len() - 1;
        let mut at = self.start(id);
        while self.places[at] != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = number + 1;
    }

    /// The slots that may be of this id, in the order in which they came.
    fn candidates(&self, id: &Id) -> impl Iterator<Item = u32> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = if self.places.is_empty() { 0 } else { self.start(id) };
        std::iter::from_fn(move || {
            let number = self.places.get(at)?.checked_sub(1)?;
            at = (at + 1) & mask;
            Some(number)
        })
    }
}

impl Index {
    /// Adds a pack, unless it is known already with these entries; whether it did.
    pub(crate) fn add(&mut self, id: Id, entries: &[Entry], size: Option<u64>) -> bool {
        if self.packs.len() >= MAX_PACKS || self.slots.len() + entries.len() > MAX_SLOTS {
            return false;
        }
        let number = self.packs.len() as u32;
        if self.knows_pack(&id) {
            let mut sorted = entries.to_vec();
            sorted.sort_unstable_by_key(|e| e.offset);
            if self.listings(&id).any(|listed| self.entries(listed) == sorted) {
                return false;
            }
            self.relisted.entry(id).or_default().push(number);
        } else {
            self.numbers.insert(id, number);
        }
        let expected = pack::expected_size(entries);
        let first = self.slots.len() as u32;
        self.packs.push(Pack { id, expected, blobs: entries.len() as u32, size, first });
        for entry in entries {
            self.slots.push(Slot::new(number, entry));
            self.table.insert(&self.slots, self.slots.len() as u32 - 1);
        }
        true
    }

    pub(crate) fn knows_pack(&self, id: &Id) -> bool {
        self.numbers.contains_key(id)
    }

    pub(crate) fn pack(&self, number: u32) -> &Pack {
        &self.packs[number as usize]
    }

    /// The pack of this name.
    pub(crate) fn pack_named(&self, id: &Id) -> Option<&Pack> {
        self.numbers.get(id).map(|number| self.pack(*number))
    }

    /// All packs; one that index files list differently is there once for each listing.
    pub(crate) fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// The numbers under which a pack is listed.
    pub(crate) fn listings(&self, id: &Id) -> impl Iterator<Item = u32> {
        let further = self.relisted.get(id).map(Vec::as_slice).unwrap_or_default();
        self.numbers.get(id).into_iter().chain(further).copied()
    }

    /// The numbers under which packs are listed, those of one pack together.
    pub(crate) fn by_pack(&self) -> Vec<Vec<u32>> {
        let is_first = |number: &u32| self.numbers.get(&self.pack(*number).id) == Some(number);
        let firsts = (0..self.packs.len() as u32).filter(is_first);
        firsts.map(|number| self.listings(&self.pack(number).id).collect()).collect()
    }

    /// Notes which packs are there and how long they are now.
    pub(crate) fn set_sizes(&mut self, size_of: impl Fn(&Id) -> Option<u64>) {
        self.packs.iter_mut().for_each(|pack| pack.size = size_of(&pack.id));
    }

    /// The slots of a blob. One that claims more bytes than any blob has is no place of it: whoever reads there would first take that much
    /// memory, and a pack that is a sparse file of gibibytes costs nothing.
    fn slots_of(&self, kind: BlobKind, id: &Id) -> impl Iterator<Item = &Slot> {
        let longest = limit(kind) + OVERHEAD as u32;
        self.table
            .candidates(id)
            .map(|number| &self.slots[number as usize])
            .filter(move |slot| slot.is(kind, id) && slot.length <= longest)
    }

    /// All places of a blob, those in whole packs first.
    pub(crate) fn locations(&self, kind: BlobKind, id: &Id) -> Vec<Location> {
        let mut found: Vec<Location> = self.slots_of(kind, id).map(Slot::location).collect();
        found.sort_by_key(|location| !self.pack(location.pack).is_whole());
        found
    }

    /// One place of a blob, in a whole pack if there is one.
    pub(crate) fn location(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        let mut first = None;
        for slot in self.slots_of(kind, id) {
            if self.pack(slot.pack()).is_whole() {
                return Some(slot.location());
            }
            first = first.or_else(|| Some(slot.location()));
        }
        first
    }

    /// Whether a blob is stored in a pack that is there at full length. What is stored only in others has to be stored again.
    pub(crate) fn has_whole(&self, kind: BlobKind, id: &Id) -> bool {
        self.slots_of(kind, id).any(|slot| self.pack(slot.pack()).is_whole())
    }

    /// How often a pack was listed otherwise than before: one of the listings is forged or damaged.
    pub(crate) fn contradictions(&self) -> u64 {
        self.relisted.values().map(|listings| listings.len() as u64).sum()
    }

    /// Blobs in all packs.
    pub(crate) fn blobs(&self) -> u64 {
        self.slots.len() as u64
    }

    /// The blobs of the pack of this number, ordered by offset.
    pub(crate) fn entries(&self, pack: u32) -> Vec<Entry> {
        let Pack { first, blobs, .. } = *self.pack(pack);
        let slots = &self.slots[first as usize..first as usize + blobs as usize];
        let mut entries: Vec<Entry> = slots.iter().map(Slot::entry).collect();
        entries.sort_unstable_by_key(|e| e.offset);
        entries
    }
}

/// An index file. `supersedes`, a field of old versions, is ignored.
#[derive(Serialize, Deserialize)]
pub(crate) struct IndexFile {
    #[serde(default)]
    pub(crate) packs: Vec<IndexedPack>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct IndexedPack {
    pub(crate) id: Id,
    #[serde(default)]
    blobs: Vec<IndexedBlob>,
}

#[derive(Serialize, Deserialize)]
struct IndexedBlob {
    id: Id,
    #[serde(rename = "type")]
    kind: BlobKind,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncompressed_length: Option<u32>,
}

impl IndexedPack {
    pub(crate) fn new(id: Id, entries: &[Entry]) -> IndexedPack {
        let blob = |e: &Entry| IndexedBlob {
            id: e.id,
            kind: e.kind,
            offset: e.offset,
            length: e.length,
            uncompressed_length: e.uncompressed,
        };
        IndexedPack { id, blobs: entries.iter().map(blob).collect() }
    }

    pub(crate) fn blobs(&self) -> usize {
        self.blobs.len()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        // An uncompressed length of 0 means that there is none (Go's omitempty).
        let entry = |b: &IndexedBlob| Entry {
            kind: b.kind,
            id: b.id,
            offset: b.offset,
            length: b.length,
            uncompressed: b.uncompressed_length.filter(|l| *l > 0),
        };
        self.blobs.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, offset: u32) -> Entry {
        Entry {
            kind: BlobKind::Data,
            id: Id::of(&number.to_le_bytes()),
            offset,
            length: 100,
            uncompressed: None,
        }
    }

    #[test]
    fn every_blob_is_found_again_however_many_there_are() {
        let mut index = Index::default();
        for pack in 0..300u32 {
            let entries: Vec<Entry> = (0..20).map(|n| entry(pack * 20 + n, n * 100)).collect();
            assert!(index.add(Id::of(&[pack.to_le_bytes(); 2].concat()), &entries, None));
        }
        for number in 0..6000 {
            let found = index.locations(BlobKind::Data, &entry(number, 0).id);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].pack, found[0].offset), (number / 20, number % 20 * 100));
            assert_eq!(index.location(BlobKind::Tree, &entry(number, 0).id), None);
        }
        assert_eq!(index.location(BlobKind::Data, &entry(6000, 0).id), None);
    }

    #[test]
    fn a_listing_hides_no_other_of_the_same_pack() {
        let mut index = Index::default();
        let pack = Id([7; 32]);
        let (forged, real) = ([entry(1, 0)], [entry(2, 0)]);
        assert!(index.add(pack, &forged, Some(100)));
        assert!(index.add(pack, &real, Some(100)));
        assert!(!index.add(pack, &real, Some(100)));
        assert!([1, 2].iter().all(|n| index.locations(BlobKind::Data, &entry(*n, 0).id).len() == 1));
        assert_eq!(index.by_pack(), [[0, 1]]);
    }

    #[test]
    fn places_in_whole_packs_come_first() {
        let mut index = Index::default();
        let whole = 100 + 37 + OVERHEAD as u64 + 4;
        index.add(Id([1; 32]), &[entry(1, 0)], None);
        index.add(Id([2; 32]), &[entry(1, 0)], Some(whole));
        let id = entry(1, 0).id;
        assert_eq!(index.locations(BlobKind::Data, &id).iter().map(|l| l.pack).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(index.location(BlobKind::Data, &id).map(|l| l.pack), Some(1));
        assert!(index.has_whole(BlobKind::Data, &id));
        index.set_sizes(|_| None);
        assert!(!index.has_whole(BlobKind::Data, &id));
    }

    #[test]
    fn a_place_longer_than_any_blob_is_none() {
        let mut index = Index::default();
        let longest = limit(BlobKind::Data) + OVERHEAD as u32;
        let of = |number, length| Entry { length, ..entry(number, 0) };
        assert!(index.add(Id([1; 32]), &[of(1, longest)], None));
        assert!(index.add(Id([2; 32]), &[of(2, longest + 1)], None));
        let places = [1, 2].map(|number| index.locations(BlobKind::Data, &entry(number, 0).id).len());
        assert_eq!(places, [1, 0]);
    }

    #[test]
    fn a_forged_index_hides_no_place_of_a_blob_whichever_is_read_first() {
        let id = |byte| Id([byte; 32]);
        let entry = |blob, offset, length| Entry {
            kind: BlobKind::Data,
            id: id(blob),
            offset,
            length,
            uncompressed: None,
        };
        let size = |entries: &[Entry]| {
            let blobs: u64 = entries.iter().map(|e| u64::from(e.length)).sum();
            blobs + 37 * entries.len() as u64 + OVERHEAD as u64 + 4
        };
        let truth = [entry(1, 0, 100), entry(2, 100, 50)];
        // The same pack with another listing, and a pack of garbage that claims to have the blob.
        let lie = [entry(1, 60, 90), entry(3, 0, 10)];
        let garbage = [entry(1, 0, 77)];
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut index = Index::default();
            for which in order {
                let (pack, entries, size) = match which {
                    0 => (9, &truth[..], size(&truth)),
                    1 => (9, &lie[..], size(&truth)),
                    _ => (8, &garbage[..], size(&garbage)),
                };
                assert!(index.add(id(pack), entries, Some(size)));
            }
            let places: Vec<_> =
                index.locations(BlobKind::Data, &id(1)).iter().map(|l| (l.offset, l.length)).collect();
            assert!(places.contains(&(0, 100)), "{order:?}: {places:?}");
            assert_eq!((places.len(), index.contradictions()), (3, 1), "{order:?}");
            assert!(index.has_whole(BlobKind::Data, &id(2)), "{order:?}");
            // What is listed twice alike is there once.
            assert!(!index.add(id(9), &truth, Some(size(&truth))));
            assert_eq!(index.locations(BlobKind::Data, &id(1)).len(), 3);
        }
    }
}
