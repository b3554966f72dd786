//! What a text looks like: the form in which a look-alike and what it poses as are the same.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Whether a reader sees nothing of it: soft hyphen, zero-width and bidirectional characters, variation selectors.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The text without what nobody sees.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_invisible) {
        Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The Latin letters that a text shows, in lower case: compatibility forms and marks taken off, letters of other scripts
/// by what they look like (Unicode TR39). ASCII stays as it is; what looks like nothing Latin stays too.
///
/// TR39's skeleton as such turns `m` into `rn` and so on; letter by letter only what is not ASCII needs it.
pub(crate) fn latin(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_invisible(*c) && !is_combining_mark(*c)) {
        if c.is_ascii() {
            out.push(c.to_ascii_lowercase());
            continue;
        }
        // Small letters first, since hosts have no others; some scripts have only capitals that look Latin.
        let small: String = c.to_lowercase().flat_map(shown).collect();
        let capital: String = if small.is_ascii() { String::new() } else { shown(c).iter().collect() };
        let latin = if capital.is_empty() || !capital.is_ascii() { small } else { capital };
        out.push_str(&latin.to_lowercase());
    }
    out
}

/// What a letter looks like, without its marks.
fn shown(c: char) -> Vec<char> {
    let mut buffer = [0; 4];
    unicode_security::skeleton(c.encode_utf8(&mut buffer)).filter(|c| !is_combining_mark(*c)).collect()
}

/// Reads digits and pairs of letters as what they pass for: `0` for `o`, `rn` for `m`. Both sides of a comparison go through
/// it, so that it may join letters that differ (`i` and `l`). Dots and hyphens stay, lengths do not.
pub(super) fn fold(text: &str, into: &mut Vec<u8>) {
    into.clear();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        let (shown, taken) = match (byte, next) {
            (b'r' | b'n', Some(b'n')) => (b'm', 2),
            (b'v', Some(b'v')) => (b'w', 2),
            (b'0', _) => (b'o', 1),
            (b'1' | b'i' | b'|' | b'!', _) => (b'l', 1),
            (b'3', _) => (b'e', 1),
            (b'4' | b'@', _) => (b'a', 1),
            (b'5' | b'$', _) => (b's', 1),
            (b'7', _) => (b't', 1),
            (b'8', _) => (b'b', 1),
            (b'9', _) => (b'g', 1),
            _ => (byte, 1),
        };
        into.push(shown);
        at += taken;
    }
}

/// Whether [`fold`] could turn it into something else than a plain reading of the letters does.
pub(super) fn is_foldable(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().any(|b| matches!(b, b'0' | b'1' | b'3' | b'4' | b'5' | b'7' | b'8' | b'9'))
        || bytes.windows(2).any(|pair| pair == b"rn" || pair == b"nn" || pair == b"vv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_other_scripts_are_what_they_look_like() {
        for (text, expected) in [
            ("аmаzоn", "amazon"),
            ("ａｍａｚｏｎ", "amazon"),
            ("𝐀𝐦𝐚𝐳𝐨𝐧", "amazon"),
            ("amàzón", "amazon"),
            ("paypaⅼ", "paypal"),
            ("ama\u{200b}zon", "amazon"),
            ("ɡoogle", "google"),
            ("Ꮮеdgеr", "ledger"),
        ] {
            assert_eq!(latin(text), expected, "{text}");
        }
    }

    #[test]
    fn digits_and_pairs_read_as_letters() {
        let mut folded = Vec::new();
        for (text, expected) in
            [("amaz0n", "amazon"), ("rnicr0s0ft", "mlcrosoft"), ("vvells", "wells"), ("a-1.b", "a-l.b")]
        {
            fold(text, &mut folded);
            assert_eq!(folded, expected.as_bytes(), "{text}");
            assert!(is_foldable(text), "{text}");
        }
        assert!(!is_foldable("milk"));
    }
}
