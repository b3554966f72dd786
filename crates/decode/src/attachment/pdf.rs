//! PDF: what starts when it opens. A scan of names, also of those in packed object streams, not a reader of PDF: broken references
//! and several versions in one file, with which readers differ, do not matter to it.

use super::bytes::{find, has, part};
use super::unpack::{self, End};
use super::values::MarkKind;
use super::walk::Walk;

/// Streams that are unpacked.
const STREAMS_MAX: usize = 2_000;
/// Strings that are read.
const STRINGS_MAX: usize = 10_000;
/// Bytes of a dictionary before its stream.
const DICTIONARY_MAX: usize = 4_096;

/// What was seen.
#[derive(Default)]
struct Seen {
    opens: bool,
    additional: bool,
    script: bool,
    /// Scripts that do more than what Acrobat puts into fields for dates and numbers.
    own_script: bool,
    launch: Option<String>,
    files: Vec<String>,
    embedded: bool,
    flash: bool,
    encrypted: bool,
    strings: usize,
    pages: bool,
    /// Packed objects, and how many of them could be read.
    packed: usize,
    unpacked: usize,
}

impl Seen {
    /// The string that a value is, as long as not too many were read.
    fn literal(&mut self, value: &[u8]) -> Option<String> {
        self.strings += 1;
        if self.strings > STRINGS_MAX { None } else { literal(value) }
    }
}

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    let mut seen = Seen::default();
    let mut at = 0;
    let mut streams = 0;
    while let Some((start, end)) = stream(bytes, at) {
        let outside = bytes.get(at..start).unwrap_or_default();
        scan(outside, &mut seen);
        let dictionary = part(outside, outside.len().saturating_sub(DICTIONARY_MAX), DICTIONARY_MAX);
        let dictionary = names_undone(after_last(dictionary, b"obj"));
        streams += 1;
        if streams > STREAMS_MAX || walk.side_room() == 0 {
            walk.mark(MarkKind::NotLookedAt, "more streams than are unpacked");
            scan(bytes.get(start..).unwrap_or_default(), &mut seen);
            break;
        }
        inside(walk, &dictionary, bytes.get(start..end).unwrap_or_default(), &mut seen);
        at = end;
    }
    if streams <= STREAMS_MAX {
        scan(bytes.get(at..).unwrap_or_default(), &mut seen);
    }
    tell(walk, &seen);
}

/// Where the next stream begins and ends.
fn stream(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut search = from;
    loop {
        let at = search + find(bytes.get(search..)?, b"stream")?;
        search = at + 6;
        let before = part(bytes, at.saturating_sub(3), 3.min(at));
        if before == b"end" {
            continue;
        }
        // The word is followed by the end of its line.
        let start = match part(bytes, at + 6, 2) {
            b"\r\n" => at + 8,
            [b'\n' | b'\r', ..] => at + 7,
            _ => continue,
        };
        let length = find(bytes.get(start..)?, b"endstream");
        return Some((start, length.map_or(bytes.len(), |length| start + length)));
    }
}

fn inside(walk: &mut Walk<'_>, dictionary: &[u8], content: &[u8], seen: &mut Seen) {
    let flate = has(dictionary, b"/FlateDecode") || has(dictionary, b"/Fl ") || has(dictionary, b"/Fl/");
    let objects = has(dictionary, b"/ObjStm");
    let file = has(dictionary, b"/EmbeddedFile");
    // A script may stand in a stream of its own; pictures and pages are not unpacked.
    let short = content.len() <= 64 << 10 && !has(dictionary, b"/Image") && !has(dictionary, b"/Font");
    seen.packed += usize::from(objects);
    if file {
        seen.embedded = true;
        walk.packed("embedded file", |max| {
            if flate {
                return unpack::zlib(content, max);
            }
            let end = if content.len() > max { End::Bound } else { End::Whole };
            unpack::Unpacked { bytes: part(content, 0, max).to_vec(), end, consumed: content.len() }
        });
    } else if flate && (objects || short) {
        let got = unpack::zlib(content, walk.side_room());
        walk.charge(got.bytes.len());
        if objects {
            if got.bytes.is_empty() {
                return;
            }
            seen.unpacked += 1;
            scan(&got.bytes, seen);
        } else if is_script(&got.bytes) {
            seen.own_script = true;
        }
    } else if is_script(part(content, 0, 64 << 10)) && !flate {
        seen.own_script = true;
    }
}

/// Whether a stream reads as JavaScript for Acrobat.
fn is_script(content: &[u8]) -> bool {
    [
        &b"app.launchURL"[..],
        b"exportDataObject",
        b"this.getField",
        b"util.printf",
        b"unescape(",
        b"eval(",
        b"Collab.",
    ]
    .iter()
    .any(|word| has(content, word))
}

