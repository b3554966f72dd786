//! Which removed original and which made file may belong together, found by name and by length.
//!
//! A job that removes a tree and unpacks it anew has thousands of both; comparing each with each would take it from seconds to
//! minutes, while its opens wait. What stands here are hints: whoever takes one looks at the file itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::table::Key;

/// Files of one name, or of one class of lengths, that are looked at for one other.
const LOOKED_AT_MAX: usize = 64;

/// Whether a file of `bytes` may be the encryption of one of `original` bytes, where nothing else joins them.
pub(super) fn is_alike(bytes: u64, original: u64) -> bool {
    bytes > 0 && bytes.abs_diff(original) <= original / 10 + 512
}

/// Last component of a path, as text.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The hints of one actor.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Originals that are gone and for which nothing stands yet.
    pub(super) gone: Index,
    /// Files that the actor made.
    pub(super) made: Index,
    /// The original for which a file stands.
    taken: HashMap<Key, u64>,
}

impl Pairs {
    /// The file behind `key` stands for the original `id`.
    pub(super) fn take(&mut self, key: Key, id: u64) {
        self.taken.insert(key, id);
        self.gone.remove(id);
    }

    /// The original for which the file behind `key` stood when that was noted last.
    pub(super) fn taken_by(&self, key: Key) -> Option<u64> {
        self.taken.get(&key).copied()
    }

    /// The file behind `key` is gone. Gives the original for which it stood.
    pub(super) fn release(&mut self, key: Key) -> Option<u64> {
        self.taken.remove(&key)
    }

    /// Forgets files of which nothing is remembered any more.
    pub(super) fn retain(&mut self, known: impl Fn(u64) -> bool) {
        self.gone.retain(&known);
        self.made.retain(&known);
        self.taken.retain(|_, id| known(*id));
    }
}

/// Files by name and by length.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeSet<(Arc<str>, u64)>,
    lengths: BTreeMap<u32, BTreeSet<u64>>,
    known: HashMap<u64, (Arc<str>, u64)>,
}

impl Index {
    /// File `id` is called `name` and has `bytes`; `None` leaves its length as it was noted.
    pub(super) fn set(&mut self, id: u64, name: &str, bytes: Option<u64>) {
        let before = self.known.get(&id);
        let bytes = bytes.or(before.map(|(_, bytes)| *bytes)).unwrap_or(0);
        if before.is_some_and(|(known, length)| &**known == name && *length == bytes) {
            return;
        }
        self.remove(id);
        let name: Arc<str> = name.into();
        self.names.insert((Arc::clone(&name), id));
        self.lengths.entry(class(bytes)).or_default().insert(id);
        self.known.insert(id, (name, bytes));
    }

    pub(super) fn remove(&mut self, id: u64) {
        let Some((name, bytes)) = self.known.remove(&id) else { return };
        self.names.remove(&(name, id));
        if let Some(ids) = self.lengths.get_mut(&class(bytes)) {
            ids.remove(&id);
        }
    }

    fn retain(&mut self, known: impl Fn(u64) -> bool) {
        let lost: Vec<u64> = self.known.keys().copied().filter(|id| !known(*id)).collect();
        lost.into_iter().for_each(|id| self.remove(id));
        self.lengths.retain(|_, ids| !ids.is_empty());
    }

    /// Files whose name begins with `stem`.
    pub(super) fn named_after(&self, stem: &str) -> impl Iterator<Item = u64> {
        let from = (Bound::Included((Arc::from(stem), 0)), Bound::Unbounded);
        let after = self.names.range(from).take_while(move |(name, _)| name.starts_with(stem));
        after.take(LOOKED_AT_MAX).map(|(_, id)| *id)
    }

