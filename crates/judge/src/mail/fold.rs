//! Texts in the one form in which words are looked for, and what somebody did to keep them from being found.

use unicode_normalization::UnicodeNormalization;

/// How many characters of a text are folded.
pub(super) const CHARS_MAX: usize = 3_000;

/// Lower case, NFKC, without invisible characters, other alphabets' look-alikes as Latin letters where the word is Latin otherwise, and
/// every run of blanks as one blank: none between Japanese characters, where mail programs break lines at will.
pub(super) fn fold(text: &str, chars_max: usize) -> String {
    let seen = text.char_indices().nth(chars_max).map_or(text, |(end, _)| &text[..end]);
    if seen.is_ascii() {
        return fold_ascii(seen);
    }
    let mut out = String::with_capacity(seen.len());
    let mut blank = false;
    let take = |char: char| {
        if char.is_whitespace() || char.is_control() {
            blank = !out.is_empty();
        } else {
            gap(&mut out, &mut blank, char);
            out.push(plain(char));
        }
    };
    // As a whole: a voiced half-width kana is two characters.
    seen.chars().filter(|char| !is_invisible(*char)).nfkc().flat_map(char::to_lowercase).for_each(take);
    out
}

/// The same of what has nothing to compose, which is most of what there is.
fn fold_ascii(seen: &str) -> String {
    let mut out = String::with_capacity(seen.len());
    for word in seen.split(|char: char| char.is_ascii_whitespace() || char.is_ascii_control()) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.make_ascii_lowercase();
    out
}

fn gap(out: &mut String, blank: &mut bool, next: char) {
    if std::mem::take(blank) && !(is_japanese(next) && out.chars().next_back().is_some_and(is_japanese)) {
        out.push(' ');
    }
}

/// Kana, Han and the punctuation that goes with them.
pub(super) fn is_japanese(char: char) -> bool {
    matches!(char, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

/// Characters that a reader does not see and that part a word.
pub(super) fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}'
    )
}

/// The Latin letter that looks like this letter: of the commonest disguises only, so that a Russian or Greek word is changed as a whole
/// and no Latin word appears where none is.
fn plain(char: char) -> char {
    match char {
        'а' | 'α' | 'ᴀ' => 'a',
        'ʙ' => 'b',
        'с' | 'ϲ' | 'ᴄ' => 'c',
        'ԁ' | 'ᴅ' => 'd',
        'е' | 'ё' | 'є' | 'ᴇ' => 'e',
        'ꜰ' | 'ғ' => 'f',
        'ɢ' | 'ɡ' => 'g',
        'һ' | 'ʜ' => 'h',
        'і' | 'ι' | 'ɪ' | 'ı' | 'ӏ' => 'i',
        'ј' | 'ᴊ' => 'j',
        'ᴋ' | 'κ' => 'k',
        'ʟ' | 'ᥣ' => 'l',
        'ᴍ' => 'm',
        'ɴ' | 'ո' => 'n',
        'о' | 'ο' | 'ᴏ' | 'ᥱ' => {
            if char == 'ᥱ' {
                'e'
            } else {
                'o'
            }
        }
        'р' | 'ρ' | 'ᴘ' => 'p',
        'ԛ' => 'q',
        'ʀ' => 'r',
        'ѕ' | 'ꜱ' => 's',
        'ᴛ' => 't',
        'υ' | 'ᴜ' | 'ս' => 'u',
        'ѵ' | 'ᴠ' | 'ν' => 'v',
        'ԝ' | 'ᴡ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'ʏ' | 'γ' => 'y',
        'ᴢ' => 'z',
        'ᥴ' => 'c',
        'ᑲ' => 'b',
        'ᗪ' => 'd',
        other => other,
    }
}

