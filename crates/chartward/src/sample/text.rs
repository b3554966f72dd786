//! HL7 messages as bytes: ISO-2022-JP, one CR after each segment.

use std::fmt::{self, Write};

use encoding_rs::{EncoderResult, ISO_2022_JP};

/// Entering and leaving JIS X 0208.
const KANJI: &[u8; 3] = b"\x1b$B";
const ASCII: &[u8; 3] = b"\x1b(B";

const UNKNOWN: u16 = 0;

/// A message under construction, used again for the next one so that no buffer is allocated per file.
///
/// It remembers the code of every character it has met: asking `encoding_rs` costs a linear search per kanji, which
/// over a hospital's files would take longer than everything else together.
pub(super) struct Message {
    bytes: Vec<u8>,
    in_kanji: bool,
    /// JIS code by Unicode scalar, for the basic plane.
    known: Vec<u16>,
}

impl Message {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(16 * 1024), in_kanji: false, known: vec![UNKNOWN; 0x1_0000] }
    }

    /// Starts over with an empty message.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.in_kanji = false;
    }

    /// Appends one segment and its CR. Fails on a character that JIS X 0208 does not have.
    pub(super) fn segment(&mut self, line: fmt::Arguments<'_>) -> fmt::Result {
        self.write_fmt(line)?;
        self.write_char('\r')
    }

    /// The message in ISO-2022-JP. Complete after any `segment`, since a CR is ASCII.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn jis(&mut self, character: char) -> Option<u16> {
        let slot = self.known.get_mut(character as usize)?;
        if *slot == UNKNOWN {
            *slot = look_up(character)?;
        }
        Some(*slot)
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character.is_ascii() {
                if self.in_kanji {
                    self.bytes.extend_from_slice(ASCII);
                    self.in_kanji = false;
                }
                self.bytes.push(character as u8);
                continue;
            }
            let jis = self.jis(character).ok_or(fmt::Error)?;
            if !self.in_kanji {
                self.bytes.extend_from_slice(KANJI);
                self.in_kanji = true;
            }
            self.bytes.extend_from_slice(&jis.to_be_bytes());
        }
        Ok(())
    }
}

/// The JIS X 0208 code of `character`, or `None` where the standard has none. `encoding_rs` encodes more than that: the
/// vendors' rows (13, 89 to 92), and half-width katakana as their full-width cousins, which would not read back.
fn look_up(character: char) -> Option<u16> {
    let mut utf8 = [0; 4];
    let mut out = [0; 16];
    let mut encoder = ISO_2022_JP.new_encoder();
    let (result, _, written) =
        encoder.encode_from_utf8_without_replacement(character.encode_utf8(&mut utf8), &mut out, true);
    let encoded = out.get(..written)?;
    let [row, cell] = *encoded.strip_prefix(KANJI)?.strip_suffix(ASCII)? else { return None };
    let is_standard = matches!(row, 0x21..=0x28 | 0x30..=0x74);
    let (back, _) = ISO_2022_JP.decode_without_bom_handling(encoded);
    let is_same = back.chars().eq([character]);
    (result == EncoderResult::InputEmpty && is_standard && is_same).then(|| u16::from_be_bytes([row, cell]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Option<Vec<u8>> {
        let mut message = Message::new();
        message.segment(format_args!("{text}")).ok()?;
        Some(message.bytes().to_vec())
    }

    #[test]
    fn text_reads_back_and_every_segment_ends_in_ascii() {
        for text in ["MSH|^~\\&|HIS", "山田^太郎^^^^^L^I~ヤマダ^タロウ", "１日３回", "ー・、。", "a亜b亜"]
        {
            let bytes = encoded(text).expect("encodable");
            assert_eq!(ISO_2022_JP.decode_without_bom_handling(&bytes).0, format!("{text}\r"));
            assert_eq!(bytes.last(), Some(&b'\r'));
        }
        assert_eq!(encoded("日a").expect("encodable"), b"\x1b$BF|\x1b(Ba\r");
    }

    #[test]
    fn what_jis_x_0208_does_not_have_is_refused_not_replaced() {
        for text in ["①", "髙橋", "é", "😀", "㎎", "ｱ"] {
            assert_eq!(encoded(text), None, "{text}");
        }
    }
}
