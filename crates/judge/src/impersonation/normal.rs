//! Text as it is compared: what a reader takes it for, without what is only there to hide a name.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::lookalike::{is_invisible, latin};

/// A text in the form in which names are looked for: NFKC, lower case, katakana for hiragana, one blank for many and none
/// beside Japanese letters, letters of other scripts as the Latin ones that they pass for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Normal {
    pub(super) text: String,
    /// Parts that came out differently than they stood there: set apart letter by letter, of another script, with
    /// invisible characters inside.
    pub(super) disguised: Vec<Range<usize>>,
}

impl Normal {
    /// Of the first `most` characters.
    pub(super) fn of(text: &str, most: usize) -> Self {
        let mut normal = Self::default();
        let mut pieces: Vec<(String, bool)> = Vec::new();
        let seen = text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end]);
        // There is nothing to compose in ASCII.
        let composed: Cow<'_, str> =
            if seen.is_ascii() { seen.into() } else { seen.nfkc().collect::<String>().into() };
        for word in composed.split(|c: char| c.is_whitespace() || c.is_control()) {
            if !word.is_empty() {
                pieces.push(plain(word));
            }
        }
        for (piece, disguised) in unspaced(pieces) {
            normal.push(&piece, disguised);
        }
        normal
    }

    pub(super) fn is_disguised(&self, part: &Range<usize>) -> bool {
        self.disguised.iter().any(|range| range.start < part.end && part.start < range.end)
    }

    fn push(&mut self, word: &str, disguised: bool) {
        let beside = (self.text.chars().next_back(), word.chars().next());
        if let (Some(before), Some(after)) = beside
            && !is_japanese(before)
            && !is_japanese(after)
        {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(word);
        if disguised {
            self.disguised.push(start..self.text.len());
        }
    }
}

/// Kana, kanji and their marks.
pub(super) fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

pub(super) fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}')
}

/// One word without what nobody sees, and whether it was disguised.
fn plain(word: &str) -> (String, bool) {
    if word.is_ascii() {
        return (word.to_ascii_lowercase(), false);
    }
    let letters = |c: &char| c.is_alphanumeric();
    let first = word.chars().position(|c| letters(&c)).unwrap_or_default();
    let last = word.chars().count() - word.chars().rev().position(|c| letters(&c)).unwrap_or_default();
    // Around a word a soft hyphen or a mark of direction is ordinary; inside it hides the word.
    let hidden = word.chars().enumerate().any(|(at, c)| at > first && at < last && is_joiner(c));
    let mut out = String::with_capacity(word.len());
    let mut disguised = hidden;
    let mut run = String::new();
    for c in word.chars().filter(|c| !is_invisible(*c)) {
        if (c.is_alphabetic() && !is_japanese(c)) || (!run.is_empty() && (c.is_ascii_digit() || is_mark(c))) {
            run.push(c);
            continue;
        }
        disguised |= flush(&mut run, &mut out);
        out.extend(kana(c, out.chars().next_back()).to_lowercase());
    }
    disguised |= flush(&mut run, &mut out);
    (out, disguised)
}

/// Invisible characters with no business inside a word of Latin or Japanese letters. (Joiners belong to other scripts and to
/// pictures, variation selectors to kanji.)
fn is_joiner(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}'
    )
}

/// A mark on the letter before it, of no use to Japanese ones (whose marks are part of them by now).
fn is_mark(c: char) -> bool {
    is_combining_mark(c) && !is_japanese(c)
}

/// Puts down a run of letters; whether they only passed for Latin ones.
fn flush(run: &mut String, out: &mut String) -> bool {
    if run.is_ascii() {
        out.push_str(&run.to_ascii_lowercase());
        run.clear();
        return false;
    }
    let shown = latin(run);
    let passes = shown.is_ascii();
    // Marks on Latin letters are ordinary spelling in most languages.
    let marked =
        run.nfc().all(|c| !is_mark(c)) && run.nfd().filter(|c| c.is_alphanumeric()).all(|c| c.is_ascii());
    if passes {
        out.push_str(&shown);
    } else {
        out.push_str(&run.to_lowercase());
    }
    run.clear();
    passes && !marked
}

