//! RTF: objects, what is fetched when it opens, and data exchange. Word reads nearly anything behind `{\rt`, and attackers write what
//! only Word reads, so this looks at control words and hexadecimal digits alone.

use super::bytes::{has, part, size, u32_le, until_nul};
use super::office::{self, native};
use super::values::MarkKind;
use super::walk::Walk;

/// Objects of one document.
const OBJECTS_MAX: usize = 64;
/// Characters of a field or a destination that are read.
const TEXT_MAX: usize = 2_048;

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let places: Vec<usize> = memchr::memmem::find_iter(bytes, b"\\objdata").take(OBJECTS_MAX + 1).collect();
    for (number, &at) in places.iter().enumerate() {
        if number == OBJECTS_MAX {
            walk.mark(MarkKind::NotLookedAt, "more objects than are looked at");
            break;
        }
        // One object does not lie in another: each stretch is read once.
        let end = places.get(number + 1).copied().unwrap_or(bytes.len());
        let data = hexadecimal(bytes.get(at + 8..end).unwrap_or_default(), walk.side_room());
        walk.charge(data.len());
        object(walk, &data);
    }
    if has(bytes, b"\\objupdate") || has(bytes, b"\\objautlink") {
        walk.mark(MarkKind::EmbeddedObject, "an object that is opened with the document (objupdate)");
    }
    if let Some(target) = destination(bytes, b"\\template").filter(|target| office::is_remote(target)) {
        walk.mark(MarkKind::ExternalTemplate, format!("template {target}"));
    }
    for at in memchr::memmem::find_iter(bytes, b"\\fldinst").take(OBJECTS_MAX) {
        let field = plain(bytes.get(at + 8..).unwrap_or_default());
        let upper = field.trim_start().to_ascii_uppercase();
        if upper.starts_with("DDE") {
            walk.mark(MarkKind::Dde, field.trim());
        } else if ["INCLUDETEXT", "INCLUDEPICTURE", "LINK "].iter().any(|kind| upper.starts_with(kind))
            && field.split(['"', ' ']).any(office::is_remote)
            && !upper.starts_with("INCLUDEPICTURE")
        {
            walk.mark(MarkKind::ExternalTemplate, field.trim());
        }
    }
}

/// The object behind `\objdata`: OLE 1.0, [MS-OLEDS] 2.2.
fn object(walk: &mut Walk<'_>, data: &[u8]) {
    let class = u32_le(data, 8).map(|length| part(data, 12, size(length).min(256))).unwrap_or_default();
    let class = String::from_utf8_lossy(until_nul(class)).into_owned();
    // Names of the topic and the item, then the length of the content.
    let mut at = 12 + size(u32_le(data, 8).unwrap_or_default()).min(data.len());
    for _ in 0..2 {
        at += 4 + size(u32_le(data, at).unwrap_or_default()).min(data.len());
    }
    let linked = u32_le(data, 4) == Some(1);
    let what = if linked { "a linked object" } else { "an object" };
    let shown = if class.is_empty() { "without a class" } else { &class };
    let content = part(data, at + 4, size(u32_le(data, at).unwrap_or_default()));
    if !is_harmless(&class) || linked {
        walk.mark(MarkKind::EmbeddedObject, format!("{what} ({shown})"));
    }
    if class.eq_ignore_ascii_case("package") {
        native::package(walk, content);
        return;
    }
    // Where the lengths are lies, the content still is where its first bytes are.
    let content = memchr::memmem::find(data, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
        .and_then(|at| data.get(at..))
        .unwrap_or(content);
    if !content.is_empty() {
        walk.lying("object", content);
    }
}

/// Pictures, formulas of today and tables: in every second paper.
fn is_harmless(class: &str) -> bool {
    let class = class.to_ascii_lowercase();
    [
        "excel.sheet",
        "excel.chart",
        "word.document",
        "word.picture",
        "msgraph.chart",
        "paint.picture",
        "pbrush",
        "visio.drawing",
    ]
    .iter()
    .any(|known| class.starts_with(known))
}

/// Hexadecimal digits up to the end of the group, over control words, inner groups and blanks.
fn hexadecimal(bytes: &[u8], max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut high = None;
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            b'\\' => at = behind_control(bytes, at, &mut out),
            _ => {
                let Some(digit) = (byte as char).to_digit(16) else { continue };
                match high.take() {
                    None => high = Some(digit),
                    Some(high) => out.push((high << 4 | digit) as u8),
                }
            }
        }
        if out.len() >= max {
            break;
        }
    }
    out
}

/// The place behind a control word or symbol; `\binN` has its bytes as they are.
fn behind_control(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if letters == 0 {
        return at + if rest.first() == Some(&b'\'') { 3 } else { 1 };
    }
    let digits = rest.get(letters..).unwrap_or_default();
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count().min(12);
    let mut end = at + letters + count;
    if bytes.get(end) == Some(&b' ') {
        end += 1;
    }
    if rest.starts_with(b"bin") && letters == 3 {
        let number =
            std::str::from_utf8(part(digits, 0, count)).ok().and_then(|text| text.parse::<usize>().ok());
        let content = part(bytes, end, number.unwrap_or_default());
        out.extend(content);
        end += content.len();
    }
    end
}

/// What a destination says.
fn destination(bytes: &[u8], word: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(bytes, word)?;
    Some(plain(bytes.get(at + word.len()..)?).trim().to_owned())
}

/// Text up to the end of the group, without control words and with its escapes undone.
fn plain(bytes: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at).filter(|_| out.len() < TEXT_MAX && at < 8 * TEXT_MAX) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            b'\\' => {
                let escaped = part(bytes, at, 3);
                match escaped {
                    [b'\'', high, low] => {
                        let digit = |byte: &u8| (*byte as char).to_digit(16);
                        if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                            out.push((high << 4 | low) as u8);
                        }
                        at += 3;
                    }
                    [symbol @ (b'\\' | b'{' | b'}'), ..] => {
                        out.push(*symbol);
                        at += 1;
                    }
                    // `\u104?`: a character by its number, and one for those who do not know it.
                    [b'u', first, ..] if first.is_ascii_digit() => {
                        let number: String = part(bytes, at + 1, 6)
                            .iter()
                            .take_while(|b| b.is_ascii_digit())
                            .map(|&b| b as char)
                            .collect();
                        let c = number.parse::<u32>().ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
                        out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                        at += 1 + number.len() + usize::from(bytes.get(at + 1 + number.len()).is_some());
                    }
                    _ => at = behind_control(bytes, at, &mut Vec::new()),
                }
            }
            b'\r' | b'\n' => {}
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
