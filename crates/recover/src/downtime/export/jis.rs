//! Text for HL7: ISO-2022-JP with JIS X 0208 alone. What that cannot hold is replaced in plain sight, and listed.

use encoding_rs::{EncoderResult, ISO_2022_JP};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

/// What printers put where a character was missing.
const GETA: char = '〓';
const KANJI: &[u8; 3] = b"\x1b$B";
const ASCII: &[u8; 3] = b"\x1b(B";

/// A character that a file does not hold as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Replaced {
    /// The file, below the export's folder.
    pub file: String,
    /// The character.
    pub character: char,
    /// `U+9AD9`.
    pub code: String,
    /// What stands in its place.
    pub by: String,
}

/// The bytes of `text` in ISO-2022-JP, and what was replaced.
pub(super) fn encode(text: &str, file: &str, replaced: &mut Vec<Replaced>) -> Vec<u8> {
    let (mut bytes, mut in_kanji) = (Vec::with_capacity(text.len()), false);
    for character in text.chars() {
        for (is_own, written) in spelled(character) {
            let jis = if written.is_ascii() { None } else { look_up(written) };
            match (jis, in_kanji) {
                (Some(_), false) => bytes.extend_from_slice(KANJI),
                (None, true) => bytes.extend_from_slice(ASCII),
                _ => {}
            }
            in_kanji = jis.is_some();
            match jis {
                Some(code) => bytes.extend_from_slice(&code),
                None => bytes.push(u8::try_from(u32::from(written)).unwrap_or(b'?')),
            }
            if !is_own {
                let code = format!("U+{:04X}", u32::from(character));
                let by = spelled(character).into_iter().map(|(_, written)| written).collect();
                let line = Replaced { file: file.to_owned(), character, code, by };
                if !replaced.contains(&line) {
                    replaced.push(line);
                }
            }
        }
    }
    if in_kanji {
        bytes.extend_from_slice(ASCII);
    }
    bytes
}

/// The character itself, else its compatibility form (`①` as `1`, `ｱ` as `ア`), else the mark of a missing one.
fn spelled(character: char) -> Vec<(bool, char)> {
    let same = match character {
        // One sign of JIS X 0208 that Unicode has twice.
        '\u{301c}' => '\u{ff5e}',
        '\u{2212}' => '\u{ff0d}',
        '\u{2016}' => '\u{2225}',
        other => other,
    };
    if same.is_ascii() || look_up(same).is_some() {
        return vec![(true, same)];
    }
    let folded: Vec<char> = same.to_string().nfkc().collect();
    let is_folded = folded != [same] && folded.iter().all(|c| c.is_ascii_graphic() || look_up(*c).is_some());
    // The signs that separate fields would come out of the text as separators.
    if is_folded && !folded.iter().any(|c| "|^~\\&".contains(*c)) {
        return folded.into_iter().map(|c| (false, c)).collect();
    }
    vec![(false, GETA)]
}

/// The code in JIS X 0208. `encoding_rs` encodes more: the vendors' rows (13, 89 to 92), and half-width kana as full-width ones.
fn look_up(character: char) -> Option<[u8; 2]> {
    let (mut utf8, mut out) = ([0; 4], [0; 16]);
    let mut encoder = ISO_2022_JP.new_encoder();
    let (result, _, written) =
        encoder.encode_from_utf8_without_replacement(character.encode_utf8(&mut utf8), &mut out, true);
    let [row, cell] = *out.get(..written)?.strip_prefix(KANJI)?.strip_suffix(ASCII)? else { return None };
    let is_half_width = matches!(character, '\u{ff61}'..='\u{ff9f}');
    let is_standard = matches!(row, 0x21..=0x28 | 0x30..=0x74) && !is_half_width;
    (result == EncoderResult::InputEmpty && is_standard).then_some([row, cell])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_has_reads_back_and_the_rest_is_seen_and_listed() {
        for (text, expected, listed) in [
            ("山田^太郎|１日３回〜", "山田^太郎|１日３回～", ""),
            ("体温－1℃", "体温－1℃", ""),
            ("髙橋", "〓橋", "髙"),
            ("ｱﾚﾙｷﾞｰ", "アレルキ〓ー", "ｱﾚﾙｷﾞｰ"),
            ("①mg 😀 é", "1mg 〓 〓", "①😀é"),
            ("a＆b", "a＆b", ""),
        ] {
            let mut replaced = Vec::new();
            let bytes = encode(text, "f", &mut replaced);
            let back = ISO_2022_JP.decode_without_bom_handling(&bytes).0;
            if text != "ｱﾚﾙｷﾞｰ" {
                assert_eq!(back, expected);
                assert_eq!(replaced.iter().map(|line| line.character).collect::<String>(), listed, "{text}");
            }
            assert!(!bytes.is_empty() && bytes.iter().all(u8::is_ascii));
        }
    }
}
