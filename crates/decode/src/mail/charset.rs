//! Bytes of a mail as text: by the charset that is declared, and by what the bytes look like where none is or it cannot be.

use std::borrow::Cow;

use encoding_rs::{EUC_JP, Encoding, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};
use memchr::{memchr, memmem};

/// How many bytes are tried when a charset is guessed.
const SAMPLE: usize = 4096;

/// The text, and whether the charset is unknown or the bytes are not in it.
pub(super) fn decode(bytes: &[u8], label: &str) -> (String, bool) {
    if says_nothing(label) {
        return (guess(bytes), false);
    }
    let escape = memchr(0x1b, bytes).is_some();
    if bytes.is_ascii() && !escape && is_superset_of_ascii(label) {
        return (lossy(bytes).into_owned(), false);
    }
    match named(label) {
        None => match mail_parser::decoders::charsets::map::charset_decoder(label.as_bytes()) {
            Some(decoder) => (decoder(bytes), false),
            None => (guess(bytes), true),
        },
        Some(encoding) if encoding == ISO_2022_JP => iso_2022_jp(bytes),
        Some(encoding) => {
            if escape && bytes.is_ascii() && has_japanese_escapes(bytes) {
                return (iso_2022_jp(bytes).0, true);
            }
            let (text, damaged) = encoding.decode_without_bom_handling(bytes);
            if !damaged {
                return (text.into_owned(), false);
            }
            // One cut character leaves the declared charset the best reading.
            let other = if encoding == UTF_8 { high(bytes) } else { other_than(encoding, bytes) };
            (other.unwrap_or_else(|| text.into_owned()), true)
        }
    }
}

/// The text of bytes of which nothing is declared: headers with raw 8-bit characters, bodies without a Content-Type.
pub(super) fn guess(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        if memchr(0x1b, bytes).is_some() && has_japanese_escapes(bytes) {
            return iso_2022_jp(bytes).0;
        }
        return match restore_escapes(bytes, Evidence::Kana) {
            Some(restored) => iso_2022_jp(&restored).0,
            None => lossy(bytes).into_owned(),
        };
    }
    high(bytes).unwrap_or_else(|| WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
}

/// As UTF-8, looked at in one go where it is sound: the standard's lossy reading goes byte by byte.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Bytes beyond ASCII, as UTF-8 or a Japanese charset, where they read as one.
fn high(bytes: &[u8]) -> Option<String> {
    // UTF-8 first: damaged in a place or two it would read as Shift_JIS full of kana.
    mostly_utf8(bytes).or_else(|| Some(japanese(bytes)?.decode_without_bom_handling(bytes).0.into_owned()))
}

/// UTF-8, cut or damaged in a few places at most.
fn mostly_utf8(bytes: &[u8]) -> Option<String> {
    let text = lossy(bytes);
    if let Cow::Borrowed(sound) = text {
        return Some(sound.to_owned());
    }
    let (broken, wide) =
        text.chars().filter(|c| !c.is_ascii()).take(SAMPLE).fold((0, 0), |(broken, wide), c| {
            (broken + usize::from(c == char::REPLACEMENT_CHARACTER), wide + 1)
        });
    (broken * 4 <= wide).then(|| text.into_owned())
}

fn named(label: &str) -> Option<&'static Encoding> {
    let found = match label {
        "utf8mb4" | "utf_8" | "utf-8mb4" => Some(UTF_8),
        "iso-2022-jp-1" | "iso-2022-jp-2" | "iso-2022-jp-3" | "iso-2022-jp-ms" | "iso2022-jp"
        | "iso2022jp" | "cp50220" | "cp50221" | "cp50222" | "jis" => Some(ISO_2022_JP),
        "cp932" | "ms_kanji" | "shift_jisx0213" | "shift_jis-2004" | "x-ms-cp932" | "cp943" | "cp943c" => {
            Some(SHIFT_JIS)
        }
        "eucjp" | "euc_jp" | "ujis" | "eucjp-ms" | "eucjp-win" | "cp51932" => Some(EUC_JP),
        _ => Encoding::for_label(label.as_bytes()),
    };
    // `for_label` knows names whose bytes must not be decoded at all.
    found.filter(|encoding| encoding.name() != "replacement")
}

/// Labels that the standard reads as windows-1252; who wrote them mostly did not know what they wrote.
fn says_nothing(label: &str) -> bool {
    matches!(
        label,
        "" | "us-ascii"
            | "ascii"
            | "ansi_x3.4-1968"
            | "unknown"
            | "unknown-8bit"
            | "x-unknown"
            | "default"
            | "8bit"
            | "7bit"
            | "binary"
            | "none"
            | "_autodetect"
            | "x-user-defined"
    )
}

fn is_superset_of_ascii(label: &str) -> bool {
    !["utf-7", "utf7", "utf-16", "utf16", "2022", "hz-", "cp5022", "jis"]
        .iter()
        .any(|other| label.contains(other))
}

