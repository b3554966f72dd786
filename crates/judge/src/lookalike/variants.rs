//! Which protected word a string is, or is a misspelling of, by look-ups of hashes that a host gives up all at once.
//!
//! Rejected: a table of every variant (a few hundred thousand strings, megabytes). Words one edit apart share a form with one
//! letter taken out (SymSpell), so that the table holds those forms only, and a hit is checked letter by letter.

use std::ops::Range;

/// Longer strings are no word.
const TEXT_MAX: usize = 256;
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const POWERS: [u64; TEXT_MAX] = powers();

const fn powers() -> [u64; TEXT_MAX] {
    let mut powers = [1_u64; TEXT_MAX];
    let mut at = 1;
    while at < TEXT_MAX {
        powers[at] = powers[at - 1].wrapping_mul(BASE);
        at += 1;
    }
    powers
}

/// Polynomial hashes of all prefixes of a text, from which the hash of any part, and of parts put together, is one product.
pub(crate) struct Hashes {
    prefixes: [u64; TEXT_MAX],
}

impl Hashes {
    /// Of the first 255 bytes.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut prefixes = [0_u64; TEXT_MAX];
        let mut hash = 0_u64;
        for (place, byte) in prefixes.iter_mut().skip(1).zip(text) {
            hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1);
            *place = hash;
        }
        Self { prefixes }
    }

    pub(crate) fn part(&self, range: Range<usize>) -> u64 {
        let before = self.prefixes.get(range.start).copied().unwrap_or_default();
        let all = self.prefixes.get(range.end).copied().unwrap_or_default();
        all.wrapping_sub(before.wrapping_mul(power(range.len())))
    }

    /// Of two parts as if one followed the other.
    pub(crate) fn joined(&self, first: Range<usize>, second: Range<usize>) -> u64 {
        let shift = power(second.len());
        self.part(first).wrapping_mul(shift).wrapping_add(self.part(second))
    }
}

fn power(exponent: usize) -> u64 {
    POWERS.get(exponent).copied().unwrap_or_default()
}

/// The hash of one text.
pub(crate) fn hash_of(text: &[u8]) -> u64 {
    Hashes::of(text).part(0..text.len().min(TEXT_MAX - 1))
}

/// Numbers by the hash of a text: a filter of bits that says no at once nearly always, then a sorted list. Hits are to be
/// checked; a hash is no proof.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    filter: Vec<u64>,
    shift: u32,
    keys: Vec<u64>,
    values: Vec<u32>,
}

impl Table {
    pub(crate) fn new(mut entries: Vec<(u64, u32)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let bits = (entries.len().max(4) * 16).next_power_of_two();
        let mut table =
            Self { filter: vec![0; bits / 64], shift: 64 - bits.trailing_zeros(), ..Self::default() };
        for (key, value) in entries {
            let (word, bit) = table.place(key);
            if let Some(word) = table.filter.get_mut(word) {
                *word |= bit;
            }
            table.keys.push(key);
            table.values.push(value);
        }
        table
    }

    /// All numbers that were entered with this hash.
    pub(crate) fn get(&self, key: u64) -> &[u32] {
        let (word, bit) = self.place(key);
        if self.filter.get(word).is_none_or(|word| word & bit == 0) {
            return &[];
        }
        let from = self.keys.partition_point(|known| *known < key);
        let same = self.keys.iter().skip(from).take_while(|known| **known == key).count();
        self.values.get(from..from + same).unwrap_or_default()
    }

    fn place(&self, key: u64) -> (usize, u64) {
        // The low bits of a polynomial hash are poor: the product's high bits are taken.
        let mixed = (key ^ (key >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> self.shift;
        ((mixed / 64) as usize, 1 << (mixed % 64))
    }
}

/// How a string stands to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Likeness {
    /// One edit, or two letters for others that look or sound alike.
    Far,
    /// A letter for one that sounds alike, or neighbours swapped and one of them changed.
    Near,
    /// An edit that the eye passes over: neighbours swapped, a letter doubled or halved, or for one that looks alike.
    Close,
    /// The word.
    Same,
}

/// Shorter words have too many neighbours that are words themselves.
pub(crate) const VARIANT_FROM: usize = 6;

/// Words, and what they may be misspelt as.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    words: Vec<Box<str>>,
    near: Table,
    shortened: Table,
    longest: usize,
}

