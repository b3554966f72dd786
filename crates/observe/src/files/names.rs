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
    Renaming { suffix_added, suffix_known: suffix_added && is_family_suffix(&new) }
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

fn is_phobos(name: &str) -> bool {
    let Some((_, rest)) = name.split_once(".id[") else { return false };
    let Some((id, rest)) = rest.split_once("].[") else { return false };
    let hex_and_number = id.split_once('-').is_some_and(|(hex, number)| {
        hex.len() == 8
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
            && number.len() == 4
            && number.bytes().all(|b| b.is_ascii_digit())
    });
    hex_and_number && rest.contains("].")
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
}
