//! Formats that records and documents come in, recognised by holding together rather than by a name.

use encoding_rs::{EUC_JP, SHIFT_JIS};

use super::Sample;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No bytes.
    Empty,
    /// HL7 v2: `MSH|` or a batch header first, text throughout.
    Hl7,
    /// XML, JSON or HTML, text throughout.
    Markup,
    /// Text in ASCII, UTF-8, UTF-16, ISO-2022-JP, Shift_JIS or EUC-JP.
    Text,
    /// SQLite database.
    Sqlite,
    /// PDF with its trailer.
    Pdf,
    /// ZIP, with its central directory where the end was read: also office documents and archives of Java.
    Zip,
    /// gzip, bzip2, xz, zstd, lz4, zlib or 7z.
    Compressed,
    /// PNG, JPEG, GIF, TIFF, BMP or WebP.
    Image,
    /// DICOM part 10.
    Dicom,
    /// Another format with a signature: ELF, git pack, tar, sound and film.
    Other,
    /// None of these.
    Unknown,
}

/// What counts as the same structure when a program rewrites a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Any text.
    Text,
    /// A picture of any format: converting one to another is no damage.
    Image,
    /// Something packed.
    Packed,
    /// A format of its own.
    Single(Kind),
}

impl Kind {
    /// What a sample holds together as.
    pub fn of(sample: &Sample) -> Self {
        if sample.len == 0 {
            return Kind::Empty;
        }
        let head = sample.head();
        if let Some(kind) = signature(head, sample.tail()) {
            return kind;
        }
        if !sample.chunks.iter().all(|chunk| is_text(&chunk.bytes, chunk.offset == 0)) {
            return Kind::Unknown;
        }
        let start = head.trim_ascii_start();
        if ["MSH|", "FHS|", "BHS|", "\u{b}MSH|"].iter().any(|first| head.starts_with(first.as_bytes())) {
            Kind::Hl7
        } else if start.starts_with(b"<") || start.starts_with(b"{") || start.starts_with(b"[") {
            Kind::Markup
        } else {
            Kind::Text
        }
    }

    /// The family; `None` for what has no structure to lose.
    pub fn family(self) -> Option<Family> {
        match self {
            Kind::Empty | Kind::Unknown => None,
            Kind::Hl7 | Kind::Markup | Kind::Text => Some(Family::Text),
            Kind::Image => Some(Family::Image),
            Kind::Zip | Kind::Compressed => Some(Family::Packed),
            Kind::Sqlite | Kind::Pdf | Kind::Dicom | Kind::Other => Some(Family::Single(self)),
        }
    }
}

fn signature(head: &[u8], tail: &[u8]) -> Option<Kind> {
    let is = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let ends_with = |magic: &[u8]| {
        let from = tail.len().saturating_sub(1100);
        tail.is_empty()
            || tail.get(from..).is_some_and(|end| end.windows(magic.len()).any(|window| window == magic))
    };
    if is(b"SQLite format 3\0") {
        let page = head.get(16..18).map_or(0, |size| u16::from_be_bytes([size[0], size[1]]));
        return (page == 1 || (page >= 512 && page.is_power_of_two())).then_some(Kind::Sqlite);
    }
    if is(b"%PDF-") {
        return ends_with(b"%%EOF").then_some(Kind::Pdf);
    }
    if is(b"PK\x03\x04") || is(b"PK\x05\x06") {
        return ends_with(b"PK\x05\x06").then_some(Kind::Zip);
    }
    let zlib = head.len() > 2 && head[0] == 0x78 && u16::from_be_bytes([head[0], head[1]]).is_multiple_of(31);
    let packed: [&[u8]; 6] = [
        b"\x1f\x8b\x08",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"7z\xbc\xaf\x27\x1c",
    ];
    if zlib || packed.iter().any(|magic| is(magic)) {
        return Some(Kind::Compressed);
    }
    let png_has_header = is(b"\x89PNG\r\n\x1a\n") && at(12, b"IHDR");
    let jpeg_has_segment = is(b"\xff\xd8\xff") && head.get(3).is_some_and(|marker| *marker >= 0xc0);
    let webp = is(b"RIFF") && at(8, b"WEBP");
    let picture: [&[u8]; 4] = [b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"];
    if png_has_header || jpeg_has_segment || webp || picture.iter().any(|magic| is(magic)) {
        return Some(Kind::Image);
    }
    if at(128, b"DICM") {
        return Some(Kind::Dicom);
    }
    let other: [&[u8]; 7] = [b"\x7fELF", b"PACK\0\0\0", b"DIRC\0\0\0", b"\xfftOc", b"RIFF", b"OggS", b"fLaC"];
    let ole = is(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    (ole || at(257, b"ustar") || at(4, b"ftyp") || other.iter().any(|magic| is(magic))).then_some(Kind::Other)
}

/// Whether a stretch can be read as text. Unless `from_start`, it may begin inside a character, and any stretch may end in
/// one.
fn is_text(bytes: &[u8], from_start: bool) -> bool {
    if let Some(wide) = bytes.strip_prefix(b"\xff\xfe").or_else(|| bytes.strip_prefix(b"\xfe\xff")) {
        return from_start && is_utf16(wide, bytes[0] == 0xff);
    }
    if bytes.iter().any(|&byte| is_binary_control(byte)) {
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