impl Index {
    /// Of words, each with whether its variants count too.
    pub(crate) fn new<'w>(words: impl IntoIterator<Item = (&'w str, bool)>) -> Self {
        let mut index = Self::default();
        let (mut near, mut shortened) = (Vec::new(), Vec::new());
        for (number, (word, variants)) in words.into_iter().enumerate() {
            let number = number as u32;
            index.words.push(word.into());
            index.longest = index.longest.max(word.len());
            near.push((hash_of(word.as_bytes()), number));
            if !variants || word.len() < VARIANT_FROM {
                continue;
            }
            near.extend(near_forms(word.as_bytes()).iter().map(|form| (hash_of(form), number)));
            let hashes = Hashes::of(word.as_bytes());
            shortened.push((hash_of(word.as_bytes()), number));
            shortened.extend((0..word.len()).map(|out| (hashes.joined(0..out, out + 1..word.len()), number)));
        }
        index.near = Table::new(near);
        index.shortened = Table::new(shortened);
        index
    }

    /// The hash of what has hash `before`, with a part of another text behind it.
    pub(crate) fn append(before: u64, hashes: &Hashes, part: Range<usize>) -> u64 {
        before.wrapping_mul(power(part.len())).wrapping_add(hashes.part(part))
    }

    /// The word at a place.
    pub(crate) fn word(&self, place: usize) -> &[u8] {
        self.words.get(place).map_or(&[], |word| word.as_bytes())
    }

    /// Length of the longest word, bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Every place at which this very string was given as a word.
    pub(crate) fn places<'i>(&'i self, hash: u64, spelt: &'i [u8]) -> impl Iterator<Item = usize> + 'i {
        let numbers = self.near.get(hash).iter().map(|number| *number as usize);
        numbers.filter(move |number| self.words.get(*number).is_some_and(|word| word.as_bytes() == spelt))
    }

    /// Whether a text is one of the words.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.places(hash_of(text.as_bytes()), text.as_bytes()).next().is_some()
    }

    /// The word that a string with this hash is or nearly is; `spelt` puts the string together for the check.
    pub(crate) fn near(&self, hash: u64, spelt: impl Fn() -> Vec<u8>) -> Option<(usize, Likeness)> {
        let numbers = self.near.get(hash);
        if numbers.is_empty() {
            return None;
        }
        let spelt = spelt();
        self.best(numbers, &spelt)
    }

    /// The word that this part of a text is a misspelling of.
    pub(crate) fn far(&self, hashes: &Hashes, text: &[u8], range: Range<usize>) -> Option<(usize, Likeness)> {
        let spelt = text.get(range.clone())?;
        if spelt.len() + 1 < VARIANT_FROM || spelt.len() > self.longest + 1 {
            return None;
        }
        let outs = range.clone().map(|out| hashes.joined(range.start..out, out + 1..range.end));
        std::iter::once(hashes.part(range.clone()))
            .chain(outs)
            .filter_map(|hash| self.best(self.shortened.get(hash), spelt))
            .max_by_key(|(_, likeness)| *likeness)
    }

    fn best(&self, numbers: &[u32], spelt: &[u8]) -> Option<(usize, Likeness)> {
        numbers
            .iter()
            .filter_map(|number| {
                let number = *number as usize;
                likeness(self.words.get(number)?.as_bytes(), spelt).map(|likeness| (number, likeness))
            })
            .max_by_key(|(number, likeness)| (*likeness, std::cmp::Reverse(*number)))
    }
}

/// How `spelt` stands to `word`; `None` where they are more than an edit apart.
pub(crate) fn likeness(word: &[u8], spelt: &[u8]) -> Option<Likeness> {
    if word == spelt {
        return Some(Likeness::Same);
    }
    let front = word.iter().zip(spelt).take_while(|(a, b)| a == b).count();
    let longest_back = word.len().min(spelt.len()) - front;
    let back =
        word.iter().rev().zip(spelt.iter().rev()).take(longest_back).take_while(|(a, b)| a == b).count();
    let (out, new) = (word.get(front..word.len() - back)?, spelt.get(front..spelt.len() - back)?);
    let doubled = |letter: u8| {
        // What was put in or taken out stands beside its like; `front` has already passed the first of the two.
        front.checked_sub(1).and_then(|before| word.get(before)) == Some(&letter)
            || word.get(front) == Some(&letter)
    };
    match (out, new) {
        ([a], [b]) if is_one_of(LOOKING_ALIKE, *a, *b) => Some(Likeness::Close),
        ([a], [b]) if is_one_of(SOUNDING_ALIKE, *a, *b) => Some(Likeness::Near),
        ([_], [_]) => Some(Likeness::Far),
        ([], [b]) => Some(if doubled(*b) { Likeness::Close } else { Likeness::Far }),
        ([a], []) if front > 0 && word.get(front - 1) == Some(a) => Some(Likeness::Close),
        ([_], []) => Some(Likeness::Far),
        ([a, b], [c, d]) if a == d && b == c => Some(Likeness::Close),
        // Neighbours swapped and one of them changed, inside the word: amzeon.
        ([a, b], [c, d]) if (a == d || b == c) && front > 0 && back > 0 => Some(Likeness::Near),
        _ => {
            let mut changed = out.iter().zip(new).filter(|(a, b)| a != b);
            let two = out.len() == new.len() && changed.clone().count() == 2;
            (two && changed.all(|(a, b)| alike(*a, *b))).then_some(Likeness::Far)
        }
    }
}