/// ISO-2022-JP as it arrives: with its escapes, without them, or as some other Japanese charset under its name.
fn iso_2022_jp(bytes: &[u8]) -> (String, bool) {
    if !bytes.is_ascii() {
        let (text, damaged) = ISO_2022_JP.decode_without_bom_handling(bytes);
        let text = if damaged { high(bytes).unwrap_or_else(|| text.into_owned()) } else { text.into_owned() };
        return (text, true);
    }
    if memchr(0x1b, bytes).is_none() {
        return match restore_escapes(bytes, Evidence::Declared) {
            Some(restored) => (ISO_2022_JP.decode_without_bom_handling(&restored).0.into_owned(), true),
            None => (lossy(bytes).into_owned(), false),
        };
    }
    let (text, damaged) = ISO_2022_JP.decode_without_bom_handling(bytes);
    if !damaged {
        return (text.into_owned(), false);
    }
    // The standard takes empty stretches for an attack on browsers; old mail programs and joined words are full of them.
    let bytes = without_empty_stretches(bytes);
    let (text, damaged) = ISO_2022_JP.decode_without_bom_handling(&bytes);
    if !damaged {
        return (text.into_owned(), false);
    }
    // A line that ends inside of Kanji must not spoil those after it: mail programs begin anew with each line.
    let mut text = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let inner = line.trim_ascii_end();
        text.push_str(&ISO_2022_JP.decode_without_bom_handling(inner).0);
        text.push_str(&lossy(&line[inner.len()..]));
    }
    (text, true)
}

/// Without escapes that another one follows at once.
fn without_empty_stretches(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr(0x1b, rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let length = escape.len().min(3);
        if escape.get(3) != Some(&0x1b) {
            out.extend_from_slice(&escape[..length]);
        }
        rest = &escape[length..];
    }
    out.extend_from_slice(rest);
    out
}

/// Another charset that reads well where the declared one does not.
fn other_than(declared: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let sound = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let japanese = || japanese(bytes).filter(|other| *other != declared);
    sound.or_else(|| Some(japanese()?.decode_without_bom_handling(bytes).0.into_owned()))
}

fn has_japanese_escapes(bytes: &[u8]) -> bool {
    [&b"\x1b$B"[..], b"\x1b$@", b"\x1b(J", b"\x1b(I", b"\x1b$(D"]
        .iter()
        .any(|escape| memmem::find(bytes, escape).is_some())
}

/// Shift_JIS or EUC-JP, where the bytes read well as one of them: kana are what tells them from Western text.
fn japanese(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let high = sample.iter().filter(|byte| !byte.is_ascii()).count();
    let dense = high * 10 >= sample.iter().filter(|byte| !byte.is_ascii_whitespace()).count() * 4;
    let scored = [SHIFT_JIS, EUC_JP].map(|encoding| (score(sample, encoding, dense), encoding));
    let best = if scored[1].0 > scored[0].0 { scored[1] } else { scored[0] };
    (best.0 > 0).then_some(best.1)
}

/// Above zero where the bytes are likely this encoding.
fn score(sample: &[u8], encoding: &'static Encoding, dense: bool) -> i64 {
    let (text, _) = encoding.decode_without_bom_handling(sample);
    let (mut kana, mut kanji, mut odd) = (0i64, 0i64, 0i64);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        match c {
            '\u{3041}'..='\u{30fe}'
            | '\u{3000}'..='\u{3002}'
            | '\u{ff01}'..='\u{ff5e}'
            | '「'
            | '」'
            | '【'
            | '】' => kana += 1,
            '\u{4e00}'..='\u{9fff}' => kanji += 1,
            // Half-width kana are what any Western letter becomes, private characters what nobody writes.
            char::REPLACEMENT_CHARACTER | '\u{e000}'..='\u{f8ff}' => odd += 4,
            '\u{ff61}'..='\u{ff9f}' => odd += 1,
            _ => odd += 1,
        }
    }
    // A sample may end in the middle of a character.
    let odd = (odd - 4).max(0);
    // Cyrillic reads as Kanji of EUC-JP, so that needs kana; Shift_JIS would have broken on it.
    let counts = dense && (kana > 0 || encoding == SHIFT_JIS);
    let evidence = if counts { kana * 3 + kanji } else { kana * 3 };
    evidence - odd * 3
}

/// What speaks for ISO-2022-JP whose escape characters were lost on the way (`$B$3$l(B`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// The header says so.
    Declared,
    /// The text must prove it by itself: most of what is restored must be kana.
    Kana,
}

/// The bytes with their escape characters back, where something reads as if they had been lost.
fn restore_escapes(bytes: &[u8], evidence: Evidence) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut from, mut at, mut kana, mut wide) = (0, 0, 0usize, 0usize);
    // Without a closing escape there is none further on either.
    while let Some(open) = memchr(b'$', &bytes[at..]).map(|found| at + found) {
        at = open + 1;
        if !matches!(bytes.get(open + 1), Some(b'B' | b'@')) {
            continue;
        }
        let body = open + 2;
        let length = bytes[body..].iter().take_while(|byte| (0x21..=0x7e).contains(*byte)).count();
        let run = &bytes[body..body + length];
        let close = [b"(B", b"(J"].into_iter().filter_map(|mark| even_find(run, mark)).min();
        let Some(close) = close.filter(|&close| close > 0) else {
            at = body + length;
            continue;
        };
        let inner = &run[..close];
        kana += inner.chunks_exact(2).filter(|pair| matches!(pair[0], b'$' | b'%')).count();
        wide += close / 2;
        out.extend_from_slice(&bytes[from..open]);
        out.push(0x1b);
        out.extend_from_slice(&bytes[open..body + close]);
        out.push(0x1b);
        from = body + close;
        at = from + 2;
    }
    let proven = evidence == Evidence::Declared || (kana >= 2 && kana * 3 >= wide);
    if out.is_empty() || !proven {
        return None;
    }
    out.extend_from_slice(&bytes[from..]);
    Some(out)
}

/// Where `mark` stands between two characters of two bytes.
fn even_find(run: &[u8], mark: &[u8; 2]) -> Option<usize> {
    run.chunks_exact(2).position(|pair| pair == mark).map(|pairs| pairs * 2)
}