/// Notes the names in a stretch outside of streams.
fn scan(bytes: &[u8], seen: &mut Seen) {
    let text = names_undone(bytes);
    let mut rest = &text[..];
    while let Some(at) = memchr::memchr(b'/', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| !b" \t\r\n\0\x0c/()<>[]{}%".contains(byte)).count();
        let name = part(rest, 0, length);
        rest = rest.get(length..).unwrap_or_default();
        match name {
            b"OpenAction" => seen.opens = true,
            b"AA" => seen.additional = true,
            b"JavaScript" => seen.script = true,
            b"JS" => {
                seen.script = true;
                let script = seen.literal(rest);
                // Formats of fields, as Acrobat itself writes them.
                seen.own_script |=
                    !script.is_some_and(|script| script.is_empty() || script.starts_with("AF"));
            }
            b"Launch" => {
                let read = seen.strings < STRINGS_MAX;
                seen.strings += 1;
                let program = if read { launched(rest) } else { None };
                seen.launch = program.or(seen.launch.take()).or(Some(String::new()));
            }
            b"EmbeddedFile" | b"EmbeddedFiles" => seen.embedded = true,
            b"UF" | b"F" => {
                if let Some(file) =
                    seen.literal(rest).filter(|file| file.contains('.') && !file.contains("://"))
                    && seen.files.len() < 8
                    && !seen.files.contains(&file)
                {
                    seen.files.push(file);
                }
            }
            b"RichMedia" => seen.flash = true,
            b"Encrypt" => seen.encrypted = true,
            b"Page" | b"Pages" => seen.pages = true,
            _ => {}
        }
    }
}

fn tell(walk: &mut Walk<'_>, seen: &Seen) {
    if let Some(program) = &seen.launch {
        walk.mark(MarkKind::PdfAction, format!("/Launch {program}").trim());
    }
    if seen.script && seen.own_script {
        let starts = if seen.opens {
            "/OpenAction "
        } else if seen.additional {
            "/AA "
        } else {
            ""
        };
        // Scripts by name, which every reader runs when it opens the file, hang on no action.
        walk.mark(MarkKind::PdfAction, format!("{starts}/JavaScript"));
    }
    if seen.embedded {
        walk.mark(MarkKind::PdfAction, format!("/EmbeddedFile {}", seen.files.join(", ")).trim());
        for file in &seen.files {
            let extension = super::name::extension(file);
            if super::name::is_program(&extension) || super::name::is_script(&extension) {
                walk.mark(MarkKind::EmbeddedObject, file);
            }
        }
    }
    if seen.flash {
        walk.mark(MarkKind::PdfAction, "/RichMedia");
    }
    if seen.encrypted && (seen.packed > seen.unpacked || !seen.pages) {
        walk.mark(MarkKind::Encrypted, "its objects could not be read");
    }
}

/// What a launch starts: the file of its dictionary, with parameters.
fn launched(rest: &[u8]) -> Option<String> {
    let near = part(rest, 0, 512);
    let mut said = Vec::new();
    for key in [&b"/F"[..], b"/P"] {
        let after = memchr::memmem::find_iter(near, key).find_map(|at| literal(near.get(at + 2..)?));
        said.extend(after);
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// The string that a value is, if it is one: `(…)` or `<hex>`.
fn literal(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.trim_ascii_start();
    let raw = match bytes.first()? {
        b'(' => {
            let mut depth = 0_u32;
            let mut out = Vec::new();
            let mut escaped = false;
            for &byte in bytes.iter().take(1_024) {
                match byte {
                    _ if escaped => {
                        out.push(byte);
                        escaped = false;
                    }
                    b'\\' => escaped = true,
                    b'(' if depth == 0 => depth = 1,
                    b'(' => {
                        depth += 1;
                        out.push(byte);
                    }
                    b')' if depth <= 1 => break,
                    b')' => {
                        depth -= 1;
                        out.push(byte);
                    }
                    _ => out.push(byte),
                }
            }
            out
        }
        b'<' if bytes.get(1) != Some(&b'<') => {
            let digits: Vec<u32> = bytes
                .iter()
                .skip(1)
                .take(1_024)
                .take_while(|&&byte| byte != b'>')
                .filter_map(|&byte| (byte as char).to_digit(16))
                .collect();
            digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
        }
        _ => return None,
    };
    Some(match &raw[..] {
        [0xfe, 0xff, rest @ ..] => super::bytes::utf16_be(rest),
        _ => super::bytes::name(&raw),
    })
}

/// `/J#61vaScript` as `/JavaScript`.
fn names_undone(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'#', rest) {
        out.extend(part(rest, 0, at));
        let digit = |place: usize| rest.get(at + place).and_then(|&byte| (byte as char).to_digit(16));
        let (byte, used) = match (digit(1), digit(2)) {
            (Some(high), Some(low)) => ((high << 4 | low) as u8, 3),
            _ => (b'#', 1),
        };
        out.push(byte);
        rest = rest.get(at + used..).unwrap_or_default();
    }
    out.extend(rest);
    out
}

fn after_last<'b>(bytes: &'b [u8], word: &[u8]) -> &'b [u8] {
    let at = memchr::memmem::rfind(bytes, word).map_or(0, |at| at + word.len());
    bytes.get(at..).unwrap_or_default()
}
