//! Documents of extended storage: texts are shown, other files are named.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use decode::hl7::MAX_BYTES;
use decode::ssmix2::LocatedDocument;
use encoding_rs::{ISO_2022_JP, SHIFT_JIS};

use super::model::{Item, Note, Provenance, Unread};
use super::source::Source;
use crate::Error;

/// Longest document that is read as text.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
/// No file is larger.
const SIZE_MAX: u64 = 1 << 50;
/// Longest text that a chart carries of one document.
const TEXT_CHARS_MAX: usize = 20_000;

/// Reads a patient's documents, newest first.
pub(super) fn notes(
    source: &Source<'_>,
    documents: Vec<(PathBuf, LocatedDocument)>,
    unread: &mut Vec<Unread>,
) -> Vec<Item<Note>> {
    let mut notes = Vec::new();
    for (path, document) in documents {
        match source.read(&path) {
            // Named with its size next to what could be read; what it says stays in the restored file.
            Err(Error::TooLarge { .. }) => notes.push(too_long(source, &path, &document)),
            Ok(bytes) if bytes.len() > MAX_BYTES => notes.push(too_long(source, &path, &document)),
            Ok(bytes) => match note(&path, &document, &bytes) {
                Ok(note) => notes.push(note),
                Err(cause) => unread.push(Unread::because(&path, &document.kind.name, cause)),
            },
            Err(error) => unread.push(Unread::new(&path, &document.kind.name, &error)),
        }
    }
    notes.sort_by_key(|note| Reverse((note.value.date, note.from.recorded_at)));
    notes
}

/// A document that is larger than anything that is read.
fn too_long(source: &Source<'_>, path: &Path, document: &LocatedDocument) -> Item<Note> {
    item(path, document, None, size(source, path))
}

/// The length of a file by looking for its end, since sources know no sizes.
fn size(source: &Source<'_>, path: &Path) -> u64 {
    let reaches = |offset: u64| source.read_part(path, offset, 1).is_ok_and(|part| !part.is_empty());
    let mut beyond = MAX_BYTES as u64;
    while beyond < SIZE_MAX && reaches(beyond) {
        beyond *= 2;
    }
    let mut within = beyond / 2;
    while within + 1 < beyond {
        let middle = within + (beyond - within) / 2;
        if reaches(middle) { within = middle } else { beyond = middle }
    }
    beyond
}

fn note(path: &Path, document: &LocatedDocument, bytes: &[u8]) -> Result<Item<Note>, &'static str> {
    let text = (bytes.len() <= TEXT_BYTES_MAX).then(|| decoded(bytes)).flatten();
    if text.is_none() && is_text_by_name(path) && bytes.len() <= TEXT_BYTES_MAX {
        return Err("its name is a text's and its content is none");
    }
    let text = text.map(|text| shortened(&plain(&text)));
    Ok(item(path, document, text, bytes.len() as u64))
}

fn item(path: &Path, document: &LocatedDocument, text: Option<String>, bytes: u64) -> Item<Note> {
    let name = &document.name;
    let value = Note {
        kind: if document.kind.name.is_empty() { &document.kind.code } else { &document.kind.name }.clone(),
        standard_code: document.kind.standard_code.clone(),
        date: name.care_date.or_else(|| name.recorded_at().map(|at| at.date())),
        text,
        bytes,
    };
    let from = Provenance {
        path: path.display().to_string(),
        part: None,
        recorded_at: name.recorded_at(),
        other_patient: None,
    };
    Item { value, from }
}

fn is_text_by_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["txt", "xml", "html", "htm", "csv", "md"].iter().any(|text| extension.eq_ignore_ascii_case(text))
}

/// UTF-8, ISO-2022-JP or Shift_JIS; `None` for what is no text in any of them.
pub(super) fn decoded(bytes: &[u8]) -> Option<String> {
    let is_binary = |byte: &u8| matches!(byte, 0..=0x08 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    if bytes.iter().any(is_binary) {
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0x1b) {
        return ISO_2022_JP
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(|text| text.into_owned());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => {
            SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
        }
    }
}

/// Markup (CDA, HTML) without its tags: each tag becomes a gap, each run of gaps one line end.
pub(super) fn plain(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.trim().to_owned();
    }
    let mut lines: Vec<String> = Vec::new();
    for piece in text.split('<') {
        let content = piece.split_once('>').map_or("", |(_, content)| content);
        let words = content.split_whitespace().collect::<Vec<_>>().join(" ");
        if !words.is_empty() {
            lines.push(words);
        }
    }
    let text = lines.join("\n");
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    entities.into_iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_in_every_usual_encoding_are_read() {
        let text = "ダイエット指導。BP 120/80";
        for bytes in [
            text.as_bytes().to_vec(),
            ISO_2022_JP.encode(text).0.into_owned(),
            SHIFT_JIS.encode(text).0.into_owned(),
        ] {
            assert_eq!(decoded(&bytes).as_deref(), Some(text));
        }
        assert_eq!(decoded(b"%PDF\x00\x01"), None);
    }

    #[test]
    fn markup_is_left_out_and_its_text_kept() {
        let cda = "<?xml version=\"1.0\"?><doc><title>経過記録</title>\n<p>S: 咳 &lt; 3日</p></doc>";
        assert_eq!(plain(cda), "経過記録\nS: 咳 < 3日");
    }
}