    /// Files after which `name` is called: it begins with theirs.
    pub(super) fn named_before(&self, name: &str) -> impl Iterator<Item = u64> {
        // Nearly always: whoever makes files has removed none.
        let name = if self.names.is_empty() { "" } else { name };
        let stems = name.char_indices().map(|(at, letter)| &name[..at + letter.len_utf8()]);
        let of = |stem: &str| {
            let stem: Arc<str> = stem.into();
            let called = (Arc::clone(&stem), 0)..=(stem, u64::MAX);
            self.names.range(called).take(LOOKED_AT_MAX).map(|(_, id)| *id).collect::<Vec<_>>()
        };
        // The longest first: it says most.
        let found: Vec<u64> = stems.rev().flat_map(of).take(LOOKED_AT_MAX).collect();
        found.into_iter()
    }

    /// Files with a length for which `test` holds between `least` and `most` bytes, of each class of lengths the newest first.
    pub(super) fn as_long(
        &self,
        least: u64,
        most: u64,
        test: impl Fn(u64) -> bool,
    ) -> impl Iterator<Item = u64> {
        let fits = move |id: &u64| self.known.get(id).is_some_and(|(_, bytes)| test(*bytes));
        let classes = self.lengths.range(class(least)..=class(most));
        classes.flat_map(|(_, ids)| ids.iter().rev().take(LOOKED_AT_MAX)).copied().filter(fits)
    }
}

/// Lengths of one class differ by at most an eighth, small ones by at most 256 bytes.
fn class(bytes: u64) -> u32 {
    const STEPS: u32 = 3;
    let bytes = bytes.max(1 << 11);
    let exponent = bytes.ilog2();
    let step = (bytes >> (exponent - STEPS)) & ((1 << STEPS) - 1);
    (exponent << STEPS) | u32::try_from(step).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(files: &[(u64, &str, u64)]) -> Index {
        let mut index = Index::default();
        for (id, name, bytes) in files {
            index.set(*id, name, Some(*bytes));
        }
        index
    }

    #[test]
    fn files_are_found_by_the_beginning_of_their_names() {
        let index = index(&[(1, "a.txt", 1), (2, "a.txt.enc", 2), (3, "b", 3), (4, "検査.pdf", 4)]);
        let after = |stem: &str| index.named_after(stem).collect::<Vec<_>>();
        let before = |name: &str| index.named_before(name).collect::<Vec<_>>();
        assert_eq!((after("a.txt"), after("a.txt."), after("c")), (vec![1, 2], vec![2], vec![]));
        assert_eq!((before("a.txt.enc.x"), before("b2"), before("a")), (vec![2, 1], vec![3], vec![]));
        assert_eq!((before("検査.pdf.暗号"), after("検")), (vec![4], vec![4]));
    }

    #[test]
    fn every_length_that_fits_is_found_the_newest_first() {
        let mut index = Index::default();
        let lengths: Vec<u64> = (0..40).flat_map(|bit| [1 << bit, (1 << bit) + (1 << bit) / 9]).collect();
        for (id, bytes) in (0..).zip(&lengths) {
            index.set(id, "x", Some(*bytes));
        }
        for original in lengths.iter().copied() {
            let (least, most) = (original - (original / 10).min(original), original + original / 8 + 600);
            let found: BTreeSet<u64> =
                index.as_long(least.saturating_sub(600), most, |bytes| is_alike(bytes, original)).collect();
            let expected =
                (0..).zip(&lengths).filter(|(_, bytes)| is_alike(**bytes, original)).map(|(id, _)| id);
            assert_eq!(found, expected.collect::<BTreeSet<u64>>(), "{original}");
        }
        let newest = super::tests::index(&[(1, "a", 9000), (2, "b", 9000)]);
        assert_eq!(newest.as_long(8000, 9500, |_| true).next(), Some(2));
    }

    #[test]
    fn what_is_renamed_removed_or_forgotten_is_found_no_more() {
        let mut index = index(&[(1, "a", 10), (2, "b", 20), (3, "c", 30)]);
        index.set(1, "z", None);
        index.remove(2);
        index.retain(|id| id != 3);
        assert_eq!(index.named_after("").collect::<Vec<_>>(), [1]);
        assert_eq!(index.as_long(0, u64::MAX, |bytes| bytes == 10).collect::<Vec<_>>(), [1]);
        assert_eq!(index.known.len(), 1);
    }
}
