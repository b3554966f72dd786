//! What the snapshots need: one bit for each blob that the repository knows, 16 bytes of its name, and nothing else in memory.

use super::super::file_kind::FileKind;
use super::super::id::{BlobKind, Id};
use super::super::repository::Vault;
use crate::Error;

/// Blobs that are needed and nowhere, that are named; more are counted.
const MAX_NAMED: usize = 20;

/// All blobs of a repository, ordered. Half of a name tells them apart: who finds two blobs that agree in it makes both be kept.
pub(crate) struct Blobs {
    ids: [Vec<u128>; 2],
}

fn half(id: &Id) -> u128 {
    id.0.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

impl Blobs {
    pub(crate) fn new(blobs: impl IntoIterator<Item = (BlobKind, Id)>) -> Blobs {
        let mut all = Blobs { ids: Default::default() };
        all.extend(blobs);
        all
    }

    pub(crate) fn extend(&mut self, blobs: impl IntoIterator<Item = (BlobKind, Id)>) {
        blobs.into_iter().for_each(|(kind, id)| self.ids[kind as usize].push(half(&id)));
    }

    /// To be called after the last blob was added.
    pub(crate) fn order(&mut self) {
        for ids in &mut self.ids {
            ids.sort_unstable();
            ids.dedup();
            ids.shrink_to_fit();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.iter().map(Vec::len).sum()
    }

    pub(crate) fn bits(&self) -> Bits {
        Bits(self.ids.each_ref().map(|ids| vec![0; ids.len().div_ceil(64)]))
    }

    pub(crate) fn position(&self, kind: BlobKind, id: &Id) -> Option<Position> {
        self.ids[kind as usize].binary_search(&half(id)).ok().map(|at| Position { kind, at })
    }
}

/// The place of a blob among [`Blobs`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    kind: BlobKind,
    at: usize,
}

/// A set of blobs.
pub(crate) struct Bits([Vec<u64>; 2]);

impl Bits {
    /// Adds a blob; whether it was new.
    pub(crate) fn set(&mut self, position: Position) -> bool {
        let word = &mut self.0[position.kind as usize][position.at / 64];
        let bit = 1 << (position.at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(crate) fn has(&self, position: Position) -> bool {
        self.0[position.kind as usize][position.at / 64] >> (position.at % 64) & 1 == 1
    }

    /// How many blobs of this set are in none of the others.
    pub(crate) fn count_outside(&self, others: &[&Bits]) -> u64 {
        let outside = |kind: usize| {
            self.0[kind].iter().enumerate().map(move |(nr, word)| {
                let covered = others.iter().fold(0, |all, other| all | other.0[kind][nr]);
                u64::from((word & !covered).count_ones())
            })
        };
        (0..2).flat_map(outside).sum()
    }
}

/// What the snapshots need.
pub(crate) struct Used {
    pub(crate) bits: Bits,
    /// Parts of files that are needed and nowhere: some of them.
    pub(crate) missing: Vec<Id>,
    pub(crate) missing_total: u64,
}

impl Used {
    fn none(blobs: &Blobs) -> Used {
        Used { bits: blobs.bits(), missing: Vec::new(), missing_total: 0 }
    }
}

impl Vault {
    /// Walks every directory of every snapshot once. Fails if one cannot be read, since nobody can tell what it needs.
    pub(crate) fn find_used(&self, blobs: &Blobs) -> Result<Used, Error> {
        let mut used = Used::none(blobs);
        let mut trees = Vec::new();
        for (id, _) in self.backend.list(FileKind::Snapshot)? {
            let unknown = |source| Error::NeedUnknown {
                needed_by: format!("the snapshot {}", id.short()),
                source: Box::new(source),
            };
            trees.push(self.load_snapshot(&id).map_err(unknown)?.tree);
            self.mark_used(blobs, &mut used, &mut trees).map_err(unknown)?;
        }
        Ok(used)
    }

    /// As [`Vault::find_used`], of one directory.
    pub(crate) fn find_used_by(&self, blobs: &Blobs, tree: Id) -> Result<Used, Error> {
        let mut used = Used::none(blobs);
        self.mark_used(blobs, &mut used, &mut vec![tree])?;
        Ok(used)
    }

    /// Marks the directories on the stack and all that is below them.
    fn mark_used(&self, blobs: &Blobs, used: &mut Used, trees: &mut Vec<Id>) -> Result<(), Error> {
        let mut codec = self.codecs.take()?;
        while let Some(tree) = trees.pop() {
            let missing = || Error::Missing { what: "tree", id: tree.to_string() };
            let position = blobs.position(BlobKind::Tree, &tree).ok_or_else(missing)?;
            if !used.bits.set(position) {
                continue;
            }
            for node in self.load_tree(&mut codec, &tree)? {
                trees.extend(node.subtree);
                for id in node.content.iter().flatten() {
                    match blobs.position(BlobKind::Data, id) {
                        Some(position) => {
                            used.bits.set(position);
                        }
                        None => {
                            used.missing_total += 1;
                            if used.missing.len() < MAX_NAMED && !used.missing.contains(id) {
                                used.missing.push(*id);
                            }
                        }
                    }
                }
            }
        }
        self.codecs.give_back(codec);
        Ok(())
    }
}
