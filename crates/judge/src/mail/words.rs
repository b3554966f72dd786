//! The words that the features know (`data/mail-words.toml`), ready for one pass over a text.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use serde::Deserialize;

use super::fold::{fold, is_japanese};
use super::{MailError, line_of};

const BUILTIN: &str = include_str!("../../data/mail-words.toml");

/// What a word is a sign of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Lexicon {
    Urgency,
    Threat,
    Credential,
    Payment,
    Prize,
    Delivery,
    Coins,
    AdvanceFee,
    Pitch,
    Greeting,
    Office,
    Call,
}

/// A word that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) lexicon: Lexicon,
    /// Which word; the same for each time it stands there.
    word: usize,
}

/// Words, ready to be looked for.
#[derive(Debug)]
pub(super) struct Words {
    automaton: AhoCorasick,
    /// What each pattern of the automaton stands for: one word may be in several lexicons.
    patterns: Vec<(String, Vec<Lexicon>)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lexicon: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: Lexicon,
    /// By language, which nothing but a reader of the file uses.
    #[serde(flatten)]
    words: BTreeMap<String, Vec<String>>,
}

impl Words {
    /// Those that come with the program.
    pub(super) fn builtin() -> Result<Self, MailError> {
        Self::parse(BUILTIN)
    }

    fn parse(text: &str) -> Result<Self, MailError> {
        let file: File = toml::from_str(text).map_err(|error| MailError::Words {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        let mut patterns: BTreeMap<String, Vec<Lexicon>> = BTreeMap::new();
        for entry in &file.lexicon {
            for word in entry.words.values().flatten() {
                let lexicons = patterns.entry(fold(word, 100)).or_default();
                if !lexicons.contains(&entry.id) {
                    lexicons.push(entry.id);
                }
            }
        }
        let patterns: Vec<_> = patterns.into_iter().filter(|(word, _)| !word.is_empty()).collect();
        let automaton = automaton(patterns.iter().map(|(word, _)| word.as_str()))?;
        Ok(Self { automaton, patterns })
    }

    /// The words of a folded text, each once for each lexicon that it belongs to.
    pub(super) fn find(&self, folded: &str) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for found in whole_words(&self.automaton, folded) {
            let (place, _) = found;
            for &lexicon in self.patterns.get(place).map_or(&[][..], |(_, lexicons)| lexicons) {
                let hit = Hit { lexicon, word: place };
                if !hits.contains(&hit) {
                    hits.push(hit);
                }
            }
        }
        hits
    }

    /// The word of a hit, as it was looked for.
    pub(super) fn word(&self, hit: Hit) -> &str {
        self.patterns.get(hit.word).map_or("", |(word, _)| word)
    }
}

/// An automaton that finds the longest of the words at each place.
pub(super) fn automaton<'a>(words: impl Iterator<Item = &'a str>) -> Result<AhoCorasick, MailError> {
    // Made once and asked for every mail: a megabyte or two is little for twice the speed.
    AhoCorasickBuilder::new()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::LeftmostLongest)
        .build(words)
        .map_err(MailError::Automaton)
}

/// The patterns that stand in the text as whole words, with the places where they start.
pub(super) fn whole_words<'a>(
    automaton: &'a AhoCorasick,
    text: &'a str,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    automaton.find_iter(text).filter_map(move |found| {
        let joins = |a: Option<char>, b: Option<char>| match (a, b) {
            (Some(a), Some(b)) => {
                a.is_alphanumeric() && b.is_alphanumeric() && !is_japanese(a) && !is_japanese(b)
            }
            _ => false,
        };
        let word = &text[found.span()];
        let before = text[..found.start()].chars().next_back();
        let after = text[found.end()..].chars().next();
        let stands_alone = !joins(before, word.chars().next()) && !joins(word.chars().next_back(), after);
        stands_alone.then(|| (found.pattern().as_usize(), found.start()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Lexicon> {
        let words = Words::builtin().unwrap();
        let mut found: Vec<_> = words.find(&fold(text, 1_000)).iter().map(|hit| hit.lexicon).collect();
        found.dedup();
        found
    }

    #[test]
    fn words_are_found_as_whole_words_in_both_languages() {
        for (text, expected) in [
            ("Please VERIFY your\naccount", vec![Lexicon::Credential]),
            ("お使いのアカウン\nトがロックされました", vec![Lexicon::Threat]),
            ("a casinolike bonuses", vec![]),
            ("sextant and essex", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_file_is_told_with_its_line() {
        let error = Words::parse("[[lexicon]]\nid = 3\n").err().unwrap();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
