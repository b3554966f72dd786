//! Which blob lies where. Kept in memory as a whole: about 100 bytes a blob, so 1 GB for ten million blobs.

use std::collections::HashMap;
use std::collections::hash_map;

use serde::{Deserialize, Serialize};

use super::id::{BlobKind, Id};
use super::pack::Entry;

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
        u64::from(self.uncompressed.unwrap_or(self.length.saturating_sub(super::crypto::OVERHEAD as u32)))
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
}

impl Pack {
    /// Whether it is there and as long as it should be.
    pub(crate) fn is_whole(&self) -> bool {
        self.size == Some(self.expected)
    }
}

#[derive(Default)]
pub(crate) struct Index {
    packs: Vec<Pack>,
    numbers: HashMap<Id, u32>,
    blobs: [HashMap<Id, Location>; 2],
    /// Further places of blobs that are stored more than once.
    others: HashMap<(BlobKind, Id), Vec<Location>>,
    contradictions: u64,
}

impl Index {
    /// Adds a pack. If it is known already, what another index file says of it counts as well: a forged one must not hide the
    /// blobs that a true one lists, whichever of them is read first.
    pub(crate) fn add(&mut self, id: Id, entries: &[Entry], size: Option<u64>) {
        let header: u64 = entries.iter().map(|e| if e.uncompressed.is_some() { 41 } else { 37 }).sum();
        let blobs: u64 = entries.iter().map(|e| u64::from(e.length)).sum();
        // The header's seal and its length follow the blobs.
        let expected = blobs + header + super::crypto::OVERHEAD as u64 + 4;
        let pack = self.packs.len() as u32;
        let pack = match self.numbers.entry(id) {
            hash_map::Entry::Occupied(known) => *known.get(),
            hash_map::Entry::Vacant(slot) => {
                slot.insert(pack);
                self.packs.push(Pack { id, expected, blobs: entries.len() as u32, size });
                entries.iter().for_each(|entry| self.add_place(pack, entry));
                return;
            }
        };
        if size == Some(expected) {
            self.packs[pack as usize].expected = expected;
        }
        let mut contradicts = false;
        for entry in entries {
            let known = self.locations(entry.kind, &entry.id);
            if !known.iter().any(|l| (l.pack, l.offset, l.length) == (pack, entry.offset, entry.length)) {
                contradicts = true;
                self.packs[pack as usize].blobs += 1;
                self.add_place(pack, entry);
            }
        }
        self.contradictions += u64::from(contradicts);
    }

    /// How often an index file said of a pack what another one did not: one of them is forged or damaged.
    pub(crate) fn contradictions(&self) -> u64 {
        self.contradictions
    }

    fn add_place(&mut self, pack: u32, entry: &Entry) {
        let location =
            Location { pack, offset: entry.offset, length: entry.length, uncompressed: entry.uncompressed };
        match self.blobs[entry.kind as usize].entry(entry.id) {
            hash_map::Entry::Vacant(slot) => {
                slot.insert(location);
            }
            hash_map::Entry::Occupied(_) => {
                self.others.entry((entry.kind, entry.id)).or_default().push(location);
            }
        }
    }

    pub(crate) fn knows_pack(&self, id: &Id) -> bool {
        self.numbers.contains_key(id)
    }

    pub(crate) fn pack(&self, number: u32) -> &Pack {
        &self.packs[number as usize]
    }

    pub(crate) fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// All places of a blob, those in whole packs first.
    pub(crate) fn locations(&self, kind: BlobKind, id: &Id) -> Vec<Location> {
        let mut found: Vec<Location> = self.blobs[kind as usize].get(id).copied().into_iter().collect();
        if let Some(others) = self.others.get(&(kind, *id)) {
            found.extend_from_slice(others);
        }
        found.sort_by_key(|location| !self.pack(location.pack).is_whole());
        found
    }

    /// One place of a blob, in a whole pack if there is one.
    pub(crate) fn location(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        let first = *self.blobs[kind as usize].get(id)?;
        if self.others.is_empty() || self.pack(first.pack).is_whole() {
            return Some(first);
        }
        self.locations(kind, id).first().copied()
    }

    /// Whether a blob is stored in a pack that is there at full length. What is stored only in others has to be stored again.
    pub(crate) fn has_whole(&self, kind: BlobKind, id: &Id) -> bool {
        self.location(kind, id).is_some_and(|location| self.pack(location.pack).is_whole())
    }

    /// The blobs of each pack, ordered by offset.
    pub(crate) fn by_pack(&self) -> Vec<Vec<Entry>> {
        let mut all: Vec<Vec<Entry>> =
            self.packs.iter().map(|pack| Vec::with_capacity(pack.blobs as usize)).collect();
        let firsts = [BlobKind::Data, BlobKind::Tree].into_iter().flat_map(|kind| {
            self.blobs[kind as usize].iter().map(move |(id, location)| (kind, id, location))
        });
        let others = self.others.iter().flat_map(|((kind, id), all)| all.iter().map(move |l| (*kind, id, l)));
        for (kind, id, l) in firsts.chain(others) {
            let entry =
                Entry { kind, id: *id, offset: l.offset, length: l.length, uncompressed: l.uncompressed };
            all[l.pack as usize].push(entry);
        }
        all.iter_mut().for_each(|entries| entries.sort_unstable_by_key(|e| e.offset));
        all
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
            blobs + 37 * entries.len() as u64 + super::super::crypto::OVERHEAD as u64 + 4
        };
        let truth = [entry(1, 0, 100), entry(2, 100, 50)];
        // The same pack with another listing, and a pack of garbage that claims to have the blob.
        let lie = [entry(1, 60, 90), entry(3, 0, 10)];
        let garbage = [entry(1, 0, 77)];
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut index = Index::default();
            for which in order {
                match which {
                    0 => index.add(id(9), &truth, Some(size(&truth))),
                    1 => index.add(id(9), &lie, Some(size(&truth))),
                    _ => index.add(id(8), &garbage, Some(size(&garbage))),
                }
            }
            let places: Vec<_> =
                index.locations(BlobKind::Data, &id(1)).iter().map(|l| (l.offset, l.length)).collect();
            assert!(places.contains(&(0, 100)), "{order:?}: {places:?}");
            assert_eq!((places.len(), index.contradictions()), (3, 1), "{order:?}");
            assert!(index.has_whole(BlobKind::Data, &id(2)), "{order:?}");
            // What is listed twice alike is there once.
            index.add(id(9), &truth, Some(size(&truth)));
            assert_eq!(index.locations(BlobKind::Data, &id(1)).len(), 3);
        }
    }
}
