//! Finds which of many texts a value holds, in one pass.
//!
//! Of each text four bytes that few others have (its gram) are looked for; only where they stand is the text compared. An automaton of
//! all texts, which this was once, took a third of the time that loading takes and most of the memory of all rules, and a pass over a
//! value had to wait for each of its steps.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::expr::TestId;
use super::rule::Place;

/// Bytes of a gram. Shorter texts stand in every other value; only as a whole value they are looked for here.
pub(super) const GRAM_LEN: usize = 4;
/// Bits of the filter for each text: about one in sixteen grams that no text has passes it.
const BITS_EACH: usize = 16;
/// Powers of two: from a cache line to what leaves room in the first cache.
const FILTER_BITS: std::ops::RangeInclusive<u32> = 9..=17;

/// Folded text → tests by where it must stand.
pub(super) type Texts = BTreeMap<String, Vec<(Place, TestId)>>;

/// The texts of one field.
#[derive(Debug)]
pub(super) struct Finder {
    whole: HashMap<Box<str>, TestId, FixedState>,
    /// A bit for the hash of each gram.
    filter: Box<[u64]>,
    shift: u32,
    /// Gram → its first and last entry in `pieces`.
    grams: HashMap<u32, (u32, u32), FixedState>,
    pieces: Vec<Piece>,
}

/// A text that is part of a value.
#[derive(Debug)]
struct Piece {
    text: Box<[u8]>,
    /// Where its gram stands in it.
    at: usize,
    place: Place,
    test: TestId,
}

/// Whether a finder finds a text there; others are compared one by one.
pub(super) fn is_found(place: Place, text: &str) -> bool {
    place == Place::Whole || text.len() >= GRAM_LEN
}

impl Finder {
    pub(super) fn new(texts: &Texts) -> Option<Self> {
        let mut whole = HashMap::default();
        let mut parts: Vec<(&str, Place, TestId)> = Vec::new();
        for (text, tests) in texts {
            for &(place, test) in tests.iter().filter(|(place, _)| is_found(*place, text)) {
                if place == Place::Whole {
                    whole.insert(text.as_str().into(), test);
                } else {
                    parts.push((text, place, test));
                }
            }
        }
        if whole.is_empty() && parts.is_empty() {
            return None;
        }
        let mut seen: HashMap<u32, u32, FixedState> = HashMap::default();
        for (text, ..) in &parts {
            grams(text.as_bytes()).for_each(|(_, gram)| *seen.entry(gram).or_default() += 1);
        }
        let mut pieces: Vec<(u32, Piece)> = Vec::with_capacity(parts.len());
        for (text, place, test) in parts {
            let rarest = grams(text.as_bytes()).min_by_key(|(_, gram)| seen.get(gram));
            let Some((at, gram)) = rarest else { continue };
            pieces.push((gram, Piece { text: text.as_bytes().into(), at, place, test }));
        }
        pieces.sort_by_key(|(gram, _)| *gram);
        let bits = (pieces.len() * BITS_EACH).next_power_of_two().ilog2();
        let bits = bits.clamp(*FILTER_BITS.start(), *FILTER_BITS.end());
        let mut finder = Self {
            whole,
            filter: vec![0; 1 << (bits - 6)].into(),
            shift: 32 - bits,
            grams: HashMap::default(),
            pieces: Vec::with_capacity(pieces.len()),
        };
        for (number, (gram, piece)) in (0_u32..).zip(pieces) {
            finder.grams.entry(gram).or_insert((number, number)).1 = number;
            let (word, bit) = finder.bit(gram);
            finder.filter[word] |= bit;
            finder.pieces.push(piece);
        }
        Some(finder)
    }

    /// Gives the tests of all texts that stand in a value as they must; one may come several times.
    pub(super) fn find(&self, value: &str, mut met: impl FnMut(TestId)) {
        if let Some(&test) = self.whole.get(value) {
            met(test);
        }
        if self.pieces.is_empty() {
            return;
        }
        let value = value.as_bytes();
        for (at, gram) in grams(value) {
            let (word, bit) = self.bit(gram);
            if self.filter[word] & bit != 0
                && let Some(&(first, last)) = self.grams.get(&gram)
            {
                let pieces = &self.pieces[first as usize..=last as usize];
                pieces.iter().filter(|piece| piece.stands(value, at)).for_each(|piece| met(piece.test));
            }
        }
    }

    /// The texts of some tests.
    pub(super) fn texts(&self, tests: &BTreeSet<TestId>) -> impl Iterator<Item = &[u8]> {
        let whole = self.whole.iter().map(|(text, test)| (text.as_bytes(), test));
        let pieces = self.pieces.iter().map(|piece| (&*piece.text, &piece.test));
        whole.chain(pieces).filter(|(_, test)| tests.contains(*test)).map(|(text, _)| text)
    }

    /// Where in the filter a gram's bit is.
    fn bit(&self, gram: u32) -> (usize, u64) {
        let hash = gram.wrapping_mul(0x9e37_79b1) >> self.shift;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

impl Piece {
    /// Whether it stands in a value where it must, with its gram at `gram_at`.
    fn stands(&self, value: &[u8], gram_at: usize) -> bool {
        let Some(start) = gram_at.checked_sub(self.at) else { return false };
        let end = start + self.text.len();
        let is_placed = match self.place {
            Place::Anywhere => true,
            Place::Start => start == 0,
            Place::End => end == value.len(),
            Place::Whole => start == 0 && end == value.len(),
        };
        is_placed && value.get(start..end) == Some(&self.text)
    }
}

/// Every four bytes in a row, with their place.
fn grams(text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    let grams = text.windows(GRAM_LEN).enumerate();
    grams.filter_map(|(at, gram)| Some((at, u32::from_le_bytes(gram.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACES: [Place; 4] = [Place::Whole, Place::Anywhere, Place::Start, Place::End];

    fn stands(place: Place, value: &str, text: &str) -> bool {
        match place {
            Place::Whole => value == text,
            Place::Anywhere => value.contains(text),
            Place::Start => value.starts_with(text),
            Place::End => value.ends_with(text),
        }
    }

    proptest! {
        #[test]
        fn all_texts_are_found_and_no_others(
            texts in prop::collection::vec(("[ab\\\\é]{1,9}", 0_usize..4), 1..40),
            values in prop::collection::vec("[ab\\\\é]{0,20}", 1..20),
        ) {
            let mut known = Texts::new();
            let mut all = Vec::new();
            for (test, (text, place)) in (0..).zip(texts) {
                let place = PLACES[place];
                let tests = known.entry(text.clone()).or_default();
                if is_found(place, &text) && !tests.iter().any(|(other, _)| *other == place) {
                    tests.push((place, test));
                    all.push((place, text, test));
                }
            }
            let finder = Finder::new(&known);
            for value in values {
                let mut found = BTreeSet::new();
                if let Some(finder) = &finder {
                    finder.find(&value, |test| { found.insert(test); });
                }
                let expected = all.iter().filter(|(place, text, _)| stands(*place, &value, text)).map(|(.., test)| *test);
                prop_assert_eq!(found, expected.collect::<BTreeSet<_>>());
            }
        }
    }
}