/// Katakana for hiragana, and the long sound for any dash behind katakana.
fn kana(c: char, before: Option<char>) -> char {
    match c {
        '\u{3041}'..='\u{3096}' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2500}' if before.is_some_and(is_katakana) => 'ー',
        _ => c,
    }
}

/// Joins three and more single letters in a row: `ア マ ゾ ン`, `A m a z o n`, `a.m.a.z.o.n`.
fn unspaced(pieces: Vec<(String, bool)>) -> Vec<(String, bool)> {
    let mut out: Vec<(String, bool)> = Vec::with_capacity(pieces.len());
    let mut run = String::new();
    let mut count = 0;
    for (piece, disguised) in pieces.into_iter().map(dotless).chain([(String::new(), false)]) {
        let mut letters = piece.chars();
        match (letters.next(), letters.next()) {
            (Some(only), None) if only.is_alphanumeric() => {
                run.push(only);
                count += 1;
                continue;
            }
            _ => {}
        }
        if count >= 3 {
            out.push((std::mem::take(&mut run), true));
        } else {
            out.extend(run.drain(..).map(|c| (c.to_string(), false)));
        }
        count = 0;
        if !piece.is_empty() {
            out.push((piece, disguised));
        }
    }
    out
}

/// A word of single letters with dots between them, without the dots.
fn dotless((piece, disguised): (String, bool)) -> (String, bool) {
    const DOTS: [char; 6] = ['.', '・', '_', '*', '|', '-'];
    // The second character of such a word is a dot.
    if !piece.trim_start_matches(DOTS).chars().nth(1).is_some_and(|second| DOTS.contains(&second)) {
        return (piece, disguised);
    }
    let mut parts = piece.trim_matches(DOTS).split(DOTS);
    let letters = parts.clone().count();
    let single = letters >= 4
        && parts.all(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(char::is_alphanumeric) && letters.next().is_none()
        });
    if single { (piece.chars().filter(|c| !DOTS.contains(c)).collect(), true) } else { (piece, disguised) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_out_the_same_however_it_is_written() {
        for (text, expected, disguised) in [
            ("Amazon", "amazon", false),
            ("ＡＭＡＺＯＮ", "amazon", false),
            ("ア マ ゾ ン", "アマゾン", true),
            ("ｱﾏｿﾞﾝ", "アマゾン", false),
            ("あまぞん", "アマゾン", false),
            ("A m a z o n", "amazon", true),
            ("A.m.a.z.o.n", "amazon", true),
            ("Аmаzоn", "amazon", true),
            ("Ama\u{200b}zon", "amazon", true),
            ("Amazon\u{200b}", "amazon", false),
            ("Itaú", "itau", false),
            ("Ꮮеdgеr", "ledger", true),
            ("U\u{337}P\u{337}S", "ups", true),
            ("三井住友 カード", "三井住友カード", false),
            ("Amazon　プライム", "amazonプライム", false),
            ("メルカリ　 運営", "メルカリ運営", false),
            ("American   Express", "american express", false),
            ("ユ―ザ-", "ユーザー", false),
            ("国税庁", "国税庁", false),
            ("", "", false),
        ] {
            let normal = Normal::of(text, 100);
            assert_eq!((normal.text.as_str(), !normal.disguised.is_empty()), (expected, disguised), "{text}");
        }
    }

    #[test]
    fn other_scripts_stay_what_they_are() {
        assert_eq!(
            Normal::of("Привет мир", 100),
            Normal { text: "привет мир".to_owned(), disguised: vec![] }
        );
    }

    #[test]
    fn only_the_beginning_is_read() {
        assert_eq!(Normal::of(&"a".repeat(50), 10).text.len(), 10);
    }
}