const LOOKING_ALIKE: &[&[u8]] = &[b"ij", b"il1", b"mn", b"uv", b"vw", b"o0", b"gq9"];
const SOUNDING_ALIKE: &[&[u8]] = &[b"aeo", b"ou", b"ei", b"lr", b"lt", b"vy", b"sz", b"ckq"];

fn is_one_of(groups: &[&[u8]], a: u8, b: u8) -> bool {
    groups.iter().any(|group| group.contains(&a) && group.contains(&b))
}

/// Letters that look or sound alike.
fn alike(a: u8, b: u8) -> bool {
    is_one_of(LOOKING_ALIKE, a, b) || is_one_of(SOUNDING_ALIKE, a, b)
}

/// Every string that is near to a word, and those with two letters for others alike.
fn near_forms(word: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for at in 0..word.len() {
        let mut doubled = word.to_vec();
        doubled.insert(at, word[at]);
        forms.push(doubled);
        if at + 1 < word.len() {
            let mut swapped = word.to_vec();
            swapped.swap(at, at + 1);
            forms.push(swapped);
            if word[at] == word[at + 1] {
                let mut halved = word.to_vec();
                halved.remove(at);
                forms.push(halved);
            }
        }
        for once in changed(word, at) {
            forms.extend((at + 1..word.len()).flat_map(|second| changed(&once, second)));
            forms.push(once);
        }
    }
    forms.retain(|form| form != word);
    forms
}

/// A word with one letter for each that is alike.
fn changed(word: &[u8], at: usize) -> Vec<Vec<u8>> {
    let letters = (b'a'..=b'z').chain([b'0', b'1', b'9']);
    let alike = letters.filter(|letter| *letter != word[at] && alike(*letter, word[at]));
    let change = |letter| {
        let mut changed = word.to_vec();
        changed[at] = letter;
        changed
    };
    alike.map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_is_near_or_far_or_another_word() {
        for (spelt, expected) in [
            ("amazon", Some(Likeness::Same)),
            ("amazno", Some(Likeness::Close)),
            ("amazom", Some(Likeness::Close)),
            ("amazen", Some(Likeness::Near)),
            ("amaazon", Some(Likeness::Close)),
            ("amaxon", Some(Likeness::Far)),
            ("amzon", Some(Likeness::Far)),
            ("amazxon", Some(Likeness::Far)),
            ("amzeon", Some(Likeness::Near)),
            ("anazom", Some(Likeness::Far)),
            ("emezxn", None),
            ("amazing", None),
            ("amz", None),
            ("nozama", None),
            ("", None),
        ] {
            assert_eq!(likeness(b"amazon", spelt.as_bytes()), expected, "{spelt}");
        }
    }

    #[test]
    fn the_index_finds_what_a_comparison_with_every_word_would() {
        let words = ["amazon", "rakuten", "google", "apple", "mastercard"];
        let index = Index::new(words.map(|word| (word, true)));
        for spelt in [
            "amazon",
            "amazno",
            "amzon",
            "amzeon",
            "rakuten",
            "raktuen",
            "gogle",
            "goggle",
            "appel",
            "apple",
            "mastercadr",
            "x",
            "",
        ] {
            let hashes = Hashes::of(spelt.as_bytes());
            let near = index.near(hashes.part(0..spelt.len()), || spelt.as_bytes().to_vec());
            let found = near.or_else(|| index.far(&hashes, spelt.as_bytes(), 0..spelt.len()));
            let expected = words
                .iter()
                .enumerate()
                .filter(|(_, word)| word.len() >= VARIANT_FROM || **word == spelt)
                .find_map(|(number, word)| Some((number, likeness(word.as_bytes(), spelt.as_bytes())?)));
            assert_eq!(found, expected, "{spelt}");
        }
    }

    #[test]
    fn parts_hash_as_texts_of_their_own() {
        let text = b"www.view-card.example";
        let hashes = Hashes::of(text);
        assert_eq!(hashes.part(4..8), hash_of(b"view"));
        assert_eq!(hashes.joined(4..8, 9..13), hash_of(b"viewcard"));
        assert_eq!(hashes.part(3..3), hash_of(b""));
    }
}