/// The first word that is written so that a filter does not find it: invisible characters between its letters, letters of other alphabets
/// among Latin ones, or letters out of the mathematical and phonetic blocks.
pub(super) fn disguised_word(text: &str, chars_max: usize) -> Option<String> {
    // What is plain ASCII hides nothing; the word before the first other character may go on with it.
    let plain = text.bytes().take(chars_max).take_while(u8::is_ascii).count();
    if plain >= text.len().min(chars_max) {
        return None;
    }
    let begin = text[..plain].rfind(|char: char| !char.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let mut word = Word::default();
    for char in text[begin..].chars().take(chars_max - begin) {
        if char.is_alphanumeric() || is_invisible(char) || is_styled(char) {
            word.take(char);
            continue;
        }
        if word.is_disguised() {
            return Some(word.text());
        }
        word = Word::default();
    }
    word.is_disguised().then(|| word.text())
}

#[derive(Default)]
struct Word {
    chars: Vec<char>,
    latin: usize,
    foreign: usize,
    styled: usize,
    /// Invisible characters with a letter before them; counted once a letter follows.
    parted: usize,
    pending: bool,
}

impl Word {
    fn take(&mut self, char: char) {
        if is_invisible(char) {
            self.pending |= self.chars.last().is_some_and(|last| last.is_alphabetic() && parts_words(char));
            return;
        }
        // A joiner between letters of scripts that need it (Arabic, Indic) is spelling, not disguise.
        if std::mem::take(&mut self.pending) && (char.is_ascii_alphabetic() || is_japanese(char)) {
            self.parted += 1;
        }
        match char {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => self.latin += 1,
            _ if is_styled(char) => self.styled += 1,
            '\u{370}'..='\u{3ff}'
            | '\u{400}'..='\u{52f}'
            | '\u{531}'..='\u{587}'
            | '\u{1900}'..='\u{197f}' => self.foreign += 1,
            _ => {}
        }
        if self.chars.len() < 64 {
            self.chars.push(char);
        }
    }

    fn is_disguised(&self) -> bool {
        self.parted > 0
            || self.styled > 2
            || (self.latin > 1 && self.foreign > 0 && self.latin + self.foreign > 3)
    }

    fn text(&self) -> String {
        self.chars.iter().collect()
    }
}

fn parts_words(char: char) -> bool {
    !matches!(char, '\u{fe00}'..='\u{fe0f}' | '\u{200e}' | '\u{200f}' | '\u{e0000}'..='\u{e01ef}')
}

/// Mathematical alphabets, phonetic small capitals, letters in circles: never a way to write a word. Full-width letters are one in Japan.
fn is_styled(char: char) -> bool {
    matches!(char, '\u{1d400}'..='\u{1d7ff}' | '\u{1d00}'..='\u{1d2b}' | '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}')
        || matches!(char, 'ʙ' | 'ɢ' | 'ʜ' | 'ɪ' | 'ʟ' | 'ɴ' | 'ʀ' | 'ʏ' | 'ꜰ' | 'ꜱ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded_to_what_a_reader_reads() {
        for (text, expected) in [
            ("  Verify\r\n your\tACCOUNT ", "verify your account"),
            ("アカウン\r\nトが ロック", "アカウントがロック"),
            ("Ａｍａｚｏｎ ｱﾏｿﾞﾝ", "amazon アマゾン"),
            ("A\u{200b}ma\u{ad}zon", "amazon"),
            ("аmаzоn", "amazon"),
            ("𝐘𝐎𝐔𝐑 ᴏʀᴅᴇʀ", "your order"),
            ("", ""),
        ] {
            assert_eq!(fold(text, 100), expected, "{text}");
        }
        assert_eq!(fold("abcdef", 3), "abc");
    }

    #[test]
    fn only_words_that_hide_from_a_filter_are_disguised() {
        for text in [
            "Am\u{200b}azon",
            "раypal support",
            "𝐘𝐎𝐔𝐑 𝐏𝐇𝐎𝐓𝐎𝐒",
            "ᴏʀᴅᴇʀ",
            "ama\u{feff}zon",
            "アカ\u{200b}ウント",
        ] {
            assert!(disguised_word(text, 100).is_some(), "{text}");
        }
        for text in [
            "Amazon",
            "Ａｍａｚｏｎ",
            "Привет, мир",
            "α-test and β-blocker",
            "50μg",
            "👩\u{200d}⚕\u{fe0f} Doctor",
            "preheader\u{200c} \u{200c} \u{200c} text",
            "می\u{200c}خواهم",
            "東京都 Tokyo",
            "",
        ] {
            assert_eq!(disguised_word(text, 100), None, "{text}");
        }
    }
}
