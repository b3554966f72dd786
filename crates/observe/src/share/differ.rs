//! What became of one folder's files between two looks, by names and stamps alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;

use super::client::Stamp;
use crate::files::names::{is_note, renaming};

/// The files of a folder.
pub(super) type Files = BTreeMap<Box<str>, Stamp>;

/// Pairs of a name that went and another that came are looked for at most this often in one folder.
const PAIRS_MAX: usize = 8;

/// One changed file that a sample could tell more about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// Under which name it was known.
    pub(super) before: Box<str>,
    /// Where it stands now.
    pub(super) now: Box<str>,
    pub(super) size_before: u64,
    pub(super) suffix_added: bool,
    pub(super) suffix_known: bool,
}

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) changed: Vec<Changed>,
    pub(super) rewritten: u64,
    /// New suffixes with how many files got them.
    pub(super) suffixes: BTreeMap<String, u64>,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) notes: u64,
}

/// Compares a folder with what it was.
pub(super) fn differ(before: &Files, now: &Files) -> Difference {
    let mut found = Difference::default();
    for (name, stamp) in now {
        if let Some(old) = before.get(name).filter(|old| *old != stamp) {
            found.rewritten += 1;
            found.changed.push(Changed {
                before: name.clone(),
                now: name.clone(),
                size_before: old.size,
                suffix_added: false,
                suffix_known: false,
            });
        }
    }
    let mut removed: BTreeMap<&str, u64> = before
        .iter()
        .filter(|(name, _)| !now.contains_key(*name))
        .map(|(name, old)| (&**name, old.size))
        .collect();
    let mut added: BTreeSet<&str> =
        now.keys().map(|name| &**name).filter(|name| !before.contains_key(*name)).collect();
    found.notes = added.iter().filter(|name| is_note(Path::new(name))).count() as u64;
    let pairs: Vec<_> =
        removed.keys().filter_map(|old| suffixed(old, now, &added).map(|new| (*old, new))).collect();
    for (old, new) in pairs {
        let size = removed.remove(old).unwrap_or(0);
        added.remove(new);
        if let Some(suffix) = crate::files::suffix_of(Path::new(new)) {
            *found.suffixes.entry(suffix).or_default() += 1;
        }
        found.changed.push(pair(old, new, size));
    }
    found.pair_by_size(&mut removed, &mut added, now);
    found.added = added.len() as u64;
    found.removed = removed.len() as u64;
    found
}

/// The name under which `old` stands with a suffix more, or with another one.
fn suffixed<'a>(old: &str, now: &'a Files, added: &BTreeSet<&'a str>) -> Option<&'a str> {
    let longer = format!("{old}.");
    let appended = now
        .range::<str, _>((Bound::Included(longer.as_str()), Bound::Unbounded))
        .next()
        .map(|(name, _)| &**name);
    if let Some(name) = appended.filter(|name| name.starts_with(&longer)) {
        return Some(name);
    }
    let (stem, _) = old.rsplit_once('.')?;
    let other = format!("{stem}.");
    let name = *added.range::<str, _>((Bound::Included(other.as_str()), Bound::Unbounded)).next()?;
    (name.starts_with(&other) && renaming(Path::new(old), Path::new(name)).suffix_added).then_some(name)
}

fn pair(old: &str, new: &str, size_before: u64) -> Changed {
    let names = renaming(Path::new(old), Path::new(new));
    Changed {
        before: old.into(),
        now: new.into(),
        size_before,
        suffix_added: names.suffix_added,
        suffix_known: names.suffix_known,
    }
}

impl Difference {
    /// Encryptors that give names out of the blue keep about the size: the contents will tell whether they are a pair.
    fn pair_by_size<'a>(
        &mut self,
        removed: &mut BTreeMap<&'a str, u64>,
        added: &mut BTreeSet<&'a str>,
        now: &Files,
    ) {
        let candidates: Vec<_> = removed.iter().take(PAIRS_MAX).map(|(old, size)| (*old, *size)).collect();
        for (old, size) in candidates {
            let near = |name: &&&str| {
                let difference = now.get(**name).map_or(u64::MAX, |stamp| stamp.size.abs_diff(size));
                !is_note(Path::new(**name)) && difference <= (size / 50).max(1024)
            };
            let distance = |name: &&&str| now.get(**name).map_or(u64::MAX, |stamp| stamp.size.abs_diff(size));
            let Some(new) = added.iter().filter(near).min_by_key(distance).copied() else { continue };
            self.changed.push(pair(old, new, size));
            removed.remove(old);
            added.remove(new);
            self.rewritten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[(&str, u64, u64)]) -> Files {
        names
            .iter()
            .map(|&(name, size, time)| (name.into(), Stamp { size, modified: time, changed: time }))
            .collect()
    }

    fn check(
        before: &[(&str, u64, u64)],
        now: &[(&str, u64, u64)],
        pairs: &[(&str, &str)],
        counts: [u64; 4],
    ) {
        let found = differ(&files(before), &files(now));
        let changed: Vec<_> = found.changed.iter().map(|changed| (&*changed.before, &*changed.now)).collect();
        assert_eq!(changed, pairs);
        assert_eq!([found.rewritten, found.added, found.removed, found.notes], counts);
    }

    #[test]
    fn renames_are_told_from_comings_and_goings() {
        let record = "1_20180101_OML-11_1_20180101000000000_01_1";
        let history = "1_20180101_OML-11_1_20180101000000000_01_2";
        let krab = format!("{record}.KRAB");
        let phobos = format!("{record}.id[1E857D00-2822].[x@y.example].eking");
        let one = [(record, 400, 1)];
        check(&one, &one, &[], [0, 0, 0, 0]);
        check(&one, &[(record, 400, 2)], &[(record, record)], [1, 0, 0, 0]);
        check(&one, &[(&krab, 400, 2), ("KRAB-DECRYPT.txt", 90, 2)], &[(record, &krab)], [0, 1, 0, 1]);
        check(&one, &[(&phobos, 600, 2)], &[(record, &phobos)], [0, 0, 0, 0]);
        check(&one, &[(record, 400, 1), (&krab, 400, 2)], &[], [0, 1, 0, 0]);
        check(&one, &[], &[], [0, 0, 1, 0]);
        // An update: the old one becomes history and a new one comes.
        check(&one, &[(history, 400, 1), (record, 410, 2)], &[(record, record)], [1, 1, 0, 0]);
        check(&one, &[("qx7", 410, 2)], &[(record, "qx7")], [1, 0, 0, 0]);
        check(&one, &[("qx7", 9000, 2)], &[], [0, 1, 1, 0]);
        check(&[("a.doc", 5, 1)], &[("a.gz", 5, 1)], &[("a.doc", "a.gz")], [0, 0, 0, 0]);
    }

    #[test]
    fn an_original_that_goes_after_its_copy_came_is_found_beside_it() {
        let before = [("a.pdf", 5, 1), ("a.pdf.locked", 9, 1)];
        check(&before, &[("a.pdf.locked", 9, 1)], &[("a.pdf", "a.pdf.locked")], [0, 0, 0, 0]);
    }
}
