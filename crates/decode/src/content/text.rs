//! Texts in the encodings that records and documents come in.

use encoding_rs::{EUC_JP, SHIFT_JIS};

use super::Sample;

/// Long stretches are looked at in pieces, so that what is decoded stays small.
const PIECE: usize = 64 * 1024;

/// Whether everything that was read is text.
pub(super) fn is_text(sample: &Sample) -> bool {
    let head = sample.head();
    if let Some(little) = byte_order(head) {
        let pieces = sample.chunks.iter().flat_map(|chunk| chunk.bytes.chunks(PIECE));
        return pieces.enumerate().all(|(at, piece)| {
            let units = if at == 0 { piece.get(2..).unwrap_or_default() } else { piece };
            is_utf16(units, little)
        });
    }
    sample.chunks.iter().all(|chunk| {
        let mut pieces = chunk.bytes.chunks(PIECE).enumerate();
        pieces.all(|(at, piece)| is_text_piece(piece, at == 0 && chunk.offset == 0))
    })
}

/// Whether a mark at the start says UTF-16, and in which order.
fn byte_order(head: &[u8]) -> Option<bool> {
    match head.get(..2)? {
        b"\xff\xfe" => Some(true),
        b"\xfe\xff" => Some(false),
        _ => None,
    }
}

/// Whether a stretch can be read as text. Unless `from_start`, it may begin inside a character, and any stretch may end in
/// one.
fn is_text_piece(bytes: &[u8], from_start: bool) -> bool {
    // Counted rather than searched: the whole of a text has to be looked at anyway, and counting is done many bytes at a time.
    if bytes.iter().filter(|&&byte| is_binary_control(byte)).count() > 0 {
        return false;
    }
    if bytes.is_ascii() {
        return true;
    }
    let skips = if from_start { 0..1 } else { 0..4 };
    skips.filter_map(|skip| bytes.get(skip..)).any(|bytes| is_utf8(bytes) || is_japanese(bytes))
}

/// Controls that no text has; ESC, SO and SI switch character sets, FS to US separate fields.
fn is_binary_control(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x10..=0x19 | 0x7f)
}

fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character cut off at the end of the sample.
        Err(error) => error.error_len().is_none() && bytes.len() - error.valid_up_to() < 4,
    }
}

/// Shift_JIS and EUC-JP: decodable, and mostly characters that people write. Noise decodes now and then when it is short,
/// but then into rare kanji and half-width katakana all over.
fn is_japanese(bytes: &[u8]) -> bool {
    [SHIFT_JIS, EUC_JP].iter().any(|encoding| {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let mut text = String::with_capacity(bytes.len() * 3 + 16);
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, false);
        if result != encoding_rs::DecoderResult::InputEmpty {
            return false;
        }
        let all = text.chars().count();
        let common = text
            .chars()
            .filter(|&c| c.is_ascii() || matches!(c, '\u{3000}'..='\u{30ff}' | '\u{ff01}'..='\u{ff5e}'))
            .count();
        all > 0 && common * 3 >= all
    })
}

fn is_utf16(bytes: &[u8], little: bool) -> bool {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    });
    let (mut all, mut plausible) = (0usize, 0usize);
    for unit in units {
        all += 1;
        plausible += usize::from(
            matches!(unit, 0x09 | 0x0a | 0x0d | 0x20..=0x7e | 0x3000..=0x30ff | 0x4e00..=0x9fff | 0xff01..=0xff9f),
        );
    }
    plausible * 10 >= all * 8
}
