use std::ops::Range;

use super::variants::Hashes;

/// Hosts have fewer; what comes behind these is not looked at.
const TOKENS_MAX: usize = 48;

/// The front of a host in one way of reading it, cut into words at dots and hyphens.
pub(super) struct Reading<'t> {
    pub(super) text: &'t [u8],
    pub(super) hashes: Hashes,
    pub(super) words: Vec<Word>,
    /// Labels before the suffix.
    pub(super) labels: usize,
}

/// A word of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) range: Range<usize>,
    /// Which label it is in, from the left.
    pub(super) label: usize,
}

impl<'t> Reading<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mut words = Vec::with_capacity(8);
        let (mut from, mut label) = (0, 0);
        for (at, byte) in text.iter().chain(b".").enumerate() {
            if !matches!(byte, b'.' | b'-' | b'_') {
                continue;
            }
            if at > from && words.len() < TOKENS_MAX {
                words.push(Word { range: from..at, label });
            }
            from = at + 1;
            label += usize::from(*byte == b'.' && at < text.len());
        }
        let labels = words.last().map_or(0, |word| word.label + 1);
        Self { text, hashes: Hashes::of(text), words, labels }
    }

    pub(super) fn part(&self, range: Range<usize>) -> &'t [u8] {
        self.text.get(range).unwrap_or_default()
    }

    /// The words from one to another, put together without their hyphens.
    pub(super) fn spelt(&self, words: Range<usize>) -> Vec<u8> {
        self.words
            .get(words)
            .unwrap_or_default()
            .iter()
            .flat_map(|word| self.part(word.range.clone()))
            .copied()
            .collect()
    }

    /// Whether any other word is in the label of this one.
    pub(super) fn has_neighbours(&self, words: &Range<usize>) -> bool {
        let Some(label) = self.words.get(words.start).map(|word| word.label) else { return false };
        self.words.iter().enumerate().any(|(at, word)| word.label == label && !words.contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_cut_at_dots_and_hyphens() {
        let reading = Reading::of(b"www.view-card--x.evil.");
        let words: Vec<_> =
            reading.words.iter().map(|word| (reading.part(word.range.clone()), word.label)).collect();
        assert_eq!(words, [(&b"www"[..], 0), (b"view", 1), (b"card", 1), (b"x", 1), (b"evil", 2)]);
        assert_eq!(reading.labels, 3);
        assert_eq!(reading.spelt(1..3), b"viewcard");
        assert!(reading.has_neighbours(&(1..3)));
        assert!(!reading.has_neighbours(&(1..4)));
    }

    #[test]
    fn empty_and_overlong_fronts_are_bounded() {
        assert!(Reading::of(b"").words.is_empty());
        assert!(Reading::of(b".-.").words.is_empty());
        assert_eq!(Reading::of("a-".repeat(100).as_bytes()).words.len(), TOKENS_MAX);
    }
}
