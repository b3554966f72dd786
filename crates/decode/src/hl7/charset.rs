use std::borrow::Cow;

use encoding_rs::{DecoderResult, ISO_2022_JP};

use crate::DecodeError;

const ESC: u8 = 0x1b;

/// The character set that a message was read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// ASCII with JIS X 0208 by escape sequences: what SS-MIX2 prescribes.
    Iso2022Jp,
    /// MSH-18 `UNICODE UTF-8`.
    Utf8,
}

/// Decodes a whole message.
///
/// Seven-bit input is read as ISO-2022-JP whatever MSH-18 says: ASCII is part of it, and both spellings
/// (`~ISO IR87`, `~ISOIR87`) and an empty field occur. Eight-bit input must be declared as UTF-8; guessing
/// would turn an encrypted record into a readable one.
pub(super) fn decode(bytes: &[u8]) -> Result<(String, Charset), DecodeError> {
    let Some(offset) = bytes.iter().position(|byte| *byte >= 0x80) else {
        return decode_iso2022jp(bytes).map(|text| (text, Charset::Iso2022Jp));
    };
    if !declares_utf8(bytes) {
        return Err(DecodeError::Charset { offset, charset: "ISO-2022-JP" });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((text.to_owned(), Charset::Utf8)),
        Err(error) => Err(DecodeError::Charset { offset: error.valid_up_to(), charset: "UTF-8" }),
    }
}

/// Reads MSH-18 from undecoded bytes: safe here, since in UTF-8 no byte of a separator is part of another
/// character, and other eight-bit input is refused anyway.
fn declares_utf8(bytes: &[u8]) -> bool {
    let Some(separator) = bytes.get(3) else { return false };
    let header = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    // MSH-1 is the separator itself, so MSH-18 is the piece after 17 separators.
    let declared = header.split(|byte| byte == separator).nth(17).unwrap_or_default();
    declared.windows(5).any(|window| window.eq_ignore_ascii_case(b"UTF-8"))
}

fn decode_iso2022jp(bytes: &[u8]) -> Result<String, DecodeError> {
    let cleaned = without_empty_runs(bytes);
    let mut decoder = ISO_2022_JP.new_decoder_without_bom_handling();
    let capacity = decoder.max_utf8_buffer_length_without_replacement(cleaned.len()).unwrap_or(0);
    let mut text = String::with_capacity(capacity);
    let (result, read) = decoder.decode_to_string_without_replacement(&cleaned, &mut text, true);
    match result {
        DecoderResult::InputEmpty => Ok(text),
        DecoderResult::Malformed(bad, after) => {
            let offset = read.saturating_sub(usize::from(bad) + usize::from(after));
            Err(DecodeError::Charset {
                offset: offset_before_cleaning(bytes, offset),
                charset: "ISO-2022-JP",
            })
        }
        // The buffer was reserved for the worst case, so this means that its size overflowed.
        DecoderResult::OutputFull => Err(DecodeError::Charset { offset: read, charset: "ISO-2022-JP" }),
    }
}

/// Drops escape sequences that another one follows at once. Writers leave such pairs around empty strings;
/// the WHATWG decoder reports them as damage, because browsers must, and they are none here.
fn without_empty_runs(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !(0..bytes.len()).any(|at| is_empty_run(bytes, at)) {
        return Cow::Borrowed(bytes);
    }
    let mut cleaned = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if is_empty_run(bytes, at) {
            at += 3;
        } else {
            cleaned.push(*byte);
            at += 1;
        }
    }
    Cow::Owned(cleaned)
}

/// The offset in `bytes` of what stands at `offset` in the cleaned text.
fn offset_before_cleaning(bytes: &[u8], offset: usize) -> usize {
    let (mut at, mut cleaned) = (0, 0);
    while at < bytes.len() && (cleaned < offset || is_empty_run(bytes, at)) {
        if is_empty_run(bytes, at) {
            at += 3;
        } else {
            at += 1;
            cleaned += 1;
        }
    }
    at
}

fn is_empty_run(bytes: &[u8], at: usize) -> bool {
    is_escape(bytes, at) && is_escape(bytes, at.saturating_add(3))
}

fn is_escape(bytes: &[u8], at: usize) -> bool {
    matches!(
        bytes.get(at..at.saturating_add(3)),
        Some([ESC, b'$', b'B' | b'@'] | [ESC, b'(', b'B' | b'J' | b'I'])
    )
}
