//! What names tell: a suffix that was not there, one that a known family leaves, a note to the victim.
//!
//! Names alone never stop anybody; they only lower how much evidence in the contents is enough.

use std::ffi::OsStr;
use std::path::Path;

/// GandCrab 1 to 4, Phobos and its variants, and families that have struck hospitals. Lower case, without the dot.
const FAMILY_SUFFIXES: [&str; 28] = [
    "gdcb", "crab", "krab", "phobos", "phoenix", "actin", "banta", "acute", "isos", "eking", "elbie",
    "faust", "8base", "mamba", "lockbit", "ryk", "ryuk", "conti", "hive", "locky", "wncry", "wcry",
    "wannacry", "cerber", "zepto", "blackcat", "akira", "medusa",
];

/// Parts of file names that notes have had; a note also has to be a text that people open.
const NOTE_WORDS: [&str; 14] = [
    "decrypt", "readme", "read_me", "read-me", "recover", "restore", "how_to", "how-to", "howto", "ransom",
    "help_", "_help", "!!!", "unlock",
];
const NOTE_SUFFIXES: [&str; 5] = ["txt", "html", "htm", "hta", "rtf"];

/// What became of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Renaming {
    pub(crate) suffix_added: bool,
    pub(crate) suffix_known: bool,
    /// A number for the added suffix; 0 for none.
    pub(crate) suffix: u32,
}

/// Compares the name that a file had with the one it has.
pub(crate) fn renaming(before: &Path, now: &Path) -> Renaming {
    let (Some(old), Some(new)) = (file_name(before), file_name(now)) else { return Renaming::default() };
    if old == new {
        return Renaming::default();
    }
    let appended = new.strip_prefix(old.as_str()).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1);
    let suffix = suffix(&new);
    let suffix_added = appended || (suffix.is_some() && suffix != self::suffix(&old));
    let added = suffix.filter(|_| suffix_added);
    Renaming {
        suffix_added,
        suffix_known: suffix_added && is_family_suffix(&new),
        suffix: added.map_or(0, number),
    }
}

/// A name that a known family gives: by suffix, or in the manner of Phobos, `name.id[1E857D00-2822].[mail].eking`.
pub(crate) fn is_family_suffix(name: &str) -> bool {
    suffix(name).is_some_and(|suffix| FAMILY_SUFFIXES.contains(&suffix)) || is_phobos(name)
}

/// Whether a new file is named like a note.
pub(crate) fn is_note(path: &Path) -> bool {
    let Some(name) = file_name(path) else { return false };
    let is_phobos_note = name == "info.txt" || name == "info.hta";
    let is_text = suffix(&name).is_none_or(|suffix| NOTE_SUFFIXES.contains(&suffix));
    is_phobos_note || (is_text && NOTE_WORDS.iter().any(|word| name.contains(word)))
}

/// Whether one of the two would say so.
pub(crate) fn may_be_note(path: &Path) -> bool {
    is_note(path) || note_suffix(path) != 0
}

/// A number for the suffix that a note is named after, as GandCrab 5 does (`XKCDA-DECRYPT.txt`, `XKCDA-MANUAL.txt` beside
/// `chart.pdf.xkcda`); 0 for a file that is named after none. The same number as in [`Renaming`].
pub(crate) fn note_suffix(path: &Path) -> u32 {
    let Some(name) = file_name(path) else { return 0 };
    let Some((stem, kind)) = name.rsplit_once('.') else { return 0 };
    let Some((first, rest)) = stem.split_once(['-', '_', ' ']).filter(|_| NOTE_SUFFIXES.contains(&kind))
    else {
        return 0;
    };
    let first = first.trim_matches(|c: char| !c.is_alphanumeric());
    let says_what_to_do =
        NOTE_WORDS.iter().chain(&["manual", "files", "info"]).any(|word| rest.contains(word));
    if says_what_to_do && (4..=16).contains(&first.len()) { number(first) } else { 0 }
}

/// FNV-1a of a suffix: evidence carries numbers only. 0 is left for none.
fn number(suffix: &str) -> u32 {
    let hash =
        suffix.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

/// The suffix of a path, lower case, for counting; `None` without one or when it is too long to be one.
pub fn suffix_of(path: &Path) -> Option<String> {
    let name = file_name(path)?;
    suffix(&name).map(str::to_owned)
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(OsStr::to_string_lossy).map(|name| name.to_lowercase())
}

fn suffix(name: &str) -> Option<&str> {
    let (stem, suffix) = name.rsplit_once('.')?;
    (!stem.is_empty() && (1..=24).contains(&suffix.len())).then_some(suffix)
}

/// `\.id\[[0-9A-F]{8}-[0-9]{4}\]\.\[[^\]]+\]\.\w+$`, in any case.
fn is_phobos(name: &str) -> bool {
    let Some((_, rest)) = name.rsplit_once(".id[") else { return false };
    let Some((id, rest)) = rest.split_once("].[") else { return false };
    let Some((mail, suffix)) = rest.split_once("].") else { return false };
    let hex_and_number = id.split_once('-').is_some_and(|(hex, number)| {
        hex.len() == 8
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
            && number.len() == 4
            && number.bytes().all(|b| b.is_ascii_digit())
    });
    let is_word = !suffix.is_empty() && suffix.chars().all(|c| c.is_alphanumeric() || c == '_');
    hex_and_number && !mail.is_empty() && !mail.contains(']') && is_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_told_from_the_updates_of_a_record_store() {
        for (before, now, added, known) in [
            ("a/1_20180101_OML-11_1_01_1", "a/1_20180101_OML-11_1_01_1.KRAB", true, true),
            ("a/1_20180101_OML-11_1_01_1", "a/1_20180101_OML-11_1_01_2", false, false),
            ("a/b.txt", "a/b.txt.xyzzy", true, false),
            ("a/b.txt", "a/b.gz", true, false),
            ("a/b.doc", "a/b.doc.id[1E857D00-2822].[x@y.example].eking", true, true),
            ("a/b.txt", "c/b.txt", false, false),
            ("a/b.doc", "a/b.doc.id[1E857D00-2822].[x@y.example].help", true, true),
            ("a/b.doc", "a/b.doc.id[1E857D00-282].[x@y.example].help", true, false),
            ("a/b.doc", "a/b.doc.help", true, false),
        ] {
            let found = renaming(Path::new(before), Path::new(now));
            assert_eq!((found.suffix_added, found.suffix_known), (added, known), "{before} to {now}");
        }
    }

    #[test]
    fn notes_are_texts_that_say_what_to_do() {
        for (name, expected) in [
            ("KRAB-DECRYPT.txt", true),
            ("info.hta", true),
            ("HOW_TO_BACK_FILES.html", true),
            ("notes.txt", false),
            ("recover.rs", false),
        ] {
            assert_eq!(is_note(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_note_named_after_a_suffix_has_its_number() {
        let given = |now: &str| renaming(Path::new("chart.pdf"), Path::new(now)).suffix;
        for (note, file, expected) in [
            ("XKCDA-DECRYPT.txt", "chart.pdf.xkcda", true),
            ("qhtbvkvlwx-MANUAL.txt", "chart.pdf.qhtbvkvlwx", true),
            ("XKCDA-DECRYPT.html", "chart.pdf.locked", false),
            ("XKCDA-DECRYPT.rs", "chart.pdf.xkcda", false),
            ("daily-report.txt", "chart.pdf.daily", false),
        ] {
            let number = note_suffix(Path::new(note));
            assert_eq!(number != 0 && number == given(file), expected, "{note} {file}");
        }
    }
}
